# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Bags whose messages have another frame_id than the training's are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from small_bags import write_small_bag
from small_models import small_model
from smvae_core.checkpoint import save_checkpoint
from smvae_ros.cli import evaluate
from smvae_ros.sensors.trained_frames import describe_other_frame

TOLD = "force: its frame_id is"


@pytest.mark.parametrize(
    ("trained", "told"), [("tool_flange", True), ("camera", False), ("", False)]
)
def test_evaluate_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], trained: str, told: bool
) -> None:
    record = {"data": {"frame_ids": {"force": trained}}} if trained else {}
    save_checkpoint(tmp_path / "model", small_model(), record)
    bag = write_small_bag(tmp_path / "bag", 3)
    assert evaluate.main([str(bag), "--checkpoint", str(tmp_path / "model")]) == 0
    assert (TOLD in capsys.readouterr().out) == told


def test_what_is_not_known_is_not_told() -> None:
    assert describe_other_frame("force", "", "tool") == ""  # a message without a header
    assert describe_other_frame("force", "tool", "") == ""
    assert "\\x1b" in describe_other_frame("force", "\x1b[2J", "tool"), "nothing for terminals"
