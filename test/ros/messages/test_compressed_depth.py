# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""compressedDepth as image_transport publishes it: both depth encodings, PNG and RVL, garbage."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smvae_core.modalities import Modality
from smvae_ros.messages import MessageError, adapter, bag_types, make_header, make_message
from smvae_ros.messages.rvl import decode_rvl
from smvae_ros.messages.types import Types, installed_types

DEPTH = Modality("depth", "depth", (1, 64, 64), maximum=20.0)
COMPRESSED = adapter("sensor_msgs/msg/CompressedImage")
both_libraries = pytest.mark.parametrize("types", [installed_types, bag_types])
seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 40)


def nibbles_of(number: int) -> Iterator[int]:
    while True:
        number, nibble = number >> 3, number & 7
        if not number:
            yield nibble
            return
        yield nibble | 8


def rvl(image: np.ndarray) -> bytes:
    """Wilson's encoder as the paper prints it, pixel by pixel, with image_transport's size."""
    numbers, previous, rest = [], 0, image.reshape(-1).tolist()
    while rest:
        empty = next((i for i, value in enumerate(rest) if value), len(rest))
        rest = rest[empty:]
        others = next((i for i, value in enumerate(rest) if not value), len(rest))
        numbers += [empty, others]
        for value in rest[:others]:
            delta, previous = value - previous, value
            numbers.append(delta << 1 if delta >= 0 else ~(delta << 1))
        rest = rest[others:]
    return code(image.shape[1], image.shape[0], numbers)


def code(width: int, height: int, numbers: list[int]) -> bytes:
    row = [nibble for number in numbers for nibble in nibbles_of(number)]
    row += [0] * (-len(row) % 8)
    words = [
        int("".join(f"{nibble:x}" for nibble in row[i : i + 8]), 16) for i in range(0, len(row), 8)
    ]
    return struct.pack(f"<II{len(words)}I", width, height, *words)


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def message(types: Types, description: str, picture: bytes, slope: float = 0, offset: float = 0):
    return make_message(
        types,
        "sensor_msgs/msg/CompressedImage",
        header=make_header(types, 1, "camera"),
        format=description,
        data=np.frombuffer(struct.pack("<iff", 0, slope, offset) + picture, np.uint8),
    )


def depth_counts(seed: int, height: int, width: int) -> np.ndarray:
    """Smooth depth with holes, sharp edges and the extremes, as RVL has to cope with."""
    random = np.random.default_rng(seed)
    counts = random.integers(0, 65536) + np.cumsum(
        random.integers(-30, 31, (height, width)), axis=1
    )
    counts[random.random(counts.shape) < 0.1] = random.integers(0, 65536)
    counts[random.random(counts.shape) < random.random()] = 0
    return counts.astype(np.uint16)


@given(seeds, sizes, sizes)
def test_rvl_gives_back_every_pixel(seed: int, height: int, width: int) -> None:
    counts = depth_counts(seed, height, width)
    np.testing.assert_array_equal(decode_rvl(memoryview(rvl(counts))), counts)


def test_rvl_code_of_an_image_worked_out_by_hand() -> None:
    """Two empty pixels, then 5, 6 and 4: numbers 2 3 | 10 2 3, nibbles 2 3 a1 2 3."""
    data = struct.pack("<III", 5, 1, 0x23A12300)
    assert decode_rvl(memoryview(data)).tolist() == [[0, 0, 5, 6, 4]]


@both_libraries
@pytest.mark.parametrize("compress", [png, rvl])
def test_millimetres(types: Types, compress) -> None:
    counts = depth_counts(1, 30, 40)
    described = f"16UC1; compressedDepth {compress.__name__}"
    array = COMPRESSED.to_array(message(types, described, compress(counts)), DEPTH)
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, np.where(counts, counts / 1000, np.nan), rtol=1e-6)


@both_libraries
@pytest.mark.parametrize("compress", [png, rvl])
def test_metres_are_stored_as_a_quantised_inverse(types: Types, compress) -> None:
    """The plugin's own formulas, with its defaults depth_quantization 100 and depth_max 10."""
    depth = np.linspace(0.3, 3.0, 48, dtype=np.float32).reshape(6, 8)
    slope = 100.0 * (100.0 + 1.0)
    offset = 1.0 - slope / 10.0
    counts = (slope / depth + offset).astype(np.uint16)
    counts[0, 0] = 0
    described = f"32FC1; compressedDepth {compress.__name__}"
    array = COMPRESSED.to_array(message(types, described, compress(counts), slope, offset), DEPTH)
    assert array.dtype == np.float32
    assert np.isnan(array[0, 0])
    np.testing.assert_allclose(array.flat[1:], depth.flat[1:], rtol=1e-3)


@both_libraries
def test_ours_is_what_the_plugin_reads(types: Types) -> None:
    """Its decoder takes the first 12 bytes off, and what lies before ";" for the encoding."""
    depth = np.where(depth_counts(3, 20, 30) > 0, depth_counts(3, 20, 30) / 1000, np.nan)
    made = COMPRESSED.to_message(
        depth.astype(np.float32), DEPTH, types, stamp_ns=1, encoding="compressedDepth"
    )
    assert made.format == "16UC1; compressedDepth png"
    picture = np.frombuffer(bytes(made.data)[12:], np.uint8)
    counts = cv2.imdecode(picture, cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(counts, depth_counts(3, 20, 30))
    np.testing.assert_allclose(COMPRESSED.to_array(made, DEPTH), depth, rtol=1e-6)


def test_older_publishers_do_not_name_the_codec() -> None:
    counts = depth_counts(2, 8, 8)
    array = COMPRESSED.to_array(message(bag_types, "16UC1; compressedDepth", png(counts)), DEPTH)
    np.testing.assert_array_equal(np.rint(np.nan_to_num(array) * 1000), counts)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "only 0 bytes of RVL"),
        (code(0, 4, [16, 0]), r"empty \(0x4\)"),
        (code(2**32 - 1, 2**32 - 1, [16, 0]), "claims 4294967295x4294967295"),
        (code(16384, 16384, [2**28, 0]), "claims 16384x16384"),
        (code(4000, 3000, [4000 * 3000, 0]), "more than 8388608; set the publisher to png"),
        (code(4, 4, []), "truncated: it ends after 0 of 16"),
        (code(4, 4, [1, 1, 1, 2, 3, 1, 1])[:-4], "truncated: it ends after 0 of 16"),
        (code(4, 4, [1, 2, 1, 1, 3, 1, 1, 1]), "truncated: it ends after 7 of 16"),
        (code(4, 4, [10, 6]), "damaged: a run of 10 empty and 6 other"),
        (code(4, 4, [17, 0]), "up to pixel 17 of 16"),
        (code(4, 4, [0, 2**29]), "damaged"),
        (code(4, 4, [0, 0] * 2), "a run of 0 empty and 0 other"),
        (struct.pack("<II", 4, 4) + b"\xff" * 64, "truncated"),
        (struct.pack("<II", 4, 4) + b"\xff" * 8 + bytes(8), "a number of 17 nibbles"),
    ],
)
def test_malformed_rvl(data: bytes, complaint: str) -> None:
    with pytest.raises(MessageError, match=f"^depth: .*{complaint}"):
        COMPRESSED.to_array(message(bag_types, "16UC1; compressedDepth rvl", data), DEPTH)


@given(seeds, st.data())
def test_damaged_rvl_is_an_image_or_one_clear_error(seed: int, data: st.DataObject) -> None:
    """Whatever a network or a malicious sender makes of the code."""
    good = rvl(depth_counts(seed, 12, 9))
    damaged = bytearray(good[: data.draw(st.integers(0, len(good)), "length")])
    for _ in range(data.draw(st.integers(0, 8), "changes")):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        image = decode_rvl(memoryview(damaged))
    except MessageError:
        return
    assert image.dtype == np.uint16
    assert image.ndim == 2


def test_a_header_alone_is_no_image() -> None:
    for described in ("16UC1; compressedDepth rvl", "16UC1; compressedDepth png"):
        short = message(bag_types, described, b"")
        short.data = short.data[:5]
        with pytest.raises(MessageError, match="only 5 bytes of compressedDepth"):
            COMPRESSED.to_array(short, DEPTH)
