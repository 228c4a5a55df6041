# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A lifecycle node that does nothing, the floor of benchmarks.footprint.

It imports the messages of our node, configures, becomes active and says so.

    python -m benchmarks.bare_node
"""

from __future__ import annotations

import diagnostic_msgs.msg  # noqa: F401
import geometry_msgs.msg  # noqa: F401
import rclpy
import sensor_msgs.msg  # noqa: F401
import std_msgs.msg  # noqa: F401
import std_srvs.srv  # noqa: F401
from rclpy.lifecycle import LifecycleNode

from benchmarks.spinning import spin_until_interrupted
from smvae_ros.node.spinning import make_executor


def main() -> None:
    """Spins the node until it is interrupted."""
    rclpy.init()
    node = LifecycleNode("bare")
    node.trigger_configure()
    node.trigger_activate()
    node.get_logger().info("active")
    spin_until_interrupted(node, make_executor())


if __name__ == "__main__":
    main()
