# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Models of all five Vision&Touch modalities, small enough for a test to run hundreds of times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from smvae_core.checkpoint import save_checkpoint
from smvae_core.modalities import Aspect, Modality, Network
from smvae_core.models.smvae import SMVAE

IMAGE_SIZE = 16


def small_modalities(image_size: int = IMAGE_SIZE, aspect: Aspect = "stretch") -> list[Modality]:
    """rgb, depth, force, action and proprio, with a normalisation that is not the identity."""
    convolution = Network("convolution", (4, 8))
    temporal = Network("temporal_convolution", (4, 8))
    mlp = Network("mlp", (16,))
    return [
        Modality(
            "rgb",
            "image",
            (3, image_size, image_size),
            embedding=convolution,
            decoder=convolution,
            aspect=aspect,
            mean=(0.5, 0.4, 0.3),
            std=(0.25, 0.2, 0.3),
        ),
        Modality(
            "depth",
            "depth",
            (1, image_size, image_size),
            embedding=convolution,
            decoder=convolution,
            aspect=aspect,
            mean=(0.8,),
            std=(0.3,),
        ),
        Modality(
            "force",
            "series",
            (6, 32),
            likelihood="laplace",
            rate=1000.0,
            embedding=temporal,
            decoder=temporal,
            mean=(0.0, 0.0, -8.0, 0.0, 0.0, 0.0),
            std=(5.0, 5.0, 12.0, 0.4, 0.4, 0.1),
        ),
        Modality("action", "vector", (4,), embedding=mlp, decoder=mlp, std=(0.01, 0.01, 0.01, 0.1)),
        Modality(
            "proprio",
            "vector",
            (8,),
            embedding=mlp,
            decoder=mlp,
            mean=(0.5, 0.0, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0),
            std=(0.1, 0.1, 0.1, 0.3, 0.2, 0.2, 0.2, 0.5),
        ),
    ]


def small_model(seed: int = 0, image_size: int = IMAGE_SIZE, aspect: Aspect = "stretch") -> SMVAE:
    """An untrained model of `small_modalities` in evaluation mode, D = 6; a seed always gives the
    same weights and leaves torch's own generator alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        modalities = small_modalities(image_size, aspect)
        model = SMVAE(modalities, latent_size=6, embedding_size=16, heads=4)
        for parameter in model.parameters():
            if parameter.ndim == 1:  # biases of zero would hide mistakes
                torch.nn.init.normal_(parameter, std=0.1)
        for name, modality in model.modalities.items():
            model.set_training_mean(name, 0.1 * torch.randn(modality.shape))
    return model.eval()


def save_small_checkpoint(
    path: Path, seed: int = 0, image_size: int = IMAGE_SIZE, aspect: Aspect = "stretch"
) -> Path:
    """Writes a checkpoint directory of `small_model` and returns its path."""
    save_checkpoint(path, small_model(seed, image_size, aspect), {"command": "test"})
    return path


def random_observations(model: SMVAE, batch: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Normalised observations of all modalities, name -> (batch, *shape), in the model's type."""
    dtype = next(model.parameters()).dtype
    return {
        name: torch.randn(batch, *modality.shape, generator=generator).to(dtype)
        for name, modality in model.modalities.items()
    }


def random_present(model: SMVAE, batch: int, generator: torch.Generator) -> Tensor:
    """(batch, M) bool with at least one True a row; the first row has all, for full coverage."""
    count = len(model.names)
    present = torch.rand(batch, count, generator=generator) < 0.5
    sure = torch.randint(count, (batch,), generator=generator)
    present[torch.arange(batch), sure] = True
    present[0] = True
    return present


def random_prepared(
    modalities: list[Modality] | tuple[Modality, ...], random: np.random.Generator
) -> dict[str, np.ndarray]:
    """One prepared array of each modality, with a hole in the depth image."""
    sample = {}
    for modality in modalities:
        shape = modality.raw_shape
        if modality.kind == "image":
            array = random.integers(0, 256, shape, dtype=np.uint8)
        elif modality.kind == "depth":
            array = random.uniform(0.2, 1.8, shape).astype(np.float16)
            array[2:5, 3:7] = np.nan
        else:
            mean, std = np.array(modality.mean), np.array(modality.std)
            array = (mean + std * random.standard_normal(shape)).astype(np.float32)
        sample[modality.name] = array
    return sample
