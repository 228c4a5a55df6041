# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Images whose brightness and colours lie in two planes, one behind the other: nv12, nv21, nv24.

The first plane has Y of each pixel, the second pairs of colours: of each pixel in nv24, of each two
by two in the others; U first, or V first in nv21 (V4L2, "Semi-Planar YUV Formats"). What ``step``
means for them is written nowhere: here it is the length of a row of Y where the data are long
enough for that, and otherwise rows follow each other without a gap.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from smvae_ros.messages.fields import MessageError

_HALVED = {"nv12": cv2.COLOR_YUV2RGB_NV12, "nv21": cv2.COLOR_YUV2RGB_NV21}
PLANAR_ENCODINGS = (*_HALVED, "nv24")
# Y, U, V and 1 → R, G, B (ITU-R BT.601 of 16 to 235), as OpenCV has it for the others.
_BT601 = np.array([[1.164, 0, 1.596], [1.164, -0.391, -0.813], [1.164, 2.018, 0]])
_BT601 = np.hstack([_BT601, -_BT601 @ [[16], [128], [128]]])


def planes_to_rgb(message: Any) -> np.ndarray:
    """RGB uint8 (H, W, 3) of a sensor_msgs/Image in one of :data:`PLANAR_ENCODINGS`.

    Raises:
        MessageError: where size and data do not fit each other.
    """
    encoding, data = str(message.encoding), memoryview(message.data).cast("B")
    height, width, step = int(message.height), int(message.width), int(message.step)
    if encoding in _HALVED and (height % 2 or width % 2):
        raise MessageError(
            f"{width}x{height} pixels cannot be {encoding}, of which two by two have one colour"
        )
    rows = 3 * height if encoding == "nv24" else 3 * height // 2
    if step < width or data.nbytes < rows * step:
        step = width
    if data.nbytes < rows * step:
        raise MessageError(
            f"data of {data.nbytes} bytes is shorter than {rows} rows of {step} bytes, which "
            f"{width}x{height} pixels in {encoding} have; correct the image's publisher"
        )
    planes = np.frombuffer(data, np.uint8, rows * step).reshape(rows, step)
    if encoding in _HALVED:
        return cv2.cvtColor(np.ascontiguousarray(planes[:, :width]), _HALVED[encoding])
    colours = planes[height:].reshape(height, 2 * step)[:, : 2 * width]
    pixels = np.dstack([planes[:height, :width], colours.reshape(height, width, 2)])
    return cv2.transform(pixels, _BT601)
