# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The sensors of the node's benchmarks: RGB, depth and force, published over DDS."""

from __future__ import annotations

import time
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np

from smvae_core.modalities import Modality
from smvae_ros.messages import adapter, installed_types

IMAGE_RATE, WRENCH_RATE = 30, 500  # Hz
TOPICS = {
    "rgb": "/camera/color/image_raw",
    "depth": "/camera/depth/image_raw",
    "force": "/wrench",
}
TYPES = {
    "rgb": "sensor_msgs/msg/Image",
    "depth": "sensor_msgs/msg/Image",
    "force": "geometry_msgs/msg/WrenchStamped",
}
RGB = Modality("rgb", "image", (3, 128, 128))
DEPTH = Modality("depth", "depth", (1, 128, 128))
FORCE = Modality("force", "vector", (6,))


@dataclass(frozen=True)
class Published:
    """What was published.

    Attributes:
        moments: stamp → monotonic time of the moment's last message, in nanoseconds.
        with_depth: stamps of the moments that had a depth image, too.
    """

    moments: dict[int, int]
    with_depth: set[int]


def publish_sensors(
    seconds: float, size: int, results: Connection, depth_seconds: float = float("inf")
) -> None:
    """Publishes for some time once everything is subscribed, then sends :class:`Published`.

    Args:
        seconds: how long.
        size: of the images: 128 makes 128x128, others are the height of a picture of 4:3.
        results: where to.
        depth_seconds: how long the depth camera works.
    """
    import rclpy
    from rclpy.qos import QoSProfile, ReliabilityPolicy

    rclpy.init()
    node = rclpy.create_node("benchmark_publisher")
    image, wrench = adapter(TYPES["rgb"]), adapter(TYPES["force"])
    best_effort = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    publishers = {
        name: node.create_publisher(
            installed_types(TYPES[name]), topic, 50 if name == "force" else best_effort
        )
        for name, topic in TOPICS.items()
    }
    random = np.random.default_rng(0)
    shape = image_shape(size)
    pictures = random.integers(0, 256, (8, *shape, 3), dtype=np.uint8)
    depths = random.uniform(0.3, 1.2, (8, *shape)).astype(np.float32)
    forces = random.normal(0, 5, (500, 6)).astype(np.float32)
    while not all(publisher.get_subscription_count() for publisher in publishers.values()):
        time.sleep(0.01)
    published = Published({}, set())
    begin = time.monotonic()
    next_image = 0
    for tick in range(round(seconds * WRENCH_RATE)):
        due = begin + tick / WRENCH_RATE
        time.sleep(max(0.0, due - time.monotonic()))
        stamp = time.time_ns()
        moment = tick * IMAGE_RATE >= next_image * WRENCH_RATE
        if moment:
            number, next_image = next_image % 8, next_image + 1
            where = {"stamp_ns": stamp, "frame_id": "camera"}
            publishers["rgb"].publish(
                image.to_message(pictures[number], RGB, installed_types, **where)
            )
            if tick < depth_seconds * WRENCH_RATE:
                published.with_depth.add(stamp)
                publishers["depth"].publish(
                    image.to_message(depths[number], DEPTH, installed_types, **where)
                )
        message = wrench.to_message(forces[tick % 500], FORCE, installed_types, stamp_ns=stamp)
        if moment:
            published.moments[stamp] = time.monotonic_ns()
        publishers["force"].publish(message)
    time.sleep(0.5)  # the last ones are on their way
    results.send(published)
    node.destroy_node()
    rclpy.shutdown()


def image_shape(size: int) -> tuple[int, int]:
    """Height and width."""
    return (size, size) if size <= 128 else (size, size * 4 // 3)
