# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/Image ↔ arrays of colours, of one channel and of depth, in all encodings of cameras;
cv_bridge is asked for the rest.

Depth follows REP 118: 16UC1 counts millimetres with 0 for "no reading", 32FC1 holds metres; mono16
is what some drivers call 16UC1. OpenCV's own names of types (8UC3, ...) say nothing about colours:
they come from programs that publish what OpenCV gave them, which has blue first.

An image of one channel is either grey, or values (a temperature, a pressure) of which the modality
says which are black and white.
"""

from __future__ import annotations

import re
import sys
from typing import Any, Literal

import cv2
import numpy as np

from smvae_core.modalities import Modality
from smvae_ros.messages.fields import Adapter, MessageError, Options, make_message
from smvae_ros.messages.other_encodings import through_cv_bridge
from smvae_ros.messages.serialised import SerialisedMessage
from smvae_ros.messages.types import Types
from smvae_ros.messages.yuv_planes import PLANAR_ENCODINGS, planes_to_rgb

METRES_PER_DEPTH_COUNT = 1e-3
MAXIMUM_SIDE = 16384
MAXIMUM_PIXELS = 2**26  # a few kilobytes of PNG can claim anything, and memory is taken for it
MAXIMUM_BYTES = 256 * 2**20

# ROS names a mosaic by the colours of its first two rows, OpenCV by those at its second row and
# column; encoding without its number of bits → how OpenCV brings it to RGB.
BAYER_ENCODINGS: dict[str, int] = {
    "bayer_rggb": cv2.COLOR_BayerBG2RGB,
    "bayer_bggr": cv2.COLOR_BayerRG2RGB,
    "bayer_gbrg": cv2.COLOR_BayerGR2RGB,
    "bayer_grbg": cv2.COLOR_BayerGB2RGB,
}
# encoding → (type of one value, channels, how OpenCV brings it to RGB)
COLOUR_ENCODINGS: dict[str, tuple[type[np.generic], int, int | None]] = {
    "rgb8": (np.uint8, 3, None),
    "bgr8": (np.uint8, 3, cv2.COLOR_BGR2RGB),
    "rgba8": (np.uint8, 4, cv2.COLOR_RGBA2RGB),
    "bgra8": (np.uint8, 4, cv2.COLOR_BGRA2RGB),
    "mono8": (np.uint8, 1, cv2.COLOR_GRAY2RGB),
    "rgb16": (np.uint16, 3, None),
    "bgr16": (np.uint16, 3, cv2.COLOR_BGR2RGB),
    "rgba16": (np.uint16, 4, cv2.COLOR_RGBA2RGB),
    "bgra16": (np.uint16, 4, cv2.COLOR_BGRA2RGB),
    "mono16": (np.uint16, 1, cv2.COLOR_GRAY2RGB),
    "8UC1": (np.uint8, 1, cv2.COLOR_GRAY2RGB),
    "8UC3": (np.uint8, 3, cv2.COLOR_BGR2RGB),
    "8UC4": (np.uint8, 4, cv2.COLOR_BGRA2RGB),
    "yuv422": (np.uint8, 2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": (np.uint8, 2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": (np.uint8, 2, cv2.COLOR_YUV2RGB_YUYV),
    "yuyv": (np.uint8, 2, cv2.COLOR_YUV2RGB_YUYV),
    **{f"{name}8": (np.uint8, 1, code) for name, code in BAYER_ENCODINGS.items()},
    **{f"{name}16": (np.uint16, 1, code) for name, code in BAYER_ENCODINGS.items()},
}
DEPTH_ENCODINGS: dict[str, type[np.generic]] = {
    "16UC1": np.uint16,
    "32FC1": np.float32,
    "mono16": np.uint16,
}
# Of one channel whose modality has a minimum and a maximum.
VALUE_ENCODINGS: dict[str, type[np.generic]] = {
    "mono8": np.uint8,
    "mono16": np.uint16,
    "8UC1": np.uint8,
    "8SC1": np.int8,
    "16UC1": np.uint16,
    "16SC1": np.int16,
    "32SC1": np.int32,
    "32FC1": np.float32,
    "64FC1": np.float64,
}
_READ = frozenset((*COLOUR_ENCODINGS, *PLANAR_ENCODINGS, *VALUE_ENCODINGS))
_OPENCV_TYPE = re.compile(r"(8|16|32|64)[USF]C\d*")


class ImageAdapter(Adapter):
    """sensor_msgs/Image ↔ RGB uint8 (H, W, 3), one channel (H, W, 1), or depth float32 (H, W) in
    metres.

    Rows may be padded (``step``) and values of either endianness. Of colours and grey with 16 bits
    the upper eight count. One channel is uint8; float32 where the modality has a minimum and a
    maximum, of which messages are made from prepared arrays (uint8), too.
    """

    type_name = "sensor_msgs/msg/Image"
    kinds = ("depth", "image")

    def _open(self, message: SerialisedMessage) -> Any:
        if message.is_plain:
            image = message.image()
            if image.encoding in _READ:
                return image
        return message.message()  # cv_bridge wants the real one

    def _to_array(self, message: Any, modality: Modality, options: Options) -> np.ndarray:
        encoding = str(message.encoding)
        check_size(int(message.width), int(message.height))
        if modality.kind == "depth":
            if encoding not in DEPTH_ENCODINGS:
                raise MessageError(
                    f"encoding {encoding!r} is not depth; expected {' or '.join(DEPTH_ENCODINGS)}. "
                    "Check which topic is configured for this modality"
                )
            return depth_in_metres(pixels(message, DEPTH_ENCODINGS[encoding], 1))
        if modality.shape[0] > 1:
            return _colours(message, encoding)
        if modality.minimum is None:
            return _grey(message, encoding)
        if encoding not in VALUE_ENCODINGS:
            raise MessageError(
                f"encoding {encoding!r} is not one value for each pixel; expected "
                f"{', '.join(VALUE_ENCODINGS)}. Check which topic is configured for this modality"
            )
        with np.errstate(over="ignore"):
            return pixels(message, VALUE_ENCODINGS[encoding], 1).astype(np.float32)[..., None]

    def _to_message(
        self, array: np.ndarray, modality: Modality, types: Types, header: Any, options: Options
    ) -> Any:
        choices = _written(modality)
        encoding = options.encoding or choices[0]
        if encoding not in choices:
            raise MessageError(f"cannot write encoding {encoding!r}; choose {' or '.join(choices)}")
        if modality.kind == "depth":
            check_depth(array)
            values = depth_counts(array) if encoding == "16UC1" else array.astype(np.float32)
        elif modality.minimum is not None:
            values = values_of(array, modality)
        else:
            check_picture(array, modality)
            values = cv2.cvtColor(array, cv2.COLOR_RGB2BGR) if encoding == "bgr8" else array
        height, width = values.shape[:2]
        return make_message(
            types,
            self.type_name,
            header=header,
            height=height,
            width=width,
            encoding=encoding,
            is_bigendian=int(sys.byteorder == "big"),
            step=values.nbytes // height,
            data=np.ascontiguousarray(values).reshape(-1).view(np.uint8),
        )


def _written(modality: Modality) -> tuple[str, ...]:
    """The encodings of messages that are made of a modality, the usual one first."""
    if modality.kind == "depth":
        return ("16UC1", "32FC1")
    if modality.shape[0] > 1:
        return ("rgb8", "bgr8")
    return ("mono8",) if modality.minimum is None else ("32FC1",)


def _colours(message: Any, encoding: str) -> np.ndarray:
    """RGB uint8 (H, W, 3)."""
    if encoding in COLOUR_ENCODINGS:
        value_type, channels, conversion = COLOUR_ENCODINGS[encoding]
        return to_rgb(pixels(message, value_type, channels), conversion)
    if encoding in PLANAR_ENCODINGS:
        return planes_to_rgb(message)
    if encoding in DEPTH_ENCODINGS:
        raise MessageError(
            f"encoding {encoding!r} is a depth image, expected colour or grey. "
            "Check which topic is configured for this modality"
        )
    known = ", ".join((*COLOUR_ENCODINGS, *PLANAR_ENCODINGS))
    if encoding and not _OPENCV_TYPE.fullmatch(encoding):
        return through_cv_bridge(message, known)
    problem = f"encoding {encoding!r} names no colours" if encoding else "no encoding"
    raise MessageError(f"{problem}; have the image's publisher name what it is, one of {known}")


def _grey(message: Any, encoding: str) -> np.ndarray:
    """uint8 (H, W, 1)."""
    if encoding not in VALUE_ENCODINGS:
        return cv2.cvtColor(_colours(message, encoding), cv2.COLOR_RGB2GRAY)[..., None]
    if encoding not in COLOUR_ENCODINGS:
        raise MessageError(
            f"encoding {encoding!r} does not say which values are black and white: give the "
            "modality a minimum and a maximum"
        )
    return upper_bits(pixels(message, VALUE_ENCODINGS[encoding], 1))[..., None]


def values_of(array: np.ndarray, modality: Modality) -> np.ndarray:
    """float32 (H, W, 1) in the unit of a modality's minimum and maximum, of a prepared array or of
    such values.

    Raises:
        MessageError: for another type or shape.
    """
    check_picture(array, modality, floating=True)
    if array.dtype != np.uint8:
        return array.astype(np.float32)
    low, high = modality.limits
    return np.float32(low) + array * np.float32((high - low) / 255)


def pixels(message: Any, value_type: type[np.generic], channels: int) -> np.ndarray:
    """The pixels (H, W) or (H, W, channels) where they lie in the message, without a copy.

    Raises:
        MessageError: where size, step and data do not fit each other.
    """
    height, width, step = int(message.height), int(message.width), int(message.step)
    order: Literal[">", "<"] = ">" if message.is_bigendian else "<"
    kind = np.dtype(value_type).newbyteorder(order)
    row_bytes = width * channels * kind.itemsize
    if step < row_bytes:
        raise MessageError(
            f"step of {step} bytes is less than a row of {width} pixels in {message.encoding}, "
            f"{row_bytes} bytes; correct the image's publisher"
        )
    data = row_data(message, step)
    shape: tuple[int, ...] = (height, width, channels)
    strides: tuple[int, ...] = (step, channels * kind.itemsize, kind.itemsize)
    if channels == 1:
        shape, strides = shape[:2], strides[:2]
    return np.ndarray(shape, kind, data, 0, strides)


def to_rgb(image: np.ndarray, conversion: int | None) -> np.ndarray:
    """RGB uint8 (H, W, 3) of pixels (H, W) or (H, W, channels) of 8 or 16 bits.

    Args:
        image: the pixels.
        conversion: OpenCV's code, such as ``cv2.COLOR_BGR2RGB``; None where they are RGB already.

    Raises:
        MessageError: where the size does not go with the encoding.
    """
    image = upper_bits(image)
    if conversion is None:
        return image
    height, width = image.shape[:2]
    if conversion in BAYER_ENCODINGS.values() and min(height, width) < 3:
        raise MessageError(f"a mosaic of {width}x{height} pixels has no colours")
    if image.ndim == 3 and image.shape[2] == 2 and width % 2:  # which older OpenCV does not refuse
        raise MessageError(f"{width}x{height} pixels cannot be YUV 4:2:2, whose pixels are pairs")
    try:
        return cv2.cvtColor(image, conversion)
    except cv2.error as error:
        raise MessageError(f"{width}x{height} pixels cannot have this encoding: {error}") from error


def upper_bits(image: np.ndarray) -> np.ndarray:
    """8 or 16 bits → 8 bits."""
    return (image >> 8).astype(np.uint8) if image.dtype.itemsize == 2 else image


def row_data(message: Any, step: int) -> memoryview:
    """The bytes of a message of ``height`` rows, at least ``step`` for each.

    Raises:
        MessageError: where they are fewer, or absurdly many.
    """
    height = int(message.height)
    data = memoryview(message.data).cast("B")
    if data.nbytes > MAXIMUM_BYTES:
        raise MessageError(
            f"image of {data.nbytes} bytes, more than {MAXIMUM_BYTES}; publish a smaller one"
        )
    if data.nbytes < step * height:
        raise MessageError(
            f"data of {data.nbytes} bytes is shorter than {height} rows of {step} bytes; "
            "correct its publisher"
        )
    return data


def check_size(width: int, height: int) -> None:
    """Raises MessageError for an empty image and for one that is absurdly large."""
    if width <= 0 or height <= 0:
        raise MessageError(f"the image is empty ({width}x{height}); check the camera's driver")
    if max(width, height) > MAXIMUM_SIDE:
        raise MessageError(
            f"the image claims {width}x{height} pixels, more than {MAXIMUM_SIDE} a side; "
            "check the camera's driver"
        )
    if width * height > MAXIMUM_PIXELS:
        raise MessageError(
            f"the image claims {width}x{height} pixels, more than {MAXIMUM_PIXELS}; "
            "publish a smaller one"
        )


def check_picture(array: np.ndarray, modality: Modality, floating: bool = False) -> None:
    """Raises MessageError where the array is not uint8, or ``floating`` if that may be, of shape
    (H, W, channels)."""
    channels = modality.shape[0]
    typed = array.dtype == np.uint8 or (floating and array.dtype.kind == "f")
    if not typed or array.ndim != 3 or array.shape[2] != channels or 0 in array.shape:
        raise MessageError(
            f"expected uint8 (height, width, {channels}), got {array.dtype} of shape {array.shape}"
        )


def check_depth(array: np.ndarray) -> None:
    """Raises MessageError where the array is not floating point (H, W)."""
    if array.dtype.kind != "f" or array.ndim != 2 or 0 in array.shape:
        raise MessageError(
            f"expected metres as float (height, width), got {array.dtype} of shape {array.shape}"
        )


def depth_in_metres(values: np.ndarray) -> np.ndarray:
    """16-bit millimetres or float metres → float32 metres (H, W); 0 counts become NaN."""
    if values.dtype.kind == "f":
        return np.require(values, np.float32, "A")  # OpenCV needs aligned rows, a step may be odd
    metres = values.astype(np.float32)
    missing = metres == 0  # of the aligned copy: comparing the values in the message takes longer
    metres *= np.float32(METRES_PER_DEPTH_COUNT)
    metres[missing] = np.nan
    return metres


def depth_counts(metres: np.ndarray) -> np.ndarray:
    """Metres (H, W) → 16-bit millimetres, rounded; what is no reading or does not fit becomes 0."""
    with np.errstate(invalid="ignore", over="ignore"):
        counts = np.rint(metres.astype(np.float32) / np.float32(METRES_PER_DEPTH_COUNT))
        counts[~((counts > 0) & (counts <= np.iinfo(np.uint16).max))] = 0
    return counts.astype(np.uint16)
