# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Small data sets in the formats of the originals: gzipped IDX files, and CelebA's layout."""

from __future__ import annotations

import gzip
import hashlib
import struct
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from smvae_core.data.images.celeba import CelebALayout
from smvae_core.data.images.labelled_images import LabelledSource

TRAINING, TEST = 30, 12
ATTRIBUTES = ("Bald", "Male", "Smiling", "Young")
POINTS = ["lefteye", "righteye", "nose", "leftmouth", "rightmouth"]


def write_idx(path: Path, array: np.ndarray) -> None:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes(), mtime=0))  # the same file each time


def labelled_arrays(seed: int = 0) -> dict[str, np.ndarray]:
    """Name of the file → random 28 × 28 images, or their labels."""
    random = np.random.default_rng(seed)
    arrays = {}
    for part, count in (("train", TRAINING), ("t10k", TEST)):
        grey = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        # Mostly black and white, as in MNIST, with all grey values between.
        images = np.where(random.random(grey.shape) < 0.5, grey, np.where(grey > 200, 255, 0))
        arrays[f"{part}-images-idx3-ubyte.gz"] = images.astype(np.uint8)
        arrays[f"{part}-labels-idx1-ubyte.gz"] = random.integers(0, 10, count, dtype=np.uint8)
    return arrays


def write_labelled(folder: Path, seed: int = 0) -> LabelledSource:
    """The four files; a source with their checksums and without mirrors."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, array in labelled_arrays(seed).items():
        write_idx(folder / name, array)
        files[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    return LabelledSource((), files)


def portrait(row: int, height: int = 218, width: int = 178) -> np.ndarray:
    """A smooth colour image (H, W, 3) RGB that differs from row to row."""
    y, x = np.mgrid[0:height, 0:width]
    channels = [40 + 10 * row + x // 2, 200 - y // 2, 90 + (x + y) // 4]
    image = np.stack(np.broadcast_arrays(*channels), -1)
    image[60:160, 50 + row : 130] = (230 - 5 * row, 180, 150)
    return np.clip(image, 0, 255).astype(np.uint8)


def label_map(row: int, height: int = 218, width: int = 178) -> np.ndarray:
    """A face with nose, brows, eyes, lips and mouth, none of it symmetric."""
    labels = np.zeros((height, width), np.uint8)
    labels[50:190, 30 : 150 - row] = 1
    for label, (top, left) in enumerate(((110, 80), (70, 50), (90, 50), (150, 60), (155, 70)), 2):
        labels[top : top + 12, left : left + 30] = label
    return labels


def write_celeba(
    folder: Path,
    count: int = 10,
    layout: CelebALayout | None = None,
    suffix: str = ".jpg",
    faceless: Sequence[int] = (),
) -> list[str]:
    """A data set in CelebA's layout, 6 : 2 : 2 for 10 images; returns the names of its images.

    faceless: rows without a label map, where the layout has label maps.
    """
    layout = layout or CelebALayout()
    names = [f"{row + 1:06d}{suffix}" for row in range(count)]
    (folder / layout.images).mkdir(parents=True)
    for row, name in enumerate(names):
        assert cv2.imwrite(str(folder / layout.images / name), portrait(row)[..., ::-1])
    if layout.label_maps:
        (folder / layout.label_maps).mkdir()
        for row, name in enumerate(names):
            if row not in faceless:
                path = folder / layout.label_maps / Path(name).with_suffix(".png")
                assert cv2.imwrite(str(path), label_map(row))
    write_attributes(folder / layout.attributes, names)
    parts = [0 if row < 0.6 * count else 1 if row < 0.8 * count else 2 for row in range(count)]
    partition = "".join(f"{name} {part}\n" for name, part in zip(names, parts, strict=True))
    (folder / layout.partition).write_text(partition)
    header = " ".join(f"{point}_{axis}" for point in POINTS for axis in "xy")
    points = "".join(
        f"{name}  " + "  ".join(f"{10 * i + row:3d}" for i in range(10)) + "\n"
        for row, name in enumerate(names)
    )
    (folder / layout.landmarks).write_text(f"{count}\n{header}\n{points}")
    return names


def attribute(row: int, column: int) -> int:
    """-1 or 1, in a pattern in which no two columns are equal."""
    return 1 if row >> column & 1 else -1


def write_attributes(path: Path, names: Sequence[str]) -> None:
    lines = [
        f"{name}  " + " ".join(f"{attribute(row, column):2d}" for column in range(len(ATTRIBUTES)))
        for row, name in enumerate(names)
    ]
    text = "\n".join([str(len(names)), " ".join(ATTRIBUTES) + " ", *lines])
    path.write_text(text + "\n")
