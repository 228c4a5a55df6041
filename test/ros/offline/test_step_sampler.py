# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Steps on an even grid hold what was newest at their moment, whatever the sensors' timing."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from smvae_core.modalities import Modality
from smvae_ros.offline.step_sampler import LogStep, StepSampler

MS = 1_000_000
START = 1_700_000_000_000 * MS
MODALITIES = [
    Modality("rgb", "image", (3, 1, 1)),
    Modality("action", "vector", (1,)),
    Modality("force", "series", (1, 5), rate=1000.0),
]
MAX_AGE = {"rgb": 0.3, "action": 0.1, "force": 0.3}


def run(arrivals: list[tuple[int, int, str, np.ndarray]], rate: float) -> list[LogStep]:
    sampler = StepSampler(MODALITIES, "rgb", rate, MAX_AGE, {"force": 0.01})
    steps = []
    for received, stamp, name, value in sorted(arrivals, key=lambda arrival: arrival[:3]):
        steps += sampler.add(name, value, stamp, received)
    return steps + sampler.finish()


periods = st.lists(st.integers(1, 500), min_size=1, max_size=40)


@settings(max_examples=200)
@given(images=periods, actions=periods, late=st.integers(0, 200), rate=st.sampled_from([7, 20, 50]))
def test_the_newest_reading_that_is_not_later(
    images: list[int], actions: list[int], late: int, rate: int
) -> None:
    image_times = START + np.cumsum(images) * MS
    action_times = START + np.cumsum(actions) * MS
    arrivals = [(int(t), int(t), "rgb", np.array([i])) for i, t in enumerate(image_times)]
    arrivals += [
        (int(t) + late * MS, int(t), "action", np.array([i])) for i, t in enumerate(action_times)
    ]
    steps = run(arrivals, rate)
    starts: dict[int, int] = {}
    for step in steps:
        start = starts.setdefault(step.trajectory, step.stamp_ns)
        assert start in image_times
        index = round((step.stamp_ns - start) * rate / 1e9)
        assert step.stamp_ns == start + round(index * 1e9 / rate)
        row = np.searchsorted(image_times, step.stamp_ns, side="right") - 1
        assert step.arrays["rgb"] == row
        assert step.stamp_ns - image_times[row] <= 300 * MS
        row = np.searchsorted(action_times, step.stamp_ns, side="right") - 1
        if row >= 0 and step.stamp_ns - action_times[row] <= 100 * MS:
            assert step.arrays["action"] == row
        else:
            assert "action" not in step.arrays
    # No step is left out: each trajectory goes on as long as images do.
    ends = [*image_times[:-1][np.diff(image_times) > 300 * MS], image_times[-1]]
    begins = [image_times[0], *image_times[1:][np.diff(image_times) > 300 * MS]]
    counts = [
        sum(begin + round(k * 1e9 / rate) <= end for k in range(20_000 // (1000 // rate)))
        for begin, end in zip(begins, ends, strict=True)
    ]
    assert [sum(step.trajectory == n for step in steps) for n in range(len(counts))] == counts


def test_a_series_ends_at_the_step() -> None:
    readings = [(START + t * MS, START + t * MS, "force", np.array([t])) for t in range(0, 200, 2)]
    images = [(START + t * MS, START + t * MS, "rgb", np.array([t])) for t in (1, 51, 101, 300)]
    steps = run(readings + images, 20)
    # At 1 ms the window is not filled yet, and at 251 ms the sensor has been silent for too long.
    assert ["force" in step.arrays for step in steps] == [False, True, True, True, True, False]
    for step in steps[1:4]:
        now = (step.stamp_ns - START) // MS
        assert step.arrays["force"][:, 0].tolist() == [now - 4, now - 3, now - 2, now - 1, now]


def test_nobody_is_awaited_for_long() -> None:
    sampler = StepSampler(MODALITIES, "rgb", 20, MAX_AGE, {"force": 0.01})
    counts = []
    for number in range(40):
        now = START + number * 50 * MS
        counts.append(len(sampler.add("rgb", np.array([number]), now, now)))
    assert sum(counts) == 30, "half a second is pending"
    assert max(counts) == 1
