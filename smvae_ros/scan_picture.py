# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Scans drawn from above, for people: the sensor in the middle, its x axis up."""

from __future__ import annotations

import cv2
import numpy as np

from smvae_core.modalities import Modality
from smvae_core.scans import angles_of

SPREAD = 2.0  # standard deviations beyond the mean that are still in the picture
_BACKGROUND = 46
_RING = 92
_HIT = (110, 220, 120)
_SENSOR = (225, 225, 225)


def reach(modality: Modality) -> float:
    """Metres from the middle of a picture to its edge: what the training data mostly have."""
    return min(modality.limits[1], modality.mean[0] + SPREAD * modality.std[0])


def points_of(modality: Modality, distances: np.ndarray) -> np.ndarray:
    """(N, 2) metres to the right and down, as pictures count, of what was measured."""
    measured = np.isfinite(distances)
    angles, found = angles_of(modality)[measured], distances[measured]
    return np.stack([-found * np.sin(angles), -found * np.cos(angles)], axis=-1)


def draw_scan(modality: Modality, distances: np.ndarray, size: int) -> np.ndarray:
    """The picture, uint8 (size, size, 3) RGB; what is further than :func:`reach` lies on its edge.

    Args:
        modality: a scan.
        distances: (n,) in metres, NaN where nothing was measured.
        size: in pixels.
    """
    picture = np.full((size, size, 3), _BACKGROUND, np.uint8)
    middle, radius = size // 2, (size - 1) / 2
    for part in (0.5, 1.0):
        cv2.circle(picture, (middle, middle), int(part * radius), (_RING,) * 3, 1, cv2.LINE_AA)
    far = reach(modality)
    shown = np.clip(distances.astype(np.float64), 0, far)
    places = np.rint(points_of(modality, shown) / far * (radius - 1) + radius).astype(int)
    for column, row in places:
        cv2.circle(picture, (int(column), int(row)), max(1, size // 100), _HIT, -1, cv2.LINE_AA)
    cv2.circle(picture, (middle, middle), max(1, size // 60), _SENSOR, -1, cv2.LINE_AA)
    return picture
