# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/LaserScan as lidars send it, and as none should."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")

from smvae_core.modalities import Modality
from smvae_core.preprocessing import prepare
from smvae_ros.messages import MessageError, adapter, bag_types, installed_types, make_header
from smvae_ros.messages.fields import make_message

SCAN = "sensor_msgs/msg/LaserScan"
FRONT = Modality("lidar", "scan", (1, 5), angles=(-1.0, 1.0), minimum=0.2, maximum=10.0)
both_libraries = pytest.mark.parametrize("types", [installed_types, bag_types])


def make_scan(types: Any, ranges: Any, first: float, increment: float, **fields: Any) -> Any:
    ranges = np.asarray(ranges, np.float32)
    values = {
        "angle_min": first,
        "angle_max": first + increment * (len(ranges) - 1),
        "angle_increment": increment,
        "time_increment": 0.0,
        "scan_time": 0.1,
        "range_min": 0.1,
        "range_max": 12.0,
        "ranges": ranges,
        "intensities": np.empty(0, np.float32),
    }
    header = make_header(types, 7, "laser")
    return make_message(types, SCAN, header=header, **values | fields)


@both_libraries
def test_angles_are_matched_and_no_returns_are_holes(types: Any) -> None:
    """A sensor that turns from 0 to 2π, seen from -1 to 1 rad."""
    increment = math.tau / 720
    ranges = 2 + np.arange(720) / 1000
    ranges[[0, 1]] = np.inf, np.nan
    array = adapter(SCAN).to_array(make_scan(types, ranges, 0.0, increment), FRONT)
    assert array.dtype == np.float32
    places = np.rint(np.array([-1, -0.5, 0, 0.5, 1]) / increment).astype(int)
    expected = ranges[places].astype(np.float32)
    expected[2] = np.nan
    np.testing.assert_array_equal(array, expected)
    np.testing.assert_array_equal(prepare(FRONT, array), expected)


@both_libraries
def test_what_the_sensor_calls_out_of_range_is_a_hole(types: Any) -> None:
    ranges = [0.0, 0.15, 5.0, 11.0, -np.inf]
    scan = make_scan(types, ranges, -1.0, 0.5, range_min=0.12, range_max=8.0)
    array = adapter(SCAN).to_array(scan, FRONT)
    np.testing.assert_allclose(array, [np.nan, 0.15, 5.0, np.nan, np.nan])
    np.testing.assert_array_equal(prepare(FRONT, array), [*[np.nan] * 2, 5.0, *[np.nan] * 2])
    unset = make_scan(types, ranges, -1.0, 0.5, range_min=0.0, range_max=0.0)
    np.testing.assert_allclose(adapter(SCAN).to_array(unset, FRONT)[1:4], [0.15, 5, 11])


@both_libraries
def test_a_prediction_is_a_scan_of_the_models_angles(types: Any) -> None:
    values = np.array([1.0, np.nan, 3.0, 4.0, 5.0], np.float32)
    message = adapter(SCAN).to_message(values, FRONT, types, stamp_ns=5, frame_id="laser")
    assert (message.angle_min, message.angle_max) == (-1.0, 1.0)
    assert message.angle_increment == 0.5
    assert message.range_max == 10.0
    np.testing.assert_array_equal(message.ranges, values)
    with pytest.raises(MessageError, match=r"lidar: expected metres as float \(5,\), got"):
        adapter(SCAN).to_message(values[:4], FRONT, types)


@both_libraries
@pytest.mark.parametrize(
    ("ranges", "first", "increment", "complaint"),
    [
        ([], 0.0, 0.1, "the scan is empty"),
        (np.ones(100_001), 0.0, 1e-5, "100001 ranges, more than 100000"),
        (np.ones(360), 0.0, 1.0, "its angles are in radians"),
        (np.ones(360), -180.0, 0.01, "its angles are in radians"),
        (np.ones(9), 0.0, 0.0, "9 ranges from 0 rad on, 0 rad apart, are no scan"),
        (np.ones(9), math.nan, 0.1, "from nan rad"),
        (np.ones(9), 0.0, math.inf, "inf rad apart"),
    ],
)
def test_what_is_no_scan(
    types: Any, ranges: Any, first: float, increment: float, complaint: str
) -> None:
    message = make_scan(types, ranges, first, increment, angle_max=0.0)
    with pytest.raises(MessageError, match=f"^lidar: .*{complaint}"):
        adapter(SCAN).to_array(message, FRONT)
