# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Floors that other nodes are measured against spin with the executor of ours."""

from __future__ import annotations

import rclpy
from rclpy.executors import Executor, ExternalShutdownException
from rclpy.node import Node


def spin_until_interrupted(node: Node, executor: Executor) -> None:
    """Spins a node, and ends it, the executor and rclpy."""
    executor.add_node(node)
    try:
        while rclpy.ok():
            executor.spin_once(timeout_sec=0.1)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
