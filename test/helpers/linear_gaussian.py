# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""An SMVAE that is a linear-Gaussian model, so that everything about it has a closed form.

    z ~ N(0, I),   x_i | z ~ N(A_i z + b_i, s_i² I)

The columns of each A_i are orthogonal, so the posterior of every subset is a diagonal Gaussian,
with precision 1 + Σ_i |A_i|² / s_i² (column by column) and mean
variance · Σ_i A_iᵀ (x_i − b_i) / s_i².
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from smvae_core.modalities import Modality
from smvae_core.models.smvae import SMVAE

LATENT = 2
SIZES = {"a": 3, "b": 4, "c": 2}
SCALES = {"a": 0.8, "b": 1.5, "c": 0.5}


class _Evidence(nn.Module):
    """x_i → what it adds to the posterior: A_iᵀ (x_i − b_i) / s_i² and |A_i|² / s_i², (B, 2 D)."""

    def __init__(self, decoder: nn.Linear, scale: float) -> None:
        super().__init__()
        self.decoder, self.scale = [decoder], scale  # in a list: its parameters are the decoder's

    def forward(self, x: Tensor) -> Tensor:
        matrix, bias = self.decoder[0].weight, self.decoder[0].bias
        linear = (x - bias) @ matrix / self.scale**2
        precision = matrix.square().sum(0) / self.scale**2
        return torch.cat((linear, precision.expand_as(linear)), dim=-1)


class _ExactSetEncoder(nn.Module):
    """Sums up the evidence of what is present; `shift` makes the posterior wrong on purpose."""

    def __init__(self, shift: float) -> None:
        super().__init__()
        self.shift = shift

    def forward(self, embeddings: Tensor, present: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if present is not None:
            embeddings = torch.where(present[..., None], embeddings, 0.0)
        linear, precision = embeddings.sum(-2).chunk(2, dim=-1)
        return linear / (1 + precision) + self.shift, -(1 + precision).log() + self.shift


def linear_gaussian(seed: int = 0, shift: float = 0.0) -> SMVAE:
    """The model in float64; its posteriors are exact unless `shift` is given."""
    generator = torch.Generator().manual_seed(seed)
    modalities = [
        Modality(name, "vector", (size,), scale=SCALES[name]) for name, size in SIZES.items()
    ]
    model = SMVAE(modalities, LATENT, embedding_size=4, heads=1).double()
    for name, size in SIZES.items():
        decoder = nn.Linear(LATENT, size).double()
        columns = torch.randn(size, LATENT, generator=generator, dtype=torch.float64)
        orthogonal = torch.linalg.qr(columns).Q * torch.tensor([1.7, 0.6], dtype=torch.float64)
        decoder.weight.data = orthogonal
        decoder.bias.data = torch.randn(size, generator=generator, dtype=torch.float64)
        model.decoders[name] = decoder
        model.embeddings[name] = _Evidence(decoder, SCALES[name])
        model.log_scales[name].data = torch.full((size,), SCALES[name]).double().log()
    model.set_encoder = _ExactSetEncoder(shift)
    return model


def sample(model: SMVAE, batch: int, seed: int = 0) -> dict[str, Tensor]:
    """Observations drawn from the model, name -> (batch, n)."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(batch, LATENT, generator=generator, dtype=torch.float64)
    observations = {}
    for name, likelihood in model.decode(z).items():
        noise = torch.randn(likelihood.mean.shape, generator=generator, dtype=torch.float64)
        observations[name] = (likelihood.mean + SCALES[name] * noise).detach()
    return observations


def log_evidence(model: SMVAE, observations: dict[str, Tensor], names: Sequence[str]) -> Tensor:
    """log p(x_S) in closed form: N(b, A Aᵀ + diag s²) over everything in S at once, (B,)."""
    matrix = torch.cat([model.decoders[name].weight for name in names])
    mean = torch.cat([model.decoders[name].bias for name in names])
    variance = torch.cat([torch.full((SIZES[name],), SCALES[name] ** 2) for name in names])
    covariance = matrix @ matrix.T + torch.diag(variance.double())
    joint = torch.distributions.MultivariateNormal(mean, covariance)
    return joint.log_prob(torch.cat([observations[name] for name in names], dim=1))


def sigma_points() -> Tensor:
    """(2 D, D) values of ε whose average is the exact mean of any quadratic function of ε."""
    points = LATENT**0.5 * torch.eye(LATENT, dtype=torch.float64)
    return torch.cat((points, -points))
