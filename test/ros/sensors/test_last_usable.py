# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The last usable reading counts: an unusable newest one never displaces a usable fresh one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_sensors import EPOCH, MS, SECOND
from smvae_core.modalities import Modality
from smvae_ros.messages import adapter, bag_types, make_message
from smvae_ros.offline.lockstep import lockstep
from smvae_ros.sensors.absence import Cause
from smvae_ros.sensors.buffers import SPARE, NewestBuffer
from smvae_ros.sensors.observations import Observations, observe
from smvae_ros.sensors.sensor_set import SensorSet
from smvae_ros.sensors.snapshot import Snapshot
from smvae_ros.sensors.topic_inputs import TopicInput

RGB = Modality("rgb", "image", (3, 2, 2))
PROPRIO = Modality("proprio", "vector", (2,))
JOINTS = ("a", "b")
IMAGE, JOINT_STATE = "sensor_msgs/msg/Image", "sensor_msgs/msg/JointState"
SOURCES = {
    "rgb": TopicInput(RGB, "/rgb", adapter(IMAGE)),
    "proprio": TopicInput(PROPRIO, "/joint_states", adapter(JOINT_STATE), joint_names=JOINTS),
}


def image(number: int, good: bool = True) -> Any:
    """A picture of one colour; a bad one looks good until it is decoded."""
    array = np.full((2, 2, 3), number, np.uint8)
    message = adapter(IMAGE).to_message(array, RGB, bag_types)
    return message if good else type(message)(**{**vars(message), "step": 1})


def joint_state(names: Iterable[str], value: float) -> Any:
    names = list(names)
    numbers = np.full(len(names), value)
    header = image(0).header
    fields = {"name": names, "position": numbers, "velocity": numbers, "effort": np.empty(0)}
    return make_message(bag_types, JOINT_STATE, header=header, **fields)


def run(arrivals: list[tuple[int, str, Any]]) -> tuple[list[Observations], SensorSet]:
    """Frames of messages that came (and were stamped) at times in milliseconds."""
    sensors = SensorSet({"rgb": RGB, "proprio": PROPRIO})

    def events() -> Iterable[tuple[int, str, Any, int]]:
        for time_ms, name, message in arrivals:
            try:
                value = SOURCES[name].incoming(message)
            except ValueError as error:
                sensors.refuse(name, error, time_ms * MS)
                continue
            yield time_ms * MS, name, value, EPOCH + time_ms * MS

    frames = []
    for snapshot in lockstep(events(), sensors):
        frames.append(observe(snapshot, SOURCES))
        sensors.settle(frames[-1].snapshot, frames[-1].unusable)
    return frames, sensors


@pytest.mark.parametrize("others", [("left_finger", "right_finger"), ()])
def test_joint_states_of_somebody_else_change_nothing(others: tuple[str, ...]) -> None:
    arrivals = []
    for i in range(20):
        arrivals.append((50 * i, "proprio", joint_state(JOINTS, i)))
        arrivals.append((50 * i + 6, "proprio", joint_state(others, -1.0)))
        arrivals.append((50 * i + 10, "rgb", image(i)))
    frames, sensors = run(arrivals)
    with_images = [frame for frame in frames if "rgb" in frame.arrays]
    assert [frame.arrays["proprio"].tolist() for frame in with_images] == [
        [i, i] for i in range(20)
    ]
    counters = sensors.counters()["proprio"]
    assert (counters.received, counters.foreign, counters.invalid) == (20, 20, 0)


def test_only_somebody_else_s_joint_states_are_named() -> None:
    arrivals = [(50 * i, "proprio", joint_state(["finger"], 0.0)) for i in range(10)]
    frames, _ = run([*arrivals, (451, "rgb", image(1))])
    absence = frames[-1].snapshot.absent["proprio"]
    assert absence.cause == Cause.FOREIGN
    assert "finger" in absence.text
    assert "proprio.joints" in absence.text


def test_an_image_that_proves_unusable_leaves_the_one_before() -> None:
    """With its own age and stamp, for as long as max_age."""
    arrivals = [(0, "rgb", image(1))] + [(50 * i, "rgb", image(9, good=False)) for i in range(1, 8)]
    frames, sensors = run(arrivals)
    shown = [frame for frame in frames if frame.arrays]
    assert {int(frame.arrays["rgb"][0, 0, 0]) for frame in shown} == {1}
    ages = [round(frame.snapshot.readings["rgb"].age, 3) for frame in shown]
    assert ages == [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3]
    assert {frame.snapshot.stamp_ns for frame in shown} == {EPOCH}
    assert sensors.counters()["rgb"].invalid == 7, "each is counted once"
    assert frames[-1].snapshot.absent["rgb"].cause == Cause.UNUSABLE


def test_unusable_images_are_counted_until_a_frame_has_used_one() -> None:
    """That one arrived does not make it usable."""
    bad = [(50 * i, "rgb", image(9, good=False)) for i in range(10)]
    frames, sensors = run([*bad, (500, "rgb", image(1)), (510, "proprio", joint_state(JOINTS, 0))])
    absences = [f.snapshot.absent["rgb"].cause for f in frames if "rgb" in f.snapshot.absent]
    assert absences == [Cause.UNUSABLE] * 10
    counters = sensors.counters()["rgb"]
    assert (counters.received, counters.usable, counters.used, counters.invalid) == (11, 1, 1, 10)
    assert sensors.evidence(510 * MS)["rgb"].unusable is None
    _, sensors = run(bad)
    sensors.store("rgb", image(1), EPOCH + 500 * MS, 500 * MS)
    assert sensors.evidence(500 * MS)["rgb"].unusable.count == 10


@given(good=st.lists(st.booleans(), min_size=1, max_size=30), every=st.integers(1, SPARE))
def test_the_newest_usable_image_is_used_however_they_are_mixed(
    good: list[bool], every: int
) -> None:
    """Frames may come only at every n-th image, as of a slow model."""
    sensors = SensorSet({"rgb": RGB})
    for number, is_good in enumerate(good):
        now = 30 * number * MS
        sensors.store("rgb", image(number, is_good), EPOCH + now, now)
        if number % every:
            continue
        snapshot = sensors.take(now)
        assert isinstance(snapshot, Snapshot)
        found = observe(snapshot, SOURCES)
        sensors.settle(found.snapshot, found.unusable)
        usable = [n for n in range(number + 1) if good[n] and 30 * (number - n) <= 300]
        assert [int(array[0, 0, 0]) for array in found.arrays.values()] == usable[-1:]


def test_what_is_kept_for_the_worst_is_bounded() -> None:
    buffer = NewestBuffer()
    for i in range(1000):
        buffer.store(str(i), None, i * MS // 1000)
    kept = [snapshot.value for snapshot in buffer.earlier(MS, None)]
    assert len(kept) == SPARE
    assert kept == ["998", "997", "996", "0"], "the first may be the only usable one"
    buffer.store("late", None, SECOND)
    assert buffer.earlier(SECOND, None) == []
