# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Publishes on contact how probable it is that the peg touches something, whatever sensors live.

python examples/contact_from_latent.py head.npz   # of train_contact_head.py
"""

import sys

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Float64


class Contact(Node):
    """Reads each latent of the model that the head was fitted to: ~/status says whose it is."""

    def __init__(self, head: np.lib.npyio.NpzFile) -> None:
        super().__init__("contact_from_latent")
        self.weights, self.bias, self.model = head["weights"], head["bias"], str(head["model_hash"])
        self.latents: dict[str, np.ndarray] = {}  # means by stamp
        self.create_subscription(Image, "smvae_perception/latent", self.on_latent, 10)
        self.create_subscription(DiagnosticArray, "smvae_perception/status", self.on_status, 10)
        self.contact = self.create_publisher(Float64, "contact", 10)

    def on_latent(self, message: Image) -> None:
        self.latents = dict([*self.latents.items()][-9:])  # of which the status was lost
        self.latents[str(message.header.stamp)] = np.frombuffer(message.data, np.float32)[::2]

    def on_status(self, message: DiagnosticArray) -> None:
        mean = self.latents.pop(str(message.header.stamp), None)
        if mean is not None and self.model in [value.value for value in message.status[0].values]:
            score = float(mean @ self.weights + self.bias)
            self.contact.publish(Float64(data=1 / (1 + np.exp(-score))))


rclpy.init()
rclpy.spin(Contact(np.load(sys.argv[1])))
