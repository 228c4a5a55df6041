# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The node and the tools on a robot where PyTorch is not installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from sensor_msgs.msg import Image

from robot import ALL, Robot, observations
from ros_processes import ros_environment, start, start_node
from small_bags import write_small_bag
from smvae_ros.bags import BagReader
from smvae_ros.bundled import bag_path
from smvae_ros.messages.latent import latent_from_message
from without_torch import hide_torch

PROGRAMS = sorted(
    path.stem
    for path in (Path(__file__).parents[2] / "scripts").iterdir()
    if not path.name.startswith("_")
)


@pytest.fixture
def environment(domain: int, tmp_path: Path) -> dict[str, str]:
    """Of a process without PyTorch, in a domain of its own."""
    folder = tmp_path / "without_torch"
    folder.mkdir()
    return {**ros_environment(domain), **hide_torch(folder)}


def run(module: str, *arguments: object, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(command, env=env, capture_output=True, text=True)


def test_torch_is_hidden(environment: dict[str, str]) -> None:
    found = "from importlib.util import find_spec; assert find_spec('torch') is None; import torch"
    done = subprocess.run(
        [sys.executable, "-c", found], env=environment, capture_output=True, text=True
    )
    assert "ModuleNotFoundError: No module named 'torch'" in done.stderr


@pytest.mark.dds
def test_the_node_makes_latents_and_predictions_of_the_bundled_model(
    domain: int, environment: dict[str, str]
) -> None:
    with start_node(domain, variables=environment) as process:
        process.wait_for_line(r"\]: active$")
        robot = Robot(domain, diagnosing=False)
        try:
            robot.listen_to_prediction("rgb", Image)
            readings = observations(image_shape=(128, 128))
            robot.run(ALL, readings, lambda: robot.predictions["rgb"], "prediction of rgb")
            robot.run_until_subset(ALL, readings)
            robot.run_until_subset(("force",), readings)
        finally:
            robot.close()
        mean, log_variance = latent_from_message(robot.latents[-1])
        assert np.isfinite(mean).all()
        assert np.isfinite(log_variance).all()
        assert np.ptp(np.frombuffer(robot.predictions["rgb"][-1].data, np.uint8)) > 10
        process.interrupt()
        assert process.finish() == 0, process.text
    assert "Traceback" not in process.text


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_explains_itself(program: str, environment: dict[str, str]) -> None:
    done = run(f"smvae_ros.cli.{program}", "--help", env=environment)
    assert done.returncode == 0, done.stderr


def test_a_bag_becomes_a_log(tmp_path: Path, environment: dict[str, str]) -> None:
    bag, logs = write_small_bag(tmp_path / "bag", steps=30), tmp_path / "logs"
    done = run("smvae_ros.cli.bag_to_log", bag, logs, env=environment)
    assert done.returncode == 0, done.stderr
    (log,) = logs.glob("*.h5")
    with h5py.File(log) as file:
        assert len(file) > 0


def test_a_bag_is_recovered(tmp_path: Path, environment: dict[str, str]) -> None:
    bag = write_small_bag(tmp_path / "bag", steps=5)
    done = run("smvae_ros.cli.recover", bag, tmp_path / "copy", env=environment)
    assert done.returncode == 0, done.stderr
    with BagReader(tmp_path / "copy") as reader:
        assert "/wrench" in reader.topics


@pytest.mark.dds
def test_what_is_replayed_is_recorded(tmp_path: Path, environment: dict[str, str]) -> None:
    bag, copy = write_small_bag(tmp_path / "bag", steps=20), tmp_path / "copy"
    with (
        start("smvae_ros.cli.record", str(copy), "--all", env=environment) as record,
        start("smvae_ros.cli.replay", str(bag), env=environment) as replay,
    ):
        assert replay.finish() == 0, replay.text
        record.interrupt()
        assert record.finish() == 0, record.text
    with BagReader(copy) as reader:
        assert "/wrench" in reader.topics


def test_training_names_the_extra_that_brings_it(environment: dict[str, str]) -> None:
    done = run("training.train", "--help", env=environment)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith("pip install 'smvae_ros[train]'")


@pytest.mark.parametrize(
    ("program", "extra"), [("evaluate", "[torch]"), ("demo", "[report,torch]")]
)
def test_what_needs_torch_names_the_extra_that_brings_it(
    program: str, extra: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    arguments = [bag_path()] if program == "evaluate" else ["--output", tmp_path / "demo"]
    done = run(f"smvae_ros.cli.{program}", *arguments, env=environment)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"pip install 'smvae_ros{extra}'" in line
    assert "No module named 'torch'" in line
