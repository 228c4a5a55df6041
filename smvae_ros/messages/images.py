"""sensor_msgs/Image ↔ RGB and depth arrays, without cv_bridge for the encodings cameras use.

Depth follows REP 118: 16UC1 counts millimetres with 0 for "no reading", 32FC1 holds metres.
"""

from __future__ import annotations

import sys
from typing import Any

import cv2
import numpy as np

from smvae_core.modalities import Modality
from smvae_ros.messages.fields import Adapter, MessageError, Options, make_message
from smvae_ros.messages.serialised import SerialisedMessage
from smvae_ros.messages.types import Types

METRES_PER_DEPTH_COUNT = 1e-3
MAXIMUM_SIDE = 16384
MAXIMUM_PIXELS = 2**26  # a few kilobytes of PNG can claim anything, and memory is taken for it
MAXIMUM_BYTES = 256 * 2**20

# encoding → (type of one value, channels, how OpenCV brings it to RGB)
COLOUR_ENCODINGS: dict[str, tuple[type[np.generic], int, int | None]] = {
    "rgb8": (np.uint8, 3, None),
    "bgr8": (np.uint8, 3, cv2.COLOR_BGR2RGB),
    "rgba8": (np.uint8, 4, cv2.COLOR_RGBA2RGB),
    "bgra8": (np.uint8, 4, cv2.COLOR_BGRA2RGB),
    "mono8": (np.uint8, 1, cv2.COLOR_GRAY2RGB),
    "mono16": (np.uint16, 1, cv2.COLOR_GRAY2RGB),
}
DEPTH_ENCODINGS: dict[str, type[np.generic]] = {"16UC1": np.uint16, "32FC1": np.float32}


class ImageAdapter(Adapter):
    """sensor_msgs/Image ↔ RGB uint8 (H, W, 3), or depth float32 (H, W) in metres.

    Rows may be padded (``step``) and values of either endianness. Encodings that are not listed
    above go through cv_bridge where it is installed.
    """

    type_name = "sensor_msgs/msg/Image"
    kinds = ("depth", "image")

    def _open(self, message: SerialisedMessage) -> Any:
        if message.is_plain:
            image = message.image()
            if image.encoding in COLOUR_ENCODINGS or image.encoding in DEPTH_ENCODINGS:
                return image
        return message.message()  # cv_bridge wants the real one

    def _to_array(self, message: Any, modality: Modality, options: Options) -> np.ndarray:
        encoding = str(message.encoding)
        check_size(int(message.width), int(message.height))
        if modality.kind == "depth":
            if encoding not in DEPTH_ENCODINGS:
                raise MessageError(
                    f"encoding {encoding!r} is no depth; expected {' or '.join(DEPTH_ENCODINGS)}. "
                    "Check which topic is configured for this modality"
                )
            return depth_in_metres(pixels(message, DEPTH_ENCODINGS[encoding], 1))
        if encoding in DEPTH_ENCODINGS:
            raise MessageError(
                f"encoding {encoding!r} is a depth image, expected colour or grey. "
                "Check which topic is configured for this modality"
            )
        if encoding not in COLOUR_ENCODINGS:
            return through_cv_bridge(message)
        value_type, channels, conversion = COLOUR_ENCODINGS[encoding]
        image = pixels(message, value_type, channels)
        if value_type is np.uint16:
            image = (image >> 8).astype(np.uint8)
        return image if conversion is None else cv2.cvtColor(image, conversion)

    def _to_message(
        self, array: np.ndarray, modality: Modality, types: Types, header: Any, options: Options
    ) -> Any:
        if modality.kind == "image":
            check_colour(array)
            encoding = options.encoding or "rgb8"
            if encoding not in ("rgb8", "bgr8"):
                raise MessageError(f"cannot write encoding {encoding!r}; choose rgb8 or bgr8")
            values = array if encoding == "rgb8" else cv2.cvtColor(array, cv2.COLOR_RGB2BGR)
        else:
            check_depth(array)
            encoding = options.encoding or "16UC1"
            if encoding not in DEPTH_ENCODINGS:
                raise MessageError(f"cannot write encoding {encoding!r}; choose 16UC1 or 32FC1")
            values = depth_counts(array) if encoding == "16UC1" else array.astype(np.float32)
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


def pixels(message: Any, value_type: type[np.generic], channels: int) -> np.ndarray:
    """The pixels (H, W) or (H, W, channels) where they lie in the message, without a copy.

    Raises:
        MessageError: where size, step and data do not fit each other.
    """
    height, width, step = int(message.height), int(message.width), int(message.step)
    order = ">" if message.is_bigendian else "<"
    kind = np.dtype(value_type).newbyteorder(order)
    row_bytes = width * channels * kind.itemsize
    if step < row_bytes:
        raise MessageError(
            f"step of {step} bytes is less than a row of {width} pixels in {message.encoding}, "
            f"{row_bytes} bytes; correct the image's publisher"
        )
    data = image_data(message)
    shape: tuple[int, ...] = (height, width, channels)
    strides: tuple[int, ...] = (step, channels * kind.itemsize, kind.itemsize)
    if channels == 1:
        shape, strides = shape[:2], strides[:2]
    return np.ndarray(shape, kind, data, 0, strides)


def image_data(message: Any) -> memoryview:
    """The bytes of an image, at least ``step`` for each row.

    Raises:
        MessageError: where they are fewer, or absurdly many.
    """
    height, step = int(message.height), int(message.step)
    data = memoryview(message.data).cast("B")
    if data.nbytes > MAXIMUM_BYTES:
        raise MessageError(
            f"image of {data.nbytes} bytes, more than {MAXIMUM_BYTES}; publish a smaller one"
        )
    if data.nbytes < step * height:
        raise MessageError(
            f"data of {data.nbytes} bytes is shorter than {height} rows of {step} bytes; "
            "correct the image's publisher"
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


def check_colour(array: np.ndarray) -> None:
    """Raises MessageError where the array is not uint8 (H, W, 3)."""
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise MessageError(
            f"expected uint8 (height, width, 3), got {array.dtype} of shape {array.shape}"
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


def through_cv_bridge(message: Any) -> np.ndarray:
    """RGB uint8 (H, W, 3) out of an encoding that only cv_bridge knows (Bayer, YUV, ...).

    Raises:
        MessageError: where cv_bridge is not installed or does not know the encoding either.
    """
    encoding = str(message.encoding)
    bridge = _cv_bridge()
    if bridge is None:
        raise MessageError(
            f"encoding {encoding!r} needs cv_bridge, which is not installed: apt install "
            f"ros-$ROS_DISTRO-cv-bridge, or publish one of {', '.join(COLOUR_ENCODINGS)}"
        )
    image_data(message)
    try:
        image = np.asarray(bridge.imgmsg_to_cv2(message, desired_encoding="rgb8"))
    except Exception as error:  # cv_bridge passes on whatever its C++ part throws
        raise MessageError(
            f"cv_bridge cannot convert encoding {encoding!r} to rgb8: {error}; "
            f"publish one of {', '.join(COLOUR_ENCODINGS)}"
        ) from error
    check_colour(image)
    return image


def _cv_bridge() -> Any:
    """A CvBridge of ROS 2, or None. cv-bridge 1.x on PyPI is ROS 1 code: it ignores row padding and
    fails with NumPy 2."""
    from importlib import metadata

    try:
        if metadata.version("cv_bridge").split(".")[0] == "1":
            return None
    except metadata.PackageNotFoundError:
        pass  # an installation without Python metadata is no reason to refuse it
    try:
        from cv_bridge import CvBridge

        return CvBridge()
    except Exception:  # broken installations raise more than ImportError
        return None
