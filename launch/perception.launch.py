# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Starts the perception node, which configures and activates itself.

Without arguments it takes config/perception.yaml and the bundled model; robot:=NAME takes a robot
file in place of the former. `ros2 launch smvae_ros
perception.launch.py --show-args` explains the arguments.
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.utilities import prefix_namespace

from smvae_ros.bundled import parameters_path
from smvae_ros.node.transport import LARGE_DATA, VARIABLE
from smvae_ros.parameters.declarations import ROBOT
from smvae_ros.parameters.names import NODE_NAME, full_name
from smvae_ros.parameters.parameters_file import read_parameters
from smvae_ros.parameters.robot_values import load_robot

ARGUMENTS = [
    DeclareLaunchArgument(
        "robot",
        default_value="",
        description="Robot file, or the name of one of config/robots, such as g1. It takes the "
        "place of config/perception.yaml; what a parameters file gives lies over it.",
    ),
    DeclareLaunchArgument(
        "params_file",
        default_value="",
        description="Parameters of the node: topics, message types, ages. What the file does not "
        f"give is as in {parameters_path()}, or with robot:= as in the robot file.",
    ),
    DeclareLaunchArgument(
        "checkpoint",
        default_value="",
        description="Directory of the model. Empty for that of the parameters file, and where it "
        "names none, the bundled one.",
    ),
    DeclareLaunchArgument(
        "model_folder",
        default_value="",
        description="Directory that a checkpoint must lie in to be set while the node runs. Empty "
        "for that of the parameters file, and where it names none, for the one in which the "
        "checkpoint stands.",
    ),
    DeclareLaunchArgument(
        "device",
        default_value="",
        description="cpu, cuda, cuda:N or auto. Empty for that of the parameters file.",
    ),
    DeclareLaunchArgument(
        "namespace",
        default_value="",
        description="Namespace of the node, and of all topics that the parameters file gives "
        "without a leading slash, as the default one does.",
    ),
    DeclareLaunchArgument(
        "use_sim_time",
        default_value="false",
        choices=["true", "false"],
        description="Whether ROS time comes from /clock. Only the stamps of /diagnostics depend "
        "on it.",
    ),
    DeclareLaunchArgument(
        "log_level",
        default_value="info",
        choices=["debug", "info", "warn", "error", "fatal"],
        description="The least important messages that are logged.",
    ),
    DeclareLaunchArgument(
        "enclave",
        default_value="",
        description="Enclave of SROS 2, such as /smvae/perception; empty for none: "
        "docs/how_to/sros2.md.",
    ),
    DeclareLaunchArgument(
        "transport",
        default_value="default",
        choices=["default", "large_data"],
        description="Transport of Fast DDS. large_data is for images of 640x480 and more, and has "
        f"to be set for the camera's driver too ({VARIABLE}). It has no effect with "
        "ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST, of which the node then warns.",
    ),
]


def start(context: LaunchContext) -> list[Node]:
    """The node; only arguments that are given take precedence over the parameters file.

    Raises:
        ValueError: for a parameters file that is missing, or has nothing for the node, and for a
            robot file that the node could not take.
    """

    def given(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    outer = context.launch_configurations.get("ros_namespace")  # of a PushRosNamespace
    node_name = full_name(prefix_namespace(outer, given("namespace")))
    files = [Path(name) for name in [given("params_file")] if name]
    if robot := given("robot") or read_parameters(files, node_name).get(ROBOT.name):
        load_robot(str(robot))
    else:
        files = list(dict.fromkeys([parameters_path(), *files]))
    use_sim_time = ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)
    parameters = {"use_sim_time": use_sim_time}
    for name in ("robot", "checkpoint", "model_folder", "device"):
        if value := given(name):
            parameters[name] = ParameterValue(value, value_type=str)
    ros_arguments = ["--log-level", LaunchConfiguration("log_level")]
    if enclave := given("enclave"):
        ros_arguments += ["--enclave", enclave]
    # Not a LifecycleNode, with which launch itself joins the network: it would need keys of its own
    # under SROS 2, and the node changes its state by itself (`autostart`).
    node = Node(
        package="smvae_ros",
        executable="perception_node",
        name=NODE_NAME,
        namespace=given("namespace"),
        parameters=[*map(str, files), parameters],
        ros_arguments=ros_arguments,
        additional_env={VARIABLE: LARGE_DATA} if given("transport") == "large_data" else {},
        output="screen",
        emulate_tty=True,
    )
    return [node]


def generate_launch_description() -> LaunchDescription:
    """The arguments, and the node that they describe."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start)])
