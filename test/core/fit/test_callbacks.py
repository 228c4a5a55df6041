# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""States are written whole, or not at all."""

from __future__ import annotations

import gc
from pathlib import Path

import torch

from smvae_core.files import OutputError
from smvae_core.fit.callbacks import WholeFiles


def test_a_state_that_cannot_be_written_leaves_no_garbage_to_crash_on(tmp_path: Path) -> None:
    """CPython 3.12.1 crashed when it collected what the exception held."""

    def save() -> OutputError | None:
        try:
            WholeFiles().save_checkpoint({"weight": torch.ones(3)}, tmp_path / ("x" * 250))
        except OutputError as error:
            kept = error  # and thereby this frame, in a circle
            return kept
        return None

    assert save() is not None
    gc.collect()
    assert not list(tmp_path.iterdir())
