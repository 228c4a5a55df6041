# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The random numbers of a sample depend on seed and epoch alone, not on its batch."""

from __future__ import annotations

import itertools
import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from smvae_core.fit.sample_noise import SampleNoise


@settings(max_examples=50)
@given(
    order=st.permutations(range(12)),
    cuts=st.sets(st.integers(1, 11)),
    epochs=st.lists(st.integers(0, 3), min_size=1, max_size=4),
)
def test_the_noise_of_a_sample_depends_on_its_row_and_the_epoch(
    order: list[int], cuts: set[int], epochs: list[int]
) -> None:
    reference = SampleNoise(12, 4, 3, seed=5)
    own = SampleNoise(12, 4, 3, seed=5)
    edges = [0, *sorted(cuts), 12]
    for epoch in epochs:  # in any order, repeats too
        uniform, noise = reference(epoch, torch.arange(12))
        for first, last in itertools.pairwise(edges):
            index = torch.tensor(order[first:last])
            part_uniform, part_noise = own(epoch, index)
            assert torch.equal(part_uniform, uniform[index])
            assert torch.equal(part_noise, noise[:, index])


def test_noise_differs_between_samples_epochs_and_seeds() -> None:
    index = torch.arange(50)
    seen = [SampleNoise(50, 4, 3, seed)(epoch, index) for seed in (0, 1) for epoch in (0, 1)]
    for uniform, noise in seen:
        assert len(uniform.unique(dim=0)) == 50
        assert len(noise.flatten()) == len(noise.flatten().unique())
    for i, (uniform, noise) in enumerate(seen):
        for other_uniform, other_noise in seen[:i]:
            assert not torch.isclose(uniform, other_uniform).all(1).any()
            assert not torch.isclose(noise, other_noise).all(-1).any()


def test_an_objective_can_ask_for_more_noise() -> None:
    index = torch.arange(10)
    uniform, noise = SampleNoise(10, 4, 3, 0, noises=5)(0, index)
    assert noise.shape == (5, 10, 3)
    assert len(noise.unique()) == 150
    assert torch.equal(uniform, SampleNoise(10, 4, 3, 0)(0, index)[0])


def test_numbers_are_uniform_and_noise_is_normal() -> None:
    uniform, noise = SampleNoise(20_000, 3, 2, 0)(1, torch.arange(20_000))
    assert uniform.shape == (20_000, 3)
    assert noise.shape == (2, 20_000, 2)
    assert uniform.min() >= 0
    assert uniform.max() < 1
    for values, cumulative in (
        (uniform.flatten(), lambda x: x),
        (noise.flatten(), lambda x: 0.5 * (1 + torch.erf(x / math.sqrt(2)))),
    ):
        # Kolmogorov–Smirnov at 0.1 %.
        expected = cumulative(values.sort().values)
        found = torch.arange(1, len(values) + 1) / len(values)
        assert (expected - found).abs().max() < 1.95 / math.sqrt(len(values))
