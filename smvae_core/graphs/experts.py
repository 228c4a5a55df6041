# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Gaussians of single modalities, their products and mixtures (:mod:`smvae_core.models.fusion`), as
nodes. Experts are stacked: mean and log-variance (m, D)."""

from __future__ import annotations

import numpy as np

from smvae_core.graphs.graph import Value
from smvae_core.graphs.networks import linear, silu
from smvae_core.models.network_checks import LOG_VARIANCE_RANGE

Parameters = tuple[Value, Value]  # mean and log-variance


def to_gaussian(output: Value, latent_size: int) -> Parameters:
    """A linear head's output (1, 2 D) → mean and log-variance, (1, D) each."""
    mean, log_variance = output.graph.split("Split", output, count=2, axis=1)
    return mean, output.graph.apply("Clip", log_variance, *LOG_VARIANCE_RANGE)


def posterior_head(hidden: Value, key: str, size: int, latent_size: int) -> Parameters:
    """:class:`smvae_core.models.posterior_head.PosteriorHead`, (1, d) → (1, D) each."""
    hidden = hidden + silu(linear(hidden, f"{key}.feed_forward.0", size, size))
    return to_gaussian(linear(hidden, f"{key}.head", size, 2 * latent_size), latent_size)


def joint_head(embeddings: Value, count: int, key: str, size: int, latent_size: int) -> Parameters:
    """:class:`smvae_core.models.posterior_head.JointHead`, (m, d) → (1, D) each."""
    mixed = linear(embeddings.reshape(1, count * size), f"{key}.mix", count * size, size)
    return posterior_head(mixed, f"{key}.posterior", size, latent_size)


def experts(embeddings: Value, names: tuple[str, ...], size: int, latent_size: int) -> Parameters:
    """The expert of each modality, (m, D) each."""
    rows = [embeddings.part(row, row + 1) for row in range(len(names))]
    heads = [
        posterior_head(row, f"experts.{name}", size, latent_size)
        for name, row in zip(names, rows, strict=True)
    ]
    mean, log_variance = zip(*heads, strict=True)
    return _stack(*mean), _stack(*log_variance)


def with_prior(mean: Value, log_variance: Value, latent_size: int) -> Parameters:
    """The experts and, last, the prior N(0, I); (m + 1, D) each."""
    zeros = mean.graph.constant(np.zeros((1, latent_size)))
    return _stack(mean, zeros), _stack(log_variance, zeros)


def _stack(*rows: Value) -> Value:
    return rows[0].graph.apply("Concat", *rows, axis=0)


def product(mean: Value, log_variance: Value, members: Value) -> Parameters:
    """The normalised product of those that are members.

    Args:
        mean: (..., m, D).
        log_variance: (..., m, D).
        members: (..., m, 1) bool, at least one of each m.

    Returns:
        (..., 1, D) each.
    """
    log_precision = members.where(log_variance * -1.0, -np.inf)
    total = mean.graph.apply("ReduceLogSumExp", log_precision, axes=[-2])
    shares = (log_precision - total).exp()
    return (shares * mean).sum(-2, keepdims=True), total * -1.0


def mixture_moments(means: Value, log_variances: Value, weights: Value) -> Parameters:
    """Mean and log-variance of a mixture, (1, D) each.

    Args:
        means: of the components, (C, D).
        log_variances: likewise.
        weights: (C, 1).
    """
    mean = (weights * means).sum(0, keepdims=True)
    distance = means - mean
    variance = (weights * (log_variances.exp() + distance * distance)).sum(0, keepdims=True)
    return mean, variance.log()
