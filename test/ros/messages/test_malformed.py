# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What the fuzz run sends over DDS, here without it: every adapter takes it or says why not."""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")

from rclpy.serialization import deserialize_message

from benchmarks.robustness.malformed import KINDS, fill, make_malformed
from smvae_core.modalities import Modality
from smvae_core.preprocessing import prepare
from smvae_ros.messages import (
    ADAPTERS,
    MessageError,
    adapter,
    installed_types,
    make_camera_info,
    scale_camera_info,
)
from smvae_ros.messages.camera_info import TYPE_NAME as CAMERA_INFO

CLOCK = "rosgraph_msgs/msg/Clock"  # where use_sim_time is set
JOINTS = ("x", "y", "z", "yaw")
SHAPES = {"image": (3, 16, 16), "depth": (1, 16, 16), "scan": (1, 16)}
NUMBERS = {  # type of named fields → values in its usual ones
    **{f"geometry_msgs/msg/{name}": 6 for name in ("Wrench", "WrenchStamped")},
    **{f"geometry_msgs/msg/{name}": 4 for name in ("Twist", "TwistStamped")},
    "geometry_msgs/msg/PoseStamped": 9,
    "sensor_msgs/msg/Imu": 6,
    "sensor_msgs/msg/Joy": 8,
    "sensor_msgs/msg/Range": 1,
    "std_msgs/msg/Float64MultiArray": 8,
    "std_msgs/msg/Int32": 1,
}


def modality(kind: str, type_name: str) -> Modality:
    length = NUMBERS.get(type_name, 8)
    if kind == "image" and type_name in NUMBERS:
        return Modality("sensor", kind, (1, 2, length // 2), minimum=0.0, maximum=1.0)
    own = {"series": (length, 8), "vector": (length,), "categorical": (length,)}
    shape = {**SHAPES, **own}[kind]
    rate, angles = (100.0 if kind == "series" else None), ((-1, 1) if kind == "scan" else None)
    return Modality("sensor", kind, shape, rate=rate, angles=angles)


def reading(sensor: Modality) -> np.ndarray:
    if sensor.kind == "image":
        return np.full(sensor.raw_shape, 120, np.uint8)
    return np.ones(sensor.raw_shape, np.float32)


@pytest.mark.parametrize("type_name", [*ADAPTERS, *NUMBERS, CAMERA_INFO, CLOCK])
def test_every_field_of_what_the_node_subscribes_to_is_lied_about(type_name: str) -> None:
    random = np.random.default_rng(0)
    fields = installed_types(type_name).get_fields_and_field_types()
    seen: dict[str, set[str]] = {name: set() for name in fields}
    for _ in range(20):
        message = installed_types(type_name)()
        fill(random, message)
        for name, values in seen.items():
            values.add(repr(getattr(message, name)))
    assert all(len(values) > 1 for values in seen.values())


@pytest.mark.parametrize("type_name", [*ADAPTERS, *NUMBERS])
def test_adapters_raise_nothing_but_message_errors_and_take_no_memory(type_name: str) -> None:
    random = np.random.default_rng(0)
    told: set[str] = set()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for kind in sorted(adapter(type_name).kinds):
        sensor = modality(kind, type_name)
        good = adapter(type_name).to_message(
            reading(sensor), sensor, installed_types, joint_names=JOINTS
        )
        for _ in range(300):
            how, data = make_malformed(random, type_name, good)
            message = _received(data, type_name)
            if message is None:  # the middleware leaves it out
                continue
            told.add(how)
            with suppress(MessageError):
                array = adapter(type_name).to_array(message, sensor, joint_names=JOINTS)
                with suppress(ValueError):
                    assert prepare(sensor, array).shape == sensor.raw_shape
    assert {"damaged", "lying"} <= told <= set(KINDS)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 600_000, "kilobytes, for pictures of at most 67 megapixels"


def test_camera_infos_are_scaled_or_refused() -> None:
    random = np.random.default_rng(0)
    picture = Modality("rgb", "image", (3, 16, 16), aspect="crop")
    good = make_camera_info(installed_types, 64, 64, np.eye(3), stamp_ns=1, frame_id="camera")
    for _ in range(300):
        message = _received(make_malformed(random, CAMERA_INFO, good)[1], CAMERA_INFO)
        if message is not None:
            with suppress(MessageError):
                scaled = scale_camera_info(message, picture, installed_types)
                assert np.isfinite([*scaled.k, *scaled.p]).all()


def _received(data: bytes, type_name: str) -> Any:
    try:
        return deserialize_message(data, installed_types(type_name))
    except Exception:
        return None
