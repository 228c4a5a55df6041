# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A model of the bundled one's modalities that takes as long as is wanted."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import torch

from smvae_core.checkpoint import save_checkpoint
from smvae_core.inference.inference import Inference
from smvae_core.modalities import Network
from smvae_core.models.smvae import SMVAE
from smvae_ros.bundled import model_path

INPUTS = ("rgb", "depth", "force")


def save_slow_model(path: Path, seconds: float) -> Path:
    """Saves an untrained model that needs at least so long to encode RGB, depth and force on one
    thread of this machine. Only the images' embedding networks are larger."""
    torch.set_num_threads(1)
    modalities = Inference.load(model_path()).modalities
    factor = 4.0
    while True:
        wide = [
            dataclasses.replace(
                modality,
                embedding=Network(
                    modality.embedding.name,
                    tuple(round(factor * width) for width in modality.embedding.widths),
                ),
            )
            if modality.kind in ("image", "depth")
            else modality
            for modality in modalities.values()
        ]
        save_checkpoint(path, SMVAE(wide, latent_size=64, embedding_size=128))
        taken = _encoding_seconds(path)
        if taken >= seconds:
            return path
        # Work grows with the square of the widths.
        factor *= min(2.0, 1.05 * (seconds / taken) ** 0.5)


def _encoding_seconds(path: Path) -> float:
    inference = Inference.load(path)
    sample = {
        name: np.ones(modality.raw_shape, modality.raw_dtype)
        for name, modality in inference.modalities.items()
        if name in INPUTS
    }
    times = []
    for _ in range(6):
        start = time.perf_counter()
        inference.encode(sample)
        times.append(time.perf_counter() - start)
    return float(np.min(times[1:]))
