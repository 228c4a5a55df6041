# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The live node of a robot with a lidar, an infrared camera and a tactile pad."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")

from sensor_msgs.msg import Image, LaserScan

from other_robot import (
    INFRARED,
    LIDAR,
    PAD,
    TOPICS,
    message_of,
    other_model,
    write_parameters,
)
from patience import PATIENCE
from robot import Robot as OtherEnd
from ros_processes import ros_environment, start
from smvae_core.checkpoint import save_checkpoint
from smvae_core.modalities import Modality
from smvae_ros.messages import installed_types
from smvae_ros.node.publishers import camera_of

pytestmark = pytest.mark.dds


def test_a_camera_is_what_has_colours_and_no_tactile_pad() -> None:
    rgb, second = (Modality(name, "image", (3, 8, 8)) for name in ("rgb", "second"))
    depth = Modality("depth", "depth", (1, 8, 8))
    assert camera_of([PAD, depth, INFRARED, rgb, second]) is rgb
    assert camera_of([PAD, depth, INFRARED]) is depth
    assert camera_of([PAD, INFRARED, depth]) is INFRARED
    assert camera_of([PAD]) is PAD


@pytest.fixture
def other_end(domain: int) -> Iterator[OtherEnd]:
    other_end = OtherEnd(domain)
    yield other_end
    other_end.close()


def test_scans_and_pictures_of_one_channel_come_and_go(
    domain: int, other_end: OtherEnd, tmp_path: Path
) -> None:
    save_checkpoint(tmp_path / "model", other_model(), {"command": "test"})
    parameters = write_parameters(tmp_path / "parameters.yaml")
    wanted = {"lidar": LaserScan, "infrared": Image, "pad": Image}
    for name, message_type in wanted.items():
        other_end.listen_to_prediction(name, message_type)
    publishers = {
        name: other_end.node.create_publisher(installed_types(type_name), topic, 10)
        for name, (topic, type_name) in TOPICS.items()
    }
    words = ["--ros-args", "--params-file", str(parameters)]
    for parameter in (f"checkpoint:={tmp_path / 'model'}", *(f"{n}.max_age:=5.0" for n in TOPICS)):
        words += ["-p", parameter]
    with start("smvae_ros.cli.perception_node", *words, env=ros_environment(domain)) as node:
        node.wait_for_line("active")
        deadline = time.monotonic() + PATIENCE
        for step in itertools.count():  # the camera's size changes
            stamp = time.time_ns()
            for name, publisher in publishers.items():
                publisher.publish(message_of(name, step, installed_types, stamp))
            all_live = any(status.subset == tuple(TOPICS) for status in other_end.statuses)
            if step > 12 and all_live and all(other_end.predictions.values()):
                break
            assert time.monotonic() < deadline, node.text
            with other_end.heard:
                other_end.heard.wait(0.05)
        scan, infrared, pad = (messages[-1] for messages in other_end.predictions.values())
        assert len(scan.ranges) == LIDAR.shape[1]
        assert (scan.angle_min, scan.range_max) == (-2.0, 8.0)
        assert (infrared.height, infrared.width, infrared.encoding) == (16, 16, "mono8")
        assert (pad.height, pad.width, pad.encoding) == (8, 8, "32FC1")
        values = np.frombuffer(pad.data, np.float32)
        assert ((values >= 0) & (values <= 20)).all()
        assert "unusable" not in node.text
        node.interrupt()
        assert node.finish() == 0, node.text
