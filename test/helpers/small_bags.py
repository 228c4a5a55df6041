# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A recorded run with the topics of config/perception.yaml, written without a simulator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from smvae_core.modalities import Modality
from smvae_ros.bags import BagReader, BagWriter
from smvae_ros.bundled import bag_path
from smvae_ros.messages import adapter, bag_types

START = 1_704_067_200 * 10**9
MS = 1_000_000
IMAGE_SIZE = 24  # another one than the model's

_MODALITIES = {
    "rgb": Modality("rgb", "image", (3, IMAGE_SIZE, IMAGE_SIZE)),
    "depth": Modality("depth", "depth", (1, IMAGE_SIZE, IMAGE_SIZE)),
    "force": Modality("force", "vector", (6,)),
    "action": Modality("action", "vector", (4,)),
    "proprio": Modality("proprio", "vector", (8,)),
}
TOPICS = {
    "rgb": ("/camera/color/image_raw", "sensor_msgs/msg/Image"),
    "depth": ("/camera/depth/image_raw", "sensor_msgs/msg/Image"),
    "force": ("/wrench", "geometry_msgs/msg/WrenchStamped"),
    "action": ("/action", "geometry_msgs/msg/TwistStamped"),
    "proprio": ("/joint_states", "sensor_msgs/msg/JointState"),
}


def write_beginning(path: Path, seconds: float, without: tuple[str, ...] = ()) -> Path:
    """The beginning of the bundled bag, without some of its topics."""
    with BagReader(bag_path()) as reader, BagWriter(path) as writer:
        end = None
        for topic, type_name, stamp, data in reader.messages(reader.topics.keys() - {*without}):
            end = stamp + seconds * 1e9 if end is None else end
            if stamp > end:
                break
            writer.write_raw(topic, type_name, data, stamp)
    return path


def write_small_bag(
    path: Path, steps: int = 60, without: tuple[str, ...] = (), namespace: str = ""
) -> Path:
    """A bag of :func:`small_messages`; its topics lie in a namespace such as ``/arm_1``."""
    with BagWriter(path) as bag:
        for topic, message, stamp in small_messages(steps, without):
            bag.write(namespace + topic, message, stamp)
    return path


def small_messages(
    steps: int = 60, without: tuple[str, ...] = ()
) -> Iterator[tuple[str, Any, int]]:
    """(topic, message, stamp) of ``steps`` at 20 Hz, force at 1 kHz, that looks different at every
    step."""
    random = np.random.default_rng(0)

    def make(name: str, array: np.ndarray, stamp: int) -> tuple[str, Any, int]:
        topic, type_name = TOPICS[name]
        message = adapter(type_name).to_message(
            array,
            _MODALITIES[name],
            bag_types,
            stamp_ns=stamp,
            frame_id="camera",
            scale=0.05 if name == "action" else 1.0,
            joint_names=("x", "y", "z", "yaw") if name == "proprio" else (),
        )
        return topic, message, stamp

    for step in range(1, steps + 1):
        now = START + step * 50 * MS
        phase = step / 10
        if "force" not in without:
            for reading in range(50):
                stamp = now - (49 - reading) * MS
                force = np.sin(phase + np.arange(6) + reading / 50) * 5
                yield make("force", force, stamp)
        arrays = {
            "action": np.sin(phase + np.arange(4)) * 0.01,
            "proprio": np.cos(phase + np.arange(8)),
            "rgb": random.integers(0, 256, (IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8),
            "depth": random.uniform(0.3, 1.5, (IMAGE_SIZE, IMAGE_SIZE)).astype(np.float32),
        }
        for name, array in arrays.items():
            if name not in without:
                yield make(name, array, now)
