# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Fusing the experts of single modalities into one posterior: products and mixtures.

Experts are q(z|x_i) = N(μ_i, σ_i²), stacked along a dimension m: mean and log-variance
(..., m, D). A mask ``present`` (..., m) leaves experts out; where it is ``None`` all take part.
Parameters of an expert that is left out must be finite.
"""

from __future__ import annotations

import torch
from torch import Tensor

from smvae_core.distributions import Gaussian, Mixture


def with_prior(experts: Gaussian) -> Gaussian:
    """The experts and, as the last of (..., m + 1, D), the prior expert N(0, I)."""
    parameters = (experts.mean, experts.log_variance)
    return Gaussian(*(torch.cat((p, torch.zeros_like(p[..., :1, :])), dim=-2) for p in parameters))


def product_of_experts(experts: Gaussian, present: Tensor | None = None) -> Gaussian:
    """The normalised product Π_i N(μ_i, σ_i²): precisions add up, means are weighted by them.

    log 1/σ² = logsumexp_i(−log σ_i²),   μ = Σ_i (σ²/σ_i²) μ_i   (Cao & Fleet 2014)

    In logarithms, so that very small variances do not overflow. Every row needs an expert.

    Returns:
        (..., D).
    """
    mean, log_precision = experts.mean, -experts.log_variance
    if present is not None:
        log_precision = torch.where(present[..., None], log_precision, -torch.inf)
    total = log_precision.logsumexp(-2)
    shares = (log_precision - total[..., None, :]).exp()
    return Gaussian((shares * mean).sum(-2), -total)


def mixture_of_experts(experts: Gaussian, present: Tensor | None = None) -> Mixture:
    """1/m Σ_i N(μ_i, σ_i²) over the m experts that are present; experts (B, m, D)."""
    if present is None:
        present = torch.ones_like(experts.mean[..., 0], dtype=torch.bool)
    counts = present.sum(-1, keepdim=True).to(experts.mean.dtype)
    return Mixture(experts, torch.where(present, -counts.log(), -torch.inf))


def mixture_of_products(
    experts: Gaussian, members: Tensor, present: Tensor | None = None
) -> Mixture:
    """The mixture of one product of experts for each subset.

    Args:
        experts: (B, m, D).
        members: (C, m) bool, which experts each subset multiplies.
        present: (B, m) bool; a sample has the subsets of which no member is missing.
    """
    products = product_of_experts(
        Gaussian(experts.mean[:, None], experts.log_variance[:, None]), members
    )
    if present is None:
        return mixture_of_experts(products)
    return mixture_of_experts(products, (present[:, None] | ~members).all(-1))
