# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/CompressedImage ↔ images and depth: JPEG and PNG; 16-bit PNG and RVL for depth.

``format`` and the 12 bytes before the picture of compressedDepth are those of image_transport's
plugins (compressed_image_transport, compressed_depth_image_transport). The former compresses a
Bayer mosaic as it is, as a grey picture ("bayer_rggb8; jpeg compressed "), or in colour. Frames of
Motion-JPEG, which leave out the usual Huffman tables, are decoded with these by libjpeg-turbo.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import cv2
import numpy as np

from smvae_core.modalities import Modality
from smvae_ros.messages.fields import Adapter, MessageError, Options, make_message
from smvae_ros.messages.images import (
    BAYER_ENCODINGS,
    MAXIMUM_BYTES,
    check_depth,
    check_picture,
    check_size,
    depth_counts,
    depth_in_metres,
    to_rgb,
    upper_bits,
)
from smvae_ros.messages.rvl import decode_rvl
from smvae_ros.messages.types import Types

_COLOUR, _AS_IT_IS = cv2.IMREAD_COLOR, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH
_JPEG, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
TRUNCATED, DAMAGED = "the picture is truncated", "the picture is damaged"
MAXIMUM_SEGMENTS = 1000  # of a JPEG before its size; cameras write about ten
MAXIMUM_SCANS = 100  # of a progressive JPEG; encoders write about ten
MAXIMUM_CHUNKS = 100_000  # of a PNG
_COMPRESSED_DEPTH_HEADER = struct.Struct("<iff")  # ConfigHeader: format, depthParam[2]
_NOT_QUANTISED = _COMPRESSED_DEPTH_HEADER.pack(0, 0.0, 0.0)
_DEPTH_FORMATS = {"png": "16UC1; png compressed ", "compressedDepth": "16UC1; compressedDepth png"}


class CompressedImageAdapter(Adapter):
    """sensor_msgs/CompressedImage ↔ images and depth, as of
    :class:`~smvae_ros.messages.images.ImageAdapter`."""

    type_name = "sensor_msgs/msg/CompressedImage"
    kinds = ("depth", "image")

    def _to_array(self, message: Any, modality: Modality, options: Options) -> np.ndarray:
        data = memoryview(message.data).cast("B")
        if data.nbytes > MAXIMUM_BYTES:
            raise MessageError(
                f"image of {data.nbytes} bytes, more than {MAXIMUM_BYTES}; publish a smaller one"
            )
        if modality.kind == "depth":
            return _decode_depth(data, str(message.format))
        encoding = str(message.format).partition(";")[0].strip()
        mosaic = BAYER_ENCODINGS.get(encoding.rstrip("0123456789"))  # without its number of bits
        one = modality.shape[0] == 1
        flags = _AS_IT_IS if one or mosaic is not None else _COLOUR
        image = _decode(data, flags | cv2.IMREAD_IGNORE_ORIENTATION)
        if modality.minimum is not None:
            return _values(image)
        if one and image.ndim == 2 and mosaic is None:
            return upper_bits(image)[..., None]
        colours = to_rgb(image, cv2.COLOR_BGR2RGB if image.ndim == 3 else mosaic)
        return cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY)[..., None] if one else colours

    def _to_message(
        self, array: np.ndarray, modality: Modality, types: Types, header: Any, options: Options
    ) -> Any:
        if modality.kind == "image" and modality.minimum is not None:
            raise MessageError("values cannot be compressed; choose sensor_msgs/msg/Image")
        if modality.kind == "image":
            check_picture(array, modality)
            encoding = options.encoding or "jpeg"
            values, description = array, "mono8; {} compressed "
            if modality.shape[0] > 1:
                values = cv2.cvtColor(array, cv2.COLOR_RGB2BGR)
                description = "rgb8; {} compressed bgr8"
        else:
            check_depth(array)
            encoding = options.encoding or "png"
            values, description = depth_counts(array), _DEPTH_FORMATS.get(encoding, "")
        if encoding not in (("jpeg", "png") if modality.kind == "image" else _DEPTH_FORMATS):
            raise MessageError(f"cannot compress a {modality.kind} as {encoding!r}; choose png")
        _, data = cv2.imencode(
            ".jpg" if encoding == "jpeg" else ".png",
            values,
            [cv2.IMWRITE_JPEG_QUALITY, options.quality] if encoding == "jpeg" else [],
        )
        data = data.reshape(-1)
        if encoding == "compressedDepth":
            data = np.concatenate((np.frombuffer(_NOT_QUANTISED, np.uint8), data))
        return make_message(
            types,
            self.type_name,
            header=header,
            format=description.format(encoding),
            data=data,
        )


def _values(image: np.ndarray) -> np.ndarray:
    """float32 (H, W, 1) of a grey picture of 8 or 16 bits."""
    if image.ndim != 2:
        raise MessageError(
            f"a picture of {image.shape[2]} channels is not one value for each pixel; have its "
            "publisher compress it as grey, PNG for 16 bits. Check which topic is configured"
        )
    return image.astype(np.float32)[..., None]


def _decode_depth(data: memoryview, description: str) -> np.ndarray:
    """16-bit PNG (millimetres), or compressedDepth of either depth encoding, in PNG or RVL."""
    compressed_depth = "compressedDepth" in description
    parameters = (0.0, 0.0)
    if compressed_depth:
        if data.nbytes < _COMPRESSED_DEPTH_HEADER.size:
            raise MessageError(f"only {data.nbytes} bytes of compressedDepth; check its publisher")
        parameters = _COMPRESSED_DEPTH_HEADER.unpack_from(data)[1:]
        data = data[_COMPRESSED_DEPTH_HEADER.size :]
    if compressed_depth and "rvl" in description:
        counts = decode_rvl(data)
    else:
        counts = _decode(data, cv2.IMREAD_UNCHANGED)
    if counts.dtype != np.uint16 or counts.ndim != 2:
        raise MessageError(
            f"format {description!r} holds a picture of {counts.dtype} {counts.shape}, no depth: "
            "expected a 16-bit PNG with one channel. Check which topic is configured"
        )
    if compressed_depth and description.startswith("32FC1"):
        # The plugin stores 32-bit depth as a quantised inverse: count = a / depth + b.
        slope, offset = parameters
        inverse = counts.astype(np.float32) - np.float32(offset)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where((counts > 0) & (inverse > 0), np.float32(slope) / inverse, np.nan)
    return depth_in_metres(counts)


def _decode(data: memoryview, flags: int) -> np.ndarray:
    """A whole JPEG or PNG.

    OpenCV takes memory for whatever size a picture or a part of it claims (gigabytes and seconds
    for a PNG of a kilobyte), fills what is missing with grey and says nothing. So what it is given
    is looked at before.
    """
    width, height, problem = _examine(data)
    check_size(width, height)
    if problem:
        raise MessageError(f"{problem} ({data.nbytes} bytes); check the network and its publisher")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise MessageError(f"{DAMAGED} ({error}); check its publisher") from error
    if image is None:
        raise MessageError(f"{DAMAGED}; check its publisher")
    return image


def _examine(data: memoryview) -> tuple[int, int, str]:
    """Width, height and what is wrong with the rest, if anything (ISO 10918-1, PNG 1.2)."""
    start = bytes(data[:24])
    if start.startswith(_PNG) and len(start) == 24:
        width, height = struct.unpack(">II", start[16:24])
        return width, height, _problem_of_png(data)
    if start.startswith(_JPEG):
        place = 2
        for _ in range(MAXIMUM_SEGMENTS):
            if place + 9 > data.nbytes or data[place] != 0xFF:
                break
            marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
            if marker == 0xFF:  # a fill byte
                place += 1
            elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame header
                height, width = struct.unpack(">HH", data[place + 5 : place + 9])
                return width, height, _problem_of_jpeg(bytes(data[place:]))
            else:
                place += 2 + length
        return 1, 1, TRUNCATED
    raise MessageError(
        f"{data.nbytes} bytes beginning with {start[:8].hex() or 'nothing'} are no JPEG or PNG; "
        "set the publisher to one of them"
    )


def _problem_of_png(data: memoryview) -> str:
    """A row of chunks: length, type, content and checksum of type and content."""
    place = len(_PNG)
    for _ in range(MAXIMUM_CHUNKS):
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        if place + 12 > data.nbytes or end > data.nbytes:
            return TRUNCATED
        kind = bytes(data[place + 4 : place + 8])
        if zlib.crc32(data[place + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            return DAMAGED
        if kind == b"acTL":
            return "the picture is animated"
        if kind == b"IEND":
            return ""
        place = end
    return DAMAGED


def _problem_of_jpeg(rest: bytes) -> str:
    """From the frame header on. Entropy-coded data contains neither FF D9 nor FF DA."""
    if b"\xff\xd9" not in rest:
        return TRUNCATED
    # A scan goes over the whole picture, but need only have a few bytes.
    return DAMAGED if rest.count(b"\xff\xda") > MAXIMUM_SCANS else ""
