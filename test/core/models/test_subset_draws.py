# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The random subsets of what was observed, which SMVAE is trained on."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from smvae_core.models.objectives import draw_subset, draw_subsets


@settings(max_examples=200)
@given(
    rows=st.lists(st.integers(1, 31), min_size=1, max_size=6),
    data=st.data(),
)
def test_a_drawn_subset_is_not_empty_and_was_observed(rows: list[int], data: st.DataObject) -> None:
    present = torch.tensor([[bool(row >> i & 1) for i in range(5)] for row in rows])
    number = st.sampled_from([0.0, 0.5, 1 - 2**-24]) | st.floats(0, 1, exclude_max=True, width=32)
    uniform = torch.tensor([[data.draw(number) for _ in range(6)] for _ in rows])
    subset = draw_subset(present, uniform)
    assert subset.dtype == torch.bool
    assert subset.any(1).all()
    assert not (subset & ~present).any()
    size = 1 + (uniform[:, 0].double() * present.sum(1)).floor()
    assert torch.equal(subset.sum(1), torch.minimum(size.long(), present.sum(1)))


# 99.9 % quantiles of the chi-squared distribution, by degrees of freedom.
CHI_SQUARED = {6: 22.46, 30: 59.70}


@pytest.mark.parametrize("alone", [0.0, 0.5])
@pytest.mark.parametrize("observed", [(0, 1, 2, 3, 4), (0, 2, 3)])
def test_sizes_are_uniform_and_members_are_uniform_among_a_size(
    observed: tuple[int, ...], alone: float
) -> None:
    """But for the share of samples that draw a single modality in any case."""
    draws = 60_000
    present = torch.zeros(draws, 5, dtype=torch.bool)
    present[:, observed] = True
    generator = torch.Generator().manual_seed(7)
    subset = draw_subset(present, torch.rand(draws, 6, generator=generator), alone)
    counts = (subset.long() * 2 ** torch.arange(5)).sum(1).bincount(minlength=32)
    statistic, outcomes = 0.0, 0
    for size in range(1, len(observed) + 1):
        share = (1 - alone) / len(observed) + (alone if size == 1 else 0.0)
        for members in itertools.combinations(observed, size):
            expected = draws * share / math.comb(len(observed), size)
            found = int(counts[sum(2**member for member in members)])
            statistic += (found - expected) ** 2 / expected
            outcomes += 1
    assert outcomes == 2 ** len(observed) - 1
    assert statistic < CHI_SQUARED[outcomes - 1]


def test_subsets_drawn_together_are_each_drawn_alike_and_cover_the_sizes() -> None:
    generator = torch.Generator().manual_seed(3)
    present = torch.ones(20_000, 2, dtype=torch.bool)
    uniform = torch.rand(20_000, 3, generator=generator)
    torch.testing.assert_close(draw_subsets(present, uniform, 1)[0], draw_subset(present, uniform))
    pairs = draw_subsets(present, uniform, 2)
    # One of two modalities and both of them, in either order.
    assert (pairs.sum(-1).sort(0).values == torch.tensor([[1], [2]])).all()
    for subsets in pairs:
        assert float(subsets.all(1).double().mean()) == pytest.approx(0.5, abs=0.02)
        assert float(subsets[:, 0].double().mean()) == pytest.approx(0.75, abs=0.02)


def test_samples_of_a_batch_draw_for_themselves() -> None:
    present = torch.ones(200, 5, dtype=torch.bool)
    uniform = torch.rand(200, 6, generator=torch.Generator().manual_seed(0))
    whole = draw_subset(present, uniform)
    assert len(whole.unique(dim=0)) > 20
    torch.testing.assert_close(whole[50:60], draw_subset(present[50:60], uniform[50:60]))
