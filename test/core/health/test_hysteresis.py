# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Levels of scores over time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smvae_core.health.hysteresis import Hysteresis, Level, Thresholds

PERIOD = 0.05
NAMES = ("rgb", "depth", "force", "action", "proprio")


def test_a_level_rises_at_once_and_falls_after_a_while() -> None:
    thresholds, hysteresis = Thresholds(warn=5, error=8, clear=2.0), Hysteresis()
    scores = [(0.0, 1.0), (0.1, 6.0), (0.2, 9.0), (0.3, 6.0), (1.0, 4.9), (1.5, 1.0)]
    levels = [hysteresis.update(score, now, thresholds) for now, score in scores]
    assert levels == [Level.OK, Level.WARN, *[Level.ERROR] * 4]
    assert hysteresis.update(1.0, 2.4, thresholds) == Level.WARN  # the worst of the last 2 s
    assert hysteresis.update(1.0, 2.5, thresholds) == Level.WARN
    assert hysteresis.update(1.0, 4.6, thresholds) == Level.OK


@given(st.lists(st.floats(0, 20), min_size=1, max_size=60))
def test_a_level_never_is_below_that_of_the_last_score(scores: list[float]) -> None:
    thresholds, hysteresis = Thresholds(), Hysteresis()
    for k, score in enumerate(scores):
        level = hysteresis.update(score, 0.05 * k, thresholds)
        assert level >= thresholds.level(score)
        assert level <= thresholds.level(max(scores[: k + 1]))


def test_thresholds_must_be_in_order() -> None:
    with pytest.raises(ValueError, match="must not be below"):
        Thresholds(warn=6, error=5)
