# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Runs a launch file as `ros2 launch` does, in a process of its own: launch changes loggers, signal
handlers and the environment of the one that it runs in.

    python launch_file.py FILE [NAME:=VALUE ...]
"""

import signal
import sys

from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import AnyLaunchDescriptionSource

from ros_processes import end_with_parent

if __name__ == "__main__":
    end_with_parent(signal.SIGTERM)  # on which launch ends what it has started
    path, *words = sys.argv[1:]
    arguments = [tuple(word.split(":=", 1)) for word in words]
    service = LaunchService()
    service.include_launch_description(
        LaunchDescription(
            [IncludeLaunchDescription(AnyLaunchDescriptionSource(path), launch_arguments=arguments)]
        )
    )
    sys.exit(service.run())
