# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""message ↔ array: one small adapter for each message type, by the type's ROS name.

>>> adapter("sensor_msgs/msg/Image").to_array(message, rgb)          # uint8 (H, W, 3)
>>> adapter("geometry_msgs/msg/TwistStamped").to_message(
...     displacement, action, bag_types, stamp_ns=stamp, scale=0.05)

rclpy's and rosbags' messages both fit, and neither library is imported. For a new message type,
write an :class:`Adapter` and add it to :data:`ADAPTERS`.
"""

from __future__ import annotations

from smvae_ros.messages.camera_info import make_camera_info, scale_camera_info
from smvae_ros.messages.compressed import CompressedImageAdapter
from smvae_ros.messages.fields import (
    Adapter,
    ForeignMessage,
    MessageError,
    frame_id,
    make_header,
    make_message,
    make_stamp,
    stamp_ns,
)
from smvae_ros.messages.images import ImageAdapter
from smvae_ros.messages.types import Types, bag_types, full_type_name, installed_types
from smvae_ros.messages.vectors import (
    Float64MultiArrayAdapter,
    JointStateAdapter,
    TwoVectorsAdapter,
)

__all__ = [
    "ADAPTERS",
    "Adapter",
    "ForeignMessage",
    "MessageError",
    "Types",
    "adapter",
    "bag_types",
    "frame_id",
    "full_type_name",
    "installed_types",
    "make_camera_info",
    "make_header",
    "make_message",
    "make_stamp",
    "scale_camera_info",
    "stamp_ns",
]

ADAPTERS: dict[str, Adapter] = {
    known.type_name: known
    for known in (
        ImageAdapter(),
        CompressedImageAdapter(),
        *(
            TwoVectorsAdapter(name, parts, places, has_header)
            for name, parts, places in (
                ("Wrench", ("force", "torque"), range(6)),
                ("Twist", ("linear", "angular"), (0, 1, 2, 5)),
            )
            for has_header in (True, False)
        ),
        JointStateAdapter(),
        Float64MultiArrayAdapter(),
    )
}


def adapter(type_name: str) -> Adapter:
    """The adapter of a message type; ``sensor_msgs/Image`` and ``sensor_msgs/msg/Image`` are one.

    Raises:
        MessageError: where there is none; lists those there are.
    """
    try:
        return ADAPTERS[full_type_name(type_name)]
    except KeyError:
        raise MessageError(
            f"no adapter for message type {type_name}; there are {', '.join(sorted(ADAPTERS))}"
        ) from None
    except ValueError as error:
        raise MessageError(str(error)) from error
