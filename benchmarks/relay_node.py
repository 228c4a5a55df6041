# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A node that only answers, the floor of benchmarks.node_latency.

It subscribes to the messages of our node in the same way, and answers each moment with a latent of
the same size as soon as its last message has come. Nothing is read but stamps, nothing is computed,
and there is only one thread, so what it takes is what rclpy and the middleware take.

    python -m benchmarks.relay_node
"""

from __future__ import annotations

from functools import partial

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

from benchmarks.results import run_command
from benchmarks.sensors import TOPICS, TYPES
from benchmarks.spinning import spin_until_interrupted
from smvae_ros.messages import installed_types
from smvae_ros.messages.cdr import read_stamp
from smvae_ros.messages.latent import SerialisedLatents
from smvae_ros.messages.serialised import join_stamp
from smvae_ros.node.spinning import make_executor

NAME = "relay"
LATENT_SIZE = 128  # that of the bundled model


class Relay(Node):
    """See the module's description."""

    def __init__(self) -> None:
        super().__init__(NAME)
        self._make = SerialisedLatents(LATENT_SIZE, "", installed_types, serialize_message)
        self._zeros = np.zeros(LATENT_SIZE, np.float32)
        self._stamps: dict[str, int | None] = dict.fromkeys(TOPICS)
        self._publisher = self.create_publisher(Image, "~/latent", 5)
        for name, topic in TOPICS.items():
            self.create_subscription(
                installed_types(TYPES[name]),
                topic,
                partial(self._receive, name),
                qos_profile_sensor_data,
                raw=True,
            )

    def _receive(self, name: str, data: bytes) -> None:
        stamp = self._stamps[name] = join_stamp(*read_stamp(data))
        if stamp is not None and len(set(self._stamps.values())) == 1:
            self._publisher.publish(self._make(self._zeros, self._zeros, stamp))


def main() -> None:
    """Spins the node until it is interrupted."""
    rclpy.init()
    spin_until_interrupted(Relay(), make_executor())


if __name__ == "__main__":
    run_command(main)
