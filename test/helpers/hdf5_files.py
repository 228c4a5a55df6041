# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Small HDF5 files of any layout, and their conversion, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import yaml

from smvae_core.data.logs.conversion import ConversionReport, convert
from smvae_core.data.logs.dataset import open_cache
from smvae_core.data.logs.hdf5.recording import Hdf5Recording
from smvae_core.robot import Robot, read_robot

RANDOM = np.random.default_rng(0)
STEPS = 12
SMALL = {"shape": [3, 8, 8], "kind": "image"}


def pictures(steps: int = STEPS, size: tuple[int, int] = (8, 8)) -> np.ndarray:
    return RANDOM.integers(0, 256, (steps, *size, 3), np.uint8)


def numbers(*shape: int) -> np.ndarray:
    return RANDOM.normal(0, 1, shape).astype(np.float32)


def write(path: Path, content: Mapping[str, Any], **attributes: Any) -> Path:
    """Datasets by key; a tuple (array, options of create_dataset) for others than plain ones."""
    with h5py.File(path, "w") as file:
        for key, value in content.items():
            array, options = value if isinstance(value, tuple) else (value, {})
            file.create_dataset(key, data=array, **options)
        file.attrs.update(attributes)
    return path


def make_robot(folder: Path, modalities: Mapping[str, Any], **fields: Any) -> Robot:
    path = folder / "robot.yaml"
    content = {"rate": 10.0, **fields, "modalities": dict(modalities)}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return read_robot(path)


def converted(robot: Robot, *paths: Path, cache: str = "cache") -> ConversionReport:
    recording = Hdf5Recording(paths, robot)
    return convert(recording, paths[0].parent / cache, robot.modalities, progress=False)


def rows(path: Path, name: str, cache: str = "cache") -> np.ndarray:
    return np.asarray(open_cache(path.parent / cache).arrays[name])


def robomimic(path: Path, demos: int = 11, **attributes: Any) -> dict[str, np.ndarray]:
    content = {}
    for demo in range(demos):
        group = f"data/demo_{demo}"
        content[f"{group}/obs/agentview_image"] = pictures(3 + demo)
        content[f"{group}/obs/robot0_eef_pos"] = numbers(3 + demo, 3)
        content[f"{group}/actions"] = numbers(3 + demo, 7)
    with h5py.File(path, "w") as file:
        for key, array in content.items():
            file.create_dataset(key, data=array, compression="gzip")
        file["mask/train"] = np.array([b"demo_0"])
        file["data"].attrs.update(attributes)
    return content


ROBOMIMIC = {
    "view": {**SMALL, "key": "obs/agentview_image"},
    "position": {"kind": "vector", "shape": [3], "key": "obs/robot0_eef_pos"},
    "action": {"kind": "vector", "shape": [7], "key": "actions"},
}


def encoded(images: np.ndarray, extension: str = ".png") -> list[np.ndarray]:
    return [cv2.imencode(extension, image[..., ::-1])[1] for image in images]


def padded(images: np.ndarray) -> np.ndarray:
    pieces = encoded(images)
    longest = max(map(len, pieces))
    return np.stack([np.pad(piece, (0, longest - len(piece))) for piece in pieces])
