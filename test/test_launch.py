"""perception.launch.py with the real launch stack: bundled model, active, clean end.

Runs wherever launch_testing is (apt's ROS 2 has it, PyPI does not), on the installed package.
"""

from __future__ import annotations

import os
import unittest
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip(
    "launch_testing",
    reason="launch_testing is not installed (apt install ros-$ROS_DISTRO-launch-testing)",
)
pytest.importorskip(
    "launch_ros", reason="launch_ros is not installed (apt install ros-$ROS_DISTRO-launch-ros)"
)

import launch_testing
import rclpy
from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription, SetEnvironmentVariable
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_testing.actions import ReadyToTest
from lifecycle_msgs.srv import GetState
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from ros_processes import ros_environment, unique_domain_id

try:
    SHARE = Path(get_package_share_directory("smvae_ros"))
except PackageNotFoundError:
    pytest.skip(
        "smvae_ros is not installed where ROS 2 looks: source install/setup.bash, or set "
        "AMENT_PREFIX_PATH to the environment that it was installed into",
        allow_module_level=True,
    )

DOMAIN = unique_domain_id()
VARIABLES = ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE", "OMP_NUM_THREADS")


@pytest.mark.launch_test
@launch_testing.parametrize(
    "arguments",
    [
        {},
        {"namespace": "robot", "device": "cpu", "transport": "large_data", "log_level": "info"},
    ],
)
def generate_test_description(arguments: dict[str, str]) -> tuple[LaunchDescription, dict]:
    """Called once for each set of launch arguments."""
    environment = ros_environment(DOMAIN)
    os.environ.update({name: environment[name] for name in VARIABLES})
    description = LaunchDescription(
        [
            *(SetEnvironmentVariable(name, environment[name]) for name in VARIABLES),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(SHARE / "launch" / "perception.launch.py")),
                launch_arguments=arguments.items(),
            ),
            ReadyToTest(),
        ]
    )
    return description, {"namespace": arguments.get("namespace", "")}


class TestPerception(unittest.TestCase):
    """While the node runs."""

    def test_it_becomes_active_by_itself(self, proc_output: Any, namespace: str) -> None:
        proc_output.assertWaitFor("active", timeout=60)
        context = Context()
        rclpy.init(context=context, domain_id=DOMAIN)
        try:
            node = rclpy.create_node("observer", context=context)
            executor = SingleThreadedExecutor(context=context)
            executor.add_node(node)
            name = f"/{namespace}/smvae_perception/get_state".replace("//", "/")
            client = node.create_client(GetState, name)
            assert client.wait_for_service(20.0), f"no service {name}"
            answer = client.call_async(GetState.Request())
            executor.spin_until_future_complete(answer, 20.0)
            assert answer.result().current_state.label == "active"
        finally:
            context.shutdown()


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    """After Ctrl-C."""

    def test_it_ends_with_zero(self, proc_info: Any) -> None:
        launch_testing.asserts.assertExitCodes(proc_info)
