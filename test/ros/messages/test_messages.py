# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Message adapters: both libraries' messages, exact round trips, and everything malformed."""

from __future__ import annotations

import dataclasses
import struct
import sys
from contextlib import suppress

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smvae_core.modalities import Modality
from smvae_ros.messages import (
    ADAPTERS,
    ForeignMessage,
    MessageError,
    adapter,
    bag_types,
    frame_id,
    installed_types,
    make_camera_info,
    make_header,
    make_message,
    scale_camera_info,
    stamp_ns,
)

RGB = Modality("rgb", "image", (3, 64, 64))
DEPTH = Modality("depth", "depth", (1, 64, 64))
FORCE = Modality("force", "series", (6, 32), rate=1000.0)
ACTION = Modality("action", "vector", (4,))
PROPRIO = Modality("proprio", "vector", (8,))
SCAN = Modality("scan", "scan", (1, 16), angles=(-1.0, 1.0))
JOINTS = ("x", "y", "z", "yaw")
IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"

both_libraries = pytest.mark.parametrize("types", [installed_types, bag_types])


def make_image(types, array, encoding, *, padding=0, big_endian=False, **changes):
    """An image message made field by field, as a camera's driver would."""
    values = array.astype(array.dtype.newbyteorder(">" if big_endian else "<"))
    height = len(array)
    rows = values.reshape(height, -1).view(np.uint8)
    rows = np.hstack([rows, np.full((height, padding), 0xAB, np.uint8)])
    fields = {
        "header": make_header(types, 1_500_000_007, "camera"),
        "height": height,
        "width": array.shape[1],
        "encoding": encoding,
        "is_bigendian": int(big_endian),
        "step": rows.shape[1],
        "data": rows.reshape(-1),
        **changes,
    }
    return make_message(types, IMAGE, **fields)


def make_compressed(types, data, description="jpeg"):
    return make_message(
        types,
        COMPRESSED,
        header=make_header(types, 1, "camera"),
        format=description,
        data=np.frombuffer(data, np.uint8),
    )


def random_image(seed, height, width, channels):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


sizes = st.integers(1, 40)
seeds = st.integers(0, 2**32 - 1)
padding = st.integers(0, 9)
libraries = st.sampled_from([installed_types, bag_types])


@given(libraries, seeds, sizes, sizes, padding, st.booleans())
def test_colour_images_arrive_exactly(types, seed, height, width, pad, big_endian):
    rgba = random_image(seed, height, width, 4)
    rgb = rgba[..., :3]
    for encoding, pixels in (
        ("rgb8", rgb),
        ("bgr8", rgb[..., ::-1]),
        ("rgba8", rgba),
        ("bgra8", rgba[..., [2, 1, 0, 3]]),
    ):
        message = make_image(types, pixels, encoding, padding=pad, big_endian=big_endian)
        array = adapter(IMAGE).to_array(message, RGB)
        assert array.dtype == np.uint8
        np.testing.assert_array_equal(array, rgb)


@given(libraries, seeds, sizes, sizes, padding, st.booleans())
def test_grey_images_become_rgb(types, seed, height, width, pad, big_endian):
    grey = random_image(seed, height, width, 1)
    expected = np.repeat(grey[..., None], 3, axis=2)
    deep = grey.astype(np.uint16) * 256 + 255 - grey  # the lower byte must not matter
    for encoding, pixels in (("mono8", grey), ("mono16", deep)):
        message = make_image(types, pixels, encoding, padding=pad, big_endian=big_endian)
        np.testing.assert_array_equal(adapter(IMAGE).to_array(message, RGB), expected)


COLOUR = (200, 90, 40)


def mosaic_of(colour, pattern, depth=np.uint8):
    """(8, 10) of one colour as a camera without demosaicing sees it; 257 times it with 16 bits."""
    mosaic = np.empty((8, 10), depth)
    for place, letter in enumerate(pattern):
        value = colour["rgb".index(letter)]
        mosaic[place // 2 :: 2, place % 2 :: 2] = value if depth == np.uint8 else value * 257
    return mosaic


@both_libraries
@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_mosaics_become_colours(types, pattern):
    expected = np.broadcast_to(np.uint8(COLOUR), (8, 10, 3))
    for bits, depth in ((8, np.uint8), (16, np.uint16)):
        mosaic = mosaic_of(COLOUR, pattern, depth)
        encoding = f"bayer_{pattern}{bits}"
        for big_endian in (False, True):
            message = make_image(types, mosaic, encoding, padding=3, big_endian=big_endian)
            np.testing.assert_array_equal(adapter(IMAGE).to_array(message, RGB), expected)
        data = cv2.imencode(".png", mosaic)[1].tobytes()
        message = make_compressed(types, data, f"{encoding}; png compressed ")
        np.testing.assert_array_equal(adapter(COMPRESSED).to_array(message, RGB), expected)
    # JPEG, which has only 8 bits; and one that was brought to colour before.
    data = cv2.imencode(".jpg", mosaic_of(COLOUR, pattern), [cv2.IMWRITE_JPEG_QUALITY, 100])[1]
    message = make_compressed(types, data.tobytes(), f"bayer_{pattern}16; jpeg compressed ")
    np.testing.assert_allclose(adapter(COMPRESSED).to_array(message, RGB), expected, atol=8)
    data = cv2.imencode(".png", expected[..., ::-1])[1].tobytes()
    message = make_compressed(types, data, f"bayer_{pattern}8; png compressed bgr8")
    np.testing.assert_array_equal(adapter(COMPRESSED).to_array(message, RGB), expected)


@both_libraries
def test_colours_with_16_bits_and_opencvs_own_names(types):
    rgba = random_image(3, 6, 8, 4)
    rgb, deep = rgba[..., :3], rgba.astype(np.uint16) * 256 + 17
    for encoding, pixels in (
        ("rgb16", deep[..., :3]),
        ("bgr16", deep[..., 2::-1]),
        ("rgba16", deep),
        ("bgra16", deep[..., [2, 1, 0, 3]]),
        ("8UC3", rgb[..., ::-1]),  # OpenCV's images have blue first
        ("8UC4", rgba[..., [2, 1, 0, 3]]),
    ):
        array = adapter(IMAGE).to_array(make_image(types, pixels, encoding, padding=2), RGB)
        np.testing.assert_array_equal(array, rgb, encoding)
    grey = rgb[..., 0]
    array = adapter(IMAGE).to_array(make_image(types, grey, "8UC1"), RGB)
    np.testing.assert_array_equal(array, np.repeat(grey[..., None], 3, axis=2))


@both_libraries
def test_yuv_of_usb_cameras(types):
    red, blue, luma = 90, 180, 120  # of ITU-R BT.601, 16 to 235
    pair = {"Y": luma, "U": blue, "V": red}
    expected = [
        1.164 * (luma - 16) + 1.596 * (red - 128),
        1.164 * (luma - 16) - 0.392 * (blue - 128) - 0.813 * (red - 128),
        1.164 * (luma - 16) + 2.017 * (blue - 128),
    ]
    for encoding, order in (
        ("yuv422", "UYVY"),
        ("uyvy", "UYVY"),
        ("yuv422_yuy2", "YUYV"),
        ("yuyv", "YUYV"),
    ):
        row = np.array([pair[letter] for letter in order] * 3, np.uint8).reshape(6, 2)
        image = np.broadcast_to(row, (4, 6, 2))
        array = adapter(IMAGE).to_array(make_image(types, image, encoding), RGB)
        np.testing.assert_allclose(array.reshape(-1, 3) - np.array(expected), 0, atol=2)


@both_libraries
def test_depth_that_its_driver_calls_mono16(types):
    counts = np.array([[0, 900], [1500, 65535]], np.uint16)
    metres = adapter(IMAGE).to_array(make_image(types, counts, "mono16"), DEPTH)
    np.testing.assert_allclose(metres, [[np.nan, 0.9], [1.5, 65.535]], rtol=1e-6)


@given(libraries, seeds, sizes, sizes, padding, st.booleans())
def test_depth_images_arrive_in_metres(types, seed, height, width, pad, big_endian):
    random = np.random.default_rng(seed)
    counts = random.integers(0, 65536, (height, width), dtype=np.uint16)
    counts[random.random(counts.shape) < 0.2] = 0
    message = make_image(types, counts, "16UC1", padding=pad, big_endian=big_endian)
    metres = adapter(IMAGE).to_array(message, DEPTH)
    assert metres.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(metres), counts == 0)
    np.testing.assert_array_equal(np.rint(np.nan_to_num(metres) * 1000), counts)

    floats = random.uniform(0, 10, (height, width)).astype(np.float32)
    floats[counts == 0] = np.nan
    message = make_image(types, floats, "32FC1", padding=pad, big_endian=big_endian)
    np.testing.assert_array_equal(adapter(IMAGE).to_array(message, DEPTH), floats)


@given(libraries, seeds, sizes, sizes)
def test_image_round_trip(types, seed, height, width):
    rgb = random_image(seed, height, width, 3)
    for encoding in ("", "rgb8", "bgr8"):
        message = adapter(IMAGE).to_message(rgb, RGB, types, encoding=encoding)
        np.testing.assert_array_equal(adapter(IMAGE).to_array(message, RGB), rgb)
    random = np.random.default_rng(seed)
    depth = (random.integers(0, 65536, (height, width)) / 1000).astype(np.float32)
    depth[depth == 0] = np.nan
    for type_name, encoding in ((IMAGE, ""), (IMAGE, "32FC1"), (COMPRESSED, "")):
        message = adapter(type_name).to_message(depth, DEPTH, types, encoding=encoding)
        array = adapter(type_name).to_array(message, DEPTH)
        np.testing.assert_allclose(array, depth, rtol=1e-6)


def test_colour_images_are_not_copied():
    message = make_image(installed_types, random_image(0, 48, 64, 3), "rgb8", padding=5)
    array = adapter(IMAGE).to_array(message, RGB)
    assert np.shares_memory(array, np.frombuffer(message.data, np.uint8))


@both_libraries
def test_what_is_no_depth_is_sent_as_zero(types):
    depth = np.array([[0.0, -1.0, np.nan], [np.inf, 65.5351, 66.0], [1e-5, 0.0006, 1.9999]], "f4")
    message = adapter(IMAGE).to_message(depth, DEPTH, types)
    counts = np.frombuffer(bytes(message.data), "<u2" if sys.byteorder == "little" else ">u2")
    assert counts.tolist() == [0, 0, 0, 0, 65535, 0, 0, 1, 2000]


@both_libraries
def test_compressed_colour(types):
    rows, columns = np.mgrid[:60, :80]
    rgb = np.stack([rows * 4, columns * 3, 255 - rows * 2], axis=2).astype(np.uint8)
    message = adapter(COMPRESSED).to_message(rgb, RGB, types, encoding="png")
    np.testing.assert_array_equal(adapter(COMPRESSED).to_array(message, RGB), rgb)
    message = adapter(COMPRESSED).to_message(rgb, RGB, types)
    array = adapter(COMPRESSED).to_array(message, RGB)
    assert np.abs(array.astype(int) - rgb).max() < 20


vectors = {
    "geometry_msgs/msg/WrenchStamped": (FORCE, 6),
    "geometry_msgs/msg/Wrench": (FORCE, 6),
    "geometry_msgs/msg/TwistStamped": (ACTION, 4),
    "geometry_msgs/msg/Twist": (ACTION, 4),
    "sensor_msgs/msg/JointState": (PROPRIO, 8),
    "std_msgs/msg/Float64MultiArray": (PROPRIO, 8),
}


@both_libraries
@pytest.mark.parametrize("type_name", vectors)
@given(data=st.data())
def test_vector_round_trip(types, type_name, data):
    modality, length = vectors[type_name]
    number = st.floats(-1e6, 1e6, width=32)
    values = np.array(data.draw(st.lists(number, min_size=length, max_size=length)), np.float32)
    scale = data.draw(st.sampled_from([1.0, 0.05, -3.0]))
    options = {"scale": scale, "joint_names": JOINTS}
    message = adapter(type_name).to_message(values, modality, types, stamp_ns=12, **options)
    array = adapter(type_name).to_array(message, modality, **options)
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, values, rtol=1e-6, atol=1e-30)


@both_libraries
def test_fields_of_vectors(types):
    wrench = adapter("geometry_msgs/WrenchStamped").to_message(np.arange(1.0, 7), FORCE, types)
    assert wrench.wrench.force.z == 3
    assert wrench.wrench.torque.x == 4
    series = np.stack([np.arange(6.0), np.arange(10.0, 16)])
    wrench = adapter("geometry_msgs/WrenchStamped").to_message(series, FORCE, types)
    assert wrench.wrench.force.x == 10, "of a window the newest reading is sent"
    twist = adapter("geometry_msgs/TwistStamped").to_message(
        np.array([0.1, 0.2, 0.3, 0.4]), ACTION, types, scale=0.05
    )
    assert twist.twist.linear.y == pytest.approx(4.0)
    assert twist.twist.angular.z == pytest.approx(8.0)


@both_libraries
def test_joints_are_found_by_name(types):
    message = make_message(
        types,
        "sensor_msgs/msg/JointState",
        header=make_header(types, 1, ""),
        name=["gripper", "yaw", "x", "z", "y"],
        position=np.array([9.0, 4, 1, 3, 2]),
        velocity=np.array([90.0, 40, 10, 30, 20]),
        effort=np.empty(0),
    )
    joints = adapter("sensor_msgs/msg/JointState")
    array = joints.to_array(message, PROPRIO, joint_names=JOINTS)
    assert array.tolist() == [1, 2, 3, 4, 10, 20, 30, 40]
    partly = joints.to_array(message, PROPRIO, joint_names=("x", "wrist", "y", "foot"))
    np.testing.assert_array_equal(partly, [1, np.nan, 2, np.nan, 10, np.nan, 20, np.nan])
    with pytest.raises(
        ForeignMessage, match=r"proprio: a joint state of gripper, .* none of wrist"
    ):
        joints.to_array(message, PROPRIO, joint_names=("wrist",))
    with pytest.raises(MessageError, match="no joint names are configured"):
        joints.to_array(message, PROPRIO)


@both_libraries
def test_joint_state_without_velocities(types):
    message = make_message(
        types,
        "sensor_msgs/msg/JointState",
        header=make_header(types, 1, ""),
        name=list(JOINTS),
        position=np.zeros(4),
        velocity=np.empty(0),
        effort=np.empty(0),
    )
    with pytest.raises(MessageError, match="4 names, but 0 values of velocity"):
        adapter("sensor_msgs/JointState").to_array(message, PROPRIO, joint_names=JOINTS)


@both_libraries
@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (np.nan, "NaN or infinite"),
        (-np.inf, "NaN or infinite"),
        (1e300, "beyond all reason, 1e\\+300 where 1e\\+09"),
        (-1e12, "beyond all reason, -1e\\+12 where 1e\\+09"),
    ],
)
@pytest.mark.parametrize("type_name", vectors)
def test_vectors_that_no_sensor_measured(types, bad, reason, type_name):
    modality, length = vectors[type_name]
    values = np.zeros(length)
    values[-1] = bad
    message = adapter(type_name).to_message(values, modality, types, joint_names=JOINTS)
    with pytest.raises(MessageError, match=f"^{modality.name}: .*{reason}.*check the sensor"):
        adapter(type_name).to_array(message, modality, joint_names=JOINTS)


good = np.zeros((4, 6, 3), np.uint8)
shallow = np.zeros((4, 6), np.uint16)


@both_libraries
@pytest.mark.parametrize(
    ("array", "encoding", "changes", "modality", "complaint"),
    [
        (good, "rgb8", {"width": 0}, RGB, r"empty \(0x4\)"),
        (good, "rgb8", {"height": 0}, RGB, r"empty \(6x0\)"),
        (good, "rgb8", {"data": np.empty(0, np.uint8)}, RGB, "data of 0 bytes is shorter"),
        (good, "rgb8", {"data": np.zeros(71, np.uint8)}, RGB, "data of 71 bytes is shorter"),
        (good, "rgb8", {"step": 17}, RGB, "step of 17 bytes is less than a row"),
        (good, "rgb8", {"step": 0}, RGB, "step of 0 bytes"),
        (good, "rgb8", {"step": 2**32 - 1}, RGB, "is shorter than 4 rows"),
        (good, "rgb8", {"width": 20000, "step": 60000}, RGB, "claims 20000x4"),
        (good, "rgb8", {"height": 2**32 - 1}, RGB, "claims"),
        (
            good,
            "no_such_encoding",
            {},
            RGB,
            "'no_such_encoding' is unknown; have.*yuyv.*nv24",
        ),
        (good, "", {}, RGB, "no encoding; have the image's publisher name what it is, one of rgb8"),
        (good, "8UC2", {}, RGB, "'8UC2' names no colours; have"),
        (good[:2, :, 0], "bayer_rggb8", {}, RGB, "a mosaic of 6x2 pixels has no colours"),
        (good[:, :5, :2], "yuyv", {}, RGB, "5x4 pixels cannot be YUV 4:2:2"),
        (good, "rgb8", {}, DEPTH, "'rgb8' is not depth; expected 16UC1 or 32FC1"),
        (good, "mono8", {}, DEPTH, "'mono8' is not depth"),
        (shallow, "16UC1", {}, RGB, "'16UC1' is a depth image"),
        (shallow, "32FC1", {}, RGB, "'32FC1' is a depth image"),
        (shallow, "32FC1", {}, DEPTH, "step of 12 bytes is less than a row"),
    ],
)
def test_malformed_images(types, array, encoding, changes, modality, complaint):
    message = make_image(types, array, encoding, **changes)
    with pytest.raises(MessageError, match=f"^{modality.name}: .*{complaint}"):
        adapter(IMAGE).to_array(message, modality)


def test_an_absurd_amount_of_data_is_refused():
    data = np.empty(2**28 + 1, np.uint8)  # never touched, so it takes no memory
    message = make_image(bag_types, good, "mono8", width=4096, height=16384, step=16384, data=data)
    with pytest.raises(MessageError, match="268435457 bytes, more than"):
        adapter(IMAGE).to_array(message, RGB)


def test_a_small_picture_that_claims_to_be_huge_takes_no_memory():
    """400 megapixels of one colour are a PNG of a few kilobytes."""
    claim = png[:16] + struct.pack(">II", 16000, 16000) + png[24:]
    with pytest.raises(MessageError, match="claims 16000x16000 pixels, more than 67108864"):
        adapter(COMPRESSED).to_array(make_compressed(bag_types, claim, "png"), RGB)


jpeg = cv2.imencode(".jpg", random_image(1, 40, 50, 3))[1].tobytes()
png = cv2.imencode(".png", random_image(1, 40, 50, 3))[1].tobytes()
depth_png = cv2.imencode(".png", np.full((40, 50), 700, np.uint16))[1].tobytes()


@both_libraries
@pytest.mark.parametrize(
    ("data", "description", "modality", "complaint"),
    [
        (b"", "jpeg", RGB, "0 bytes beginning with nothing are no JPEG or PNG"),
        (b"GIF89a" * 9, "jpeg", RGB, "474946383961"),
        (jpeg[:-30], "jpeg", RGB, "truncated"),
        (jpeg[:200], "jpeg", RGB, "truncated"),
        (jpeg[:3], "jpeg", RGB, "truncated"),
        (png[:-30], "png", RGB, "truncated"),
        (png[:20], "png", RGB, "no JPEG or PNG"),
        (png[:16] + struct.pack(">II", 50000, 3) + png[24:], "png", RGB, "claims 50000x3"),
        (png[:16] + struct.pack(">II", 0, 3) + png[24:], "png", RGB, "empty"),
        (png[:60] + bytes(500) + png[560:], "png", RGB, "damaged"),
        (jpeg, "jpeg", DEPTH, "no depth: expected a 16-bit PNG"),
        (png, "png", DEPTH, "no depth: expected a 16-bit PNG"),
    ],
)
def test_malformed_compressed_images(types, data, description, modality, complaint):
    message = make_compressed(types, data, description)
    with pytest.raises(MessageError, match=f"^{modality.name}: .*{complaint}"):
        adapter(COMPRESSED).to_array(message, modality)


@given(libraries, st.binary(max_size=200), st.sampled_from([b"", jpeg[:30], png[:40], depth_png]))
def test_random_bytes_only_raise_message_errors(types, noise, start):
    for modality, description in ((RGB, "jpeg"), (DEPTH, "png"), (DEPTH, "32FC1; compressedDepth")):
        message = make_compressed(types, start + noise, description)
        with suppress(MessageError):
            adapter(COMPRESSED).to_array(message, modality)


@pytest.mark.parametrize("type_name", [*ADAPTERS, *vectors])
def test_another_type_than_configured(type_name):
    carried = {"image": RGB, "depth": DEPTH, "scan": SCAN, "vector": PROPRIO}
    kinds = adapter(type_name).kinds
    usual = next(carried[kind] for kind in carried if kind in kinds)
    modality = vectors[type_name][0] if type_name in vectors else usual
    with pytest.raises(MessageError, match=f"not a readable {type_name} .*check its publisher"):
        adapter(type_name).to_array(object(), modality, joint_names=JOINTS)


def test_adapters_are_found_by_either_name():
    assert adapter("sensor_msgs/Image") is adapter(IMAGE)
    assert adapter("geometry_msgs/Twist") is adapter("geometry_msgs/msg/Twist")
    for unknown in ("nonsense", "", "a/b/c/d"):
        with pytest.raises(MessageError, match="is not a message type"):
            adapter(unknown)


def test_kinds_of_modality_that_do_not_fit():
    with pytest.raises(MessageError, match="cannot carry a modality of kind image"):
        adapter("geometry_msgs/msg/Twist").to_array(None, RGB)
    with pytest.raises(MessageError, match="cannot carry a modality of kind vector"):
        adapter(IMAGE).to_message(np.zeros(4), ACTION, bag_types)


@both_libraries
@pytest.mark.parametrize(
    ("type_name", "array", "modality"),
    [
        (IMAGE, np.zeros((4, 4), np.uint8), RGB),
        (IMAGE, np.zeros((4, 4, 3), np.float32), RGB),
        (IMAGE, np.zeros((4, 4), np.uint16), DEPTH),
        (IMAGE, np.zeros((0, 4), np.float32), DEPTH),
        ("geometry_msgs/msg/Twist", np.zeros(5), ACTION),
        ("sensor_msgs/msg/JointState", np.zeros(4), PROPRIO),
    ],
)
def test_arrays_that_do_not_fit(types, type_name, array, modality):
    with pytest.raises(MessageError, match=f"^{modality.name}: expected"):
        adapter(type_name).to_message(array, modality, types, joint_names=JOINTS)


@both_libraries
def test_stamp_and_frame(types):
    message = make_image(types, good, "rgb8")
    assert stamp_ns(message) == 1_500_000_007
    assert frame_id(message) == "camera"
    unset = adapter(IMAGE).to_message(good, RGB, types)
    assert stamp_ns(unset) is None
    message.header.stamp.sec, message.header.stamp.nanosec = 2**31 - 1, 10**9 - 1
    assert stamp_ns(message) == 2**31 * 10**9 - 1
    message.header.stamp.nanosec = 10**9
    assert stamp_ns(message) is None, "it is no time, and nothing can be stamped with it"
    twist = adapter("geometry_msgs/msg/Twist").to_message(np.zeros(4), ACTION, types)
    assert stamp_ns(twist) is None
    assert frame_id(twist) == ""


def test_what_rosbags_writes_rclpy_reads():
    """Both libraries serialise alike, so that bytes can go from one to the other."""
    from rclpy.serialization import deserialize_message

    from smvae_ros.messages.types import bag_typestore

    rgb = random_image(3, 30, 20, 3)
    message = adapter(IMAGE).to_message(rgb, RGB, bag_types, stamp_ns=77, frame_id="camera")
    data = bytes(bag_typestore().serialize_cdr(message, IMAGE))
    received = deserialize_message(data, installed_types(IMAGE))
    np.testing.assert_array_equal(adapter(IMAGE).to_array(received, RGB), rgb)
    assert stamp_ns(received) == 77


SQUARE = Modality("rgb", "image", (3, 64, 64))


@both_libraries
def test_camera_info_is_scaled(types):
    matrix = np.array([[500.0, 0, 319.5], [0, 510, 239.5], [0, 0, 1]])
    info = make_camera_info(types, 640, 480, matrix, stamp_ns=9, frame_id="optical")
    info.p[3] = -50.0  # the right camera of a stereo pair
    small = scale_camera_info(info, SQUARE, types)
    assert (small.width, small.height) == (64, 64)
    assert (stamp_ns(small), frame_id(small)) == (9, "optical")
    k = np.reshape(small.k, (3, 3))
    np.testing.assert_allclose(k, [[50, 0, 31.5], [0, 68, 31.5], [0, 0, 1]])
    p = np.reshape(small.p, (3, 4))
    np.testing.assert_allclose(p[:, :3], k)
    assert p[0, 3] == pytest.approx(-5.0)
    assert stamp_ns(scale_camera_info(info, SQUARE, types, stamp_nanoseconds=33)) == 33

    # A scene point keeps its place in the picture: cv2.resize maps pixel centres alike.
    point = np.array([0.3, -0.2, 1.5])
    u, v, _ = matrix @ point / point[2]
    expected = [(u + 0.5) * 64 / 640 - 0.5, (v + 0.5) * 64 / 480 - 0.5]
    np.testing.assert_allclose((k @ point / point[2])[:2], expected)


@both_libraries
def test_camera_info_with_a_region_of_interest(types):
    info = make_camera_info(types, 1000, 800, np.diag([700.0, 700, 1]), stamp_ns=1, frame_id="c")
    info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = 100, 200, 500, 400
    small = scale_camera_info(info, Modality("rgb", "image", (3, 100, 250)), types)
    assert (small.width, small.height) == (500, 200)
    region = small.roi
    assert (region.x_offset, region.y_offset, region.width, region.height) == (50, 50, 250, 100)
    assert small.k[0] == 350
    assert small.k[4] == 175


@pytest.mark.parametrize(("width", "height"), [(640, 480), (480, 640)])
@pytest.mark.parametrize("offset", [0, 40])
def test_camera_info_follows_the_crop(width: int, height: int, offset: int) -> None:
    """A scene point keeps its place in the picture, also with a region of interest."""
    matrix = np.array([[500.0, 0, 319.5], [0, 510, 239.5], [0, 0, 1]])
    info = make_camera_info(
        bag_types, width + offset, height + offset, matrix, stamp_ns=9, frame_id="optical"
    )
    if offset:
        info.roi.x_offset = info.roi.y_offset = offset
        info.roi.width, info.roi.height = width, height
    cropped = dataclasses.replace(SQUARE, aspect="crop")
    small = scale_camera_info(info, cropped, bag_types)
    point = np.array([0.03, -0.02, 1.5])
    rows, columns = cropped.visible_part((height, width))
    u, v, _ = matrix @ point / point[2] - offset
    factor = 64 / 480
    expected = [
        (u - columns.start + 0.5) * factor - 0.5,
        (v - rows.start + 0.5) * factor - 0.5,
    ]
    seen = np.reshape(small.k, (3, 3)) @ point / point[2]
    region = small.roi
    np.testing.assert_allclose(
        seen[:2] - [offset * factor, offset * factor], expected, rtol=0, atol=1e-9
    )
    if offset:
        assert (region.width, region.height) == (64, 64)
        assert (region.x_offset, region.y_offset) == (round(offset * factor),) * 2
    else:
        assert (small.width, small.height) == (64, 64)
    np.testing.assert_allclose(np.reshape(small.p, (3, 4))[:, :3], np.reshape(small.k, (3, 3)))


@both_libraries
def test_camera_info_that_is_not_calibrated_or_broken(types):
    info = make_camera_info(types, 640, 480, np.zeros((3, 3)), stamp_ns=1, frame_id="c")
    assert not np.any(scale_camera_info(info, SQUARE, types).k)
    info.width = 0
    with pytest.raises(MessageError, match="no width or height"):
        scale_camera_info(info, SQUARE, types)
    with pytest.raises(MessageError, match="malformed"):
        scale_camera_info(object(), SQUARE, types)
