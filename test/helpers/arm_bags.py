# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Recordings of robots that are not the bundled one, made of messages of every kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from smvae_ros.bags import BagWriter
from smvae_ros.messages import bag_types, make_header, make_message

START = 1_704_067_200 * 10**9
MS = 1_000_000
JOINTS = [f"joint_{number}" for number in range(1, 8)]


def make(type_name: str, /, **fields: Any) -> Any:
    return make_message(bag_types, type_name, **fields)


def header(stamp: int, frame: str) -> Any:
    return make_header(bag_types, stamp, frame)


def vector3(values: np.ndarray) -> Any:
    return make("geometry_msgs/msg/Vector3", **dict(zip("xyz", map(float, values), strict=True)))


def image(stamp: int, picture: np.ndarray, encoding: str) -> Any:
    height, width = picture.shape[:2]
    data = np.ascontiguousarray(picture).view(np.uint8).reshape(-1)
    return make(
        "sensor_msgs/msg/Image",
        header=header(stamp, "camera"),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=data.size // height,
        data=data,
    )


def jpeg(stamp: int, picture: np.ndarray) -> Any:
    data = cv2.imencode(".jpg", picture)[1].reshape(-1)
    return make(
        "sensor_msgs/msg/CompressedImage",
        header=header(stamp, "scene"),
        format="rgb8; jpeg compressed bgr8",
        data=data,
    )


def imu(stamp: int, phase: float) -> Any:
    zero = np.zeros(9)
    still = make("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0)
    return make(
        "sensor_msgs/msg/Imu",
        header=header(stamp, "hand"),
        orientation=still,
        orientation_covariance=zero,
        angular_velocity=vector3(np.sin(phase + np.arange(3))),
        angular_velocity_covariance=zero,
        linear_acceleration=vector3(9.81 * np.cos(phase + np.arange(3))),
        linear_acceleration_covariance=zero,
    )


def joint_state(stamp: int, phase: float) -> Any:
    angles = np.sin(phase + np.arange(8.0))
    return make(
        "sensor_msgs/msg/JointState",
        header=header(stamp, "base_link"),
        name=[*JOINTS, "gripper"],
        position=angles,
        velocity=np.cos(phase + np.arange(8.0)),
        effort=angles * 3,
    )


def picture(phase: float, size: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    rows, columns = np.mgrid[: size[0], : size[1]]
    waves = [128 + 90 * np.sin(phase * k + rows / 9 + k * columns / 7) for k in (1, 2, 3)]
    noisy = np.stack(waves, axis=-1) + random.normal(0, 4, (*size, 3))
    return noisy.clip(0, 255).astype(np.uint8)


def arm_messages(seed: int, seconds: float) -> Iterator[tuple[str, Any, int]]:
    """(topic, message, stamp) of config/robots/two_camera_arm.yaml: the IMU at 100 Hz, joints at
    50, cameras and pad at 25."""
    random = np.random.default_rng(seed)
    begin = random.uniform(0, 6)
    for tick in range(round(seconds * 100)):
        stamp = START + tick * 10 * MS
        phase = begin + tick / 40
        yield "/imu/data", imu(stamp, phase), stamp
        if tick % 2 == 0:
            yield "/joint_states", joint_state(stamp, phase), stamp
        if tick % 4 == 0:
            yield (
                "/wrist_camera/image_raw",
                image(stamp, picture(phase, (48, 64), random), "rgb8"),
                stamp,
            )
            scene = jpeg(stamp, picture(phase / 2, (40, 60), random))
            yield "/scene_camera/image_raw/compressed", scene, stamp
            pad = picture(phase, (16, 16), random)[:, :, 0]
            yield "/tactile/image_raw", image(stamp, pad, "mono8"), stamp


def write_arm_bag(path: Path, seed: int, seconds: float = 4.0) -> Path:
    with BagWriter(path) as bag:
        for topic, message, stamp in arm_messages(seed, seconds):
            bag.write(topic, message, stamp)
    return path
