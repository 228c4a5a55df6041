# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The node of somebody else's robot: started with a robot file and a model of its sensors alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")

from sensor_msgs.msg import Image
from std_msgs.msg import Float64MultiArray

from robot import Robot as OtherEnd
from ros_processes import Process, ros_environment, start
from smvae_core.checkpoint import save_checkpoint
from smvae_core.modalities import Aspect, Modality, Network
from smvae_core.models.smvae import SMVAE
from smvae_ros.messages import adapter, installed_types

pytestmark = pytest.mark.dds

# Two cameras, a seven-joint arm, a gripper; the microphone is not in the model. What the model has
# besides, a wrench, is not in the file.
ROBOT = """\
name: two_cameras
ros: {max_rate: 40, frame_id: flange}
modalities:
  overhead: {kind: image, shape: [3, 16, 16], ros: {topic: /overhead/image}}
  wrist: {kind: image, shape: [3, 8, 16], aspect: crop, ros: {topic: wrist/image, max_age: 2}}
  arm:
    kind: vector
    shape: [14]
    ros:
      topic: /arm/joint_states
      type: sensor_msgs/msg/JointState
      joints: [a1, a2, a3, a4, a5, a6, a7]
      max_age: 2
  gripper: {kind: vector, shape: [1], ros: {topic: /gripper}}
  microphone: {kind: vector, shape: [3]}
"""
JOINTS = tuple(f"a{number}" for number in range(1, 8))
CONVOLUTION, MLP = Network("convolution", (4, 8)), Network("mlp", (16,))


def save_model(path: Path, aspect: Aspect = "crop") -> Path:
    """A checkpoint for ROBOT, untrained; with another aspect one that does not fit it."""
    image = {"embedding": CONVOLUTION, "decoder": CONVOLUTION}
    vector = {"embedding": MLP, "decoder": MLP}
    modalities = [
        Modality("overhead", "image", (3, 16, 16), **image),
        Modality("wrist", "image", (3, 8, 16), aspect=aspect, **image),
        Modality("arm", "vector", (14,), **vector),
        Modality("gripper", "vector", (1,), **vector),
        Modality("wrench", "series", (6, 8), rate=100.0, **vector),
    ]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = SMVAE(modalities, latent_size=6, embedding_size=16, heads=4).eval()
    save_checkpoint(path, model, {"command": "test"})
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_model(folder / "fits")
    save_model(folder / "other", "stretch")
    return folder


@pytest.fixture
def other_end(domain: int) -> Iterator[OtherEnd]:
    other_end = OtherEnd(domain)
    yield other_end
    other_end.close()


def start_node(domain: int, robot: str | Path, *parameters: str) -> Process:
    """The node with a robot file and without config/perception.yaml."""
    words = ["--ros-args", "-p", f"robot:={robot}"]
    for parameter in parameters:
        words += ["-p", parameter]
    return start("smvae_ros.cli.perception_node", *words, env=ros_environment(domain))


def write_robot(folder: Path, text: str = ROBOT) -> Path:
    path = folder / "two_cameras.yaml"
    path.write_text(text)
    return path


def publish_wrist_and_arm(other_end: OtherEnd) -> None:
    """One moment of these two, again and again until a snapshot has both."""
    node, random = other_end.node, np.random.default_rng(0)
    image = adapter("sensor_msgs/msg/Image")
    joints = adapter("sensor_msgs/msg/JointState")
    wrist = node.create_publisher(installed_types(image.type_name), "/wrist/image", 10)
    arm = node.create_publisher(installed_types(joints.type_name), "/arm/joint_states", 10)
    picture = random.integers(0, 256, (24, 32, 3), dtype=np.uint8)
    positions = random.normal(size=14).astype(np.float32)
    camera = Modality("wrist", "image", (3, 8, 16), aspect="crop")
    vector = Modality("arm", "vector", (14,))

    def both() -> bool:
        stamp = time.time_ns()
        options = {"stamp_ns": stamp, "frame_id": "here"}
        wrist.publish(image.to_message(picture, camera, installed_types, **options))
        arm.publish(
            joints.to_message(positions, vector, installed_types, joint_names=JOINTS, **options)
        )
        return any(status.subset == ("wrist", "arm") for status in other_end.statuses)

    deadline = time.monotonic() + 120
    while not both():
        assert time.monotonic() < deadline, other_end._describe()
        with other_end.heard:
            other_end.heard.wait(0.05)


def test_it_hears_encodes_and_predicts_the_robots_sensors(
    domain: int, models: Path, other_end: OtherEnd, tmp_path: Path
) -> None:
    other_end.listen_to_prediction("overhead", Image)
    other_end.listen_to_prediction("gripper", Float64MultiArray)
    robot = write_robot(tmp_path)
    with start_node(
        domain, robot, f"checkpoint:={models / 'fits'}", "gripper.max_age:=5.0"
    ) as node:
        node.wait_for_line("does not have microphone of the robot two_cameras")
        node.wait_for_line(
            "subscribed to /overhead/image, /wrist/image, /arm/joint_states, /gripper"
        )
        node.wait_for_line("active")
        publish_wrist_and_arm(other_end)
        other_end.wait(lambda: all(other_end.predictions.values()), "predictions")
        assert other_end.latents[-1].width == 6
        picture, opening = (messages[-1] for messages in other_end.predictions.values())
        assert (picture.height, picture.width, picture.encoding) == (16, 16, "rgb8")
        assert len(opening.data) == 1

        diagnostics = other_end.wait(lambda: other_end.diagnostics, "diagnostics")
        assert diagnostics.values["perception"]["robot"] == "two_cameras"
        assert diagnostics.values["wrench"]["topic"] == ""
        values = {
            name: other_end.get(name)
            for name in ("max_rate", "frame_id", "wrist.max_age", "gripper.max_age")
        }
        assert values == {
            "max_rate": 40.0,  # an integer in the file
            "frame_id": "flange",
            "wrist.max_age": 2.0,
            "gripper.max_age": 5.0,
        }
        assert "no use for" not in node.text
        assert "read-only" in other_end.set("robot", "g1")

        # A model of other readings stays out, whether the node runs or is to be configured.
        assert other_end.set("checkpoint", str(models / "other")) == ""
        answer = other_end.reload()
        refused = "wrist.aspect is stretch there, but crop in the robot file"
        assert not answer.success
        assert refused in answer.message
        assert other_end.state() == "active"
        node.interrupt()
        assert node.finish() == 0, node.text


def test_a_model_of_other_readings_leaves_the_node_unconfigured_until_there_is_one_that_fits(
    domain: int, models: Path, other_end: OtherEnd, tmp_path: Path
) -> None:
    robot = write_robot(tmp_path)
    with start_node(domain, robot, f"checkpoint:={models / 'other'}") as node:
        line = node.wait_for_line("cannot configure").string
        assert "those of the robot two_cameras: wrist.aspect is stretch there, but crop in" in line
        assert other_end.state() == "unconfigured"
        assert other_end.set("checkpoint", str(models / "fits")) == ""
        assert other_end.change_state("configure")
        assert other_end.state() == "inactive"
        node.interrupt()
        assert node.finish() == 0, node.text


@pytest.mark.parametrize(
    ("robot", "reason"),
    [
        ("g2", "no robot 'g2': name a file, or one of "),
        (ROBOT.replace("max_rate", "max_raet"), r"no parameter max_raet \(did you mean max_rate"),
        (ROBOT.replace("aspect", "aspekt"), r"unknown 'aspekt'; did you mean aspect\?"),
    ],
)
def test_a_robot_file_of_no_use_leaves_the_node_unconfigured_and_alive(
    domain: int, models: Path, other_end: OtherEnd, tmp_path: Path, robot: str, reason: str
) -> None:
    path = robot if robot == "g2" else write_robot(tmp_path, robot)
    with start_node(domain, path, f"checkpoint:={models / 'fits'}") as node:
        node.wait_for_line(f"cannot configure: .*{reason}")
        assert other_end.state() == "unconfigured"
        node.interrupt()
        assert node.finish() == 0, node.text
        assert "Traceback" not in node.text
