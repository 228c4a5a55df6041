# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/PointCloud2: the depth in organised ones, and advice on all others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")

from smvae_core.modalities import Modality
from smvae_ros.messages import MessageError, adapter, bag_types, installed_types, make_header
from smvae_ros.messages.fields import make_message

CLOUD = "sensor_msgs/msg/PointCloud2"
DEPTH = Modality("depth", "depth", (1, 8, 8), maximum=5.0)
FLOATS = {"f4": 7, "f8": 8}  # sensor_msgs/PointField.datatype


def make_cloud(types: Any, z: np.ndarray, **changes: Any) -> Any:
    """x, y, z and a colour, as of a depth camera, with padding behind points and rows."""
    point = {"layout": "f4", "order": "<", "offset": 8, "step": 20, "padding": 0} | changes
    kind = np.dtype(point["order"] + point["layout"])
    height, width = z.shape
    rows = np.full((height, width * point["step"] + point["padding"]), 0xAB, np.uint8)
    inner = np.ndarray(z.shape, kind, rows.data, point["offset"], (rows.shape[1], point["step"]))
    inner[...] = z
    fields = [
        make_message(
            types, "sensor_msgs/msg/PointField", name=name, offset=offset, datatype=kind, count=1
        )
        for name, offset, kind in (
            ("x", 0, 7),
            ("z", point["offset"], FLOATS[point["layout"]]),
            ("rgb", 16, 7),
        )
    ]
    values = {
        "height": height,
        "width": width,
        "fields": fields,
        "is_bigendian": point["order"] == ">",
        "point_step": point["step"],
        "row_step": rows.shape[1],
        "data": rows.reshape(-1),
        "is_dense": False,
    }
    named = {name: value for name, value in changes.items() if name in values}
    return make_message(types, CLOUD, header=make_header(types, 7, "optical"), **values | named)


@given(
    types=st.sampled_from([installed_types, bag_types]),
    shape=st.tuples(st.integers(2, 12), st.integers(1, 12)),
    layout=st.sampled_from(["f4", "f8"]),
    order=st.sampled_from("<>"),
    offset=st.integers(0, 13),
    padding=st.integers(0, 5),
)
def test_z_is_the_depth_wherever_it_lies(
    types: Any, shape: tuple[int, int], layout: str, order: str, offset: int, padding: int
) -> None:
    z = np.random.default_rng(0).uniform(0.2, 4, shape).astype(np.float32)
    z[0, 0] = np.nan
    cloud = make_cloud(
        types, z, layout=layout, order=order, offset=offset, step=offset + 11, padding=padding
    )
    found = adapter(CLOUD).to_array(cloud, DEPTH)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, z)


@pytest.mark.parametrize("types", [installed_types, bag_types])
@pytest.mark.parametrize(
    ("shape", "changes", "complaint"),
    [
        ((1, 40), {}, "an unorganised cloud of 40 points.*depth image.*pointcloud_to_laserscan"),
        ((4, 4), {"fields": []}, "no z of float32 or float64 .*, but no fields"),
        ((4, 4), {"width": 0}, "the image is empty"),
        ((4, 4), {"height": 2**32 - 1}, "claims 4x4294967295 pixels"),
        ((4, 4), {"row_step": 79}, "do not fit each other"),
        ((4, 4), {"point_step": 11}, "z at byte 8 of points of 11 bytes"),
        ((4, 4), {"height": 5}, "shorter than 5 rows"),
    ],
)
def test_other_clouds_are_refused(
    types: Any, shape: tuple[int, int], changes: dict[str, Any], complaint: str
) -> None:
    cloud = make_cloud(types, np.ones(shape, np.float32), **changes)
    with pytest.raises(MessageError, match=f"^depth: .*{complaint}"):
        adapter(CLOUD).to_array(cloud, DEPTH)


def test_a_cloud_of_integers_is_named() -> None:
    cloud = make_cloud(installed_types, np.ones((3, 3), np.float32))
    cloud.fields[1].datatype = 4
    with pytest.raises(MessageError, match=r"no z of float32 or float64 \(7, 8\), but x \(7\), z"):
        adapter(CLOUD).to_array(cloud, DEPTH)
