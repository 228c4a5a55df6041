# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Listens to the running node: each latent, with the sensors and the model that it was made of.

python examples/read_the_latent.py
"""

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from sensor_msgs.msg import Image


class Listener(Node):
    """Joins ~/latent with the ~/status of the same stamp."""

    def __init__(self) -> None:
        super().__init__("listener")
        self.latents: dict[tuple[int, int], np.ndarray] = {}
        self.create_subscription(Image, "smvae_perception/latent", self.on_latent, 10)
        self.create_subscription(DiagnosticArray, "smvae_perception/status", self.on_status, 10)

    def on_latent(self, message: Image) -> None:
        stamp = message.header.stamp.sec, message.header.stamp.nanosec
        self.latents = dict([*self.latents.items()][-9:])  # of which the status was lost
        self.latents[stamp] = np.frombuffer(message.data, np.float32).reshape(-1, 2)

    def on_status(self, message: DiagnosticArray) -> None:
        stamp = message.header.stamp.sec, message.header.stamp.nanosec
        if (latent := self.latents.pop(stamp, None)) is not None:
            mean, log_variance = latent.T
            values = {value.key: value.value for value in message.status[0].values}
            print(
                f"{message.status[0].message} by {values['model']}: {len(mean)} numbers, ", end=""
            )
            print(f"mean variance {np.exp(log_variance).mean():.3f}", flush=True)


rclpy.init()
rclpy.spin(Listener())
