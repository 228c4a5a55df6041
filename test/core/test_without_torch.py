# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What the node needs of the core is imported without PyTorch, which takes seconds."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from places import ROOT


@pytest.mark.parametrize(
    "module",
    [
        "smvae_core.inference.inference",
        "smvae_core.stored_model",
        "smvae_core.health.monitor",
        "smvae_core.residuals.calibration",
        "smvae_core.preprocessing",
        "smvae_core.precision",
    ],
)
def test_torch_is_not_imported(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
