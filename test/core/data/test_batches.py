# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Batches depend on seed and epoch alone: not on processes, or interruptions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from small_caches import make_cache
from smvae_core.data.batches import Batches
from smvae_core.data.logs.dataset import LogCache, open_cache

NAMES = ("force", "rgb", "depth")  # neither the cache's order nor all of it


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> LogCache:
    return open_cache(make_cache(tmp_path_factory.mktemp("cache"), trajectories=3))


def rows(batches: Batches) -> list[list[int]]:
    return [batch.index.tolist() for batch in batches]


def test_batch_holds_the_rows_it_names(cache: LogCache) -> None:
    batches = Batches(cache, NAMES, np.arange(len(cache)), 7, shuffle=True)
    columns = [cache.names.index(name) for name in NAMES]
    count = 0
    for batch in batches:
        count += 1
        index = batch.index.numpy()
        assert tuple(batch.prepared) == NAMES
        for name, x in batch.prepared.items():
            np.testing.assert_array_equal(x.numpy(), cache.arrays[name][index])
        np.testing.assert_array_equal(batch.present.numpy(), cache.present[index][:, columns])
    assert count == len(batches) == 4
    assert not cache.present.all()


@settings(max_examples=40)
@given(
    samples=st.integers(1, 30),
    batch_size=st.sampled_from([1, 2, 4, 6, 12]),
    seed=st.integers(0, 3),
    epoch=st.integers(0, 3),
)
def test_an_epoch_is_the_same_for_any_batch_size(
    cache: LogCache, samples: int, batch_size: int, seed: int, epoch: int
) -> None:
    if batch_size > samples:
        return
    indices = np.arange(30)[30 - samples :]

    def epoch_rows(size: int) -> list[int]:
        batches = Batches(cache, ("action",), indices, size, seed, shuffle=True)
        batches.sampler.set_epoch(epoch)
        return list(itertools.chain(*rows(batches)))

    single, found = epoch_rows(1), epoch_rows(batch_size)
    assert sorted(single) == indices.tolist()
    assert found == single[: samples // batch_size * batch_size]  # a last partial one is left out


def test_epochs_and_seeds_have_orders_of_their_own(cache: LogCache) -> None:
    orders = set()
    for seed in (0, 1):
        batches = Batches(cache, ("action",), np.arange(30), 30, seed, shuffle=True)
        for epoch in (0, 1, 2):
            batches.sampler.set_epoch(epoch)
            orders.add(tuple(rows(batches)[0]))
    assert len(orders) == 6


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("shuffle", [False, True])
def test_processes_share_out_the_batch_that_one_would_have(
    cache: LogCache, world_size: int, shuffle: bool
) -> None:
    def part(rank: int, size: int) -> list[list[int]]:
        options = {"shuffle": shuffle, "rank": rank, "world_size": size}
        return rows(Batches(cache, ("action",), np.arange(30), 6, 3, **options))

    whole = part(0, 1)
    parts = [part(rank, world_size) for rank in range(world_size)]
    for number, batch in enumerate(whole):
        shares = [share[number] for share in parts]
        assert sorted(itertools.chain(*shares)) == sorted(batch)
        assert {len(share) for share in shares} == {6 // world_size}


@pytest.mark.parametrize("samples", [7, 8, 11, 12, 13])
def test_no_process_validates_an_empty_batch(cache: LogCache, samples: int) -> None:
    """The mean over no samples is NaN, and would be the mean of all processes."""
    world = [
        Batches(cache, ("action",), np.arange(samples), 6, rank=rank, world_size=3)
        for rank in range(3)
    ]
    lengths = [[len(batch) for batch in rows(batches)] for batches in world]
    assert all(all(part) for part in lengths)
    assert len({len(part) for part in lengths}) == 1  # else processes wait for each other forever
    assert sum(map(sum, lengths)) >= samples


@settings(max_examples=30)
@given(taken=st.integers(0, 5), epoch=st.integers(0, 2), shuffle=st.booleans())
def test_a_restored_position_continues_the_epoch(
    cache: LogCache, taken: int, epoch: int, shuffle: bool
) -> None:
    def make() -> Batches:
        batches = Batches(cache, ("action",), np.arange(30), 5, 1, shuffle=shuffle)
        batches.sampler.set_epoch(epoch)
        return batches

    interrupted = make()
    iterator = iter(interrupted)
    before = [next(iterator).index.tolist() for _ in range(taken)]
    state = interrupted.state_dict()
    resumed = make()
    resumed.load_state_dict(state)
    assert before + rows(resumed) == rows(make())
    # And only this one: the next epoch is whole.
    resumed.sampler.set_epoch(epoch + 1)
    fresh = make()
    fresh.sampler.set_epoch(epoch + 1)
    assert rows(resumed) == rows(fresh)


def test_an_iteration_that_is_given_up_does_not_touch_the_next(cache: LogCache) -> None:
    """Lightning's sanity check looks at two batches, and no loop asks for more than len()."""
    batches = Batches(cache, ("action",), np.arange(30), 5)
    whole = rows(batches)
    iterator = iter(batches)
    next(iterator)
    next(iterator)
    assert rows(batches) == whole
    iterator = iter(batches)
    for _ in range(len(batches)):
        next(iterator)
    assert batches.state_dict() == {"position": 0}
    assert rows(batches) == whole


def test_length(cache: LogCache) -> None:
    for samples, shuffle, expected in (
        (30, True, 4),
        (30, False, 5),
        (28, False, 4),
        (3, False, 1),
    ):
        batches = Batches(cache, ("action",), np.arange(samples), 7, shuffle=shuffle)
        assert len(batches) == len(rows(batches)) == expected


def test_impossible_batch_sizes_are_refused(cache: LogCache) -> None:
    with pytest.raises(ValueError, match=r"batch_size 31 is larger than the 30 training samples"):
        Batches(cache, NAMES, np.arange(30), 31, shuffle=True)
    with pytest.raises(ValueError, match=r"batch_size 5 must be a multiple of the 2 processes"):
        Batches(cache, NAMES, np.arange(30), 5, world_size=2)
    for batch_size in (0, -4):
        with pytest.raises(ValueError, match=f"batch_size must be positive, not {batch_size}"):
            Batches(cache, NAMES, np.arange(30), batch_size)


def test_batch_moves_to_another_device(cache: LogCache) -> None:
    batch = cache.read(np.array([3, 3, 1]), NAMES)
    moved = batch.to("meta")
    tensors = [*moved.prepared.values(), moved.present]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert moved.index.tolist() == [3, 3, 1]
