# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Messages that no driver should send, out of a seed: what :mod:`benchmarks.robustness.fuzz`
publishes.

Each is serialised (CDR), so that garbage, truncated and well-formed messages are published alike.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from rclpy.serialization import serialize_message

from smvae_ros.messages import installed_types

KINDS = ("garbage", "damaged", "lying")
ENCODINGS = (
    *("rgb8", "bgr8", "rgba8", "bgra8", "mono8", "mono16", "16UC1", "32FC1", "64FC1"),
    *("bayer_rggb8", "yuv422", "", "RGB8", "rgb8 ", "\N{SNOWMAN}", "x" * 5000),
)
FORMATS = (
    *("jpeg", "png", "rgb8; jpeg compressed bgr8", "16UC1; compressedDepth png", "32FC1"),
    *("32FC1; compressedDepth png", "16UC1; compressedDepth rvl", "tiff", ""),
)
NUMBERS = (0.0, -0.0, 1.0, -1e-30, 1e38, -1e39, 1e308, float("nan"), float("inf"), float("-inf"))
SIZES = (0, 1, 2, 7, 64, 128, 8192, 16384, 16385, 65536, 2**31 - 1, 2**31, 2**32 - 1)
SECONDS = (0, 1, -1, 1_700_000_000, 2**31 - 1, -(2**31))
NANOSECONDS = (0, 1, 999_999_999, 10**9, 2**32 - 1)


def make_malformed(random: np.random.Generator, type_name: str, good: Any) -> tuple[str, bytes]:
    """One message of a type.

    Args:
        random: decides everything.
        type_name: for example ``sensor_msgs/msg/Image``.
        good: a well-formed message of that type, which damaged ones are made of.

    Returns:
        Its kind, one of KINDS, and the message.
    """
    kind = str(random.choice(KINDS, p=(0.2, 0.3, 0.5)))
    if kind == "garbage":
        header = b"\x00\x01\x00\x00" if random.random() < 0.8 else random.bytes(4)
        return kind, header + random.bytes(int(random.integers(0, 600)))
    if kind == "damaged":
        return kind, _damage(random, serialize_message(good))
    message = LIES[type_name](random)
    if hasattr(message, "header"):
        message.header.stamp.sec = int(random.choice(SECONDS))
        message.header.stamp.nanosec = int(random.choice(NANOSECONDS))
        message.header.frame_id = str(random.choice(["", "camera", "\N{SNOWMAN}", "f" * 3000]))
    return kind, serialize_message(message)


def _damage(random: np.random.Generator, data: bytes) -> bytes:
    """Some bytes replaced, most of them near the beginning, where sizes stand; the end cut off or
    something appended."""
    spoilt = bytearray(data)
    for _ in range(int(random.integers(1, 12))):
        reach = min(len(spoilt), 120) if random.random() < 0.8 else len(spoilt)
        spoilt[int(random.integers(reach))] = int(random.integers(256))
    end = random.random()
    if end < 0.3:
        return bytes(spoilt[: int(random.integers(len(spoilt) + 1))])
    return bytes(spoilt) + (random.bytes(50) if end < 0.4 else b"")


def _bytes(random: np.random.Generator, most: int) -> np.ndarray:
    return random.integers(0, 256, int(random.integers(0, most)), dtype=np.uint8)


def _filled(type_name: str, **fields: Any) -> Any:
    """A message with long fields filled from memory; rclpy checks each byte of others."""
    message = installed_types(type_name)()
    for name, value in fields.items():
        if isinstance(value, np.ndarray):
            getattr(message, name).frombytes(memoryview(np.ascontiguousarray(value)).cast("B"))
        else:
            setattr(message, name, value)
    return message


def _image(random: np.random.Generator) -> Any:
    encoding = str(random.choice(ENCODINGS))
    if random.random() < 0.3:  # sizes that fit, with whatever values
        width, height = (int(side) for side in random.integers(1, 70, 2))
        value_bytes = {"16UC1": 2, "mono16": 2, "32FC1": 4, "mono8": 1}.get(encoding, 3)
        step = width * value_bytes + int(random.integers(0, 5))
        data = random.integers(0, 256, height * step, dtype=np.uint8)
    else:
        width, height, step = (int(random.choice(SIZES)) for _ in range(3))
        data = _bytes(random, 20_000)
    return _filled(
        "sensor_msgs/msg/Image",
        width=width,
        height=height,
        step=step,
        encoding=encoding,
        is_bigendian=int(random.choice([0, 1, 255])),
        data=data,
    )


def _compressed_image(random: np.random.Generator) -> Any:
    height, width = (int(side) for side in random.integers(1, 60, 2))
    pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    depth = random.integers(0, 2**16, (height, width), dtype=np.uint16)
    picture = random.choice(4)
    if picture == 0:
        data = _bytes(random, 5000)
    else:
        suffix, values = ((".jpg", pixels), (".png", pixels), (".png", depth))[picture - 1]
        data = bytearray(cv2.imencode(suffix, values)[1].tobytes())
        if random.random() < 0.3:  # a PNG that claims another size
            claimed = (int(random.choice(SIZES)), int(random.choice(SIZES)))
            data[16:24] = struct.pack(">II", *claimed)
            if random.random() < 0.5:
                data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
        if random.random() < 0.7:
            data = bytearray(_damage(random, bytes(data)))
        header = random.bytes(12) if random.random() < 0.5 else b""
        data = np.frombuffer(header + data, np.uint8)
    return _filled("sensor_msgs/msg/CompressedImage", format=str(random.choice(FORMATS)), data=data)


def _numbers(random: np.random.Generator, count: int) -> list[float]:
    return [float(value) for value in random.choice(NUMBERS, count)]


def _set_vectors(random: np.random.Generator, *vectors: Any) -> None:
    for vector in vectors:
        vector.x, vector.y, vector.z = _numbers(random, 3)


def _wrench(random: np.random.Generator) -> Any:
    message = installed_types("geometry_msgs/msg/Wrench")()
    _set_vectors(random, message.force, message.torque)
    return message


def _wrench_stamped(random: np.random.Generator) -> Any:
    return installed_types("geometry_msgs/msg/WrenchStamped")(wrench=_wrench(random))


def _twist(random: np.random.Generator) -> Any:
    message = installed_types("geometry_msgs/msg/Twist")()
    _set_vectors(random, message.linear, message.angular)
    return message


def _twist_stamped(random: np.random.Generator) -> Any:
    return installed_types("geometry_msgs/msg/TwistStamped")(twist=_twist(random))


def _joint_state(random: np.random.Generator) -> Any:
    names = ["x", "y", "z", "yaw", "", "\N{SNOWMAN}", "j" * 300]
    lengths = [4, 4, 4] if random.random() < 0.5 else random.integers(0, 9, 3).tolist()
    name, position, velocity = lengths
    return _filled(
        "sensor_msgs/msg/JointState",
        name=[str(joint) for joint in random.choice(names[: int(random.integers(1, 8))], name)],
        position=np.array(_numbers(random, position)),
        velocity=np.array(_numbers(random, velocity)),
    )


def _multi_array(random: np.random.Generator) -> Any:
    count = int(random.choice([0, 1, 7, 8, 9, 5000]))
    return _filled("std_msgs/msg/Float64MultiArray", data=np.array(_numbers(random, count)))


def _camera_info(random: np.random.Generator) -> Any:
    message = installed_types("sensor_msgs/msg/CameraInfo")(
        width=int(random.choice(SIZES)), height=int(random.choice(SIZES)), distortion_model="?"
    )
    for matrix in (message.k, message.p):
        matrix[:] = _numbers(random, len(matrix))
    message.roi.width, message.roi.height = (int(size) for size in random.choice(SIZES, 2))
    return message


def _clock(random: np.random.Generator) -> Any:
    message = installed_types("rosgraph_msgs/msg/Clock")()
    message.clock.sec = int(random.choice(SECONDS))
    message.clock.nanosec = int(random.choice(NANOSECONDS))
    return message


LIES: dict[str, Callable[[np.random.Generator], Any]] = {
    "sensor_msgs/msg/Image": _image,
    "sensor_msgs/msg/CompressedImage": _compressed_image,
    "geometry_msgs/msg/Wrench": _wrench,
    "geometry_msgs/msg/WrenchStamped": _wrench_stamped,
    "geometry_msgs/msg/TwistStamped": _twist_stamped,
    "geometry_msgs/msg/Twist": _twist,
    "sensor_msgs/msg/JointState": _joint_state,
    "std_msgs/msg/Float64MultiArray": _multi_array,
    "sensor_msgs/msg/CameraInfo": _camera_info,
    "rosgraph_msgs/msg/Clock": _clock,
}
