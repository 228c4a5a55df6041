# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""docs/your_robot.md does what it says, and a robot without camera and force has the same way."""

from __future__ import annotations

import importlib
import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")

import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, Imu, JointState

from arm_bags import write_arm_bag
from patience import PATIENCE
from ros_processes import Process, ros_environment
from smvae_core.data.logs.dataset import open_cache

pytestmark = [pytest.mark.dds, pytest.mark.training]

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "your_robot.md"
FILE = ROOT / "config" / "robots" / "two_camera_arm.yaml"
PREDICTIONS = {
    "wrist": Image,
    "imu": Imu,
    "arm": JointState,
    "gripper": JointState,
    "tactile": Image,
}
BLIND = {
    "name": "blind_arm",
    "rate": 20,
    "modalities": {
        name: entry
        for name, entry in yaml.safe_load(FILE.read_text())["modalities"].items()
        if name in ("imu", "arm", "gripper")
    },
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


def words_of(command: str) -> list[str]:
    """A command of the page, for this interpreter, of a training as short as can be."""
    name, *rest = shlex.split(command)
    if name != "python":  # a command of the package, which need not be installed
        rest = ["-m", f"smvae_ros.cli.{name}", *rest]
    if "training.train" in rest:
        rest[rest.index("--trainer.max_epochs") + 1] = "2"
        rest += ["--trainer.log_every_n_steps", "1"]  # Lightning warns of fewer batches than that
    return [sys.executable, *rest]


def run(command: str, folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        words_of(command), cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


def run_here(command: str, folder: Path) -> None:
    """The same in this process, which has imported already what takes a process seconds."""
    _, _, module, *arguments = words_of(command)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert importlib.import_module(module).main(arguments) == 0


def test_the_page_shows_the_file() -> None:
    assert yaml.safe_load(blocks("yaml")[0]) == yaml.safe_load(FILE.read_text())


@pytest.mark.parametrize("robot", ["two_camera_arm", "blind_arm"])
def test_from_bags_to_the_node(robot: str, tmp_path: Path, domain: int) -> None:
    (tmp_path / "my_robot.yaml").write_text(
        blocks("yaml")[0] if robot == "two_camera_arm" else yaml.safe_dump(BLIND, sort_keys=False)
    )
    for number in range(1, 6):
        write_arm_bag(tmp_path / f"run_{number}", seed=number)
    # The page's folder is the checkout; here it is another.
    environment = {**ros_environment(domain), "PYTHONPATH": str(ROOT)}
    convert, train, evaluate, node, replay = (
        line for block in blocks("sh") for line in block.splitlines()
    )

    def work(command: str) -> None:
        if robot == "two_camera_arm":
            run(command, tmp_path, environment)
        else:
            run_here(command, tmp_path)

    work(convert)
    cache = open_cache(tmp_path / "data" / "my_robot")
    assert cache.names == tuple(
        yaml.safe_load((tmp_path / "my_robot.yaml").read_text())["modalities"]
    )
    assert len(set(cache.arrays["trajectory"].tolist())) == 4
    assert cache.present.mean(axis=0).min() > 0.9

    work(train)
    work(evaluate)
    subsets = json.loads((tmp_path / "out" / "my_robot.json").read_text())["subsets"]
    assert "+".join(cache.names) in subsets
    assert (tmp_path / "out" / "my_robot.html").stat().st_size > 10_000

    with in_folder(tmp_path, node, environment) as perception:
        perception.wait_for_line("active")
        wanted = {"latent": Image}
        wanted |= {
            f"prediction/{name}": kind for name, kind in PREDICTIONS.items() if name in cache.names
        }
        with (
            in_folder(tmp_path, f"{replay} --loop --wait-for-subscribers", environment),
            listening(domain, wanted) as heard,
        ):
            assert heard() == wanted.keys()
        perception.interrupt()
        assert perception.finish() == 0, perception.text


def in_folder(folder: Path, command: str, environment: dict[str, str]) -> Process:
    """A command of the page, running in a folder."""
    return Process(["env", "--chdir", str(folder), *words_of(command)], environment)


@contextmanager
def listening(domain: int, topics: dict[str, type]) -> Iterator[Callable[[], AbstractSet[str]]]:
    """Subscribes to topics of the node; waits on call for a message of each, and says of which
    there was one."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    node = rclpy.create_node("listener", context=context)
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    executor.add_node(node)
    heard: set[str] = set()
    qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    for name, kind in topics.items():
        node.create_subscription(
            kind, f"/smvae_perception/{name}", lambda _, name=name: heard.add(name), qos
        )

    def wait() -> AbstractSet[str]:
        end = time.monotonic() + PATIENCE
        while len(heard) < len(topics) and time.monotonic() < end:
            executor.spin_once(timeout_sec=0.1)
        return heard

    try:
        yield wait
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)
