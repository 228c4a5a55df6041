# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Readings by another zero and in other axes become those of the training's sensor, and back."""

from __future__ import annotations

import math

import numpy as np
import pytest

from small_sensors import MODALITIES, MS
from smvae_core.modalities import Modality
from smvae_ros.messages import adapter, bag_types
from smvae_ros.offline.lockstep import lockstep
from smvae_ros.parameters.configuration import make_topic_inputs
from smvae_ros.sensors.correction import check_quaternion
from smvae_ros.sensors.sensor_set import SensorSet
from smvae_ros.sensors.topic_inputs import TopicInput

FORCE = Modality("force", "series", (6, 32), rate=1000.0)
WRENCH = adapter("geometry_msgs/msg/WrenchStamped")
TWIST = adapter("geometry_msgs/msg/TwistStamped")
ARRAY = adapter("std_msgs/msg/Float64MultiArray")
HALF = math.sqrt(0.5)
ABOUT_Z = (0.0, 0.0, HALF, HALF)  # by 90°: what the sensor calls x is the training's y
ABOUT_X = (HALF, 0.0, 0.0, HALF)
READING = np.array([1.0, 2.0, 3.0, 0.1, 0.2, 0.3], np.float32)


def received(source: TopicInput, reading: np.ndarray) -> np.ndarray:
    """What comes in where the sensor itself sends the reading."""
    scale = source.scale
    message = source.adapter.to_message(reading, source.modality, bag_types, scale=scale)
    return source.incoming(message)


def test_forces_and_torques_are_turned_from_the_axes_of_the_sensor() -> None:
    turned = received(TopicInput(FORCE, "/wrench", WRENCH, rotation=ABOUT_Z), READING)
    np.testing.assert_allclose(turned, [-2.0, 1.0, 3.0, -0.2, 0.1, 0.3], atol=1e-6)
    assert turned.dtype == np.float32


def test_the_zero_is_subtracted_before_axes_and_scale() -> None:
    zero = (1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    source = TopicInput(FORCE, "/wrench", WRENCH, scale=10.0, zero=zero, rotation=ABOUT_Z)
    message = WRENCH.to_message(READING, FORCE, bag_types)
    np.testing.assert_allclose(source.incoming(message)[:3], [-20.0, 0.0, 30.0], atol=1e-5)
    np.testing.assert_allclose(
        source.correction.measured(source.incoming(message)), READING, rtol=1e-5
    )


def test_predictions_are_published_as_the_sensor_would_say_it() -> None:
    source = TopicInput(FORCE, "/w", WRENCH, zero=tuple(READING / 3), rotation=(0.5, 0.5, 0.5, 0.5))
    expected = np.tile(received(source, READING), (32, 1))
    message = source.encode(WRENCH, expected, bag_types, frame_id="sensor")
    np.testing.assert_allclose(WRENCH.to_array(message, FORCE), READING, rtol=1e-5)
    assert message.header.frame_id == "sensor"


def test_a_twist_without_roll_and_pitch_turns_about_z_alone() -> None:
    action = Modality("action", "vector", (4,))
    twist = np.array([1.0, 2.0, 3.0, 0.4], np.float32)
    source = TopicInput(action, "/action", TWIST, scale=0.05, rotation=ABOUT_Z)
    np.testing.assert_allclose(received(source, twist), [-2.0, 1.0, 3.0, 0.4], atol=1e-6)
    with pytest.raises(ValueError, match=r"action\.rotation: twist\.angular\.z is no part"):
        TopicInput(action, "/action", TWIST, rotation=ABOUT_X)


def test_named_vectors_are_turned_wherever_they_stand() -> None:
    fields = ("pose.orientation:six", "pose.position")
    pose = adapter("geometry_msgs/msg/PoseStamped", fields)
    hand = Modality("hand", "vector", (9,))
    turned = received(TopicInput(hand, "/hand", pose, rotation=ABOUT_Z), np.eye(3).ravel())
    expected = [0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    np.testing.assert_allclose(turned, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("type_name", "fields", "count", "joints"),
    [
        ("std_msgs/msg/Float64MultiArray", (), 4, ()),
        ("std_msgs/msg/Float64MultiArray", (), 7, ()),
        ("geometry_msgs/msg/TwistStamped", ("twist.linear.x", "twist.linear.y"), 2, ()),
        ("geometry_msgs/msg/PoseStamped", ("pose.orientation",), 4, ()),
        ("sensor_msgs/msg/JointState", (), 6, ("a", "b", "c")),
    ],
)
def test_what_is_no_vector_cannot_be_turned(
    type_name: str, fields: tuple[str, ...], count: int, joints: tuple[str, ...]
) -> None:
    arm, kind = Modality("arm", "vector", (count,)), adapter(type_name, fields)
    with pytest.raises(ValueError, match=r"arm\.rotation: .* is no part of a vector"):
        TopicInput(arm, "/arm", kind, joint_names=joints, rotation=ABOUT_Z)


def test_a_bare_array_of_three_or_six_is_taken_for_vectors() -> None:
    source = TopicInput(Modality("arm", "vector", (6,)), "/arm", ARRAY, rotation=ABOUT_Z)
    turned = received(source, READING)
    np.testing.assert_allclose(turned, [-2.0, 1.0, 3.0, -0.2, 0.1, 0.3], atol=1e-6)


def test_a_zero_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"force\.zero has 3 values, but force has 6"):
        TopicInput(FORCE, "/wrench", WRENCH, zero=(1.0, 2.0, 3.0))
    lower = received(TopicInput(FORCE, "/wrench", WRENCH, zero=(1.0,)), READING)
    np.testing.assert_allclose(lower, READING - 1.0, rtol=1e-6)


def test_without_either_nothing_is_done() -> None:
    assert TopicInput(FORCE, "/wrench", WRENCH).correction is None


@pytest.mark.parametrize(
    ("quaternion", "right"),
    [
        (ABOUT_Z, True),
        ((0.0, 0.0, 0.707, 0.707), True),  # as tf2_echo prints it
        ((0.0, 0.0, 90.0), False),
        ((0.0, 0.0, 0.0, 0.0), False),
        ((0.0, 0.0, math.nan, 1.0), False),
    ],
)
def test_a_quaternion_has_length_one(quaternion: tuple[float, ...], right: bool) -> None:
    assert (check_quaternion(quaternion) is None) == right


def test_parameters_give_zero_rotation_and_frame() -> None:
    values = {
        "force.topic": "/wrench",
        "force.type": WRENCH.type_name,
        "force.zero": [1.0] * 6,
        "force.rotation": [*ABOUT_Z],
        "force.frame_id": "",
    }
    source = make_topic_inputs({"force": FORCE}, values, {"force": "trained"})["force"]
    assert (source.zero, source.rotation) == ((1.0,) * 6, ABOUT_Z)
    assert source.frame_id == "trained"
    values["force.frame_id"] = "mine"
    source = make_topic_inputs({"force": FORCE}, values, {"force": "trained"})["force"]
    assert source.frame_id == "mine"


def test_what_is_forgotten_is_in_no_window() -> None:
    sensors = SensorSet({"force": MODALITIES["force"]})
    for k in range(20):
        sensors.store("force", np.full(2, 5.0, np.float32), 10**18 + k * MS, k * MS)
    assert sensors.live(20 * MS) == ["force"]
    sensors.forget("force")
    assert sensors.live(20 * MS) == []
    later = [(k * MS, "force", np.zeros(2, np.float32), 10**18 + k * MS) for k in range(20, 40)]
    windows = [snapshot.readings["force"].value for snapshot in lockstep(later, sensors)]
    assert windows
    assert not np.any(windows)
