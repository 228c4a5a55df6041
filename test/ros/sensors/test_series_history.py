# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The history of a series: its windows, gaps and jumps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_sensors import MODALITIES
from smvae_core.modalities import Modality
from smvae_ros.sensors.sensor_set import SensorSet
from smvae_ros.sensors.series_history import SeriesHistory
from smvae_ros.sensors.settings import BufferSettings

MS = 1_000_000
SECOND = 1000 * MS
EPOCH = 1_700_000_000 * SECOND

FORCE = Modality("force", "series", (2, 8), rate=1000.0)
SHORT = Modality("force", "series", (1, 4), rate=1000.0)


@given(
    steps=st.lists(st.integers(1, 15 * MS), min_size=30, max_size=80),
    end=st.floats(0.0, 1.0),
    slope=st.floats(-100, 100),
)
def test_interpolation_reproduces_a_line_at_any_spacing(
    steps: list[int], end: float, slope: float
) -> None:
    history = SeriesHistory(FORCE, BufferSettings(max_gap=0.02))
    times = np.cumsum(steps)
    for moment in times:
        seconds = moment / SECOND
        history.store(np.array([slope * seconds, 1.0]), EPOCH + int(moment), int(moment))
    if not history.complete:
        assert times[-1] - times[0] < 7 * MS
        return
    earliest = times[0] + 7 * MS
    moment = int(earliest + end * (times[-1] - earliest))
    window, stamp = history.window(EPOCH + moment)
    expected = slope * (moment - np.arange(7, -1, -1) * MS) / SECOND
    np.testing.assert_allclose(window[:, 0], expected, atol=1e-4)
    np.testing.assert_array_equal(window[:, 1], 1.0)
    assert stamp == EPOCH + moment


def test_the_newest_reading_holds_for_one_gap_and_no_longer() -> None:
    history = SeriesHistory(FORCE, BufferSettings(max_gap=0.005))
    for i in range(20):
        history.store(np.array([i, 0]), EPOCH + i * MS, i * MS)
    held, stamp = history.window(EPOCH + 22 * MS)
    np.testing.assert_array_equal(held[:, 0], [15, 16, 17, 18, 19, 19, 19, 19])
    assert stamp == EPOCH + 19 * MS
    longest, _ = history.window(EPOCH + 24 * MS)
    beyond, _ = history.window(EPOCH + SECOND)
    np.testing.assert_array_equal(beyond, longest)


def test_the_history_is_bounded_and_stays_in_order() -> None:
    history = SeriesHistory(FORCE, BufferSettings(max_gap=0.005))
    for i in range(5000):
        history.store(np.array([i, 0]), EPOCH + i * MS, i * MS)
    window, _ = history.window(EPOCH + 4500 * MS)
    np.testing.assert_array_equal(window[:, 0], np.arange(4493, 4501))


@pytest.mark.parametrize("rate", [1000, 7000, 10_000, 15_000])
def test_the_history_is_a_length_of_time_at_any_rate(rate: int) -> None:
    """A window ends where its image was stamped, be that a second ago."""
    history = SeriesHistory(FORCE, BufferSettings(max_gap=0.005))
    for i in range(4 * rate):
        time = i * SECOND // rate
        history.store(np.array([time / MS, 0]), EPOCH + time, time)
    for late_ms in (0, 180, 990):
        moment = time - late_ms * MS
        window, stamp = history.window(EPOCH + moment)
        assert stamp == EPOCH + moment
        np.testing.assert_allclose(window[:, 0], moment / MS - np.arange(7, -1, -1), atol=0.01)


def test_an_absurd_rate_thins_the_history_and_does_not_shorten_it() -> None:
    history = SeriesHistory(FORCE, BufferSettings(max_gap=0.005))
    size = history._times.nbytes + history._readings.nbytes
    rate, seconds = 100_000, 1.5
    for i in range(int(rate * seconds)):
        time = i * SECOND // rate
        history.store(np.array([time / MS, 0]), EPOCH + time, time)
    for late_ms in (0, 500, 990):
        moment = 1490 * MS - late_ms * MS
        window, stamp = history.window(EPOCH + moment)
        assert stamp == EPOCH + moment
        # Between readings that are at most a sixteenth of the grid apart a line is exact.
        np.testing.assert_allclose(window[:, 0], moment / MS - np.arange(7, -1, -1), atol=0.01)
    assert history._times.nbytes + history._readings.nbytes == size < 2**20


@pytest.mark.parametrize("jump_ms", [-10_000, -30, 30, 10_000])
def test_a_series_restarts_where_its_stamps_jump(jump_ms: int) -> None:
    history = SeriesHistory(FORCE, BufferSettings(max_gap=0.02))
    for i in range(20):
        history.store(np.array([i, 0]), EPOCH + i * MS, i * MS)
    for i in range(20, 27):
        history.store(np.array([i, 0]), EPOCH + (i + jump_ms) * MS, i * MS)
        assert not history.complete
    history.store(np.array([27, 0]), EPOCH + (27 + jump_ms) * MS, 27 * MS)
    assert history.complete
    np.testing.assert_array_equal(history.window(None)[0][:, 0], np.arange(20, 28))


@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, 30 * MS),  # until the next is received
            st.one_of(st.integers(0, 30 * MS), st.integers(-3 * SECOND, 3 * SECOND)),  # its stamp
            st.floats(-1e3, 1e3, width=32),
        ),
        min_size=1,
        max_size=80,
    ),
    gap=st.sampled_from([0, 5 * MS, 20 * MS, SECOND]),
    ends=st.lists(st.integers(-2 * SECOND, 2 * SECOND), min_size=1, max_size=5),
)
def test_a_window_never_mixes_epochs_nor_invents_values(
    steps: list[tuple[int, int, float]], gap: int, ends: list[int]
) -> None:
    """At any rate, with gaps, repetitions and jumps of the stamps in both directions."""
    history = SeriesHistory(SHORT, BufferSettings(max_gap=gap / SECOND))
    received, stamp = 0, EPOCH
    run: list[tuple[int, float]] = []  # readings since the last gap or jump
    for wait, step, value in steps:
        received, stamp = received + wait, stamp + step
        ignored = history.store(np.array([value], np.float32), stamp, received)
        newest = run[-1][0] if run else None
        if newest is not None and -gap < stamp - newest <= 0:
            assert ignored
        else:
            assert not ignored
            if newest is None or abs(stamp - newest) > gap:
                run = []
            run.append((stamp, float(np.float32(value))))
    span = run[-1][0] - run[0][0]
    assert history.complete == (span >= 3 * MS)
    if not history.complete:
        return
    values = [value for _, value in run]
    for end in ends:
        window, newest_ns = history.window(EPOCH + end)
        assert window.shape == (4, 1)
        assert min(values) - 1e-3 <= window.min() <= window.max() <= max(values) + 1e-3
        assert newest_ns is not None
        assert run[0][0] <= newest_ns <= run[-1][0]
        moment = min(max(EPOCH + end, run[0][0] + 3 * MS), run[-1][0] + gap)
        grid = moment - np.arange(3, -1, -1) * MS
        times = np.array([time for time, _ in run])
        expected = np.interp(grid - times[0], times - times[0], values)
        np.testing.assert_allclose(window[:, 0], expected, atol=1e-2)


def test_a_window_of_one_reading_needs_only_one() -> None:
    history = SeriesHistory(Modality("force", "series", (2, 1), rate=1000.0))
    history.store(np.array([3.0, 4.0]), EPOCH, 0)
    for end in (EPOCH, EPOCH + MS):
        window, _ = history.window(end)
        np.testing.assert_array_equal(window, [[3.0, 4.0]])


def test_a_fast_wrench_s_window_ends_at_an_image_that_comes_late() -> None:
    """7 kHz, and images that arrive 180 ms after they were taken."""
    sensors = SensorSet(MODALITIES)
    for i in range(7000):
        time = i * SECOND // 7000
        sensors.store("force", np.array([time / MS, 0]), EPOCH + time, time)
    sensors.store("rgb", "image", EPOCH + 820 * MS, SECOND)
    sample = sensors.poll(SECOND)
    assert sample is not None
    force = sample.readings["force"]
    assert force.stamp_ns == EPOCH + 820 * MS
    assert force.skew == 0.0
    np.testing.assert_allclose(force.value[:, 0], np.arange(813, 821), atol=0.01)
