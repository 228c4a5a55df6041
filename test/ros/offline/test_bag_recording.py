# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Bags become a cache without a detour, with what each of them has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from small_bags import write_beginning
from smvae_core.data.logs.dataset import open_cache
from smvae_core.data.logs.vision_touch.recording import convert_logs
from smvae_core.robot import Robot, read_robot
from smvae_ros.bags import BagWriter
from smvae_ros.bundled import robot_path
from smvae_ros.cli.bag_to_log import main as bag_to_log
from training.convert import main as convert
from training.export_bag import main as export_bag

WITHOUT_CAMERA = {
    "name": "arm",
    "rate": 50,
    "modalities": {
        "wrench": {
            "kind": "series",
            "shape": [6, 16],
            "rate": 500.0,
            "ros": {"topic": "/wrench", "type": "geometry_msgs/msg/WrenchStamped"},
        },
        "joints": {
            "kind": "vector",
            "shape": [8],
            "ros": {
                "topic": "/joint_states",
                "type": "sensor_msgs/msg/JointState",
                "joints": ["x", "y", "z", "yaw"],
            },
        },
        "heading": {
            "kind": "vector",
            "shape": [1],
            "ros": {
                "topic": "/joint_states",
                "type": "sensor_msgs/msg/JointState",
                "joints": ["yaw"],
            },
        },
    },
}


def robot_file(folder: Path, document: dict[str, object]) -> Path:
    path = folder / "robot.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def vision_touch() -> Robot:
    return read_robot(robot_path("vision_touch"))


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_beginning(tmp_path_factory.mktemp("bags") / "run", seconds=4.0)


def test_the_same_rows_as_by_way_of_logs(bag: Path, tmp_path: Path) -> None:
    assert convert([str(bag), str(tmp_path / "direct")]) == 0
    assert bag_to_log([str(bag), str(tmp_path / "logs")]) == 0
    convert_logs(tmp_path / "logs", tmp_path / "cache", vision_touch().modalities, progress=False)
    direct, by_logs = open_cache(tmp_path / "direct"), open_cache(tmp_path / "cache")
    assert len(direct) == len(by_logs)
    assert direct.rate == by_logs.rate
    np.testing.assert_array_equal(direct.present, by_logs.present)
    for name in ("force", "action", "proprio", "step"):
        np.testing.assert_array_equal(direct.arrays[name], by_logs.arrays[name])
    assert direct.manifest["frame_ids"]["force"] == "tool_flange"


def test_what_a_bag_lacks_is_absent(bag: Path, tmp_path: Path) -> None:
    blind = write_beginning(tmp_path / "blind", 4.0, without=("/camera/depth/image_raw",))
    cache = tmp_path / "cache"
    assert convert([str(bag), str(blind), str(cache)]) == 0
    rows = open_cache(cache)
    depth = rows.names.index("depth")
    first = rows.arrays["trajectory"] == 0
    assert rows.present[first, depth].all()
    assert not rows.present[~first, depth].any()
    assert rows.present[:, rows.names.index("rgb")].all()
    assert [name for name, _ in rows.trajectories] == ["run", "blind"]


def test_no_camera_is_needed_and_a_topic_can_serve_twice(bag: Path, tmp_path: Path) -> None:
    robot, cache = robot_file(tmp_path, WITHOUT_CAMERA), tmp_path / "cache"
    assert convert([str(bag), str(cache), "--robot", str(robot)]) == 0
    rows = open_cache(cache)
    assert rows.names == ("wrench", "joints", "heading")
    assert rows.rate == 50
    assert rows.present[5:].all()  # the first window takes a while
    joints, heading = rows.arrays["joints"], rows.arrays["heading"]
    np.testing.assert_array_equal(joints[:, 3], heading[:, 0])


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("modalities", "joints", "kynd"), "vector", "unknown 'kynd'; did you mean kind"),
        (("modalities", "joints", "shape"), [0], "shape must be 1 positive numbers"),
        (("modalities", "joints", "ros", "topik"), "/x", "did you mean joints.topic"),
        (("modalities", "joints", "ros", "max_age"), -1.0, "joints.max_age must be from"),
        (("modalities", "joints", "ros", "joints"), ["x"], "joints has 1"),
        (("modalities", "wrench", "ros", "topic"), "/action", "holds geometry_msgs/msg/TwistStam"),
        (("ros",), {"trigger": "nix"}, "trigger is 'nix'; there are "),
        (("rate",), 0, "rate must be a number from 0.001"),
    ],
)
def test_mistakes_in_the_robot_file(
    bag: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    path: tuple[str, ...],
    value: object,
    words: str,
) -> None:
    document = yaml.safe_load(yaml.safe_dump(WITHOUT_CAMERA))
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    robot, cache = robot_file(tmp_path, document), tmp_path / "cache"
    assert convert([str(bag), str(cache), "--robot", str(robot)]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said
    assert not (cache / "cache.yaml").exists()


def test_a_trajectory_as_a_bag_and_back(bag: Path, tmp_path: Path) -> None:
    first, bags, again = (str(tmp_path / name) for name in ("first", "bags", "again"))
    assert convert([str(bag), first]) == 0
    assert export_bag([first, bags, "--robot", "vision_touch"]) == 0
    assert export_bag([first, bags, "--robot", "vision_touch", "--trajectories", "99"]) == 2
    assert export_bag([first, "/dev/null/bags", "--robot", "vision_touch"]) == 2
    assert export_bag([first, bags, "--robot", "vision_touch"]) == 0, "goes on"
    assert convert([f"{bags}/0", again]) == 0
    before, after = open_cache(first), open_cache(again)
    for name in (*before.names, "step"):
        np.testing.assert_array_equal(before.arrays[name], after.arrays[name])
    np.testing.assert_array_equal(before.present, after.present)


def test_bags_are_written_beside_nothing_else(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache, bags = str(tmp_path / "cache"), tmp_path / "bags"
    assert convert([str(bag), cache]) == 0
    bags.mkdir()
    (bags / "0").write_text("mine")
    command = [cache, str(bags), "--robot"]
    assert export_bag([*command, "vision_touch"]) == 2
    assert "holds other things; give a new or empty folder" in capsys.readouterr().err
    assert [path.read_text() for path in bags.iterdir()] == ["mine"]

    (bags / "0").unlink()
    (bags / "0.partial").mkdir()
    assert export_bag([*command, "vision_touch"]) == 2, "nor beside what a killed recording left"
    (bags / "0.partial").rmdir()
    assert export_bag([*command, "vision_touch"]) == 0
    other = yaml.safe_load(robot_path("vision_touch").read_text())
    other["modalities"]["rgb"]["ros"]["topic"] = "/elsewhere"
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(other))
    capsys.readouterr()
    assert export_bag([*command, str(tmp_path / "other.yaml")]) == 2
    assert "bags of another cache, or by another robot file" in capsys.readouterr().err


def test_an_export_that_ends_early_leaves_no_half_bag(
    bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, bags = str(tmp_path / "cache"), tmp_path / "bags"
    assert convert([str(bag), cache]) == 0
    write, written = BagWriter.write, []

    def interrupted(self: BagWriter, *message: Any) -> None:
        if len(written) == 100:
            raise KeyboardInterrupt
        written.append(message)
        write(self, *message)

    with monkeypatch.context() as patch:
        patch.setattr(BagWriter, "write", interrupted)
        assert export_bag([cache, str(bags), "--robot", "vision_touch"]) == 130
    assert len(written) == 100
    assert [path.name for path in bags.iterdir()] == [".exported.json"]
    (bags / "0.partial").mkdir()  # as after kill -9
    assert export_bag([cache, str(bags), "--robot", "vision_touch"]) == 0
    assert sorted(path.name for path in bags.iterdir()) == [".exported.json", "0"]
