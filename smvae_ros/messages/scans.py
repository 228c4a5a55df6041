# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/LaserScan ↔ distances at the angles of a modality.

As in REP 117, +inf is "nothing within reach", -inf "too near" and NaN "invalid"; drivers send 0,
too. All of these are holes, as is what lies outside the message's own range.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from smvae_core.modalities import Modality
from smvae_core.scans import angles_of, resample
from smvae_ros.messages.fields import Adapter, MessageError, Options, make_message
from smvae_ros.messages.types import Types

MAXIMUM_BEAMS = 100_000
SMALLEST_INCREMENT = 1e-6  # rad
LARGEST_TURN = 1.1 * math.tau  # rad that a scan may cover; a little overlap is common
LARGEST_ANGLE = 2 * math.tau


class LaserScanAdapter(Adapter):
    """sensor_msgs/LaserScan ↔ float32 (n,) in metres, NaN where nothing was measured."""

    type_name = "sensor_msgs/msg/LaserScan"
    kinds = ("scan",)

    def _to_array(self, message: Any, modality: Modality, options: Options) -> np.ndarray:
        count = len(message.ranges)
        first, increment = float(message.angle_min), float(message.angle_increment)
        if not count:
            raise MessageError("the scan is empty; check the sensor's driver")
        if count > MAXIMUM_BEAMS:
            raise MessageError(
                f"a scan of {count} ranges, more than {MAXIMUM_BEAMS}; check its publisher"
            )
        if not (
            abs(first) <= LARGEST_ANGLE
            and abs(increment) >= SMALLEST_INCREMENT
            and (count - 1) * abs(increment) <= LARGEST_TURN
        ):
            raise MessageError(
                f"{count} ranges from {first:g} rad on, {increment:g} rad apart, are no scan; "
                "check its publisher, and that its angles are in radians"
            )
        ranges = np.array(message.ranges, np.float32)
        low, high = float(message.range_min), float(message.range_max)
        if low < high:  # of a driver that fills them in
            with np.errstate(invalid="ignore"):
                ranges[~((ranges >= low) & (ranges <= high))] = np.nan
        ranges[~np.isfinite(ranges)] = np.nan
        return resample(modality, ranges, first, increment)

    def _to_message(
        self, array: np.ndarray, modality: Modality, types: Types, header: Any, options: Options
    ) -> Any:
        if array.shape != modality.raw_shape or array.dtype.kind != "f":
            raise MessageError(
                f"expected metres as float {modality.raw_shape}, got {array.dtype} of shape "
                f"{array.shape}"
            )
        angles = angles_of(modality)
        low, high = modality.limits
        return make_message(
            types,
            self.type_name,
            header=header,
            angle_min=float(angles[0]),
            angle_max=float(angles[-1]),
            angle_increment=float(angles[1] - angles[0]),
            time_increment=0.0,
            scan_time=0.0,
            range_min=low,
            range_max=high,
            ranges=array.astype(np.float32),
            intensities=np.empty(0, np.float32),
        )
