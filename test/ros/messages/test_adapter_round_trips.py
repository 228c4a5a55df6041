# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Every adapter, there and back through bytes: array → message of one library → CDR → message of
the other library → array. A new adapter needs a line in READINGS; types of named fields are in
test_numbers.py.
"""

from __future__ import annotations

import resource
import struct
import zlib
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")

from rclpy.serialization import deserialize_message, serialize_message

from smvae_core.modalities import Modality
from smvae_ros.messages import (
    ADAPTERS,
    MessageError,
    adapter,
    bag_types,
    frame_id,
    installed_types,
    make_header,
    make_message,
    stamp_ns,
)
from smvae_ros.messages.types import bag_typestore, deserialise

JOINTS = ("x", "y", "z", "yaw")
RGB = Modality("rgb", "image", (3, 64, 64))
DEPTH = Modality("depth", "depth", (1, 64, 64), maximum=100.0)
GREY = Modality("grey", "image", (1, 64, 64))
HEAT = Modality("heat", "image", (1, 64, 64), minimum=-40.0, maximum=120.0)
PAD = Modality("pad", "image", (1, 3, 4), minimum=0.0, maximum=9.0)
SCAN = Modality("scan", "scan", (1, 37), angles=(-2.0, 1.5))
IMAGE = "sensor_msgs/msg/Image"
STAMPS = st.integers(1, 2**31 * 10**9 - 1)
FRAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


@st.composite
def colour(draw: st.DrawFn) -> np.ndarray:
    shape = (draw(st.integers(1, 24)), draw(st.integers(1, 24)), 3)
    return _laid_out(draw, draw(arrays.arrays(np.uint8, shape)))


@st.composite
def one_channel(draw: st.DrawFn, kind: str) -> np.ndarray:
    shape = (draw(st.integers(1, 24)), draw(st.integers(1, 24)), 1)
    elements = st.floats(-50, 150, width=32) if kind == "f4" else None
    return _laid_out(draw, draw(arrays.arrays(kind, shape, elements=elements)))


def distances() -> st.SearchStrategy[np.ndarray]:
    """Metres within what SCAN measures, and holes."""
    number = st.floats(0.125, 29.0, width=32) | st.just(np.nan)
    return arrays.arrays("f4", 37, elements=number)


@st.composite
def depth(draw: st.DrawFn, least: int = 1) -> np.ndarray:
    """Metres in whole millimetres up to what 16 bits hold; nothing measured in some places."""
    shape = (draw(st.integers(least, 24)), draw(st.integers(1, 24)))
    counts = draw(arrays.arrays(np.uint16, shape))
    metres = np.where(counts, counts / 1000, np.nan).astype(draw(st.sampled_from(["f4", "f8"])))
    return _laid_out(draw, metres)


def _laid_out(draw: st.DrawFn, array: np.ndarray) -> np.ndarray:
    """The same values as they may lie in memory: mirrored, in columns, among others, big-endian."""
    layout = draw(st.sampled_from(["rows", "mirrored", "columns", "part", "swapped"]))
    if layout == "mirrored":
        return array[::-1].copy()[::-1]
    if layout == "columns":
        return np.asfortranarray(array)
    if layout == "part":
        larger = np.zeros((2 * len(array), array.shape[1] + 3, *array.shape[2:]), array.dtype)
        larger[::2, 2:-1] = array
        return larger[::2, 2:-1]
    return array.astype(array.dtype.newbyteorder()) if layout == "swapped" else array


def vector(length: int) -> st.SearchStrategy[np.ndarray]:
    number = st.floats(-1e6, 1e6, width=32)
    return arrays.arrays(st.sampled_from(["f4", "f8"]), length, elements=number)


def series(length: int) -> st.SearchStrategy[np.ndarray]:
    number = st.floats(-1e6, 1e6, width=32)
    return arrays.arrays("f4", (5, length), elements=number)


def one_hot(length: int) -> st.SearchStrategy[np.ndarray]:
    return st.integers(0, length - 1).map(lambda place: np.eye(length, dtype=np.float32)[place])


def taxels() -> st.SearchStrategy[np.ndarray]:
    number = st.floats(-1e6, 1e6, width=32)
    return arrays.arrays(st.sampled_from(["f4", "f8"]), (3, 4, 1), elements=number)


def of(kind: str, length: int) -> Modality:
    shape = (length, 5) if kind == "series" else (length,)
    return Modality("sensor", kind, shape, rate=100.0 if kind == "series" else None)


# Message type → modality, its arrays, the encodings that arrive exactly.
READINGS: dict[str, list[tuple[Modality, st.SearchStrategy[np.ndarray], tuple[str, ...]]]] = {
    IMAGE: [
        (RGB, colour(), ("", "rgb8", "bgr8")),
        (GREY, one_channel("u1"), ("", "mono8")),
        (HEAT, one_channel("f4"), ("", "32FC1")),
        (DEPTH, depth(), ("", "16UC1", "32FC1")),
    ],
    "sensor_msgs/msg/CompressedImage": [
        (RGB, colour(), ("png",)),
        (GREY, one_channel("u1"), ("png",)),
        (DEPTH, depth(), ("", "png")),
    ],
    "sensor_msgs/msg/LaserScan": [(SCAN, distances(), ("",))],
    "sensor_msgs/msg/PointCloud2": [(DEPTH, depth(least=2), ("",))],
    **{
        f"geometry_msgs/msg/{name}": [
            (of("vector", length), vector(length), ("",)),
            (of("series", length), series(length), ("",)),
            (of("categorical", length), one_hot(length), ("",)),
        ]
        for name, length in {"Wrench": 6, "WrenchStamped": 6, "Twist": 4, "TwistStamped": 4}.items()
    },
    "sensor_msgs/msg/JointState": [
        (of("vector", 8), vector(8), ("",)),
        (of("vector", 4), vector(4), ("",)),
        (of("series", 8), series(8), ("",)),
    ],
    "std_msgs/msg/Float64MultiArray": [
        (of("vector", 7), vector(7), ("",)),
        (of("series", 1), series(1), ("",)),
        (of("categorical", 10), one_hot(10), ("",)),
        (PAD, taxels(), ("",)),
    ],
}


def rclpy_to_rosbags(message: Any, type_name: str, _: bool) -> Any:
    return deserialise(bag_typestore(), serialize_message(message), type_name)


def rosbags_to_rclpy(message: Any, type_name: str, little_endian: bool) -> Any:
    data = bag_typestore().serialize_cdr(message, type_name, little_endian=little_endian)
    return deserialize_message(bytes(data), installed_types(type_name))


def test_every_adapter_is_here() -> None:
    assert set(READINGS) >= set(ADAPTERS)
    for type_name, readings in READINGS.items():
        assert {modality.kind for modality, _, _ in readings} == set(adapter(type_name).kinds)


@pytest.mark.parametrize(
    ("types", "send"),
    [(installed_types, rclpy_to_rosbags), (bag_types, rosbags_to_rclpy)],
    ids=["from rclpy", "from rosbags"],
)
@pytest.mark.parametrize("type_name", READINGS)
@settings(max_examples=60)
@given(data=st.data())
def test_there_and_back(
    types: Any, send: Callable[[Any, str, bool], Any], type_name: str, data: st.DataObject
) -> None:
    modality, values, encodings = data.draw(st.sampled_from(READINGS[type_name]))
    array = data.draw(values)
    before = array.copy()
    stamp, frame = data.draw(STAMPS), data.draw(FRAMES)
    scale = data.draw(st.sampled_from([1.0, 0.05, -3.0]))
    options = {"scale": scale, "joint_names": JOINTS}
    sent = adapter(type_name).to_message(
        array,
        modality,
        types,
        stamp_ns=stamp,
        frame_id=frame,
        encoding=data.draw(st.sampled_from(encodings)),
        **options,
    )
    np.testing.assert_array_equal(array, before)
    received = send(sent, type_name, data.draw(st.booleans()))
    if hasattr(received, "header"):
        assert (stamp_ns(received), frame_id(received)) == (stamp, frame)
    found = adapter(type_name).to_array(received, modality, **options)
    expected = array[-1] if modality.kind == "series" else array
    exact = modality.kind == "image" and modality.minimum is None
    assert found.dtype == (np.uint8 if exact else np.float32)
    assert found.shape == expected.shape
    np.testing.assert_allclose(
        found, expected, rtol=0 if exact else 2e-6, atol=0 if exact else 1e-9
    )


@settings(max_examples=40)
@given(
    pixels=colour(),
    types=st.sampled_from([installed_types, bag_types]),
    kind=st.sampled_from(["u1", "u2", "f4"]),
    big_endian=st.booleans(),
    padding=st.integers(0, 7),
)
def test_depth_and_grey_of_any_step_and_byte_order_through_bytes(
    pixels: np.ndarray, types: Any, kind: str, big_endian: bool, padding: int
) -> None:
    """As a camera's driver on another machine would send it, written field by field."""
    grey = pixels[..., 0].astype(kind)
    encoding = {"u1": "mono8", "u2": "16UC1", "f4": "32FC1"}[kind]
    rows = np.ascontiguousarray(grey.astype(grey.dtype.newbyteorder(">" if big_endian else "<")))
    rows = rows.view(np.uint8).reshape(len(grey), -1)
    rows = np.hstack([rows, np.full((len(grey), padding), 0xAB, np.uint8)])
    message = make_message(
        types,
        IMAGE,
        header=make_header(types, 5, "camera"),
        height=grey.shape[0],
        width=grey.shape[1],
        encoding=encoding,
        is_bigendian=int(big_endian),
        step=rows.shape[1],
        data=rows.reshape(-1),
    )
    send = rclpy_to_rosbags if types is installed_types else rosbags_to_rclpy
    modality = RGB if kind == "u1" else DEPTH
    found = adapter(IMAGE).to_array(send(message, IMAGE, True), modality)
    if kind == "u1":
        expected = np.repeat(grey[..., None], 3, axis=2)
    elif kind == "u2":
        expected = np.where(grey, grey / 1000, np.nan)
    else:
        expected = grey
    np.testing.assert_allclose(found, expected, rtol=1e-6)


# -- what the network may send at most -------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["", "16SC3", "64FC1"])
def test_encodings_that_are_no_colours_are_refused_with_advice(encoding: str) -> None:
    message = adapter(IMAGE).to_message(np.zeros((2, 2, 3), np.uint8), RGB, installed_types)
    message.encoding = encoding
    with pytest.raises(MessageError, match="have the image's publisher name what it is"):
        adapter(IMAGE).to_array(message, RGB)


def test_what_is_told_of_a_message_is_short_and_harmless() -> None:
    message = adapter(IMAGE).to_message(np.zeros((2, 2, 3), np.uint8), RGB, installed_types)
    message.encoding = "x" * 100_000
    joints = installed_types("sensor_msgs/msg/JointState")(
        name=["\x1b[2J\n[INFO] all is well", "\u202egnissim"], position=[0.0, 0.0]
    )
    for spoilt, modality in ((message, RGB), (joints, of("vector", 8))):
        type_name = f"sensor_msgs/msg/{type(spoilt).__name__}"
        with pytest.raises(MessageError) as error:
            adapter(type_name).to_array(spoilt, modality, joint_names=JOINTS)
        text = str(error.value)
        assert len(text) < 1200
        assert text.isprintable()


def test_absurd_numbers_of_names_and_values_are_refused_at_once() -> None:
    joints = installed_types("sensor_msgs/msg/JointState")()
    joints.name = [f"joint {i}" for i in range(200_000)]
    state = adapter("sensor_msgs/msg/JointState")
    with pytest.raises(MessageError, match="200000 joints, more than 1000"):
        state.to_array(joints, of("vector", 8), joint_names=JOINTS)
    many = installed_types("std_msgs/msg/Float64MultiArray")()
    many.data.frombytes(bytes(8 * 5_000_000))
    with pytest.raises(MessageError, match="data has 5000000 values, where 7 are needed"):
        adapter("std_msgs/msg/Float64MultiArray").to_array(many, of("vector", 7))
    long_frame = installed_types(IMAGE)()
    long_frame.header.frame_id = "f" * 10_000
    assert len(frame_id(long_frame)) == 256


def test_a_picture_of_fill_bytes_takes_no_time() -> None:
    """A JPEG may have any number of them before its size; nobody needs a hundred million."""
    data = np.full(100_000_000, 0xFF, np.uint8)
    data[1] = 0xD8
    message = make_message(
        bag_types,
        "sensor_msgs/msg/CompressedImage",
        header=make_header(bag_types, 1, ""),
        format="jpeg",
        data=data,
    )
    with pytest.raises(MessageError, match="truncated"):
        adapter("sensor_msgs/msg/CompressedImage").to_array(message, RGB)


def chunk(kind: bytes, content: bytes) -> bytes:
    """Of a PNG, with a right checksum."""
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png(width: int, height: int, *chunks: bytes, colours: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks)


END = chunk(b"IEND", b"")
SCAN = bytes.fromhex("ffda000c03010002110311003f00") + b"\0\0"


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (png(9, 9, struct.pack(">I", 2**31 - 1) + b"IDAT" + bytes(500), END), "truncated"),
        (png(9, 9, struct.pack(">I", 2**31 - 1) + b"zTXt" + bytes(500), END), "truncated"),
        (png(9, 9, chunk(b"IDAT", b"x" * 50)[:-1] + b"\0", END), "damaged"),
        (png(9, 9, chunk(b"acTL", struct.pack(">II", 2**31, 0)), END), "animated"),
        (png(9, 9, chunk(b"IDAT", zlib.compress(bytes(9 * 28))) * 2), "truncated"),
        (png(9, 9, chunk(b"tEXt", b"") * 100_001, END), "damaged"),
        (png(8192, 8192, chunk(b"IDAT", zlib.compress(bytes(100))), END), "damaged"),
        (cv2.imencode(".jpg", np.zeros((9, 9, 3), "u1"))[1].tobytes()[:-2] + SCAN * 200, "trunc"),
        (
            cv2.imencode(".jpg", np.zeros((9, 9, 3), "u1"))[1].tobytes()[:-2]
            + SCAN * 200
            + b"\xff\xd9",
            "damaged",
        ),
    ],
)
def test_pictures_that_would_take_seconds_and_gigabytes(data: bytes, complaint: str) -> None:
    message = make_message(
        bag_types,
        "sensor_msgs/msg/CompressedImage",
        header=make_header(bag_types, 1, ""),
        format="png",
        data=np.frombuffer(data, np.uint8),
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(MessageError, match=complaint):
        adapter("sensor_msgs/msg/CompressedImage").to_array(message, RGB)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000  # kilobytes
