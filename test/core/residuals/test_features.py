# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What one check measures: residuals in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from smvae_core.distributions import Gaussian
from smvae_core.modalities import Modality
from smvae_core.residuals.features import divergence, measure

PERIOD = 0.05
NAMES = ("rgb", "depth", "force", "action", "proprio")


def test_the_features_of_a_gaussian_reading_have_their_closed_forms() -> None:
    """x = x̂ + s ε: the signed mean is N(0, 1/n) and the surprise log E|ε| = log √(2/π)."""
    modality = Modality("x", "series", (2, 4000), rate=1000.0)
    scale = np.array([0.5, 3.0])
    random = np.random.default_rng(0)
    predicted = random.normal(size=(3, 4000, 2)).astype(np.float32)
    noise = random.normal(size=predicted.shape)
    arrays = (predicted + scale * noise + scale * [0.0, 2.0]).astype(np.float32)
    found = measure("x", {"x": modality}, {"x": scale}, {"x": arrays}, {"x": predicted}, np.ones(3))
    np.testing.assert_allclose(found.residual, np.tile([0.0, 2.0], (3, 1)), atol=4 / 4000**0.5)
    shifted = math.sqrt(2 / math.pi) * math.exp(-2) + 2 * math.erf(math.sqrt(2))  # E|ε + 2|
    expected = math.log((math.sqrt(2 / math.pi) + shifted) / 2)
    np.testing.assert_allclose(found.surprise, expected, atol=0.03)
    assert found.others.shape == (3, 0)


def test_what_was_not_measured_counts_nothing() -> None:
    modality = Modality("d", "depth", (1, 4, 4))
    arrays = np.full((1, 4, 4), 1.5, np.float16)
    arrays[0, :2] = np.nan
    predicted = np.full((1, 4, 4), 1.0, np.float32)
    found = measure(
        "d", {"d": modality}, {"d": np.array([0.25])}, {"d": arrays}, {"d": predicted}, np.ones(1)
    )
    assert found.residual[0, 0] == pytest.approx(2.0)
    assert found.surprise[0] == pytest.approx(math.log(2.0))


def test_the_divergence_is_that_of_the_core() -> None:
    generator = torch.Generator().manual_seed(0)
    q, p = (Gaussian(*torch.randn(2, 5, 7, generator=generator).double()) for _ in range(2))
    found = divergence(*(part.numpy() for part in (q.mean, q.log_variance, p.mean, p.log_variance)))
    np.testing.assert_allclose(found, q.kl(p).numpy())
