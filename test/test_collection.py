# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Tests whose packages are not installed are skipped with a word, whatever plugins pytest has."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from places import ROOT

# Stands for a machine on which these are not installed.
BARE = """\
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("hypothesis", "torch", "lightning", "rosbags"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""


def test_what_cannot_be_imported_is_named_and_the_rest_is_collected(tmp_path: Path) -> None:
    (tmp_path / "bare.py").write_text(BARE)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "bare"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test/ros/node/test_transport.py::" in done.stdout
    for package in ("hypothesis", "torch", "rosbags"):
        assert re.search(rf"SKIPPED .*: {package} is not installed", done.stdout)


def test_a_module_of_ours_that_is_missing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").symlink_to(ROOT / "test" / "conftest.py")
    (tmp_path / "test_misspelt.py").write_text("import smvae_ros.nothing\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-q", str(tmp_path / "test_misspelt.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "No module named 'smvae_ros.nothing'" in done.stdout
