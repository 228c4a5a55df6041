# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/PointCloud2 with rows and columns ↔ depth arrays.

An organised cloud is a depth image, of which each pixel has its point: in the camera's optical
frame, in which drivers publish it, z is the depth (REP 103, REP 118).
"""

from __future__ import annotations

import sys
from typing import Any, Literal

import numpy as np

from smvae_core.modalities import Modality
from smvae_ros.messages.fields import Adapter, MessageError, Options, make_message
from smvae_ros.messages.images import check_depth, check_size, row_data
from smvae_ros.messages.types import Types

_FLOATS = {7: np.float32, 8: np.float64}  # sensor_msgs/PointField.datatype
_FLOAT32 = 7


class PointCloudAdapter(Adapter):
    """sensor_msgs/PointCloud2 ↔ depth float32 (H, W) in metres, NaN where nothing was measured.

    Made are clouds of z alone: x and y would need the camera's calibration.
    """

    type_name = "sensor_msgs/msg/PointCloud2"
    kinds = ("depth",)

    def _to_array(self, message: Any, modality: Modality, options: Options) -> np.ndarray:
        height, width = int(message.height), int(message.width)
        check_size(width, height)
        if height == 1:
            raise MessageError(
                f"an unorganised cloud of {width} points has no rows, and so no picture of depth: "
                "configure the camera's depth image, from which depth_image_proc makes such clouds "
                "(or have the driver keep the cloud organised); of a lidar's cloud "
                "pointcloud_to_laserscan makes a scan"
            )
        field = next((field for field in message.fields if field.name == "z"), None)
        if field is None or field.datatype not in _FLOATS:
            names = ", ".join(f"{field.name} ({field.datatype})" for field in message.fields[:20])
            raise MessageError(
                f"the cloud has no z of float32 or float64 (7, 8), but {names or 'no fields'}; "
                "check which topic is configured"
            )
        order: Literal[">", "<"] = ">" if message.is_bigendian else "<"
        kind = np.dtype(_FLOATS[field.datatype]).newbyteorder(order)
        offset, step, row = int(field.offset), int(message.point_step), int(message.row_step)
        if offset + kind.itemsize > step or width * step > row:
            raise MessageError(
                f"z at byte {offset} of points of {step} bytes, {width} of them in rows of {row}: "
                "these do not fit each other; correct the cloud's publisher"
            )
        z = np.ndarray((height, width), kind, row_data(message, row), offset, (row, step))
        with np.errstate(over="ignore"):
            return np.require(z, np.float32, "A")

    def _to_message(
        self, array: np.ndarray, modality: Modality, types: Types, header: Any, options: Options
    ) -> Any:
        check_depth(array)
        values = np.ascontiguousarray(array, np.float32)
        height, width = values.shape
        field = make_message(
            types, "sensor_msgs/msg/PointField", name="z", offset=0, datatype=_FLOAT32, count=1
        )
        return make_message(
            types,
            self.type_name,
            header=header,
            height=height,
            width=width,
            fields=[field],
            is_bigendian=sys.byteorder == "big",
            point_step=values.itemsize,
            row_step=values.itemsize * width,
            data=values.reshape(-1).view(np.uint8),
            is_dense=bool(np.isfinite(values).all()),
        )
