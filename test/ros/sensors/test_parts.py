# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Joints that come in several messages: the same reading live, in evaluation and in conversion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smvae_core.data.logs.recording import Notes
from smvae_core.modalities import Modality
from smvae_ros.bags import BagReader, BagWriter
from smvae_ros.messages import MessageError, adapter, bag_types, make_header, make_message
from smvae_ros.messages.fields import ForeignMessage, PartialMessage
from smvae_ros.offline.bag_recording import BagRecording
from smvae_ros.offline.bag_topics import read_messages
from smvae_ros.offline.lockstep import lockstep
from smvae_ros.parameters.declarations import NODE_PARAMETERS, modality_parameters
from smvae_ros.sensors.absence import Cause
from smvae_ros.sensors.parts import NewestParts, Part
from smvae_ros.sensors.sensor_set import SensorSet
from smvae_ros.sensors.settings import BufferSettings, SensorSettings
from smvae_ros.sensors.snapshot import Snapshot
from smvae_ros.sensors.topic_inputs import TopicInput

JOINT_STATE = "sensor_msgs/msg/JointState"
ARM, GRIPPER = ("shoulder", "elbow"), ("finger",)
JOINTS = (*ARM, *GRIPPER)
MS, START = 10**6, 1_750_000_000 * 10**9
PROPRIO = Modality("proprio", "vector", (3,))
SOURCE = TopicInput(PROPRIO, "/joint_states", adapter(JOINT_STATE), joint_names=JOINTS)
Arrival = tuple[int, Sequence[str], float]  # milliseconds, joints, their position


def joint_state(names: Sequence[str], position: float, stamp_ns: int = 0, frame: str = "") -> Any:
    return make_message(
        bag_types,
        JOINT_STATE,
        header=make_header(bag_types, stamp_ns, frame),
        name=list(names),
        position=np.full(len(names), position),
        velocity=np.full(len(names), 10 * position),
        effort=np.full(len(names), 100 * position),
    )


def run(
    arrivals: Iterable[Arrival], modality: Modality = PROPRIO, max_age: float = 0.3
) -> tuple[list[Snapshot], SensorSet]:
    """Snapshots of a timer, 50 ms apart, with the joint states that arrive between them."""
    buffers = {"proprio": BufferSettings(max_age=max_age, max_gap=0.1)}
    settings = SensorSettings(trigger="clock", max_rate=1000.0, gather_ms=0.0, buffers=buffers)
    clock = Modality("clock", "vector", (1,))
    sensors = SensorSet({"proprio": modality, "clock": clock}, settings)
    source = TopicInput(modality, "/joint_states", adapter(JOINT_STATE), joint_names=JOINTS)

    def events() -> Iterator[tuple[int, str, Any, int]]:
        found = [(time, "proprio", (names, value)) for time, names, value in arrivals]
        last = max(time for time, *_ in found)
        found += [(time, "clock", None) for time in range(5, last + 100, 50)]
        for time, name, content in sorted(found, key=lambda event: event[0]):
            stamp = START + time * MS
            if name == "clock":
                yield time * MS, name, np.zeros(1, np.float32), stamp
                continue
            try:
                value = source.incoming(joint_state(*content))
            except ValueError as error:
                sensors.refuse(name, error, time * MS)
            else:
                yield time * MS, name, value, stamp

    return list(lockstep(events(), sensors)), sensors


def values(snapshot: Snapshot) -> list[float]:
    return snapshot.readings["proprio"].value.tolist()


def test_joints_of_two_publishers_make_one_reading() -> None:
    arrivals = [(10 * i, ARM, float(i)) for i in range(40)]
    arrivals += [(10 * i + 3, GRIPPER, 100.0 + i) for i in range(0, 40, 5)]
    snapshots, sensors = run(arrivals)
    seen = {s.taken_ns // MS: values(s) for s in snapshots}
    # The clock ticks at 5, 55, ... ms: the arm's latest is of 0, 50, ..., the gripper's of 3, 53.
    assert [seen[5 + 10 * i] for i in range(0, 40, 5)] == [[i, i, 100 + i] for i in range(0, 40, 5)]
    counters = sensors.counters()["proprio"]
    assert (counters.invalid, counters.foreign) == (0, 0)


def test_a_joint_that_appears_late_is_named_until_then() -> None:
    arrivals = [(10 * i, ARM, 1.0) for i in range(100)]
    arrivals += [(10 * i + 3, GRIPPER, 2.0) for i in range(50, 100)]
    snapshots, sensors = run(arrivals)
    absent = [s.absent["proprio"] for s in snapshots if "proprio" in s.absent]
    assert len(absent) == 10
    assert {absence.cause for absence in absent} == {Cause.PARTIAL}
    assert absent[-1].text == (
        "joint finger has not come yet: see who publishes it, or correct proprio.joints"
    )
    assert values(snapshots[-1]) == [1, 1, 2]
    assert sensors.counters()["proprio"].invalid == 0


def test_a_joint_that_stops_makes_the_reading_absent() -> None:
    arrivals = [(10 * i, ARM, 1.0) for i in range(150)]
    arrivals += [(10 * i + 3, GRIPPER, 2.0) for i in range(50)]  # up to 493 ms
    snapshots, _ = run(arrivals)
    seen = {s.taken_ns // MS: s for s in snapshots}
    assert values(seen[755]) == [1, 1, 2], "of 493 ms, not older than 0.3 s yet when it was made"
    absence = seen[1405].absent["proprio"]
    assert absence.cause == Cause.PARTIAL
    assert "joint finger came last 0.9 s before the others, and 0.3 s (max_age) is the most" in (
        absence.text
    )


def test_whole_messages_and_parts_go_together_and_others_stay_somebody_elses() -> None:
    arrivals = [(0, JOINTS, 1.0), (10, ARM, 2.0), (20, ("wheel",), 9.0), (30, GRIPPER, 3.0)]
    snapshots, sensors = run(arrivals)
    seen = {s.taken_ns // MS: values(s) for s in snapshots}
    assert (seen[5], seen[55]) == ([1, 1, 1], [2, 2, 3])
    assert sensors.counters()["proprio"].foreign == 1
    assert isinstance(SOURCE.incoming(joint_state(ARM, 1.0)), Part)
    with pytest.raises(ForeignMessage, match="with none of shoulder, elbow, finger"):
        SOURCE.incoming(joint_state(["wheel"], 1.0))


def test_a_series_is_made_of_whole_readings() -> None:
    arrivals = [(10 * i, ARM, float(i)) for i in range(30)]
    arrivals += [(10 * i + 3, GRIPPER, 100.0 + i) for i in range(30)]
    window = Modality("proprio", "series", (3, 5), rate=100.0)
    snapshots, _ = run(arrivals, window)
    array = snapshots[-1].readings["proprio"].value
    assert array.shape == (5, 3)
    assert np.isfinite(array).all()


def test_a_part_that_is_behind_counts_with_the_next_reading() -> None:
    parts = NewestParts()
    arm, gripper = (
        Part(np.array(v, np.float32), JOINTS) for v in ([1, 2, np.nan], [np.nan, np.nan, 3])
    )
    with pytest.raises(PartialMessage, match=r"^joint finger has not come yet"):
        parts.whole(arm, 100, 100, 50)
    assert parts.whole(gripper, 110, 110, 50).tolist() == [1, 2, 3]
    newer = Part(np.array([4, np.nan, np.nan], np.float32), JOINTS)
    assert parts.whole(newer, 105, 115, 50) is None
    assert parts.whole(gripper, 120, 120, 50).tolist() == [4, 2, 3]
    assert parts.whole(newer, 10, 130, 50).tolist() == [4, 2, 3], "time ran backwards"
    assert parts.whole(gripper, None, 131, 50).tolist() == [4, 2, 3], "without a stamp"
    with pytest.raises(PartialMessage, match=r"^joint shoulder and elbow came last"):
        parts.whole(gripper, 200, 200, 50)


def test_a_joint_that_comes_beside_different_joints_is_noticed() -> None:
    arrivals = [(10 * i, ARM, float(i)) for i in range(40)]
    both = [(10 * i + 3, ("elbow", "finger"), 100.0 + i) for i in range(40)]
    snapshots, sensors = run([*arrivals, *both])
    seen = {s.taken_ns // MS: values(s) for s in snapshots}
    assert seen[55] == [5, 105, 105], "the newest value counts"
    counters = sensors.counters()["proprio"]
    assert (counters.shared, counters.last_shared) == (79, "elbow")

    apart = [(time, GRIPPER, value) for time, _, value in both]
    whole = [(10 * i + 5, JOINTS, 1.0) for i in range(40)]
    assert run([*arrivals, *apart])[1].counters()["proprio"].shared == 0
    assert run(whole)[1].counters()["proprio"].shared == 0
    assert run([*arrivals, *whole])[1].counters()["proprio"].last_shared == "elbow"


@pytest.mark.parametrize(
    ("fields", "length", "expected"),
    [
        ((), 3, [1, 1, 1]),
        ((), 6, [1, 1, 1, 10, 10, 10]),
        (("velocity",), 3, [10, 10, 10]),
        (("effort", "position"), 6, [100, 100, 100, 1, 1, 1]),
        (("position", "velocity", "effort"), 9, [1, 1, 1, 10, 10, 10, 100, 100, 100]),
    ],
)
def test_any_fields_of_a_joint_state(
    fields: tuple[str, ...], length: int, expected: list[float]
) -> None:
    modality, used = Modality("proprio", "vector", (length,)), adapter(JOINT_STATE, fields)
    source = TopicInput(modality, "/joint_states", used, joint_names=JOINTS)
    assert source.incoming(joint_state(JOINTS[::-1], 1.0)).tolist() == expected
    sent = source.encode(used, np.array(expected, np.float32), bag_types)
    assert source.incoming(sent).tolist() == expected
    part = source.incoming(joint_state(ARM, 1.0))
    assert np.isnan(part.values).reshape(-1, 3).tolist() == [[False, False, True]] * (length // 3)
    with pytest.raises(
        MessageError, match=r"proprio.joints has 2 names .* but proprio has 9 values"
    ):
        TopicInput(Modality("proprio", "vector", (9,)), "/joint_states", used, joint_names=ARM)


def test_a_joint_that_is_no_number_is_named() -> None:
    message = joint_state(JOINTS, 1.0)
    message.velocity[2] = np.nan
    source = TopicInput(
        Modality("proprio", "vector", (6,)), "/joint_states", adapter(JOINT_STATE), 1.0, JOINTS
    )
    with pytest.raises(MessageError, match=r"^proprio: velocity of finger has NaN"):
        source.incoming(message)


@pytest.mark.parametrize("arm_frame", ["base", ""])
def test_a_bag_of_two_publishers_is_converted_by_the_same_rule(
    tmp_path: Path, arm_frame: str
) -> None:
    bag = tmp_path / "arm"
    with BagWriter(bag) as writer:
        for i in range(100):
            for names, value, late in ((ARM, float(i), 0), (GRIPPER, 100.0 + i, 3)):
                if names == GRIPPER and i < 40:
                    continue
                time = START + (10 * i + late) * MS
                frame = arm_frame if names == ARM else "hand"
                writer.write("/joint_states", joint_state(names, value, time, frame), time)
    given = {
        "proprio.topic": "/joint_states",
        "proprio.type": JOINT_STATE,
        "proprio.joints": list(JOINTS),
    }
    declared = [*NODE_PARAMETERS, *modality_parameters("proprio", "vector")]
    parameters = {**{d.name: d.default for d in declared}, **given}
    recording = BagRecording([bag], [PROPRIO], parameters, 20.0)
    layout = recording.layout([PROPRIO], progress=False)
    notes = Notes()
    blocks = list(recording.read(layout.parts[0], [PROPRIO], [], notes))
    rows = np.concatenate([block.rows["proprio"] for block in blocks])
    # From 403 ms on, when the first gripper's message completes a reading, every 50 ms.
    assert rows[:4].tolist() == [[40, 40, 140], [45, 45, 145], [50, 50, 150], [55, 55, 155]]
    assert not notes.strange
    with BagReader(bag) as reader:
        assert len(list(read_messages(reader, {"proprio": SOURCE}))) == 160
