# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Every script of examples/ runs, is short, and says what it should."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from log_files import write_logs
from places import HELPERS, PYTHONPATH, ROOT
from ros_processes import ros_environment, start_node, start_script, unique_domain_id
from smvae_core.checkpoint import load_checkpoint
from smvae_core.data.logs.vision_touch.recording import convert_logs
from smvae_ros.bundled import model_path
from training import encode

EXAMPLES = ROOT / "examples"


def run(name: str, *arguments: object) -> str:
    """What a script prints."""
    words = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    environment = ros_environment(unique_domain_id()) | {"PYTHONPATH": PYTHONPATH}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_a_script_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 40


def test_depth_is_predicted_from_what_is_felt() -> None:
    said = run("encode_a_subset.py")
    assert "a latent of 128 numbers from action and joints" in said
    millimetres = re.search(r"off by ([\d.]+) mm", said)
    assert millimetres is not None
    assert float(millimetres[1]) < 20


@pytest.mark.training
def test_a_model_is_trained_on_a_folder_of_logs(tmp_path: Path) -> None:
    pytest.importorskip("lightning", reason="lightning is not installed (pip install lightning)")
    write_logs(tmp_path / "logs", trajectories=4, parts=1, steps=8)
    said = run("train_on_logs.py", tmp_path / "logs", tmp_path / "out")
    assert "rgb, force, action share a latent of 16 numbers" in said


def test_a_modality_is_added() -> None:
    said = run("add_a_modality.py")
    assert "'gripper': (1, 2)" in said
    assert "'gripper.fields': ['position', 'effort']" in said


@pytest.mark.dds
@pytest.mark.skipif(importlib.util.find_spec("rclpy") is None, reason="rclpy is not installed")
def test_contact_is_read_from_the_latent(tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    write_logs(tmp_path / "logs", trajectories=2, parts=1, steps=8)
    model, cache = load_checkpoint(model_path()).model, tmp_path / "cache"
    convert_logs(tmp_path / "logs", cache, list(model.modalities.values()), progress=False)
    latents, head = tmp_path / "latents.npz", tmp_path / "head.npz"
    assert encode.main([str(model_path()), str(cache), "--output", str(latents)]) == 0
    said = run("train_contact_head.py", cache, latents, head)
    assert "16 steps, 12% with contact, of which it was fitted to 100.0%" in said
    domain = unique_domain_id()
    environment = ros_environment(domain) | {"PYTHONPATH": PYTHONPATH}
    with ExitStack() as processes:
        from std_msgs.msg import Float64

        from robot import Robot

        processes.enter_context(start_node(domain)).wait_for_line("active")
        processes.enter_context(start_script(HELPERS / "publish_sensors.py", env=environment))
        script = EXAMPLES / "contact_from_latent.py"
        processes.enter_context(start_script(script, str(head), env=environment))
        robot = Robot(domain, listening=False, diagnosing=False)
        processes.callback(robot.close)
        heard: list[float] = []
        robot.listen(Float64, "/contact", lambda message: heard.append(message.data))
        robot.wait(lambda: heard, "probability of contact")
        assert all(0 <= probability <= 1 for probability in heard)


@pytest.mark.dds
@pytest.mark.skipif(importlib.util.find_spec("rclpy") is None, reason="rclpy is not installed")
def test_the_latent_of_the_running_node_is_read() -> None:
    domain = unique_domain_id()
    environment = ros_environment(domain) | {"PYTHONPATH": PYTHONPATH}
    with ExitStack() as processes:
        processes.enter_context(start_node(domain)).wait_for_line("active")
        processes.enter_context(start_script(HELPERS / "publish_sensors.py", env=environment))
        script = EXAMPLES / "read_the_latent.py"
        listener = processes.enter_context(start_script(script, env=environment))
        said = r"rgb\+depth\S* by [0-9a-f]{12}: 128 numbers, mean variance \d+\.\d+"
        listener.wait_for_line(said)
