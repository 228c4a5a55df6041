# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A step of the robot as ROS messages, on the topics of ``config/perception.yaml``.

No ROS import: messages are made of the classes that the caller's lookup gives, so that the same
function serves a bag and a live node.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from smvae_core.modalities import Modality
from smvae_ros.messages import Types, adapter, make_camera_info
from smvae_ros.simulation.insertion import CONTROL_RATE, READINGS, Step
from smvae_ros.simulation.scene import JOINTS, TIMESTEP, camera_matrix

CAMERA_FRAME = "camera_color_optical_frame"
WRENCH_FRAME = "tool_flange"

#: Topic → the modality that it belongs to, and its message type.
TOPICS = {
    "/camera/color/image_raw": ("rgb", "sensor_msgs/msg/Image"),
    "/camera/color/camera_info": ("rgb", "sensor_msgs/msg/CameraInfo"),
    "/camera/depth/image_raw": ("depth", "sensor_msgs/msg/Image"),
    "/wrench": ("force", "geometry_msgs/msg/WrenchStamped"),
    "/action": ("action", "geometry_msgs/msg/TwistStamped"),
    "/joint_states": ("proprio", "sensor_msgs/msg/JointState"),
}

_COLOUR = Modality("rgb", "image", (3, 128, 128))
_DEPTH = Modality("depth", "depth", (1, 128, 128))
_WRENCH = Modality("force", "vector", (6,))
_ACTION = Modality("action", "vector", (4,))
_PROPRIO = Modality("proprio", "vector", (8,))


def step_messages(
    step: Step, types: Types, start_ns: int, rate: float = 1.0
) -> Iterator[tuple[str, Any, int]]:
    """Topic, message and stamp in nanoseconds of everything the sensors say in one step.

    In the order of their stamps: the 50 wrenches, 1 ms apart, then at the time of the step its
    action, joint states and, when it was rendered, colour, depth and camera info.

    Args:
        step: a step of :class:`~smvae_ros.simulation.insertion.InsertionRobot`.
        types: lookup of message classes, ``bag_types`` or ``installed_types``.
        start_ns: the time at which the trajectory started.
        rate: of simulated time; at 2 the stamps of a trajectory are half as far apart.
    """
    now = start_ns + round(step.time / rate * 1e9)
    wrench = adapter("geometry_msgs/msg/WrenchStamped")
    for reading, values in enumerate(step.forces):
        stamp = now - round((READINGS - 1 - reading) * TIMESTEP / rate * 1e9)
        message = wrench.to_message(values, _WRENCH, types, stamp_ns=stamp, frame_id=WRENCH_FRAME)
        yield "/wrench", message, stamp

    # Displacements of a step as velocities: a subscriber's scale of 0.05 s makes them again.
    action = adapter("geometry_msgs/msg/TwistStamped").to_message(
        step.action, _ACTION, types, stamp_ns=now, frame_id="base", scale=1 / CONTROL_RATE
    )
    yield "/action", action, now
    joints = adapter("sensor_msgs/msg/JointState").to_message(
        step.proprio, _PROPRIO, types, stamp_ns=now, joint_names=JOINTS
    )
    yield "/joint_states", joints, now

    if step.image is None or step.depth is None:
        return
    image = adapter("sensor_msgs/msg/Image")
    where: dict[str, Any] = {"stamp_ns": now, "frame_id": CAMERA_FRAME}
    yield "/camera/color/image_raw", image.to_message(step.image, _COLOUR, types, **where), now
    depth = np.where(step.depth > 0, step.depth, np.float32(np.nan))
    yield "/camera/depth/image_raw", image.to_message(depth, _DEPTH, types, **where), now
    height, width = step.depth.shape
    info = make_camera_info(types, width, height, camera_matrix(height, width), **where)
    yield "/camera/color/camera_info", info, now
