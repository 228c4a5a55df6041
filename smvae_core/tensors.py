# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Prepared array → network tensor, and back: whole batches are normalised in torch.

The second stage after :func:`smvae_core.preprocessing.prepare`; the only place where PyTorch does
it.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

from smvae_core.modalities import Modality


def to_tensor(modality: Modality, prepared: np.ndarray | Tensor) -> Tensor:
    """Prepared arrays (B, *raw_shape) → network input float32 (B, *shape), normalised.

    Images come out in channels-last memory, which is how cameras deliver them and what
    convolutions like best.
    """
    values = torch.as_tensor(prepared).float()
    if modality.kind == "image":
        values = _rows_of(modality, values) / 255.0
    elif modality.has_holes:
        values = values[:, None]
    elif modality.kind == "series":
        values = values.transpose(1, 2)
    if modality.mean != (0.0,) or modality.std != (1.0,):
        mean, std = _statistics(modality, values.device)
        values = (values - mean).div_(std)
    if modality.kind == "image":
        return values.view(-1, *modality.raw_shape).permute(0, 3, 1, 2)
    return values


def to_raw(modality: Modality, values: Tensor) -> Tensor:
    """Network units (B, *shape) → raw units: images uint8 (B, h, w, channels), depth float32
    (B, h, w) and scans float32 (B, n) in metres, series float32 (B, samples, channels), vectors
    float32 (B, n)."""
    mean, std = _statistics(modality, values.device)
    if modality.kind == "image":
        values = _rows_of(modality, values.float().permute(0, 2, 3, 1))
        counts = torch.addcmul(mean, values, std).mul_(255.0).round_().clamp_(0, 255)
        return counts.to(torch.uint8).view(-1, *modality.raw_shape)
    values = torch.addcmul(mean, values.float(), std)
    if modality.has_holes:
        return values[:, 0]
    if modality.kind == "series":
        return values.transpose(1, 2)
    return values


def _rows_of(modality: Modality, images: Tensor) -> Tensor:
    """(B, h, w, channels) → (B, h, w * channels): arithmetic on rows, not on three values each."""
    _, height, _ = modality.shape
    return images.reshape(len(images), height, -1)


@functools.cache  # making two tensors takes longer than normalising a small one with them
def _statistics(modality: Modality, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, to be broadcast against observations; of an image against its
    rows (:func:`_rows_of`)."""
    with torch.inference_mode(False):  # tensors of inference mode are of no use to training
        both = torch.tensor(modality.mean, device=device), torch.tensor(modality.std, device=device)
        if modality.kind == "image":
            channels, _, width = modality.shape
            mean, std = (values.expand(channels).repeat(width) for values in both)
        else:
            mean, std = (values.view(-1, *(1 for _ in modality.shape[1:])) for values in both)
        return mean, std
