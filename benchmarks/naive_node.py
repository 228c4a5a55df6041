# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A perception node as it is often written, the peer of benchmarks.node_latency.

One subscription for each topic into an approximate time synchroniser, inference inside the
callback, ``tobytes()`` into the output's data. Same model, same inputs and same output message as
the node of this package, with torch's own modules.

    python -m benchmarks.naive_node [--executor multi]
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

import cv2
import numpy as np
import rclpy
import torch
from geometry_msgs.msg import WrenchStamped
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from benchmarks.results import run_command
from benchmarks.sensors import TOPICS
from smvae_core.checkpoint import load_checkpoint
from smvae_ros.bundled import model_path

NAME = "naive_perception"


class ApproximateTimeSynchronizer:
    """That of message_filters' Python side (ros2/message_filters, ``__init__.py``): a message is
    matched with those of the other topics whose stamps are nearest, within ``slop``.

    Args:
        count: of topics.
        queue_size: messages kept of each.
        slop: seconds between the stamps of a set at most.
        callback: is given one message of each topic.
    """

    def __init__(
        self, count: int, queue_size: int, slop: float, callback: Callable[..., None]
    ) -> None:
        self._queues: list[dict[int, Any]] = [{} for _ in range(count)]
        self._queue_size, self._slop_ns = queue_size, round(slop * 1e9)
        self._callback = callback
        self._lock = threading.Lock()

    def add(self, message: Any, index: int) -> None:
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        with self._lock:
            queue = self._queues[index]
            queue[stamp] = message
            while len(queue) > self._queue_size:
                del queue[min(queue)]
            candidates = []
            for other in self._queues[:index] + self._queues[index + 1 :]:
                near = [s for s in other if abs(s - stamp) <= self._slop_ns]
                if not near:
                    return
                candidates.append(sorted(near, key=lambda s: abs(s - stamp)))
            for stamps in map(list, itertools.product(*candidates)):
                stamps.insert(index, stamp)
                chosen = list(zip(self._queues, stamps, strict=True))
                close = max(stamps) - min(stamps) < self._slop_ns
                if close and all(s in queue for queue, s in chosen):
                    self._callback(*(queue[s] for queue, s in chosen))
                    for queue, s in chosen:
                        del queue[s]
                    return


class NaivePerception(Node):
    """See the module's description."""

    def __init__(self) -> None:
        super().__init__(NAME)
        self._model = load_checkpoint(model_path()).model
        self._wrenches: deque[list[float]] = deque(maxlen=self._model.modalities["force"].shape[1])
        self._publisher = self.create_publisher(Image, "~/latent", 10)
        synchronizer = ApproximateTimeSynchronizer(3, 10, 0.05, self._on_set)
        for index, (name, message_type) in enumerate(
            {"rgb": Image, "depth": Image, "force": WrenchStamped}.items()
        ):
            self.create_subscription(
                message_type,
                TOPICS[name],
                lambda message, index=index: synchronizer.add(message, index),
                qos_profile_sensor_data,
            )

    @torch.no_grad()
    def _on_set(self, rgb: Image, depth: Image, wrench: WrenchStamped) -> None:
        force, torque = wrench.wrench.force, wrench.wrench.torque
        self._wrenches.append([force.x, force.y, force.z, torque.x, torque.y, torque.z])
        window = [self._wrenches[0]] * (self._wrenches.maxlen - len(self._wrenches))
        colour = np.frombuffer(rgb.data, np.uint8).reshape(rgb.height, rgb.width, 3)
        counts = np.frombuffer(depth.data, np.uint16).reshape(depth.height, depth.width)
        metres = counts.astype(np.float32) / 1000.0
        posterior = self._model.encode(
            {
                "rgb": self._picture("rgb", colour / 255.0),
                "depth": self._picture("depth", metres[..., None]),
                "force": self._normalised("force", np.array(window + list(self._wrenches)).T[None]),
            }
        )
        latent = torch.stack((posterior.mean[0], posterior.log_variance[0]), dim=-1).numpy()
        message = Image(header=rgb.header, height=1, width=len(latent), encoding="32FC2")
        message.step = latent.nbytes
        message.data = latent.tobytes()
        self._publisher.publish(message)

    def _picture(self, name: str, picture: np.ndarray) -> torch.Tensor:
        _, height, width = self._model.modalities[name].shape
        small = cv2.resize(picture, (width, height)).reshape(height, width, -1)
        return self._normalised(name, small.transpose(2, 0, 1)[None])

    def _normalised(self, name: str, values: np.ndarray) -> torch.Tensor:
        modality = self._model.modalities[name]
        shape = (-1,) + (1,) * (values.ndim - 2)
        mean, std = np.reshape(modality.mean, shape), np.reshape(modality.std, shape)
        return torch.tensor((values - mean) / std, dtype=torch.float32)


def main(executor: Literal["single", "multi"] = "single") -> None:
    """Spins the node until it is interrupted.

    Args:
        executor: with one thread, or several.
    """
    torch.set_num_threads(1)
    rclpy.init()
    chosen = SingleThreadedExecutor() if executor == "single" else MultiThreadedExecutor()
    node = NaivePerception()
    chosen.add_node(node)
    try:
        chosen.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    run_command(main)
