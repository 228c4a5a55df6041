# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Raw reading → prepared array: one of any size brought to the model's size, in a compact type.

The conversion of logs writes the results to disk, the node calls :func:`prepare` for every message,
so that both do exactly the same. What networks make of prepared arrays begins in
:mod:`smvae_core.tensors`.

``NaN`` in a prepared array means "not measured" (a hole in a depth image or a scan): the embedding
network sees the training mean there, and the likelihood leaves the element out.
"""

from __future__ import annotations

import cv2
import numpy as np

from smvae_core.modalities import Modality
from smvae_core.scans import resample


def prepare(modality: Modality, array: np.ndarray) -> np.ndarray:
    """One reading in raw units, brought to the model's size.

    Args:
        modality: what the array is a reading of.
        array: image uint8 (H, W, 3) RGB; of one channel (H, W, 1) or (H, W), of any type where the
            modality has a minimum and a maximum, else uint8; depth float (H, W) in metres; scan
            (N,) in metres, evenly over the modality's angles; series (samples, channels); vector
            (n,); categorical one-hot (n,).

    Returns:
        An array of ``modality.raw_shape`` and ``modality.raw_dtype``. Images are brought to that
        size as ``modality.aspect`` says. Depth and distances outside (minimum, maximum) become NaN.

    Raises:
        ValueError: for another rank or length, an empty image, or NaN and infinite values where a
            reading has no "not measured", and for depth and scans without any reading.
    """
    if modality.kind == "image":
        return _prepare_image(modality, array)
    if modality.kind == "depth":
        return _prepare_depth(modality, array)
    if modality.kind == "scan":
        return _prepare_scan(modality, array)
    if array.shape != modality.raw_shape:
        raise ValueError(
            f"{modality.name}: expected an array of shape {modality.raw_shape}, got {array.shape}"
        )
    return _finite(modality, array)


def to_reading(modality: Modality, values: np.ndarray) -> np.ndarray:
    """One reading in normalised units (*shape) → raw units; of whole batches,
    :func:`smvae_core.tensors.to_raw` makes the same in torch."""
    ones = [1] * (len(modality.shape) - 1)
    mean, std = (np.reshape(x, (-1, *ones)) for x in (modality.mean, modality.std))
    values = np.float32(mean) + values * np.float32(std)
    if modality.kind == "image":
        return np.rint(values * 255).clip(0, 255).astype(np.uint8).transpose(1, 2, 0)
    return values[0] if modality.has_holes else values.T


def _finite(modality: Modality, array: np.ndarray) -> np.ndarray:
    """The array as float32; ValueError for NaN and infinite values."""
    with np.errstate(over="ignore"):  # too large becomes infinite
        array = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(array).all():
        raise ValueError(
            f"{modality.name}: {np.count_nonzero(~np.isfinite(array))} of {array.size} values are "
            "NaN or infinite; check the sensor or its driver"
        )
    return array


def _prepare_image(modality: Modality, array: np.ndarray) -> np.ndarray:
    channels, height, width = modality.shape
    if channels == 1 and array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] != channels or 0 in array.shape:
        raise ValueError(
            f"{modality.name}: expected an image of shape (height, width, {channels}), "
            f"got {array.shape}"
        )
    if modality.minimum is not None:
        array = _finite(modality, array)
    elif array.dtype != np.uint8:
        advice = "; give the modality a minimum and a maximum" if channels == 1 else ""
        raise ValueError(
            f"{modality.name}: expected 8-bit values (uint8), got {array.dtype}{advice}"
        )
    array = array[modality.visible_part(array.shape[:2])]
    if array.shape[:2] != (height, width):
        array = cv2.resize(array, (width, height), interpolation=cv2.INTER_AREA)
    if modality.minimum is not None:
        low, high = modality.limits
        array = np.rint((np.clip(array, low, high) - low) * (255 / (high - low)))
    # OpenCV leaves a single channel out.
    return np.ascontiguousarray(array, np.uint8).reshape(modality.raw_shape)


def _prepare_depth(modality: Modality, array: np.ndarray) -> np.ndarray:
    _, height, width = modality.shape
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(
            f"{modality.name}: expected an image of shape (height, width), got {array.shape}"
        )
    array = array[modality.visible_part(array.shape)]
    if array.shape != (height, width):
        if array.dtype == np.float16:  # which older OpenCV does not take
            array = array.astype(np.float32)
        # Nearest neighbour: averages across an edge or a hole are distances to nothing.
        array = cv2.resize(array, (width, height), interpolation=cv2.INTER_NEAREST)
    return _measured(
        modality, array, "in any pixel", "check the camera and the unit of its depth images"
    )


def _prepare_scan(modality: Modality, array: np.ndarray) -> np.ndarray:
    if array.ndim != 1 or len(array) < 2:
        raise ValueError(f"{modality.name}: expected a scan of shape (n,), got {array.shape}")
    if array.shape != modality.raw_shape:
        assert modality.angles is not None  # a scan has them
        first, last = modality.angles
        with np.errstate(over="ignore"):
            array = resample(modality, array, first, (last - first) / (len(array) - 1))
    return _measured(modality, array, "at any angle", "check the sensor and what is around it")


def _measured(modality: Modality, array: np.ndarray, where: str, advice: str) -> np.ndarray:
    """Distances within the modality's limits, in its type, the others NaN; ValueError where there
    is none."""
    low, high = modality.limits
    with np.errstate(invalid="ignore", over="ignore"):
        measured = (array > low) & (array < high)
        if not measured.any():
            raise ValueError(
                f"{modality.name}: no reading {where}; valid are {low:g} to {high:g} m: {advice}"
            )
        prepared = np.full(array.shape, np.nan, dtype=modality.raw_dtype)
        np.copyto(prepared, array, where=measured, casting="same_kind")
        return prepared
