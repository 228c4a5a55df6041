# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What `from smvae_core import ...` gives, and that it costs nothing before it is asked for."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import smvae_core
from places import PYTHONPATH


@pytest.mark.parametrize("name", smvae_core.__all__)
def test_public_names_are_there(name: str) -> None:
    assert getattr(smvae_core, name).__name__ == name


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match=r"smvae_core.* has no attribute 'Nonsense'"):
        smvae_core.Nonsense  # noqa: B018


def test_importing_the_package_brings_no_heavy_library() -> None:
    code = "import sys, smvae_core.modalities; print({'torch', 'cv2', 'numpy'} & set(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
