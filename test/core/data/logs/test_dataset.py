# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Reading a cache: batches, split by trajectory, statistics."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_files import STAMP, log_arrays, log_modalities, write_logs
from smvae_core.data.logs.dataset import LogCache, open_cache, split_by_trajectory
from smvae_core.data.logs.statistics import statistics
from smvae_core.data.logs.vision_touch.layout import log_file_name, write_log
from smvae_core.data.logs.vision_touch.recording import convert_logs

NAMES = ("rgb", "depth", "force", "action", "proprio")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> LogCache:
    """Four trajectories; the first misses some readings."""
    folder = tmp_path_factory.mktemp("cache")
    write_logs(folder / "logs", trajectories=3, parts=2, steps=8)
    arrays = log_arrays(8, seed=7)
    arrays["ee_forces_continuous"][2:4] = np.nan
    arrays["action"][5] = np.nan
    arrays["action"][:, 3] = 0.1  # constant, and not exact in binary
    arrays["depth_data"][6] = 0.0
    write_log(folder / "logs" / log_file_name("1999", 0, 0), arrays)
    convert_logs(folder / "logs", folder / "cache", log_modalities(), progress=False)
    return open_cache(folder / "cache", log_modalities())


@given(st.data())
def test_batches_equal_direct_indexing(cache: LogCache, data: st.DataObject):
    rows = np.array(data.draw(st.lists(st.integers(0, len(cache) - 1), max_size=40)), np.int64)
    names = data.draw(st.permutations([*NAMES, "contact", "ee_pos", "trajectory", "step"]))
    names = names[: data.draw(st.integers(0, len(names)))]
    batch = cache.read(rows, names, epoch=3)
    assert list(batch.prepared) == names
    for name in names:
        expected, found = cache.arrays[name][rows], batch.prepared[name].numpy()
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype
        assert found.flags.writeable
        assert found.flags.c_contiguous
    modalities = [name for name in names if name in NAMES]
    assert batch.present.shape == (len(rows), len(modalities))
    for column, name in enumerate(modalities):
        expected = cache.present[rows, NAMES.index(name)]
        np.testing.assert_array_equal(batch.present[:, column], expected)
    np.testing.assert_array_equal(batch.index, rows)


def test_batches_hold_all_modalities_by_default(cache: LogCache):
    batch = cache.read(np.array([5, 2, 2]))
    assert tuple(batch.prepared) == cache.names == NAMES
    np.testing.assert_array_equal(batch.present, cache.present[[5, 2, 2]])
    assert not batch.present[1, 2]


@pytest.mark.parametrize("row", [-1, 56])
def test_rows_that_do_not_exist(cache: LogCache, row: int):
    assert len(cache) == 56
    with pytest.raises(IndexError, match=r"rows are 0\.\.55"):
        cache.read(np.array([0, row]))


def test_arrays_are_read_only_and_not_copied_into_pickles(cache: LogCache):
    for array in (*cache.arrays.values(), cache.present):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    content = pickle.dumps(cache)
    assert len(content) < 1000
    copy = pickle.loads(content)
    np.testing.assert_array_equal(copy.arrays["rgb"], cache.arrays["rgb"])


def cache_of(trajectory: list[int], present: np.ndarray | None = None) -> LogCache:
    """A cache of these trajectory numbers without any modality's array."""
    numbers = np.array(trajectory, np.int32)
    if present is None:
        present = np.ones((len(numbers), 2), bool)
    return LogCache(Path("cache"), ("a", "b"), {"trajectory": numbers}, present, (), {})


@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=80),
    st.sampled_from([0.0, 0.01, 0.1, 0.49]),
    st.sampled_from([0.0, 0.1, 0.5]),
    st.integers(0, 1000),
    st.data(),
)
def test_split_never_shares_a_trajectory(trajectory, validation, test, seed, data):
    size = len(trajectory)
    present = data.draw(
        st.lists(st.tuples(st.booleans(), st.booleans()), min_size=size, max_size=size)
    )
    cache = cache_of(trajectory, np.array(present, bool))
    usable = np.flatnonzero(np.array(present).any(axis=1))
    found = set(cache.arrays["trajectory"][usable])
    if len(found) < 1 + (validation > 0) + (test > 0):
        with pytest.raises(ValueError, match="too few"):
            split_by_trajectory(cache, validation, test, seed)
        return
    split = split_by_trajectory(cache, validation, test, seed)
    assert list(split) == ["training", "validation", "test"]
    sets = [set(cache.arrays["trajectory"][rows]) for rows in split.values()]
    assert sum(map(len, sets)) == len(set.union(*sets))
    np.testing.assert_array_equal(np.sort(np.concatenate(list(split.values()))), usable)
    assert len(split["training"])
    for name, fraction in (("validation", validation), ("test", test)):
        assert bool(len(split[name])) == (fraction > 0)
        assert (np.diff(split[name]) > 0).all()
    again = split_by_trajectory(cache, validation, test, seed)
    assert all(np.array_equal(split[name], again[name]) for name in split)


def test_split_fractions_count_trajectories_and_the_seed_matters():
    cache = cache_of(list(np.repeat(np.arange(50), 4)))
    split = split_by_trajectory(cache, 0.1, 0.2)
    assert [len(rows) for rows in split.values()] == [140, 20, 40]
    other = split_by_trajectory(cache, 0.1, 0.2, seed=1)
    assert not np.array_equal(split["test"], other["test"])


def test_split_leaves_out_steps_without_the_modalities_of_the_model():
    present = np.array([[True, False], [True, True], [False, False]])
    cache = cache_of([0, 0, 0], present)
    assert split_by_trajectory(cache, 0, 0)["training"].tolist() == [0, 1]
    assert split_by_trajectory(cache, 0, 0, names=["b"])["training"].tolist() == [1]


def test_split_says_what_is_wrong():
    with pytest.raises(
        ValueError, match=r"2 trajectories are too few .* 3 parts.*set a fraction to 0"
    ):
        split_by_trajectory(cache_of([0, 0, 1]))
    for fractions in [(0.5, 0.5), (-0.1, 0.1)]:
        with pytest.raises(ValueError, match="together less than 1"):
            split_by_trajectory(cache_of([0, 1, 2]), *fractions)


def test_statistics_equal_numpys_over_everything(cache: LogCache):
    # 56 rows are more than one chunk; repeats and order do not matter.
    rows = np.random.default_rng(0).permutation(len(cache))
    results = statistics(cache, np.concatenate([rows, rows[:9]]))
    assert tuple(results) == NAMES
    axes = {"rgb": (0, 1, 2), "depth": (0, 1, 2), "force": (0, 1), "action": 0, "proprio": 0}
    for column, name in enumerate(NAMES):
        values = cache.arrays[name][cache.present[:, column]].astype(np.float64)
        result = results[name]
        expected = {
            "mean": np.nanmean(values, axis=axes[name]),
            "std": np.nanstd(values, axis=axes[name]),
            "minimum": np.nanmin(values, axis=axes[name]),
            "maximum": np.nanmax(values, axis=axes[name]),
        }
        for field, value in expected.items():
            found = getattr(result, field)
            assert found.dtype == np.float64
            np.testing.assert_allclose(found, np.atleast_1d(value), rtol=1e-10, atol=1e-12)
        assert result.count == len(values)
        assert result.mean_array.shape == values.shape[1:]
        if name != "depth":
            np.testing.assert_allclose(result.mean_array, values.mean(axis=0), atol=1e-12)
    depth = cache.arrays["depth"][cache.present[:, 1]].astype(np.float64)
    assert np.isnan(depth[:, 0]).all()  # pixels that are never measured
    np.testing.assert_allclose(results["depth"].mean_array[0], results["depth"].mean[0])
    np.testing.assert_allclose(results["depth"].mean_array[2:], depth[:, 2:].mean(axis=0))


def test_statistics_of_a_part_and_of_some_modalities(cache: LogCache):
    rows = np.arange(20, 30)
    results = statistics(cache, rows, ["action"])
    expected = cache.arrays["action"][rows].mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(results["action"].mean, expected)
    assert list(results) == ["action"]


def test_constants_have_deviation_one(cache: LogCache):
    rows = np.flatnonzero(cache.arrays["trajectory"] == cache.trajectories.index(("1999", 0)))
    result = statistics(cache, rows)["action"]
    assert result.std[3] == 1.0
    assert (result.std[:3] < 0.1).all()
    assert result.mean[3] == pytest.approx(np.float32(0.1), rel=1e-12)


def test_a_large_mean_does_not_hide_the_deviation(tmp_path: Path):
    arrays = log_arrays(50)
    arrays["proprio"][:] = 1e4 + np.arange(50)[:, None] % 2 * 0.125
    (tmp_path / "logs").mkdir()
    write_log(tmp_path / "logs" / log_file_name(STAMP, 0, 0), arrays)
    convert_logs(tmp_path / "logs", tmp_path / "cache", log_modalities(), progress=False)
    result = statistics(open_cache(tmp_path / "cache"), np.arange(50))["proprio"]
    np.testing.assert_allclose(result.std, 0.0625, rtol=1e-9)


def test_a_modality_without_readings_is_named(cache: LogCache):
    rows = np.flatnonzero(~cache.present[:, 2])
    with pytest.raises(ValueError, match="no usable reading of 'force' in these 2 steps"):
        statistics(cache, rows)
