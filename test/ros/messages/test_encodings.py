# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Encodings that few cameras have, and what becomes of an image of one channel."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")

from smvae_core.modalities import Modality
from smvae_core.preprocessing import prepare
from smvae_ros.messages import MessageError, adapter, bag_types, installed_types, make_header
from smvae_ros.messages.fields import make_message

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
RGB = Modality("rgb", "image", (3, 8, 8))
GREY = Modality("grey", "image", (1, 8, 8))
HEAT = Modality("heat", "image", (1, 8, 8), minimum=-20.0, maximum=60.0)
# ITU-R BT.601 of 16 to 235.
YUV = np.array([[0.257, 0.504, 0.098], [-0.148, -0.291, 0.439], [0.439, -0.368, -0.071]])
both_libraries = pytest.mark.parametrize("types", [installed_types, bag_types])


def make_image(
    types: Any, encoding: str, data: np.ndarray, height: int, width: int, step: int
) -> Any:
    return make_message(
        types,
        IMAGE,
        header=make_header(types, 7, "camera"),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=step,
        data=np.ascontiguousarray(data).reshape(-1).view(np.uint8),
    )


def make_compressed(types: Any, data: bytes, description: str) -> Any:
    header = make_header(types, 7, "camera")
    return make_message(
        types, COMPRESSED, header=header, format=description, data=np.frombuffer(data, np.uint8)
    )


def smooth(height: int, width: int) -> np.ndarray:
    rows, columns = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return np.stack([80 + 80 * rows, 90 + 70 * columns, 170 - 90 * rows], -1).astype(np.uint8)


def planes_of(rgb: np.ndarray, encoding: str, padding: int) -> np.ndarray:
    """Y, then U and V of each pixel or of each two by two, rows with padding behind them."""
    width = rgb.shape[1]
    y, u, v = np.rint(np.moveaxis(rgb @ YUV.T + [16, 128, 128], -1, 0)).astype(np.uint8)
    pair = np.stack([v, u] if encoding == "nv21" else [u, v], -1)
    if encoding != "nv24":
        pair = pair[::2, ::2]
    step = width + padding
    colours = np.zeros((pair.shape[0], step * (2 if encoding == "nv24" else 1)), np.uint8)
    colours[:, : pair[0].size] = pair.reshape(len(pair), -1)
    brightness = np.pad(y, ((0, 0), (0, padding)))
    return np.concatenate([brightness.ravel(), colours.ravel()])


@given(
    types=st.sampled_from([installed_types, bag_types]),
    encoding=st.sampled_from(["nv12", "nv21", "nv24"]),
    size=st.tuples(st.integers(4, 20), st.integers(4, 20)).map(lambda s: (2 * s[0], 2 * s[1])),
    padding=st.sampled_from([0, 0, 6]),
    step=st.sampled_from(["row", "one and a half", "two"]),
)
def test_brightness_and_colours_in_two_planes(
    types: Any, encoding: str, size: tuple[int, int], padding: int, step: str
) -> None:
    """Whatever the driver takes ``step`` for, where rows have no padding."""
    height, width = size
    # Two by two alike, so that halved resolution does not matter.
    colours = smooth(height // 2, width // 2).repeat(2, 0).repeat(2, 1)
    data = planes_of(colours, encoding, padding)
    steps = {"row": width + padding, "one and a half": 3 * width // 2, "two": 2 * width}
    chosen = steps["row" if padding or encoding == "nv24" else step]
    message = make_image(types, encoding, data, height, width, chosen)
    found = adapter(IMAGE).to_array(message, RGB)
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - colours).max() <= 4
    grey = adapter(IMAGE).to_array(message, GREY)
    assert grey.shape == (height, width, 1)


@both_libraries
@pytest.mark.parametrize("encoding", ["nv12", "nv21", "nv24"])
def test_planes_that_are_too_short_or_odd(types: Any, encoding: str) -> None:
    data = np.zeros(6 * 4 + 11, np.uint8)
    with pytest.raises(MessageError, match=r"35 bytes is shorter than .* rows of 6 bytes"):
        adapter(IMAGE).to_array(make_image(types, encoding, data, 4, 6, 6), RGB)
    if encoding != "nv24":
        with pytest.raises(MessageError, match=f"5x4 pixels cannot be {encoding}"):
            adapter(IMAGE).to_array(make_image(types, encoding, data, 4, 5, 5), RGB)


VALUES = {
    "mono8": "u1",
    "8UC1": "u1",
    "8SC1": "i1",
    "mono16": "u2",
    "16UC1": "u2",
    "16SC1": "i2",
    "32SC1": "i4",
    "32FC1": "f4",
    "64FC1": "f8",
}


@both_libraries
@pytest.mark.parametrize("encoding", VALUES)
def test_values_of_one_channel_arrive_in_their_unit(types: Any, encoding: str) -> None:
    values = np.arange(64).reshape(8, 8).astype(VALUES[encoding])
    if values.dtype.kind != "u":
        values = values - values.dtype.type(20)
    message = make_image(types, encoding, values, 8, 8, values.strides[0])
    array = adapter(IMAGE).to_array(message, HEAT)
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array[..., 0], values)
    expected = np.clip((values.astype(float) + 20) / 80 * 255, 0, 255)
    np.testing.assert_allclose(prepare(HEAT, array)[..., 0], expected, atol=1)


@both_libraries
def test_of_grey_with_16_bits_the_upper_eight_count(types: Any) -> None:
    grey = np.random.default_rng(0).integers(0, 2**16, (8, 8), np.uint16)
    found = adapter(IMAGE).to_array(make_image(types, "mono16", grey, 8, 8, 16), GREY)
    np.testing.assert_array_equal(found[..., 0], grey >> 8)
    png = cv2.imencode(".png", grey)[1].tobytes()
    message = make_compressed(types, png, "mono16; png compressed ")
    np.testing.assert_array_equal(adapter(COMPRESSED).to_array(message, GREY), found)
    np.testing.assert_array_equal(adapter(COMPRESSED).to_array(message, HEAT)[..., 0], grey)


@both_libraries
def test_colours_become_grey(types: Any) -> None:
    colours = smooth(8, 8)
    expected = cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY)[..., None]
    message = make_image(types, "rgb8", colours, 8, 8, 24)
    np.testing.assert_array_equal(adapter(IMAGE).to_array(message, GREY), expected)
    png = cv2.imencode(".png", colours[..., ::-1])[1].tobytes()
    message = make_compressed(types, png, "rgb8; png compressed bgr8")
    np.testing.assert_array_equal(adapter(COMPRESSED).to_array(message, GREY), expected)


@both_libraries
@pytest.mark.parametrize(
    ("encoding", "modality", "complaint"),
    [
        ("16UC1", GREY, "'16UC1' does not say which .* a minimum and a maximum"),
        ("32FC1", GREY, "'32FC1' does not say which .* a minimum and a maximum"),
        ("rgb8", HEAT, "'rgb8' is not one value for each pixel; expected mono8, mono16.*64FC1"),
        ("16UC2", HEAT, "'16UC2' is not one value for each pixel"),
        ("", HEAT, "'' is not one value"),
        ("mono7", GREY, "'mono7' is unknown; have .* name what it is, one of rgb8.*nv24"),
    ],
)
def test_what_one_channel_is_not_made_of(
    types: Any, encoding: str, modality: Modality, complaint: str
) -> None:
    message = make_image(types, encoding, np.zeros((8, 96), np.uint8), 8, 8, 96)
    with pytest.raises(MessageError, match=f"^{modality.name}: .*{complaint}"):
        adapter(IMAGE).to_array(message, modality)


@both_libraries
def test_predictions_of_one_channel_are_grey_or_in_their_unit(types: Any) -> None:
    prepared = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
    message = adapter(IMAGE).to_message(prepared, GREY, types)
    assert message.encoding == "mono8"
    message = adapter(IMAGE).to_message(prepared, HEAT, types)
    assert message.encoding == "32FC1"
    values = adapter(IMAGE).to_array(message, HEAT)
    np.testing.assert_allclose(values, prepared / 255 * 80 - 20, rtol=1e-5)
    np.testing.assert_array_equal(prepare(HEAT, values), prepared)
    with pytest.raises(MessageError, match="heat: cannot write encoding 'mono8'; choose 32FC1"):
        adapter(IMAGE).to_message(prepared, HEAT, types, encoding="mono8")
    with pytest.raises(MessageError, match="heat: values cannot be compressed"):
        adapter(COMPRESSED).to_message(prepared, HEAT, types)


@both_libraries
def test_motion_jpeg_leaves_its_usual_tables_out(types: Any) -> None:
    jpeg = cv2.imencode(".jpg", smooth(48, 64)[..., ::-1])[1].tobytes()
    whole = adapter(COMPRESSED).to_array(make_compressed(types, jpeg, "jpeg"), RGB)
    without, place = jpeg[:2], 2
    while jpeg[place + 1] != 0xDA:  # up to the entropy-coded data
        end = place + 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")
        without += jpeg[place:end] if jpeg[place + 1] != 0xC4 else b""  # Huffman tables
        place = end
    assert len(without + jpeg[place:]) < len(jpeg) - 300
    message = make_compressed(types, without + jpeg[place:], "jpeg")
    np.testing.assert_array_equal(adapter(COMPRESSED).to_array(message, RGB), whole)


@both_libraries
@pytest.mark.parametrize("kind", ["Float32", "Float64", "Int16", "UInt16"])
def test_a_tactile_pad_is_an_array_of_numbers(types: Any, kind: str) -> None:
    pad = Modality("pad", "image", (1, 2, 3), minimum=0.0, maximum=50000.0)
    arrays = adapter(f"std_msgs/msg/{kind}MultiArray")
    arrays.check(pad, ())
    taxels = np.array([[1, 2, 3], [4, 5, 20000]], np.float32)[..., None]
    message = arrays.to_message(taxels, pad, types)
    assert list(message.data) == [1, 2, 3, 4, 5, 20000]
    found = arrays.to_array(message, pad)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, taxels)
    np.testing.assert_array_equal(prepare(pad, found)[..., 0], [[0, 0, 0], [0, 0, 102]])
    with pytest.raises(MessageError, match="pad: data has 6 values, where 8 are needed"):
        arrays.to_array(message, Modality("pad", "image", (1, 2, 4), minimum=0.0, maximum=1.0))
    for other in (RGB, GREY):
        with pytest.raises(MessageError, match=f"{other.name}: .* only be an image of one channel"):
            arrays.check(other, ())


def test_nan_of_a_pad_is_told() -> None:
    message = installed_types("std_msgs/msg/Float32MultiArray")(data=[1.0] * 63 + [float("nan")])
    with pytest.raises(MessageError, match=r"heat: data.* NaN"):
        adapter("std_msgs/Float32MultiArray").to_array(message, HEAT)
