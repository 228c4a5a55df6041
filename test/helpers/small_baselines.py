# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Small models of every method, on three vectors with three kinds of likelihood."""

from __future__ import annotations

import torch
from torch import Tensor

from smvae_core.modalities import Modality, Network
from smvae_core.models.multimodal_vae import MultimodalVAE
from smvae_core.models.registry import METHODS

NAMES = ("motion", "pixels", "label")
_MLP = Network("mlp", (12,))


def vector_modalities() -> list[Modality]:
    """A Gaussian, a Bernoulli and a categorical vector, with different weights."""
    networks = {"embedding": _MLP, "decoder": _MLP}
    return [
        Modality("motion", "vector", (3,), weight=2.0, **networks),
        Modality("pixels", "vector", (4,), likelihood="bernoulli", **networks),
        Modality("label", "categorical", (5,), "categorical", weight=0.5, **networks),
    ]


def small_baseline(kind: str, modalities: list[Modality] | None = None) -> MultimodalVAE:
    """A model of that name in float64 whose posteriors clearly depend on what they see."""
    options = {"given": ["label"]} if kind == "cvae" else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = METHODS[kind].model(
            modalities or vector_modalities(), latent_size=3, embedding_size=8, **options
        )
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter, std=0.1 if "log_scales" in name else 0.25)
    return model.double().eval()


def vector_observations(batch: int, seed: int = 0) -> dict[str, Tensor]:
    """Observations of `vector_modalities`, float64."""
    generator = torch.Generator().manual_seed(seed)
    return {
        "motion": torch.randn(batch, 3, generator=generator).double(),
        "pixels": (torch.rand(batch, 4, generator=generator) < 0.5).double(),
        "label": torch.eye(5).double()[torch.randint(5, (batch,), generator=generator)],
    }


def gradient_norms(model: MultimodalVAE) -> dict[str, float]:
    """Norm of the gradient of every learned parameter; all are finite."""
    norms = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            gradient = parameter.grad
            assert gradient is None or torch.isfinite(gradient).all(), name
            norms[name] = 0.0 if gradient is None else float(gradient.norm())
    return norms
