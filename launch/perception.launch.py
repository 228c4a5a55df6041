"""Starts the perception node, which configures and activates itself.

Without arguments it takes config/perception.yaml and the bundled model. `ros2 launch smvae_ros
perception.launch.py --show-args` explains the arguments.
"""

from launch import Action, LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from smvae_ros.transport import LARGE_DATA, VARIABLE

ARGUMENTS = [
    DeclareLaunchArgument(
        "params_file",
        default_value=PathJoinSubstitution(
            [FindPackageShare("smvae_ros"), "config", "perception.yaml"]
        ),
        description="Parameters of the node: topics, message types, ages.",
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
    DeclareLaunchArgument("namespace", default_value="", description="Namespace of the node."),
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
        description="Enclave of SROS 2, such as /smvae/perception (docs/security.md). Empty for "
        "none.",
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


def start(context: LaunchContext) -> list[Action]:
    """The node; only arguments that are given take precedence over the parameters file."""
    actions: list[Action] = []
    if LaunchConfiguration("transport").perform(context) == "large_data":
        actions.append(SetEnvironmentVariable(VARIABLE, LARGE_DATA))
    use_sim_time = ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)
    parameters = {"use_sim_time": use_sim_time}
    for name in ("checkpoint", "model_folder", "device"):
        if value := LaunchConfiguration(name).perform(context):
            parameters[name] = ParameterValue(value, value_type=str)
    ros_arguments = ["--log-level", LaunchConfiguration("log_level")]
    if enclave := LaunchConfiguration("enclave").perform(context):
        ros_arguments += ["--enclave", enclave]
    node = LifecycleNode(
        package="smvae_ros",
        executable="perception_node",
        name="smvae_perception",
        namespace=LaunchConfiguration("namespace"),
        parameters=[LaunchConfiguration("params_file"), parameters],
        ros_arguments=ros_arguments,
        output="screen",
        emulate_tty=True,
    )
    return [*actions, node]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start)])
