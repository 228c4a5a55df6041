# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Messages that no driver should send, out of a seed: what :mod:`benchmarks.robustness.fuzz`
publishes.

Each is serialised (CDR), so that garbage, truncated and well-formed messages are published alike.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import Any

import cv2
import numpy as np
from rclpy.serialization import serialize_message

from smvae_ros.messages import installed_types

KINDS = ("garbage", "damaged", "lying")
# What fields are filled with, by their names or types.
TEXTS = ("", "true", "camera", "/dev/zero", "\N{SNOWMAN}", "t" * 5000)
NAMED_TEXTS = {
    "encoding": (
        *("rgb8", "bgr8", "rgba8", "bgra8", "mono8", "mono16", "16UC1", "32FC1", "64FC1"),
        *("bayer_rggb8", "yuv422", "nv12", "nv24", "16SC1"),
        *("", "RGB8", "rgb8 ", "\N{SNOWMAN}", "x" * 5000),
    ),
    "format": (
        *("jpeg", "png", "rgb8; jpeg compressed bgr8", "16UC1; compressedDepth png", "32FC1"),
        *("32FC1; compressedDepth png", "16UC1; compressedDepth rvl", "tiff", ""),
    ),
    "name": ("x", "y", "z", "yaw", "", "\N{SNOWMAN}", "j" * 300),  # of joints
}
NUMBERS = (0.0, -0.0, 1.0, -1e-30, 1e38, -1e39, 1e308, float("nan"), float("inf"), float("-inf"))
INTEGERS = (
    *(0, 1, -1, 2, 7, 20, 64, 128, 255, 8192, 16384, 16385, 65536, 999_999_999, 10**9),
    *(1_700_000_000, 2**31 - 1, -(2**31), 2**31, 2**32 - 1, 2**63 - 1, -(2**63)),
)
LENGTHS = (0, 1, 4, 7, 8, 9, 5000)


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
    message = installed_types(type_name)()
    fill(random, message, _length(random) if random.random() < 0.5 else None)
    if type_name == "sensor_msgs/msg/Image" and random.random() < 0.3:
        _fit(random, message)
    if type_name == "sensor_msgs/msg/CompressedImage" and random.random() < 0.75:
        message.data[:] = type(message.data)("B", _picture(random))
    return kind, serialize_message(message)


def fill(random: np.random.Generator, message: Any, length: int | None = None) -> None:
    """Gives every field of a message, whatever its type, a value that no driver should send.

    Args:
        random: decides everything.
        message: new, so that its sequences are empty.
        length: of all sequences; by default each has its own.
    """
    for name, kind in message.get_fields_and_field_types().items():
        value = getattr(message, name)
        if hasattr(value, "get_fields_and_field_types"):
            fill(random, value, length)
        elif isinstance(value, np.ndarray):  # of fixed length
            value[:] = [_scalar(random, name, kind) for _ in value]
        elif hasattr(value, "typecode"):  # rclpy checks each element of what is assigned
            count = _length(random) if length is None else length
            if value.typecode in "fd":
                with np.errstate(over="ignore"):
                    numbers = np.array(NUMBERS).astype(value.typecode)
                value.extend(random.choice(numbers, count).tolist())
            else:
                value.frombytes(random.bytes(count * value.itemsize))
        elif isinstance(value, list):
            element = re.sub(r"^sequence<([^,>]*).*", r"\1", kind)
            count = min(_length(random) if length is None else length, 9)
            setattr(message, name, [_scalar(random, name, element) for _ in range(count)])
        else:
            setattr(message, name, _scalar(random, name, kind))


def _scalar(random: np.random.Generator, name: str, kind: str) -> Any:
    """A value for a field, or for an element of one, by its type in the message's definition."""
    if "/" in kind:
        message = installed_types(kind.replace("/", "/msg/"))()
        fill(random, message)
        return message
    if "string" in kind:
        return str(random.choice(NAMED_TEXTS.get(name, TEXTS)))
    if "float" in kind or "double" in kind:
        number = float(random.choice(NUMBERS))
        with np.errstate(over="ignore"):
            return number if "double" in kind else float(np.float32(number))
    if kind == "octet":
        return random.bytes(1)
    if kind == "boolean":
        return bool(random.integers(2))
    limits = np.iinfo(kind)
    fitting = [number for number in INTEGERS if limits.min <= number <= limits.max]
    return fitting[random.integers(len(fitting))]


def _length(random: np.random.Generator) -> int:
    return int(random.choice(LENGTHS))


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


def _fit(random: np.random.Generator, message: Any) -> None:
    """Gives a picture sizes that fit, with whatever values."""
    message.width, message.height = (int(side) for side in random.integers(1, 70, 2))
    size = {"16UC1": 2, "mono16": 2, "32FC1": 4, "mono8": 1}.get(message.encoding, 3)
    message.step = message.width * size + int(random.integers(0, 5))
    del message.data[:]
    message.data.frombytes(random.bytes(message.height * message.step))


def _picture(random: np.random.Generator) -> bytes:
    """A small JPEG or PNG, most of them damaged, with or without the head of a compressed depth."""
    height, width = (int(side) for side in random.integers(1, 60, 2))
    pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    depth = random.integers(0, 2**16, (height, width), dtype=np.uint16)
    suffix, values = ((".jpg", pixels), (".png", pixels), (".png", depth))[random.integers(3)]
    data = bytearray(cv2.imencode(suffix, values)[1].tobytes())
    if random.random() < 0.3:  # a PNG that claims another size
        data[16:24] = struct.pack(">II", *(_scalar(random, "", "uint32") for _ in range(2)))
        if random.random() < 0.5:
            data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    head = random.bytes(12) if random.random() < 0.5 else b""
    return head + (_damage(random, bytes(data)) if random.random() < 0.7 else bytes(data))
