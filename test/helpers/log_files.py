# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Small Vision&Touch logs for tests."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np

from smvae_core.data.logs.vision_touch.layout import log_file_name, write_log
from smvae_core.modalities import Modality

STAMP = "20190408_183047"


def log_modalities(image_size: int = 16) -> list[Modality]:
    size = (image_size, image_size)
    return [
        Modality("rgb", "image", (3, *size)),
        Modality("depth", "depth", (1, *size)),
        Modality("force", "series", (6, 32), rate=1000.0),
        Modality("action", "vector", (4,)),
        Modality("proprio", "vector", (8,)),
    ]


def log_arrays(steps: int = 3, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    depth = random.uniform(0.2, 1.8, (steps, 128, 128, 1)).astype(np.float32)
    depth[:, :9] = 0.0  # no reading
    contact = np.zeros((steps, 50), np.uint8)
    contact[1:2, 7] = 1
    return {
        "image": random.integers(0, 256, (steps, 128, 128, 3), np.uint8),
        "depth_data": depth,
        "ee_forces_continuous": random.normal(0, 10, (steps, 50, 6)),
        "action": random.normal(0, 0.01, (steps, 4)),
        "proprio": random.normal(0, 0.1, (steps, 8)),
        "contact": contact,
        "ee_pos": random.normal(0, 0.1, (steps, 3)),
    }


def write_logs(folder: Path, trajectories: int = 3, parts: int = 2, steps: int = 3) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = []
    for trajectory in range(trajectories):
        for part in range(parts):
            path = folder / log_file_name(STAMP, trajectory, part)
            write_log(path, log_arrays(steps, seed=100 * trajectory + part))
            paths.append(path)
    return paths


def write_many_logs(folder: Path, count: int) -> None:
    """Many files at the price of seven, through hard links."""
    folder.mkdir()
    originals = folder.parent / "originals"
    originals.mkdir()
    contents = [originals / str(i) for i in range(7)]
    for i, path in enumerate(contents):
        write_log(path, log_arrays(2, seed=i))
    for i in range(count):
        trajectory, part = divmod(i, 20)
        os.link(contents[i % 7], folder / log_file_name(STAMP, trajectory, part))


def compress(path: Path) -> None:
    """Brings a log to the layout of other recorders: compressed, step by step."""
    with h5py.File(path) as file:
        arrays, attributes = {key: file[key][()] for key in file}, dict(file.attrs)
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            chunks = (1, *array.shape[1:])
            file.create_dataset(key, data=array, compression="gzip", chunks=chunks)
        file.attrs.update(attributes)
