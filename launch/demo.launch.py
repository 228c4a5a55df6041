# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The perception node and something to perceive, started together; Ctrl-C ends both.

    ros2 launch smvae_ros demo.launch.py                        # replays the bundled bag
    ros2 launch smvae_ros demo.launch.py source:=simulation     # needs smvae_ros[sim]
    ros2 launch smvae_ros demo.launch.py namespace:=arm_1       # beside another one
    ros2 run rqt_image_view rqt_image_view /smvae_perception/prediction/depth

The bag is replayed in a loop; RGB and depth are cut off for a part of each round. The simulated
robot goes on for ever; `ros2 param set /smvae_simulation cut.rgb true` cuts a sensor off. For the
report of `make demo` use `ros2 run smvae_ros demo`.
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, ThisLaunchFileDir
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from smvae_ros.bags import BagReader
from smvae_ros.bundled import bag_path
from smvae_ros.node.transport import LARGE_DATA, VARIABLE

ARGUMENTS = [
    DeclareLaunchArgument(
        "source",
        default_value="bag",
        choices=["bag", "simulation"],
        description="A replayed bag, or the simulated robot, live.",
    ),
    DeclareLaunchArgument(
        "bag", default_value=str(bag_path()), description="(bag) rosbag2 bag to replay in a loop."
    ),
    DeclareLaunchArgument(
        "cut",
        default_value="/camera/*:8:20",
        description="(bag) TOPIC:FROM:TO, what is cut off, in seconds of the bag.",
    ),
    DeclareLaunchArgument(
        "seed", default_value="0", description="(simulation) Of scene, behaviour and noise."
    ),
    DeclareLaunchArgument("rate", default_value="1.0", description="Run this much faster."),
    DeclareLaunchArgument(
        "checkpoint",
        default_value="",
        description="Directory of the model; empty for the bundled one.",
    ),
    DeclareLaunchArgument(
        "robot",
        default_value="",
        description="(bag) Robot file, or the name of one of config/robots: whose bag and model "
        "these are. Empty for the bundled robot.",
    ),
    DeclareLaunchArgument(
        "namespace",
        default_value="",
        description="Namespace of the perception node and of all topics that it hears.",
    ),
    DeclareLaunchArgument("device", default_value="auto", description="cpu, cuda, cuda:N or auto."),
    DeclareLaunchArgument(
        "transport",
        default_value="default",
        choices=["default", "large_data"],
        description="Transport of Fast DDS, set for both processes. large_data has no effect with "
        "ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST, of which the node then warns.",
    ),
]


def make_source(context: LaunchContext) -> list[Node]:
    """The process that publishes the sensors."""
    rate = LaunchConfiguration("rate")
    namespace = LaunchConfiguration("namespace").perform(context).strip("/")
    large_data = LaunchConfiguration("transport").perform(context) == "large_data"
    environment = {VARIABLE: LARGE_DATA} if large_data else {}
    if LaunchConfiguration("source").perform(context) == "simulation":
        parameters = {
            "seed": ParameterValue(LaunchConfiguration("seed"), value_type=int),
            "rate": ParameterValue(rate, value_type=float),
        }
        return [
            Node(
                package="smvae_ros",
                executable="simulation_node",
                name="smvae_simulation",
                namespace=namespace,
                parameters=[parameters],
                additional_env=environment,
                output="screen",
                emulate_tty=True,
            )
        ]
    arguments = [LaunchConfiguration("bag"), "--loop", "--wait-for-subscribers", "--rate", rate]
    arguments += ["--cut", LaunchConfiguration("cut")]
    if namespace:  # the bag's topics are absolute
        with BagReader(LaunchConfiguration("bag").perform(context)) as reader:
            arguments += ["--remap", *(f"{topic}:=/{namespace}{topic}" for topic in reader.topics)]
    return [
        Node(
            package="smvae_ros",
            executable="replay",
            namespace=namespace,
            additional_env=environment,
            output="screen",
            arguments=arguments,
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Called by launch."""
    perception = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(
            PathJoinSubstitution([ThisLaunchFileDir(), "perception.launch.py"])
        ),
        launch_arguments={
            name: LaunchConfiguration(name)
            for name in ("robot", "checkpoint", "device", "namespace", "transport")
        }.items(),
    )
    return LaunchDescription([*ARGUMENTS, perception, OpaqueFunction(function=make_source)])
