# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Every output of the node with its time of arrival, as a watcher outside of it sees them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from smvae_ros.messages import stamp_ns

QUEUE = QoSProfile(depth=200)


class DemoRecording:
    """Subscribes to the perception node and remembers.

    Args:
        node: for the subscriptions; somebody spins it.
        target: full name of the perception node.
        images: modalities whose predictions are kept.
        inputs: topics on which inputs are published.

    Attributes:
        received: stamp of a snapshot → monotonic time of its latent's arrival, in nanoseconds.
        subsets: stamp → modalities used, joined by +.
        predictions: modality → stamp → image message.
        published: stamp → monotonic time at which the last input of that moment was published.
        messages_in: inputs published so far.
    """

    def __init__(
        self, node: Node, target: str, images: Collection[str], inputs: Collection[str]
    ) -> None:
        self.received: dict[int, int] = {}
        self.subsets: dict[int, str] = {}
        self.predictions: dict[str, dict[int, Image]] = {name: {} for name in images}
        self.published: dict[int, int] = {}
        self.messages_in = 0
        self._inputs = set(inputs)
        self._printed = (0, 0, time.monotonic())
        node.create_subscription(Image, f"{target}/latent", self._on_latent, QUEUE)
        node.create_subscription(DiagnosticArray, f"{target}/status", self._on_status, QUEUE)
        for name, kept in self.predictions.items():
            node.create_subscription(
                Image,
                f"{target}/prediction/{name}",
                lambda message, kept=kept: kept.__setitem__(stamp_ns(message), message),
                QUEUE,
            )

    def on_publish(self, topic: str, bag_ns: int, moment_ns: int) -> None:
        """For :meth:`smvae_ros.bags.replayer.Replayer.run`; inputs are stamped with bag time."""
        if topic in self._inputs:
            self.published[bag_ns] = moment_ns
            self.messages_in += 1

    def _on_latent(self, message: Image) -> None:
        self.received[stamp_ns(message)] = time.monotonic_ns()

    def _on_status(self, message: DiagnosticArray) -> None:
        stamp, values = stamp_ns(message), {v.key: v.value for v in message.status[0].values}
        self.subsets[stamp] = values["subset"]

    def latencies_ms(self, last: int | None = None) -> np.ndarray:
        """Milliseconds from publishing the last input of a moment to the latent's arrival, of the
        ``last`` snapshots or all."""
        stamps = list(self.received)[-last if last else 0 :]
        pairs = [(self.received[s], self.published[s]) for s in stamps if s in self.published]
        return np.array([(there - here) / 1e6 for there, here in pairs])

    def subset_counts(self) -> dict[str, int]:
        """Modalities used, joined by + → number of snapshots."""
        return dict(Counter(self.subsets.values()))

    def line(self, seconds: float) -> str:
        """A line about the time since the last call.

        Args:
            seconds: of the bag, so far.
        """
        inputs, snapshots, then = self._printed
        now = time.monotonic()
        self._printed = (self.messages_in, len(self.received), now)
        rate_in = (self.messages_in - inputs) / (now - then)
        new = len(self.received) - snapshots
        latency = self.latencies_ms(new) if new else np.array([])
        latency_text = f"{np.median(latency):6.1f} ms" if len(latency) else "        -"
        subset = next(reversed(self.subsets.values()), "none") if new else "none"
        return (
            f"{seconds:6.1f} s   in {rate_in:5.0f} msg/s   out {new / (now - then):5.1f} Hz   "
            f"latency {latency_text}   live {subset}"
        )


def nearest(stamps: np.ndarray, stamp: int, tolerance_ns: int) -> int | None:
    """The index of the stamp nearest to another one; None where none is near enough."""
    if not len(stamps):
        return None
    index = int(np.argmin(np.abs(stamps - stamp)))
    return index if abs(int(stamps[index]) - stamp) <= tolerance_ns else None
