# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The originals of the benchmark data sets, where they lie beside the checkout."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from places import ROOT

_VARIABLE = "SMVAE_SHARED_DATA"


def shared_data(name: str) -> Path:
    """The folder of one data set; skips the test where there is none."""
    beside = ROOT.parent / "shared" / "data"
    folder = Path(os.environ.get(_VARIABLE, beside)) / name
    if not folder.is_dir():
        pytest.skip(f"needs the data set {name} in {folder} (set {_VARIABLE} to its parent)")
    return folder
