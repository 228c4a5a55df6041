# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Named fields of any message type: what they give, both ways, and what is wrong with others."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")

from rclpy.serialization import deserialize_message, serialize_message
from rosbags.typesys import get_types_from_msg

from smvae_core.modalities import Modality
from smvae_ros.bags import BagReader, BagWriter
from smvae_ros.bags.storage import Definition as WrittenDefinition
from smvae_ros.messages import (
    USUAL_FIELDS,
    MessageError,
    adapter,
    bag_types,
    installed_types,
    make_header,
    make_message,
)
from smvae_ros.messages.definitions import known_definition
from smvae_ros.messages.field_names import find
from smvae_ros.messages.filled import fill_message
from smvae_ros.messages.rotations import from_six, to_six
from smvae_ros.messages.serialised import SerialisedMessage
from smvae_ros.messages.types import bag_typestore, deserialise
from smvae_ros.offline.bag_topics import missing_sources, read_messages
from smvae_ros.parameters.configuration import make_topic_inputs
from smvae_ros.sensors.topic_inputs import TopicInput

IMU, JOY = "sensor_msgs/msg/Imu", "sensor_msgs/msg/Joy"
POSE, ODOMETRY = "geometry_msgs/msg/PoseStamped", "nav_msgs/msg/Odometry"
ROTATION = to_six([0.5, -0.5, 0.5, 0.5])
both_libraries = pytest.mark.parametrize(
    "types", [installed_types, bag_types], ids=["rclpy", "rosbags"]
)


def vector(count: int, name: str = "sensor") -> Modality:
    return Modality(name, "vector", (count,))


def joy(types: Any, axes: list[float], buttons: tuple[int, ...] = ()) -> Any:
    return make_message(
        types,
        JOY,
        header=make_header(types, 5, ""),
        axes=np.array(axes, np.float32),
        buttons=np.array(buttons, np.int32),
    )


def filled(types: Any, type_name: str, values: dict[tuple[str | int, ...], float]) -> Any:
    definition = known_definition(type_name)
    assert definition is not None
    return fill_message(types, definition, type_name, values)


def received(message: Any, type_name: str) -> SerialisedMessage:
    """As a subscription has it."""
    deserialise_it = partial(deserialize_message, message_type=installed_types(type_name))
    return SerialisedMessage(
        serialize_message(message), deserialise_it, adapter(type_name).has_header
    )


def usual_reading(type_name: str) -> np.ndarray:
    """A reading of the usual fields of a type, whose rotations are some."""
    definition = known_definition(type_name)
    assert definition is not None
    values: list[float] = []
    for name in USUAL_FIELDS[type_name]:
        found = find(name, definition, type_name)
        count = 4 if found.count is None else found.count
        values += ROTATION if found.six else [len(values) + place + 1.0 for place in range(count)]
    return np.array(values, np.float32)


@pytest.mark.parametrize("type_name", USUAL_FIELDS)
def test_usual_fields_there_and_back_in_both_libraries(type_name: str) -> None:
    used, expected = adapter(type_name), usual_reading(type_name)
    modality = vector(len(expected))
    used.check(modality, ())
    bagged = used.to_message(expected, modality, bag_types, stamp_ns=7, frame_id="here")
    data = bytes(bag_typestore().serialize_cdr(bagged, type_name))
    again = deserialise(bag_typestore(), data, type_name)
    np.testing.assert_allclose(used.to_array(again, modality), expected, atol=1e-6)
    if type_name == ODOMETRY:
        return  # its package is not among the wheels
    live = used.to_message(expected, modality, installed_types, stamp_ns=7, frame_id="here")
    assert deserialize_message(data, type(live)) == live
    read = received(live, type_name)
    assert read.stamp_ns == (7 if used.has_header else None)
    np.testing.assert_array_equal(
        used.to_array(read, modality), used.to_array(read.message(), modality)
    )
    np.testing.assert_allclose(used.to_array(read, modality), expected, atol=1e-6)


@both_libraries
def test_numbers_of_an_imu_are_found_by_name(types: Any) -> None:
    message = filled(
        types,
        IMU,
        {
            ("angular_velocity", "x"): 1.0,
            ("angular_velocity", "z"): 3.0,
            ("linear_acceleration", "y"): 20.0,
            ("orientation", "w"): -1.0,
            ("orientation_covariance", 4): 0.25,
        },
    )
    for names, expected in {
        ("linear_acceleration.y", "angular_velocity.x"): [20, 1],
        ("angular_velocity", "orientation_covariance[4]"): [1, 0, 3, 0.25],
        ("orientation_covariance[3:6]",): [0, 0.25, 0],
        ("orientation",): [0, 0, 0, -1],
        ("orientation.w",): [-1],
        ("orientation:six", "header.stamp.sec"): [1, 0, 0, 0, 1, 0, 0],
    }.items():
        used = adapter(IMU, names)
        assert used.to_array(message, vector(len(expected))).tolist() == expected
        if types is installed_types:
            read = received(message, IMU)
            assert used.to_array(read, vector(len(expected))).tolist() == expected


@both_libraries
def test_parts_of_sequences(types: Any) -> None:
    message = joy(types, [0.5, -1.0, 0.25, 1.0], (0, 1))
    for names, expected in {
        (): [0.5, -1.0, 0.25, 1.0],
        ("axes[1]", "axes[0]"): [-1.0, 0.5],
        ("axes[1:3]", "buttons[1]"): [-1.0, 0.25, 1.0],
        ("axes[:2]", "buttons"): [0.5, -1.0, 0.0, 1.0],
        ("axes[2:]",): [0.25, 1.0],
    }.items():
        used = adapter(JOY, names)
        assert used.to_array(message, vector(len(expected))).tolist() == expected
        again = used.to_message(np.array(expected), vector(len(expected)), types)
        assert used.to_array(again, vector(len(expected))).tolist() == expected
    for names, length, complaint in (
        ((), 5, "axes has 4 values, where 5 are needed"),
        ((), 3, "axes has 4 values, where 3 are needed"),
        (("axes[3:6]",), 3, r"axes\[3:6\] has 1 value, where 3 are needed"),
        (("axes[6:9]",), 3, r"axes\[6:9\] has 0 values"),
        (("buttons[2]",), 1, r"buttons\[2\] is not there, only 2 of them are"),
    ):
        with pytest.raises(MessageError, match=f"^sensor: {complaint}"):
            adapter(JOY, names).to_array(message, vector(length))


@both_libraries
def test_elements_of_a_sequence_of_messages_are_read_but_predicted_as_bare_numbers(
    types: Any,
) -> None:
    points = [
        make_message(types, "geometry_msgs/msg/Point32", x=x, y=2.0, z=0.0) for x in (1.0, 5.0)
    ]
    polygon = make_message(types, "geometry_msgs/msg/Polygon", points=points)
    used = adapter("geometry_msgs/msg/Polygon", ("points[1].x", "points[0]"))
    assert used.to_array(polygon, vector(4)).tolist() == [5, 1, 2, 0]
    predicted = used.for_predictions.to_message(np.arange(4.0), vector(4), types)
    assert list(predicted.data) == [0, 1, 2, 3]
    assert adapter(IMU).for_predictions is adapter(IMU)


@both_libraries
def test_a_rotation_as_six_numbers_does_not_care_for_the_quaternions_sign(types: Any) -> None:
    half = math.sqrt(0.5)
    used = adapter(POSE, ("pose.orientation:six",))
    for sign in (1.0, -1.0):
        message = filled(
            types,
            POSE,
            {("pose", "orientation", "z"): sign * half, ("pose", "orientation", "w"): sign * half},
        )
        array = used.to_array(message, vector(6))
        np.testing.assert_allclose(array, [0, 1, 0, -1, 0, 0], atol=1e-7)


def test_six_numbers_and_back_for_any_rotation() -> None:
    random = np.random.default_rng(0)
    for quaternion in [*random.normal(size=(200, 4)), *np.eye(4), *-np.eye(4)]:
        unit = quaternion / np.linalg.norm(quaternion)
        unit = unit if unit[3] >= 0 else -unit
        back = np.array(from_six(to_six(unit.tolist())))
        assert abs(back @ unit) == pytest.approx(1.0, abs=1e-9)
        assert back[3] >= 0
    assert from_six(np.array(to_six([0.5, 0.5, 0.5, 0.5])) * 3) == pytest.approx([0.5] * 4)
    for nothing in (np.zeros(6), np.array([1.0, 0, 0, 2, 0, 0])):
        assert from_six(nothing) == [0, 0, 0, 1]


@pytest.mark.parametrize("names", [("orientation",), ("orientation:six",), ("pose",)])
@pytest.mark.parametrize("w", [0.0, 0.98, 1.02, math.nan, math.inf])
@both_libraries
def test_a_quaternion_that_is_no_rotation_is_unusable(
    types: Any, names: tuple[str, ...], w: float
) -> None:
    type_name = "geometry_msgs/msg/Pose" if names != ("pose",) else POSE
    steps = ("orientation", "w") if names != ("pose",) else ("pose", "orientation", "w")
    message = filled(types, type_name, {steps: w})
    modality = vector({"orientation": 4, "orientation:six": 6, "pose": 7}[names[0]])
    complaint = "^sensor: (orientation|pose).* is a quaternion of length .*, which is no rotation"
    for given in (message, received(message, type_name) if types is installed_types else message):
        with pytest.raises(MessageError, match=complaint):
            adapter(type_name, names).to_array(given, modality)


@both_libraries
@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e12])
def test_the_number_that_is_none_is_named(types: Any, bad: float) -> None:
    message = filled(types, IMU, {("linear_acceleration", "y"): bad})
    with pytest.raises(MessageError, match=r"^sensor: linear_acceleration\.y has .*check the sens"):
        adapter(IMU).to_array(message, vector(6))
    many = joy(types, [0.0, bad, bad])
    with pytest.raises(MessageError, match=r"^sensor: axes\[[12]\]( and 1 more)? has "):
        adapter(JOY).to_array(many, vector(3))


@pytest.mark.parametrize(
    ("type_name", "names", "complaint"),
    [
        (IMU, ("anglar_velocity.x",), "no field anglar_velocity; did you mean angular_velocity?"),
        (
            IMU,
            ("angular_velocity.w",),
            r"angular_velocity has no field w\. There are x \(float64\)",
        ),
        (IMU, ("header.frame_id",), r"header.frame_id is not made of numbers: .*\(string\)"),
        (IMU, ("header",), "header is not made of numbers alone: header.frame_id is a string"),
        (IMU, ("angular_velocity.x.y",), "angular_velocity.x has no fields"),
        (IMU, ("angular_velocity:six",), "only a geometry_msgs/msg/Quaternion can be six numbers"),
        (IMU, ("orientation_covariance[9]",), "has no element 9; the first is 0"),
        (IMU, ("orientation_covariance[8:12]",), "has no such numbers"),
        (IMU, ("angular_velocity[0]",), "has no elements"),
        (IMU, ("angular velocity",), "'angular velocity' is not the name of a field: write"),
        (JOY, ("axes[3:3]",), "has no numbers in it"),
        (JOY, ("axes", "buttons"), "of axes and buttons only one can have any length"),
        ("geometry_msgs/msg/Polygon", ("points",), r"it is points \(geometry_msgs/msg/Point32\[\]"),
        ("geometry_msgs/msg/Polygon", ("points.x",), "points has no fields"),
        ("geometry_msgs/msg/Polygon", (), "no fields of geometry_msgs/msg/Polygon are named"),
        ("sensor_msgs/srv/SetCameraInfo", ("data",), "nobody here knows the message type sensor_"),
        ("smvae_core/models/smvae", ("data",), "nobody here knows the message type smvae_core/"),
        ("no_msgs/msg/Such", (), "nobody here knows the message type no_msgs/msg/Such: install"),
        ("no_msgs/msg/Such", ("data",), "Without naming fields there are .*sensor_msgs/.*Imu"),
        ("sensor_msgs/msg/JointState", ("positions",), "some of position, velocity, effort, each"),
        ("sensor_msgs/msg/Image", ("data",), "sensor_msgs/msg/Image is read as a whole"),
    ],
)
def test_fields_that_cannot_be_the_reading_are_refused_before_any_message(
    type_name: str, names: tuple[str, ...], complaint: str
) -> None:
    with pytest.raises(MessageError, match=complaint):
        adapter(type_name, names)


def test_another_number_of_values_is_refused_before_any_message() -> None:
    with pytest.raises(
        MessageError,
        match=r"^imu has 7 values, but of sensor_msgs/msg/Imu come 6 \(angular_velocity 3, "
        r"linear_acceleration 3\): set imu.fields",
    ):
        TopicInput(vector(7, "imu"), "/imu", adapter(IMU))
    with pytest.raises(MessageError, match=r"come 2 and more \(axes\[0:2\] 2, buttons any number"):
        TopicInput(vector(2, "keys"), "/joy", adapter(JOY, ("axes[0:2]", "buttons")))


@both_libraries
def test_whole_numbers_are_rounded_into_their_range(types: Any) -> None:
    used = adapter("std_msgs/msg/UInt8")
    for value, sent in ((3.7, 4), (-2.0, 0), (300.0, 255)):
        assert used.to_message(np.array([value]), vector(1), types).data == sent
    for value, sent in ((0.4, False), (0.6, True)):
        message = adapter("std_msgs/msg/Bool").to_message(np.array([value]), vector(1), types)
        assert message.data is sent


@both_libraries
def test_an_integer_is_the_class_of_a_categorical_modality(types: Any) -> None:
    tool = Modality("tool", "categorical", (3,), likelihood="categorical")
    used = adapter("std_msgs/msg/Int32")
    used.check(tool, ())
    message = make_message(types, "std_msgs/msg/Int32", data=2)
    assert used.to_array(message, tool).tolist() == [0, 0, 1]
    assert used.to_message(np.array([0.2, 0.7, 0.1]), tool, types).data == 1
    for wrong in (-1, 3):
        with pytest.raises(MessageError, match=f"^tool: data is {wrong}, but the classes are 0 to"):
            used.to_array(make_message(types, "std_msgs/msg/Int32", data=wrong), tool)
    with pytest.raises(MessageError, match="tool has 3 values"):
        adapter("std_msgs/msg/Float32").check(tool, ())


@both_libraries
def test_a_window_of_an_imu_is_made_of_its_readings(types: Any) -> None:
    window = Modality("imu", "series", (6, 20), rate=200.0)
    used = adapter(IMU)
    sent = used.to_message(np.arange(120.0).reshape(20, 6), window, types, scale=2.0)
    source = TopicInput(window, "/imu", used, scale=2.0)
    assert source.incoming(sent).tolist() == list(range(114, 120)), "the newest of the window"


TACTILE = "my_hand_msgs/msg/Tactile"
TACTILE_TEXT = """std_msgs/Header header
string<=8 finger
my_hand_msgs/Pad[2] pads
uint16[] raw
================================================================================
MSG: my_hand_msgs/Pad
float32[4] pressure
bool touched
================================================================================
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
================================================================================
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec
"""


def write_tactile(folder: Path) -> Path:
    """A bag of a type that is defined nowhere but in it."""
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(TACTILE_TEXT, TACTILE))
    types = store.types
    with BagWriter(folder / "hand") as writer:
        writer.declare("/hand", TACTILE, False, WrittenDefinition("ros2msg", TACTILE_TEXT))
        for second in (1, 2):
            pads = [
                types["my_hand_msgs/msg/Pad"](
                    pressure=np.arange(4, dtype=np.float32) + 10 * pad + second, touched=pad > 0
                )
                for pad in range(2)
            ]
            stamp = types["builtin_interfaces/msg/Time"](sec=second, nanosec=0)
            message = types[TACTILE](
                header=types["std_msgs/msg/Header"](stamp=stamp, frame_id="thumb"),
                finger="thumb",
                pads=pads,
                raw=np.array([7, 8, 9], np.uint16),
            )
            data = bytes(store.serialize_cdr(message, TACTILE))
            writer.write_raw("/hand", TACTILE, data, second * 10**9)
    return folder / "hand"


def test_a_type_that_only_the_bag_defines(tmp_path: Path) -> None:
    tactile, other = vector(8, "tactile"), vector(3, "other")
    values = {
        "tactile.topic": "/hand",
        "tactile.type": TACTILE,
        "tactile.fields": ["pads[0].pressure", "pads[1].touched", "raw"],
        "other.topic": "/another_hand",
        "other.type": "my_foot_msgs/msg/Tactile",
        "other.fields": ["raw"],
    }
    with BagReader(write_tactile(tmp_path)) as reader:
        sources = make_topic_inputs(
            {"tactile": tactile, "other": other}, values, definitions=reader.definition
        )
        assert list(missing_sources(reader, sources)) == ["other"], "whose type nobody knows"
        read = list(read_messages(reader, {"tactile": sources["tactile"]}))
        assert [message.stamp_ns for _, _, message in read] == [10**9, 2 * 10**9]
        assert {message.frame_id for _, _, message in read} == {"thumb"}
        array = sources["tactile"].incoming(read[1][2])
        assert array.tolist() == [2, 3, 4, 5, 1, 7, 8, 9]
        misspelt = {**values, "tactile.fields": ["pads[0].presure", "raw"]}
        with pytest.raises(
            MessageError, match=r"pads\[0\] has no field presure; did you mean pres"
        ):
            make_topic_inputs({"tactile": tactile}, misspelt, definitions=reader.definition)
    with pytest.raises(MessageError, match="tactile: nobody here knows the message type my_hand_"):
        make_topic_inputs({"tactile": tactile}, values)


def test_a_type_of_a_sourced_workspace_is_written_and_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the bag tools do it, without its Python package."""
    folder = tmp_path / "prefix" / "share" / "my_wheel_msgs" / "msg"
    folder.mkdir(parents=True)
    (folder / "Odometer.msg").write_text(
        "std_msgs/Header header\nfloat32 metres\nint64 ticks\nWheel[] wheels\n"
    )
    (folder / "Wheel.msg").write_text("float64 speed\nbool slips\n")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "prefix"))
    type_name, modality = "my_wheel_msgs/msg/Odometer", vector(2, "wheels")
    used = adapter(type_name, ("ticks", "metres"))
    with BagWriter(tmp_path / "bag") as writer:
        message = used.to_message(np.array([1e6, 2.5]), modality, bag_types, stamp_ns=7)
        writer.write("/wheels", message, 10)
    values = {
        "wheels.topic": "/wheels",
        "wheels.type": "my_wheel_msgs/Odometer",
        "wheels.fields": ["ticks", "metres"],
    }
    with BagReader(tmp_path / "bag") as reader:
        sources = make_topic_inputs({"wheels": modality}, values, definitions=reader.definition)
        ((_, _, read),) = read_messages(reader, sources)
        assert read.stamp_ns == 7
        assert sources["wheels"].incoming(read).tolist() == [1e6, 2.5]
        assert reader.definition(type_name) == known_definition(type_name)
