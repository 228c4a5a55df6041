# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The launch files with the real launch stack, on the installed package.

Runs wherever launch_ros is (apt's ROS 2 has it, PyPI does not).
"""

from __future__ import annotations

import os
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest

from places import HELPERS

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")
if find_spec("launch_ros") is None:
    pytest.skip(
        "launch_ros is not installed (apt install ros-$ROS_DISTRO-launch-ros)",
        allow_module_level=True,
    )

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from robot import ALL, Robot, observations
from ros_processes import Process, ros_environment, start_script, unique_domain_id
from small_models import save_small_checkpoint
from smvae_ros.node.transport import VARIABLE

pytestmark = pytest.mark.dds

try:
    LAUNCH = Path(get_package_share_directory("smvae_ros")) / "launch"
except PackageNotFoundError:
    pytest.skip(
        "smvae_ros is not installed where ROS 2 looks: source install/setup.bash, or set "
        "AMENT_PREFIX_PATH to the environment that it was installed into",
        allow_module_level=True,
    )

PROGRAM = HELPERS / "launch_file.py"
# Someone's own launch file: ours, and after it a process that is none of our business.
THEIRS = """\
launch:
- include:
    file: {launch}/perception.launch.py
    arg:
    - {{name: checkpoint, value: {checkpoint}}}
    - {{name: namespace, value: arm_1}}
    - {{name: params_file, value: {params_file}}}
    - {{name: transport, value: large_data}}
- executable:
    cmd: echo "theirs is [${variable}]"
    shell: true
    output: screen
"""


@pytest.fixture
def domain(monkeypatch: pytest.MonkeyPatch) -> int:
    domain = unique_domain_id()
    monkeypatch.delenv(VARIABLE, raising=False)
    for name, value in ros_environment(domain).items():
        monkeypatch.setenv(name, value)
    return domain


def launch(file: str | Path, *arguments: str) -> Process:
    """Launches one of our files, or somebody's."""
    return start_script(PROGRAM, str(LAUNCH / file), *arguments, env=os.environ)


def end(process: Process) -> None:
    """As Ctrl-C does, without a complaint of launch or of a process."""
    process.interrupt()
    process.wait_for_line("process has finished cleanly", timeout=60)
    assert process.finish(60) == 0, process.text


def test_without_arguments_it_becomes_active_and_ends_with_zero(domain: int) -> None:
    with launch("perception.launch.py") as process, closing(Robot(domain)) as robot:
        process.wait_for_line("subscribed to /camera/color/image_raw", timeout=120)
        process.wait_for_line("active", timeout=60)
        assert robot.state() == "active"
        assert robot.get("action.scale") == 0.05
        # Launch itself is no participant: under SROS 2 it would have no keys.
        assert not [name for name in robot.node.get_node_names() if "launch" in name]
        end(process)


def test_in_a_namespace_with_a_partial_parameters_file_and_a_transport_of_its_own(
    domain: int, tmp_path: Path
) -> None:
    checkpoint = save_small_checkpoint(tmp_path / "model")
    params_file = tmp_path / "arm.yaml"
    params_file.write_text(  # as `ros2 param dump` begins
        "/arm_1/smvae_perception:\n  ros__parameters:\n    max_rate: 25.0\n    device: cuda\n"
    )
    theirs = tmp_path / "theirs.launch.yaml"
    theirs.write_text(
        THEIRS.format(
            launch=LAUNCH, checkpoint=checkpoint, params_file=params_file, variable=VARIABLE
        )
    )
    with (
        launch(theirs, "device:=cpu") as process,
        closing(Robot(domain, namespace="/arm_1")) as robot,
        closing(Robot(domain)) as other,
    ):
        process.wait_for_line("active", timeout=120)
        assert "theirs is []" in process.text
        # The node had it: with LOCALHOST it warns that it is of no effect.
        assert f"{VARIABLE} (LARGE_DATA) has no effect" in process.text
        assert robot.get("max_rate") == 25.0
        assert robot.get("device") == "cpu"
        assert robot.get("action.scale") == 0.05
        assert "no use for" not in process.text
        other.send(ALL, observations(1))  # another arm's sensors are not ours
        robot.run_until_subset(("proprio",), observations())
        robot.run_until_subset(ALL, observations())
        end(process)


@pytest.mark.parametrize("as_argument", [True, False])
def test_a_robot_file_takes_the_place_of_the_packages_parameters(
    domain: int, tmp_path: Path, as_argument: bool
) -> None:
    robot = tmp_path / "blind.yaml"
    robot.write_text(
        "ros: {max_rate: 25}\n"
        "modalities:\n  proprio:\n    kind: vector\n    shape: [8]\n"
        "    ros:\n      topic: joint_states\n      type: sensor_msgs/msg/JointState\n"
        '      joints: ["x", "y", "z", "yaw"]\n'
    )
    params_file = tmp_path / "mine.yaml"
    named_there = "" if as_argument else f"    robot: {robot}\n"
    params_file.write_text(f"/**:\n  ros__parameters:\n    idle_rate: 2.0\n{named_there}")
    words = [f"robot:={robot}"] if as_argument else []
    words += [f"checkpoint:={save_small_checkpoint(tmp_path / 'model')}"]
    with (
        launch("perception.launch.py", *words, f"params_file:={params_file}") as process,
        closing(Robot(domain)) as other,
    ):
        process.wait_for_line(r"subscribed to /joint_states\b(?!,)", timeout=120)
        process.wait_for_line("active", timeout=60)
        assert other.get("max_rate") == 25.0
        assert other.get("idle_rate") == 2.0
        assert other.get("camera_info_topic") == ""
        other.run_until_subset(("proprio",), observations(), published=ALL)
        assert "no use for" not in process.text
        end(process)


@pytest.mark.parametrize(
    ("robot", "reason"),
    [
        ("g2", "no robot 'g2': name a file, or one of "),
        ("ros: {max_raet: 5}", r"no parameter max_raet \(did you mean max_rate\?\)"),
        ("frame_id: base", "unknown 'frame_id'; "),
    ],
)
def test_a_robot_file_of_no_use_is_an_error_before_the_node_starts(
    domain: int, tmp_path: Path, robot: str, reason: str
) -> None:
    if robot != "g2":
        path = tmp_path / "robot.yaml"
        path.write_text(f"{robot}\nmodalities: {{a: {{kind: vector, shape: [1]}}}}\n")
        robot = str(path)
    with launch("perception.launch.py", f"robot:={robot}") as process:
        process.wait_for_line(reason, timeout=60)
        assert process.finish(60) == 1
        assert "process started" not in process.text
        assert "Traceback" not in process.text


@pytest.mark.parametrize("source", ["bag", "simulation"])
def test_the_demo_in_a_namespace_is_heard_there_alone(domain: int, source: str) -> None:
    if source == "simulation" and find_spec("mujoco") is None:
        pytest.skip("mujoco is not installed (smvae_ros[sim])")
    words = (f"source:={source}", "namespace:=arm_1", "device:=cpu", "rate:=0.5")
    with (
        launch("demo.launch.py", *words) as process,
        closing(Robot(domain, namespace="/arm_1")) as robot,
    ):
        process.wait_for_line("subscribed to /arm_1/camera/color/image_raw", timeout=120)
        robot.wait(lambda: robot.statuses and "force" in robot.statuses[-1].subset, "a frame")
        assert robot.node.count_publishers("/arm_1/wrench") == 2  # the robot has one, too
        assert robot.node.count_publishers("/wrench") == 0
        process.interrupt()
        process.finish(60)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot read the parameters file .*: No such file or directory"),
        ("", "is empty"),
        ("/**:\n  rgb:\n    topic: /mine\n", "has no ros__parameters"),
        ("/camera:\n  ros__parameters:\n    rate: 30\n", "has no section for /smvae_perception, "),
    ],
)
def test_a_parameters_file_of_no_use_is_an_error_before_the_node_starts(
    domain: int, tmp_path: Path, content: str | None, reason: str
) -> None:
    path = tmp_path / "mine.yaml"
    if content is not None:
        path.write_text(content)
    with launch("perception.launch.py", f"params_file:={path}") as process:
        process.wait_for_line(reason, timeout=60)
        assert process.finish(60) == 1
        assert "process started" not in process.text
        assert "Traceback" not in process.text
