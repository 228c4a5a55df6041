# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""docs/how_to/other_tools.md does what it says, in a process that has ONNX Runtime only."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from places import DOCS
from smvae_ros.bundled import model_path
from training.export import main

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (pip install onnxruntime)")

PAGE = DOCS / "how_to" / "other_tools.md"
ALONE = "import sys\nfor name in ('torch', 'smvae_core', 'onnx'): sys.modules[name] = None\n"


def test_the_page_is_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = PAGE.read_text()
    (program,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    command = "python -m training.export out/insertion_model"
    assert command in page
    shutil.copytree(model_path(), tmp_path / "out" / "insertion_model")
    monkeypatch.chdir(tmp_path)
    assert main(command.split()[3:]) == 0
    said = capsys.readouterr().out
    for graph in ("embed_rgb", "fuse", "decode_rgb"):
        assert re.search(rf"^{graph} ", said, re.MULTILINE)
        assert re.search(rf"^{graph} ", page, re.MULTILINE)
    assert re.search(r"Wrote 11 ONNX graphs \(\d+ kB\) to out/insertion_model; they differ", said)
    done = subprocess.run(
        [sys.executable, "-c", ALONE + program], capture_output=True, text=True, check=False
    )
    assert done.stdout == "(64, 64, 3) uint8 (1, 128)\n", done.stderr
