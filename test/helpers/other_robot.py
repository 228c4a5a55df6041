# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A robot with a lidar, an infrared camera and a tactile pad: its cache, model and bag."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from small_bags import START
from smvae_core.data.logs.conversion import convert
from smvae_core.modalities import Modality, Network
from smvae_core.models.smvae import SMVAE
from smvae_ros.bags import BagWriter
from smvae_ros.messages import Types, adapter, bag_types
from smvae_ros.offline.bag_recording import BagRecording
from smvae_ros.parameters.configuration import read_values

_CONVOLUTION = {name: Network("convolution", (4, 8)) for name in ("embedding", "decoder")}
_TEMPORAL = {name: Network("temporal_convolution", (4, 8)) for name in ("embedding", "decoder")}
LIDAR = Modality("lidar", "scan", (1, 32), angles=(-2.0, 2.0), maximum=8.0, **_TEMPORAL)
INFRARED = Modality("infrared", "image", (1, 16, 16), **_CONVOLUTION)
PAD = Modality("pad", "image", (1, 8, 8), minimum=0.0, maximum=20.0, **_CONVOLUTION)
JOINTS = Modality("joints", "vector", (4,))
MODALITIES = (LIDAR, INFRARED, PAD, JOINTS)
TOPICS = {
    "lidar": ("/scan", "sensor_msgs/msg/LaserScan"),
    "infrared": ("/infrared", "sensor_msgs/msg/Image"),
    "pad": ("/pad", "std_msgs/msg/Float32MultiArray"),
    "joints": ("/joints", "std_msgs/msg/Float64MultiArray"),
}
RATE = 10  # steps a second
_BEAMS = Modality("beams", "scan", (1, 180), angles=(-2.5, 2.5), maximum=30.0)


def readings(step: int) -> dict[str, np.ndarray]:
    """What its sensors measure, in raw units; the camera's size changes now and then."""
    phase = step / 7
    beams = (4 + 3 * np.sin(phase + np.linspace(0, 6, 180))).astype(np.float32)
    beams[step % 100 : step % 100 + 30] = np.nan
    return {
        "lidar": beams,
        "infrared": (255 * _spot(phase, (16, 24, 41)[step // 5 % 3], 16)).astype(np.uint8),
        "pad": (20 * _spot(phase, 8, 8)).astype(np.float32),
        "joints": np.sin(phase + np.arange(4)).astype(np.float32),
    }


def _spot(phase: float, height: int, width: int) -> np.ndarray:
    """A spot that wanders over (height, width, 1), 0 to 1."""
    rows, columns = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    squared = (rows - np.sin(phase)) ** 2 + (columns - np.cos(phase)) ** 2
    return np.exp(-4 * squared)[..., None]


def message_of(name: str, step: int, types: Types, stamp: int) -> Any:
    """What a sensor sends at a step."""
    used, modality = adapter(TOPICS[name][1]), _BEAMS if name == "lidar" else _of(name)
    return used.to_message(readings(step)[name], modality, types, stamp_ns=stamp)


def write_other_bag(path: Path, steps: int, first: int = 0) -> Path:
    """Steps from the ``first`` on."""
    with BagWriter(path) as bag:
        for step in range(first, first + steps):
            stamp = START + step * 10**9 // RATE
            for name, (topic, _) in TOPICS.items():
                bag.write(topic, message_of(name, step, bag_types, stamp), stamp)
    return path


def write_parameters(path: Path) -> Path:
    """The node's, for its topics."""
    topics = {name: {"topic": topic, "type": kind} for name, (topic, kind) in TOPICS.items()}
    path.write_text(yaml.safe_dump({"/**": {"ros__parameters": topics}}))
    return path


def other_model() -> SMVAE:
    """Untrained, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return SMVAE(list(MODALITIES), latent_size=6, embedding_size=16, heads=4).eval()


def _of(name: str) -> Modality:
    return next(modality for modality in MODALITIES if modality.name == name)


def make_other_cache(folder: Path) -> Path:
    """220 steps of ten bags."""
    bags = [write_other_bag(folder / f"bag_{n}", 22, 1000 * n) for n in range(10)]
    values = read_values(write_parameters(folder / "parameters.yaml"), MODALITIES)
    recording = BagRecording(bags, MODALITIES, values, RATE)
    convert(recording, folder / "cache", MODALITIES, progress=False)
    return folder / "cache"
