# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Six views of one face as six modalities (section 4.3 of the paper, after Wu & Goodman 2018).

| modality      | kind, channels | what                                                          |
|---------------|----------------|---------------------------------------------------------------|
| `original`    | image, 3       | the image                                                     |
| `grey`        | image, 1       | its luma (ITU-R BT.601)                                       |
| `edges`       | image, 1       | Canny edges (Canny 1986), white on black                      |
| `landmarks`   | image, 6       | parts of the face, a black and white channel for each         |
| `watermarked` | image, 3       | a ring and two diagonals blended into it                      |
| `left_half`   | image, 3       | its right half black                                          |

Edges and landmarks are computed once and cached. The others are cheaper to compute for a batch than
to read.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from smvae_core.data.images.celeba import CelebA, central_square
from smvae_core.data.images.data_files import DataSetError
from smvae_core.data.images.face_landmarks import LABELS, DlibLabelMaps, LabelMaps, StoredLabelMaps
from smvae_core.data.images.row_cache import RowFormat
from smvae_core.data.samples import Column, DerivedColumn, Samples, TensorColumn

log = logging.getLogger(__name__)

VIEWS = ("original", "grey", "edges", "landmarks", "watermarked", "left_half")

_LUMA = torch.tensor([299, 587, 114], dtype=torch.int32)  # thousandths
_SIGMA = 1.0  # of the Gaussian before Canny's edge detection, pixels of the view
_LINE = 0.1  # width of the watermark's lines, in half sizes of the image
_OPACITY = 128  # of the watermark, of 255
# For pictures of label maps, one colour for each label behind background.
_COLOURS = np.array(
    [[90, 90, 90], [240, 200, 60], [150, 90, 40], [70, 150, 240], [220, 60, 70], [250, 250, 250]],
    np.float32,
)


def celeba_views(
    celeba: CelebA,
    size: int = 64,
    cache: str | os.PathLike[str] | None = None,
    label_maps: LabelMaps | None = None,
) -> Samples:
    """The six views of every image with a face; the others are in no split and in ``left_out``.

    Args:
        celeba: the images.
        size: of the views, in pixels.
        cache: folder for images, edges and label maps; ``None`` keeps them in memory.
        label_maps: where they come from; by default the data set's own, or dlib.

    Raises:
        DataSetError: where an image is damaged, no image has a face, or dlib or scikit-image is
            not installed.
        CacheError: see :func:`smvae_core.data.images.row_cache.cached_rows`.
    """
    folder = None if cache is None else Path(cache)
    canny = _import_canny()
    if label_maps is None:
        own = celeba.layout.label_maps
        label_maps = StoredLabelMaps(celeba.folder / own) if own else DlibLabelMaps()
    images = celeba.images(size, folder and folder / "images")
    edges = _edges(celeba, images, canny, folder and folder / "edges")
    labels, found = _labels(celeba, size, label_maps, folder and folder / "landmarks")
    split = {part: rows[found[rows]] for part, rows in celeba.split.items()}
    left_out = tuple(celeba.names[row] for row in np.flatnonzero(~found))
    if left_out:
        log.warning(
            "%d of %d images are left out, since no face was found in them: %s%s",
            len(left_out),
            len(celeba),
            ", ".join(left_out[:5]),
            ", ..." if len(left_out) > 5 else "",
        )
    if not found.any():
        raise DataSetError(
            f"{celeba.folder}: no face was found in any of the {len(celeba)} images "
            f"({label_maps.origin}); check that they show aligned faces"
        )
    original = TensorColumn(images)
    columns: dict[str, Column] = {
        "original": original,
        "grey": DerivedColumn(original, grey),
        "edges": TensorColumn(edges),
        "landmarks": DerivedColumn(TensorColumn(labels), landmark_channels),
        "watermarked": DerivedColumn(original, Watermark(size)),
        "left_half": DerivedColumn(original, left_half),
    }
    return Samples(columns, split, left_out)


def grey(images: Tensor) -> Tensor:
    """(B, h, w, 3) → luma (B, h, w, 1), both uint8."""
    thousandths = (images.int() * _LUMA.to(images.device)).sum(-1, keepdim=True, dtype=torch.int32)
    return ((thousandths + 500) // 1000).to(torch.uint8)


def left_half(images: Tensor) -> Tensor:
    """(B, h, w, c) with the right half black."""
    images = images.clone()
    images[:, :, images.shape[2] // 2 :] = 0
    return images


def landmark_channels(labels: Tensor) -> Tensor:
    """Label maps (B, h, w) → (B, h, w, 6) uint8: 255 in the channel of its label, background in
    none."""
    table = torch.eye(len(LABELS), dtype=torch.uint8, device=labels.device)[:, 1:] * 255
    return table[labels.int()]


def paint_landmarks(channels: np.ndarray) -> np.ndarray:
    """A picture (..., h, w, 3) uint8 RGB of landmark channels (..., h, w, 6) uint8."""
    mixed = channels.astype(np.float32) / 255 @ _COLOURS
    return np.clip(np.round(mixed), 0, 255).astype(np.uint8)


class Watermark:
    """Blends a white emblem, a ring and two diagonals, into images (B, size, size, 3) uint8."""

    def __init__(self, size: int) -> None:
        # Computed, not drawn: drawing differs between versions of OpenCV.
        y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
        distance = np.minimum(
            np.abs(np.hypot(x, y) - 0.6), np.minimum(np.abs(x - y), np.abs(x + y)) / np.sqrt(2)
        )
        # Half a pixel of transition on either side of an edge.
        cover = np.clip((_LINE / 2 - distance) * size / 2 + 0.5, 0, 1)
        self._alpha = torch.from_numpy(np.round(cover * _OPACITY).astype(np.int32))[..., None]

    def __call__(self, images: Tensor) -> Tensor:
        alpha = self._alpha.to(images.device)
        return ((images.int() * (255 - alpha) + 255 * alpha + 127) // 255).to(torch.uint8)


Canny = Callable[..., np.ndarray]


def _import_canny() -> Canny:
    try:
        from skimage.feature import canny
    except ImportError:
        raise DataSetError(
            "Canny edges need scikit-image: pip install 'smvae_ros[benchmarks]'"
        ) from None
    return canny


def _edges(celeba: CelebA, images: np.ndarray, canny: Canny, cache: Path | None) -> np.ndarray:
    """uint8 (N, size, size, 1), 255 on an edge."""
    size = images.shape[1]

    def compute(first: int, end: int) -> dict[str, np.ndarray]:
        luma = grey(torch.from_numpy(images[first:end]))[..., 0].numpy() / 255.0
        edges = np.stack([canny(image, sigma=_SIGMA) for image in luma])
        return {"edges": np.multiply(edges, 255, dtype=np.uint8)[..., None]}

    formats = {"edges": ("uint8", (size, size, 1))}
    return celeba.cached(cache, size, formats, compute, "edges", sigma=_SIGMA)["edges"]


def _labels(
    celeba: CelebA, size: int, label_maps: LabelMaps, cache: Path | None
) -> tuple[np.ndarray, np.ndarray]:
    """Label maps uint8 (N, size, size) and whether a face was found, bool (N,)."""

    def compute(first: int, end: int) -> dict[str, np.ndarray]:
        labels = np.zeros((end - first, size, size), np.uint8)
        found = np.zeros(end - first, bool)
        for number, row in enumerate(range(first, end)):
            whole = label_maps(celeba.path(row))
            if whole is not None:
                # Labels are names, not quantities, so they are never averaged.
                labels[number] = cv2.resize(
                    central_square(whole), (size, size), interpolation=cv2.INTER_NEAREST
                )
                found[number] = True
        return {"labels": labels, "found": found}

    formats: dict[str, RowFormat] = {"labels": ("uint8", (size, size)), "found": ("bool", ())}
    origin = label_maps.origin
    arrays = celeba.cached(cache, size, formats, compute, "landmarks", label_maps=origin)
    return arrays["labels"], arrays["found"]
