# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What is read off a serialised message is what its deserialised self holds."""

from __future__ import annotations

import contextlib
import struct
from functools import partial

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")

from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message

from smvae_core.modalities import Modality
from smvae_ros.messages import MessageError, adapter, frame_id, installed_types, stamp_ns
from smvae_ros.messages.latent import SerialisedLatents, latent_to_message
from smvae_ros.messages.serialised import SerialisedMessage

FORCE = Modality("force", "vector", (6,))
ACTION = Modality("action", "vector", (4,))
SIZES = {
    "geometry_msgs/msg/WrenchStamped": FORCE,
    "geometry_msgs/msg/Wrench": FORCE,
    "geometry_msgs/msg/TwistStamped": ACTION,
    "geometry_msgs/msg/Twist": ACTION,
    "geometry_msgs/msg/PoseStamped": Modality("pose", "vector", (9,)),
    "sensor_msgs/msg/Imu": Modality("imu", "vector", (6,)),
}


def serialised(type_name: str, data: bytes) -> SerialisedMessage:
    message_class = installed_types(type_name)
    return SerialisedMessage(
        data,
        partial(deserialize_message, message_type=message_class),
        "header" in message_class.get_fields_and_field_types(),
    )


def make(type_name: str, seed: int, stamp: int, frame: str) -> object:
    modality = SIZES[type_name]
    values = np.random.default_rng(seed).normal(0, 5, modality.shape).astype(np.float32)
    return adapter(type_name).to_message(
        values, modality, installed_types, stamp_ns=stamp, frame_id=frame
    )


@pytest.mark.parametrize("type_name", SIZES)
@settings(max_examples=40)
@given(
    seed=st.integers(0, 1000),
    stamp=st.integers(0, 2**31 * 10**9 - 1),
    frame=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
)
def test_is_what_the_message_holds(type_name: str, seed: int, stamp: int, frame: str) -> None:
    message = make(type_name, seed, stamp, frame)
    read = serialised(type_name, serialize_message(message))
    assert read.stamp_ns == stamp_ns(message)
    assert read.frame_id == frame_id(message)
    used, modality = adapter(type_name), SIZES[type_name]
    expected = used.to_array(message, modality, scale=0.5)
    np.testing.assert_array_equal(used.to_array(read, modality, scale=0.5), expected)
    # And so without the short cut.
    np.testing.assert_array_equal(used.to_array(read.message(), modality, scale=0.5), expected)


def big_endian(frame: bytes, values: list[float]) -> bytes:
    head = struct.pack(">iII", 12, 34, len(frame) + 1) + frame + b"\0"
    return b"\0\0\0\0" + head + bytes(-len(head) % 8) + struct.pack(">6d", *values)


def test_either_byte_order_is_read() -> None:
    read = serialised("geometry_msgs/msg/WrenchStamped", big_endian(b"flange", [1, 2, 3, 4, 5, 6]))
    assert (read.stamp_ns, read.frame_id) == (12 * 10**9 + 34, "flange")
    array = adapter("geometry_msgs/msg/WrenchStamped").to_array(read, FORCE)
    np.testing.assert_array_equal(array, [1, 2, 3, 4, 5, 6])


def test_a_stamp_that_is_no_time_counts_as_none() -> None:
    body = struct.pack("<iII", 2**31 - 1, 2**32 - 1, 1) + bytes(8)
    assert serialised("geometry_msgs/msg/WrenchStamped", b"\0\1\0\0" + body).stamp_ns is None


@pytest.mark.parametrize("type_name", [*SIZES, "sensor_msgs/msg/JointState"])
@settings(max_examples=60)
@given(data=st.binary(max_size=120), plain=st.booleans())
def test_any_bytes_are_read_or_refused(type_name: str, data: bytes, plain: bool) -> None:
    read = serialised(type_name, b"\0\1\0\0" + data if plain else data)
    assert read.stamp_ns is None or 0 < read.stamp_ns < 2**31 * 10**9, "an output can have it"
    assert isinstance(read.frame_id, str)
    if type_name not in SIZES:
        return
    with contextlib.suppress(MessageError):
        array = adapter(type_name).to_array(read, SIZES[type_name])
        assert np.isfinite(array).all()


def test_a_truncated_message_is_refused_with_its_length() -> None:
    data = serialize_message(make("geometry_msgs/msg/WrenchStamped", 0, 1, "flange"))
    with pytest.raises(
        MessageError, match=r"force: not a readable .*WrenchStamped .*bytes are too few"
    ):
        adapter("geometry_msgs/msg/WrenchStamped").to_array(
            serialised("geometry_msgs/msg/WrenchStamped", data[:-1]), FORCE
        )


@given(
    size=st.integers(1, 70),
    frame=st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=9),
    stamps=st.lists(st.integers(0, 2**31 * 10**9 - 1), min_size=1, max_size=3),
    seed=st.integers(0, 99),
)
def test_serialised_latents_are_the_messages(
    size: int, frame: str, stamps: list[int], seed: int
) -> None:
    latents = SerialisedLatents(size, frame, installed_types, serialize_message)
    random = np.random.default_rng(seed)
    for stamp in stamps:
        mean, log_variance = random.normal(size=(2, size)).astype(np.float32)
        whole = latent_to_message(
            mean, log_variance, installed_types, stamp_ns=stamp, frame_id=frame
        )
        found = latents(mean, log_variance, stamp)
        assert len(found) == len(serialize_message(whole))
        assert deserialize_message(found, installed_types("sensor_msgs/msg/Image")) == whole


IMAGE = "sensor_msgs/msg/Image"
RGB, DEPTH = Modality("rgb", "image", (3, 4, 4)), Modality("depth", "depth", (1, 4, 4))


@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    frame=st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=9),
    encoding=st.sampled_from(["rgb8", "bgr8", "rgba8", "mono8", "mono16", "16UC1", "32FC1"]),
    padding=st.integers(0, 5),
    big=st.booleans(),
    seed=st.integers(0, 99),
)
def test_images_are_read_where_they_lie(
    shape: tuple[int, int], frame: str, encoding: str, padding: int, big: bool, seed: int
) -> None:
    width_bytes = {"rgba8": 4, "mono8": 1, "mono16": 2, "16UC1": 2, "32FC1": 4}.get(encoding, 3)
    message = installed_types(IMAGE)()
    message.header.frame_id = frame
    message.height, message.width = shape
    message.encoding, message.is_bigendian = encoding, int(big)
    message.step = shape[1] * width_bytes + padding
    random = np.random.default_rng(seed)
    message.data = random.integers(0, 256, shape[0] * message.step, np.uint8).tobytes()
    modality = DEPTH if encoding in ("16UC1", "32FC1") else RGB
    found = adapter(IMAGE).to_array(serialised(IMAGE, serialize_message(message)), modality)
    np.testing.assert_array_equal(found, adapter(IMAGE).to_array(message, modality))


@settings(max_examples=300)
@given(data=st.data())
def test_damaged_images_are_refused_or_read(data: st.DataObject) -> None:
    """Whatever the bytes, there is an image or one clear error."""
    message = installed_types(IMAGE)(height=2, width=2, encoding="rgb8", step=6, data=[1] * 12)
    content = bytearray(serialize_message(message))
    for _ in range(data.draw(st.integers(0, 6))):
        place = data.draw(st.integers(4, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    with contextlib.suppress(MessageError):
        array = adapter(IMAGE).to_array(serialised(IMAGE, bytes(content)), RGB)
        assert array.dtype == np.uint8
        assert array.shape[2] == 3
