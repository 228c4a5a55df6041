# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What is normal of residuals: tables of quantiles, averages, what others explain."""

from __future__ import annotations

import math

import numpy as np
import pytest

from smvae_core.health.hysteresis import Thresholds
from smvae_core.residuals.features import Features
from smvae_core.residuals.reference import TIME_CONSTANT, Reference, Table, average, weight

PERIOD = 0.05
NAMES = ("rgb", "depth", "force", "action", "proprio")


def test_a_table_gives_the_quantiles_and_goes_on_as_an_exponential_tail_does() -> None:
    table = Table.fit(np.random.default_rng(0).exponential(size=20_000))
    for value in (1.0, 3.0, 6.0, 12.0):  # P(X > v) = e^-v
        assert table.score(value) == pytest.approx(value / math.log(10), rel=0.12)


def test_the_moving_average_has_its_closed_form() -> None:
    share = weight(PERIOD, PERIOD)
    assert share == pytest.approx(1 - math.exp(-PERIOD / TIME_CONSTANT))
    constant = average(np.ones((30, 1)), PERIOD, PERIOD)[:, 0]
    np.testing.assert_allclose(constant, 1 - (1 - share) ** np.arange(1, 31))
    noise = average(np.random.default_rng(0).normal(size=(40_000, 1)), PERIOD, PERIOD)
    assert noise.var() == pytest.approx(share / (2 - share), rel=0.1)
    assert weight(10.0, PERIOD) == share, "rare checks must not be trusted more"


def healthy(seed: int, count: int = 400, coupling: float = 1.0) -> Features:
    """A sensor whose noise depends on what is expected, and that misses what another misses."""
    random = np.random.default_rng(seed)
    others = random.normal(size=(count, 2))
    expected = random.uniform(0, 20, (count, 1))
    noise = (0.1 + 0.2 * expected) * random.normal(size=(count, 1))
    residual = coupling * others[:, :1] + noise
    sizes = random.normal(size=(2, count))
    return Features(residual, expected, others, *sizes)


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.fit([healthy(seed) for seed in range(30)], PERIOD)


def test_what_the_others_explain_is_learned(reference: Reference) -> None:
    np.testing.assert_allclose(reference.coefficients[:, 0], [1.0, 0.0], atol=0.05)
    assert reference.channel == 0


def test_healthy_data_exceed_a_score_as_often_as_it_says(reference: Reference) -> None:
    scores = {"surprise": [], "bias": [], "disagreement": []}
    for seed in range(100, 150):
        for row in reference.average(healthy(seed), PERIOD):
            for name, score in reference.scores(row).items():
                scores[name].append(score)
    for name, values in scores.items():
        for level, tolerance in ((1, 1.5), (2, 2.5)):
            exceeded = np.mean(np.array(values) > level)
            assert 10.0**-level / tolerance < exceeded < 10.0**-level * tolerance, (name, level)


def test_a_bias_counts_more_where_little_noise_is_expected(reference: Reference) -> None:
    def score(expected: float) -> float:
        run = healthy(200)
        quiet = Features(
            np.full_like(run.residual, 1.5) + run.others[:, :1],
            np.full_like(run.expected, expected),
            run.others,
            run.surprise,
            run.disagreement,
        )
        return reference.scores(reference.average(quiet, PERIOD)[40])["bias"]

    assert score(1.0) > 8 > 3 > score(19.0)


def test_what_differs_from_scene_to_scene_is_no_bias() -> None:
    """One colour for each run: no number of frames makes up for few scenes."""

    def scene(seed: int) -> Features:
        random = np.random.default_rng(seed)
        colour = random.normal(size=3)
        residual = colour + 0.01 * random.normal(size=(100, 3))
        return Features(residual, residual, np.zeros((100, 0)), *random.normal(size=(2, 100)))

    fitted = Reference.fit([scene(seed) for seed in range(12)], PERIOD)
    scores = [
        fitted.scores(fitted.average(scene(seed), PERIOD)[-1])["bias"] for seed in range(50, 80)
    ]
    assert np.mean(np.array(scores) > Thresholds().warn) <= 0.1
