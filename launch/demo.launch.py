"""The perception node and a replay of the bundled bag, started together; Ctrl-C ends both.

    ros2 launch smvae_ros demo.launch.py
    ros2 run rqt_image_view rqt_image_view /smvae_perception/prediction/depth

The bag is replayed in a loop; RGB and depth are cut off for a part of each round. For the report of
`make demo` use `ros2 run smvae_ros demo`.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, ThisLaunchFileDir
from launch_ros.actions import Node

from smvae_ros.bundled import bag_path

ARGUMENTS = {
    "bag": (str(bag_path()), "rosbag2 bag to replay in a loop"),
    "rate": ("1.0", "replay this much faster"),
    "cut": ("/camera/*:8:20", "TOPIC:FROM:TO, what is cut off, in seconds of the bag"),
    "checkpoint": ("", "directory of the model; empty for the bundled one"),
    "device": ("auto", "cpu, cuda, cuda:N or auto"),
    "transport": ("default", "default or large_data, set for both processes"),
}


def generate_launch_description() -> LaunchDescription:
    """Called by launch."""
    perception = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(
            PathJoinSubstitution([ThisLaunchFileDir(), "perception.launch.py"])
        ),
        # It sets the transport for every process that is started after it.
        launch_arguments={
            name: LaunchConfiguration(name) for name in ("checkpoint", "device", "transport")
        }.items(),
    )
    replay = Node(
        package="smvae_ros",
        executable="replay",
        output="screen",
        arguments=[
            LaunchConfiguration("bag"),
            "--loop",
            "--wait-for-subscribers",
            "--rate",
            LaunchConfiguration("rate"),
            "--cut",
            LaunchConfiguration("cut"),
        ],
    )
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, description) in ARGUMENTS.items()
            ),
            perception,
            replay,
        ]
    )
