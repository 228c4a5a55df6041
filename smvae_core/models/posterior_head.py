# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""From an embedding to the parameters of a Gaussian posterior (the last step of Eq. 7)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from smvae_core.models.network_checks import LOG_VARIANCE_RANGE


def to_gaussian(output: Tensor) -> tuple[Tensor, Tensor]:
    """A linear head's output (..., 2 D) → mean and log-variance, each (..., D); of 16-bit numbers
    in 32 bits, since what is made of them are sums: thousands of nats would be rounded to eight."""
    output = output.to(torch.promote_types(output.dtype, torch.float32))
    mean, log_variance = output.chunk(2, dim=-1)
    return mean, log_variance.clamp(*LOG_VARIANCE_RANGE)


def times_prior(mean: Tensor, log_variance: Tensor) -> tuple[Tensor, Tensor]:
    """The normalised product of N(m, s²) and the prior N(0, I): precisions add up to 1 + 1/s², so
    the variance is s² / (1 + s²) and the mean m / (1 + s²)."""
    return mean * (-log_variance).sigmoid(), logsigmoid(log_variance)


class GaussianHead(nn.Linear):
    """A linear layer whose output is for :func:`to_gaussian`.

    Args:
        embedding_size: d, the length of its input.
        latent_size: D, the length of z.
    """

    def __init__(self, embedding_size: int, latent_size: int) -> None:
        super().__init__(embedding_size, 2 * latent_size)


@torch.no_grad()
def start_posteriors(model: nn.Module, log_variance: float) -> None:
    """Lets all posteriors of a model begin training with about this log σ², through the biases of
    their heads. At 0 the first z are hardly more than noise, which decoders learn to ignore."""
    for head in model.modules():
        if isinstance(head, GaussianHead):
            head.bias[head.out_features // 2 :] = log_variance


class PosteriorHead(nn.Module):
    """h + f(h), then a linear head to μ and log σ²: what Eq. 8 does after pooling.

    Args:
        embedding_size: d, the length of h.
        latent_size: D, the length of z.
    """

    def __init__(self, embedding_size: int, latent_size: int) -> None:
        super().__init__()
        self.feed_forward = nn.Sequential(nn.Linear(embedding_size, embedding_size), nn.SiLU())
        self.head = GaussianHead(embedding_size, latent_size)

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """(..., d) → mean and log-variance, each (..., D)."""
        return to_gaussian(self.head(hidden + self.feed_forward(hidden)))


class JointHead(nn.Module):
    """One network for several embeddings at once, concatenated in a fixed order.

    Args:
        count: number of embeddings, m.
        embedding_size: d, the length of each.
        latent_size: D, the length of z.
    """

    def __init__(self, count: int, embedding_size: int, latent_size: int) -> None:
        super().__init__()
        self.mix = nn.Linear(count * embedding_size, embedding_size)
        self.posterior = PosteriorHead(embedding_size, latent_size)

    def forward(self, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """(B, m, d) → mean and log-variance, each (B, D)."""
        return self.posterior(self.mix(embeddings.flatten(1)))
