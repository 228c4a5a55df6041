# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Robot files: those of the package are right, and what is wrong with one is said at once."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from places import ROOT
from smvae_core.checkpoint import load_checkpoint
from smvae_core.modalities import Modality
from smvae_core.robot import RobotError
from smvae_ros.bundled import model_path, parameters_path, robot_path
from smvae_ros.messages.definitions import stored_definition
from smvae_ros.parameters.configuration import make_topic_inputs, read_values
from smvae_ros.parameters.robot_values import load_robot, topics_of

# The beginning of a type that not every machine has, for a robot of the package.
MOTION_UPDATE = "std_msgs/Header header\ngeometry_msgs/Pose pose\ngeometry_msgs/Twist velocity\n"
FILES = sorted((ROOT / "config" / "robots").glob("*.yaml"))
ARM = """\
name: arm
ros: {{max_rate: 30, frame_id: base{node}}}
modalities:
  wrist:
    kind: image
    shape: [3, 16, 16]
    aspect: crop
    ros: {{topic: wrist/image_raw{wrist}}}
  joints:
    kind: vector
    shape: [7]
    ros:
      topic: /joint_states
      type: sensor_msgs/msg/JointState
      joints: [j1, j2, j3, j4, j5, j6, j7]
"""
WRIST = Modality("wrist", "image", (3, 16, 16), aspect="crop")
JOINTS = Modality("joints", "vector", (7,))
FORCE = Modality("force", "series", (6, 32), rate=1000.0)


def write_arm(folder: Path, node: str = "", wrist: str = "") -> str:
    path = folder / "arm.yaml"
    path.write_text(ARM.format(node=node, wrist=wrist))
    return str(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_node_takes_every_robot_of_the_package(path: Path) -> None:
    robot = load_robot(path.stem)
    assert (robot.name, robot_path(path.stem)) == (path.stem, path)
    modalities = {modality.name: modality for modality in robot.modalities}
    store = get_typestore(Stores.ROS2_KILTED)
    store.register(get_types_from_msg(MOTION_UPDATE, "aic_control_interfaces/msg/MotionUpdate"))
    inputs = make_topic_inputs(
        modalities,
        read_values(None, robot.modalities, robot=path.stem),
        definitions=partial(stored_definition, store),
    )
    heard = {topic_input.topic for topic_input in inputs.values()}
    assert heard <= set(topics_of(robot)), "topics are absolute"


def test_the_bundled_robot_is_that_of_the_parameters_file_and_of_the_bundled_model() -> None:
    modalities = load_checkpoint(model_path()).model.modalities
    robot = load_robot("insertion")
    assert list(robot.sensors) == list(modalities)
    robot.check(modalities)
    assert read_values(None, modalities.values(), robot="insertion") == read_values(
        parameters_path(), modalities.values()
    )


@pytest.mark.parametrize(
    ("node", "wrist", "complaint"),
    [
        (", max_raet: 5.0", "", r"there is no parameter max_raet \(did you mean max_rate\?\)"),
        ("", ", topik: /a", r"there is no parameter wrist.topik \(did you mean wrist.topic\?\)"),
        ("", ", scale: 2.0", r"there is no parameter wrist.scale"),
        (", robot: g1", "", r"there is no parameter robot"),
        (", cpu_threads: many", "", "cpu_threads must be of type int, not str, but is 'many'"),
        ("", ", queue_size: 0", "wrist.queue_size must be from 1 to 100000, but is 0"),
        ("", ", type: std_msgs/msg/String", "wrist.type must be one of .*sensor_msgs/.*Image"),
        (
            ", gather_ms: -1.0, autostart: 1",
            ", max_age: never",
            "gather_ms must be .*; autostart must be .*; wrist.max_age must be ",
        ),
    ],
)
def test_what_the_node_would_not_take_is_named(
    node: str, wrist: str, complaint: str, tmp_path: Path
) -> None:
    path = write_arm(tmp_path, node, wrist)
    with pytest.raises(RobotError, match=f"{path}: under ros, {complaint}"):
        load_robot(path)
    with pytest.raises(ValueError, match=complaint):
        read_values(None, [WRIST, JOINTS], robot=path)


def test_a_joint_that_is_named_twice_is_named(tmp_path: Path) -> None:
    path = Path(write_arm(tmp_path))
    path.write_text(path.read_text().replace("j7", "j1"))
    with pytest.raises(RobotError, match=r"must have each name once, and has j1 twice"):
        load_robot(str(path))


def test_a_robot_that_there_is_not_is_named_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(RobotError, match=r"no robot 'g2': name a file, or one of .*g1, "):
        load_robot("g2")
    with pytest.raises(RobotError, match=r"cannot read the robot file .*nowhere.yaml: No such"):
        load_robot(str(tmp_path / "nowhere.yaml"))


def test_a_folder_of_a_robots_name_is_not_taken_for_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "g1").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_robot("g1").name == "g1"


def test_a_parameters_file_lies_over_the_robot_file_and_the_packages_own_does_not_lie_under_it(
    tmp_path: Path,
) -> None:
    robot = write_arm(tmp_path)
    parameters = tmp_path / "mine.yaml"
    parameters.write_text("/**:\n  ros__parameters:\n    max_rate: 12.5\n    wrist: {max_age: 1}\n")
    values = read_values(parameters, [WRIST, JOINTS, FORCE], "arm_1", robot)
    given: dict[str, Any] = {
        "max_rate": 12.5,  # of the parameters file
        "wrist.max_age": 1.0,
        "frame_id": "base",  # of the robot file
        "wrist.topic": "/arm_1/wrist/image_raw",
        "joints.topic": "/joint_states",
        "joints.joints": ["j1", "j2", "j3", "j4", "j5", "j6", "j7"],
        "camera_info_topic": "",  # as declared, where config/perception.yaml has another
        "joints.reliability": "best_effort",
        "force.topic": "",  # the robot has none: it is only predicted
    }
    assert {name: values[name] for name in given} == given
    parameters.write_text(f"{parameters.read_text()}    robot: {robot}\n")
    assert read_values(parameters, [WRIST, JOINTS, FORCE], "arm_1") == {**values, "robot": robot}
    assert topics_of(load_robot(robot), "/arm_1") == ["/arm_1/wrist/image_raw", "/joint_states"]
    assert read_values(None, [WRIST], robot=robot)["max_rate"] == 30.0


def test_modalities_that_the_model_does_not_have_are_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        read_values(None, [WRIST, FORCE], robot=write_arm(tmp_path))
    (record,) = caplog.records
    assert "the model does not have joints of the robot arm" in record.getMessage()


@pytest.mark.parametrize(
    ("modality", "complaint"),
    [
        (replace(WRIST, shape=(3, 8, 16)), r"wrist.shape is \(3, 8, 16\) there, but \(3, 16, 16\)"),
        (replace(WRIST, aspect="stretch"), "wrist.aspect is stretch there, but crop in the robot"),
        (Modality("joints", "categorical", (7,)), "joints.kind is categorical there, but vector"),
    ],
)
def test_a_model_of_other_readings_is_refused(
    modality: Modality, complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(
        RobotError, match=f"other readings than those of the robot arm: {complaint}"
    ):
        read_values(None, [modality], robot=write_arm(tmp_path))


def test_networks_statistics_and_weights_are_the_models_own(tmp_path: Path) -> None:
    trained = replace(WRIST, mean=(0.5,), std=(0.1,), weight=3.0, scale=0.2)
    load_robot(write_arm(tmp_path)).check({"wrist": trained})


def test_a_robot_file_says_how_a_sensor_is_mounted(tmp_path: Path) -> None:
    path = tmp_path / "turned.yaml"
    path.write_text(
        "name: turned\nmodalities:\n  force: {kind: series, shape: [6, 32], rate: 1000.0, "
        "ros: {topic: /wrench, rotation: [0, 0, 1, 0], frame_id: my_sensor}}\n"
    )
    values = read_values(None, [FORCE], robot=str(path))
    source = make_topic_inputs({"force": FORCE}, values, {"force": "tool_flange"})["force"]
    assert source.rotation == (0.0, 0.0, 1.0, 0.0)
    assert source.frame_id == "my_sensor"
    assert source.correction is not None
