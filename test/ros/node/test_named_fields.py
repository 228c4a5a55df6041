# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The node of a robot of an IMU, a range finder, a tracked pose and a tool changer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")

from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import Imu
from std_msgs.msg import Int32

from patience import PATIENCE
from robot import Robot as OtherEnd
from ros_processes import Process, ros_environment, start
from smvae_core.checkpoint import save_checkpoint
from smvae_core.modalities import Modality, Network
from smvae_core.models.smvae import SMVAE
from smvae_ros.messages import adapter, installed_types
from smvae_ros.messages.rotations import to_six

pytestmark = pytest.mark.dds

ROBOT = """\
name: drone
modalities:
  imu:
    kind: series
    shape: [6, 8]
    rate: 200.0
    ros: {topic: /imu, type: sensor_msgs/msg/Imu, max_age: 5, max_skew: 5, max_gap: 5}
  height:
    kind: vector
    shape: [2]
    ros: {topic: /height, type: sensor_msgs/msg/Range, fields: [range, max_range], max_age: 5}
  pose:
    kind: vector
    shape: [9]
    ros: {topic: /pose, type: geometry_msgs/msg/PoseStamped, max_age: 5}
  tool:
    kind: categorical
    shape: [3]
    likelihood: categorical
    ros: {topic: /tool, type: std_msgs/msg/Int32, max_age: 5}
"""
FIELDS = {"height": ("range", "max_range")}
READINGS = {
    "imu": ("sensor_msgs/msg/Imu", np.arange(6.0)),
    "height": ("sensor_msgs/msg/Range", np.array([1.5, 4.0])),
    "pose": ("geometry_msgs/msg/PoseStamped", np.array([1, 2, 3, *to_six([0, 0, 0.6, 0.8])])),
    "tool": ("std_msgs/msg/Int32", np.array([0.0, 0.0, 1.0])),
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Modality]]:
    mlp = Network("mlp", (16,))
    networks = {"embedding": mlp, "decoder": mlp}
    modalities = [
        Modality("imu", "series", (6, 8), rate=200.0, **networks),
        Modality("height", "vector", (2,), **networks),
        Modality("pose", "vector", (9,), **networks),
        Modality("tool", "categorical", (3,), likelihood="categorical", **networks),
    ]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = SMVAE(modalities, latent_size=4, embedding_size=16, heads=4).eval()
    path = tmp_path_factory.mktemp("models") / "drone"
    save_checkpoint(path, model, {"command": "test"})
    return path, {modality.name: modality for modality in modalities}


@pytest.fixture
def other_end(domain: int) -> Iterator[OtherEnd]:
    other_end = OtherEnd(domain)
    yield other_end
    other_end.close()


def start_node(domain: int, folder: Path, robot: str, checkpoint: Path) -> Process:
    file = folder / "drone.yaml"
    file.write_text(robot)
    words = ["--ros-args", "-p", f"robot:={file}", "-p", f"checkpoint:={checkpoint}"]
    return start("smvae_ros.cli.perception_node", *words, env=ros_environment(domain))


def test_numbers_of_any_type_are_heard_and_predicted_in_it(
    domain: int,
    checkpoint: tuple[Path, dict[str, Modality]],
    other_end: OtherEnd,
    tmp_path: Path,
) -> None:
    path, modalities = checkpoint
    other_end.listen_to_prediction("imu", Imu)
    other_end.listen_to_prediction("pose", PoseStamped)
    other_end.listen_to_prediction("tool", Int32)
    publishers = {
        name: other_end.node.create_publisher(installed_types(type_name), f"/{name}", 10)
        for name, (type_name, _) in READINGS.items()
    }

    def all_arrive() -> bool:
        stamp = time.time_ns()
        for name, (type_name, reading) in READINGS.items():
            message = adapter(type_name, FIELDS.get(name, ())).to_message(
                reading, modalities[name], installed_types, stamp_ns=stamp
            )
            publishers[name].publish(message)
        return any(status.subset == tuple(READINGS) for status in other_end.statuses)

    with start_node(domain, tmp_path, ROBOT, path) as node:
        node.wait_for_line("active")
        repeat_until(all_arrive, other_end)
        other_end.wait(lambda: all(other_end.predictions.values()), "predictions")
        imu, pose, tool = (messages[-1] for messages in other_end.predictions.values())
        assert imu.header.stamp == pose.header.stamp
        assert imu.angular_velocity.x != 0
        turn = pose.pose.orientation
        assert turn.x**2 + turn.y**2 + turn.z**2 + turn.w**2 == pytest.approx(1.0)
        assert tool.data in (0, 1, 2)
        node.interrupt()
        assert node.finish() == 0, node.text


@pytest.mark.parametrize(
    ("given", "written", "reason"),
    [
        ("range, max_range", "rnge, max_range", "height: .* no field rnge; did you mean range"),
        ("range, max_range", "range", "height has 2 values, but of sensor_msgs/msg/Range come 1"),
        ("std_msgs/msg/Int32", "no_msgs/msg/Tool", "tool: nobody here knows the message type no_"),
        ("range, max_range", "header.frame_id", r"header.frame_id is not made of numbers"),
    ],
)
def test_what_cannot_be_read_is_said_when_the_node_is_configured(
    domain: int,
    checkpoint: tuple[Path, dict[str, Modality]],
    tmp_path: Path,
    given: str,
    written: str,
    reason: str,
) -> None:
    robot = ROBOT.replace(given, written)
    with start_node(domain, tmp_path, robot, checkpoint[0]) as node:
        node.wait_for_line(f"cannot configure: .*{reason}")
        node.interrupt()
        assert node.finish() == 0, node.text
        assert "Traceback" not in node.text


def repeat_until(condition: Callable[[], bool], other_end: OtherEnd) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        with other_end.heard:
            other_end.heard.wait(0.02)
