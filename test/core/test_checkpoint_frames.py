# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A checkpoint keeps the frame_ids of its training data, where they were known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from small_models import small_model
from smvae_core.checkpoint import load_checkpoint, save_checkpoint
from smvae_core.inference.inference import Inference


@pytest.mark.parametrize(
    ("training", "frames"),
    [
        ({"data": {"frame_ids": {"force": "tool_flange"}}}, {"force": "tool_flange"}),
        ({"data": {"frame_ids": {"force": 3, "rgb": "camera"}}}, {"rgb": "camera"}),
        ({"data": {"frame_ids": ["tool_flange"]}}, {}),
        ({"data": {}}, {}),  # as of models from before
        ({}, {}),
    ],
)
def test_frame_ids_are_optional(
    tmp_path: Path, training: dict[str, Any], frames: dict[str, str]
) -> None:
    save_checkpoint(tmp_path / "model", small_model(), training)
    assert load_checkpoint(tmp_path / "model").frame_ids == frames
    assert Inference.load(tmp_path / "model").frame_ids == frames
