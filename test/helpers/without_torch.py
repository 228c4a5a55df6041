# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Processes in which PyTorch is not installed, though it is on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from places import ROOT

# Python imports this module at its start, before all others.
SITECUSTOMIZE = """\
import sys
from importlib.machinery import PathFinder


class WithoutTorch(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name == "torch" else super().find_spec(name, path, target)


sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutTorch
"""


def hide_torch(folder: Path) -> dict[str, str]:
    """Environment variables with which ``import torch`` fails as where it is not installed.

    Args:
        folder: an empty one, which the process needs as long as it starts others.
    """
    (folder / "sitecustomize.py").write_text(SITECUSTOMIZE)
    return {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
