# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/CameraInfo: making one, and scaling one to the resolution of the model."""

from __future__ import annotations

from typing import Any

import numpy as np

from smvae_core.modalities import Modality
from smvae_ros.messages.fields import (
    MessageError,
    frame_id,
    make_header,
    make_message,
    stamp_ns,
)
from smvae_ros.messages.serialised import MAXIMUM_NAME
from smvae_ros.messages.types import Types

MAXIMUM_DISTORTION = 64  # values; the largest model of OpenCV has 14
TYPE_NAME = "sensor_msgs/msg/CameraInfo"


def make_camera_info(
    types: Types,
    width: int,
    height: int,
    intrinsics: np.ndarray,
    *,
    stamp_ns: int,
    frame_id: str,
) -> Any:
    """A pinhole camera without distortion.

    Args:
        types: lookup of message classes.
        width: of the image in pixels.
        height: of the image in pixels.
        intrinsics: K (3, 3) in pixels.
        stamp_ns: for the header, in nanoseconds.
        frame_id: of the optical frame.
    """
    matrix = np.asarray(intrinsics, dtype=np.float64).reshape(3, 3)
    return make_message(
        types,
        TYPE_NAME,
        header=make_header(types, stamp_ns, frame_id),
        height=height,
        width=width,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=matrix.reshape(-1),
        r=np.eye(3).reshape(-1),
        p=np.hstack([matrix, np.zeros((3, 1))]).reshape(-1),
        binning_x=0,
        binning_y=0,
        roi=_region(types, 0, 0, 0, 0, False),
    )


def scale_camera_info(
    message: Any,
    modality: Modality,
    types: Types,
    *,
    stamp_nanoseconds: int | None = None,
) -> Any:
    """The CameraInfo of the same view, whose image was brought to a modality's size as
    :func:`smvae_core.preprocessing.prepare` does it.

    K, P and the region of interest are scaled, each axis by its own factor; the distortion is kept,
    since it does not depend on the resolution. Pixel centres are whole numbers (as in OpenCV and
    cv2.resize), so that the principal point c becomes (c - cut + 0.5) s - 0.5, where ``cut`` pixels
    are left out before the image. Binning ends up in the factors. A camera that is not calibrated
    (K of zeros) stays so.

    Args:
        message: the camera's CameraInfo.
        modality: an image or depth.
        types: lookup of message classes.
        stamp_nanoseconds: for the header; the message's own stamp by default.

    Raises:
        MessageError: where the message is malformed.
    """
    try:
        if len(message.d) > MAXIMUM_DISTORTION or len(message.distortion_model) > MAXIMUM_NAME:
            raise MessageError(
                f"camera info has {len(message.d)} values of distortion and a distortion model of "
                f"{len(message.distortion_model)} characters; check the camera's driver"
            )
        region = message.roi
        # With a region of interest the image shows only that part of the sensor (REP 104).
        size = (
            int(region.height) or int(message.height),
            int(region.width) or int(message.width),
        )
        _, height, width = modality.shape
        rows, columns = modality.visible_part(size)
        scale_x = width / (columns.stop - columns.start)
        scale_y = height / (rows.stop - rows.start)
        cut_x = size[1] - (columns.stop - columns.start)
        cut_y = size[0] - (rows.stop - rows.start)
        k = np.array(message.k, dtype=np.float64).reshape(3, 3)
        p = np.array(message.p, dtype=np.float64).reshape(3, 4)
        for matrix in (k, p):
            with np.errstate(over="ignore", invalid="ignore"):
                _scale_projection(matrix, scale_x, scale_y, columns.start, rows.start)
            if not np.isfinite(matrix).all():
                raise MessageError(
                    "camera info has NaN, infinite or absurd values in K or P; check the "
                    "camera's driver"
                )
        stamp = stamp_ns(message) or 0 if stamp_nanoseconds is None else stamp_nanoseconds
        return make_message(
            types,
            TYPE_NAME,
            header=make_header(types, stamp, frame_id(message)),
            height=round((int(message.height) - cut_y) * scale_y),
            width=round((int(message.width) - cut_x) * scale_x),
            distortion_model=str(message.distortion_model),
            d=np.array(message.d, dtype=np.float64),
            k=k.reshape(-1),
            r=np.array(message.r, dtype=np.float64),
            p=p.reshape(-1),
            binning_x=0,
            binning_y=0,
            roi=_region(
                types,
                round(int(region.x_offset) * scale_x),
                round(int(region.y_offset) * scale_y),
                width if region.width else 0,
                height if region.height else 0,
                bool(region.do_rectify),
            ),
        )
    except ZeroDivisionError as error:
        raise MessageError(
            "camera info has no width or height; check the camera's driver"
        ) from error
    except MessageError:
        raise
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise MessageError(
            f"camera info is malformed ({error}); check the camera's driver"
        ) from error


def _scale_projection(
    matrix: np.ndarray, scale_x: float, scale_y: float, left: int, top: int
) -> None:
    """Shifts and scales K (3, 3) or P (3, 4) in place."""
    if matrix[0, 0] == 0:
        return
    matrix[0, 2] -= left
    matrix[1, 2] -= top
    matrix[0] *= scale_x
    matrix[1] *= scale_y
    matrix[0, 2] += 0.5 * scale_x - 0.5
    matrix[1, 2] += 0.5 * scale_y - 0.5


def _region(
    types: Types, x_offset: int, y_offset: int, width: int, height: int, do_rectify: bool
) -> Any:
    return make_message(
        types,
        "sensor_msgs/msg/RegionOfInterest",
        x_offset=x_offset,
        y_offset=y_offset,
        width=width,
        height=height,
        do_rectify=do_rectify,
    )
