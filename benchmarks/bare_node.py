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
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode

from smvae_ros.node.spinning import make_executor


def main() -> None:
    """Spins the node until it is interrupted."""
    rclpy.init()
    node, executor = LifecycleNode("bare"), make_executor()
    executor.add_node(node)
    node.trigger_configure()
    node.trigger_activate()
    node.get_logger().info("active")
    try:
        while rclpy.ok():
            executor.spin_once(timeout_sec=0.1)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
