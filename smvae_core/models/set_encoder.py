# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The set encoder g_φ (Eq. 7 and 8): any subset of embeddings → parameters of the posterior.

    H   = I + MultiHead(I, X, X)
    g_φ = H + f(H)

I is one trainable vector, the only query; X are the embeddings of the modalities that are present.
Attention over a set has no order, so the result is invariant to permutations (Definition 1), and a
modality that is masked out has weight exactly zero, as if it had been left out.

Alternatives to attention pool by a sum or a mean. Deep Sets (Zaheer et al. 2017, Theorem 2): every
function of a set that does not depend on order is ρ(Σ_i φ(x_i)). Here φ is the embedding network
E_i and ρ the head that attention has, too.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from smvae_core.models.posterior_head import GaussianHead, PosteriorHead, times_prior, to_gaussian


class AttentionSetEncoder(nn.Module):
    """g_φ of Eq. 8 with a linear head to μ and log σ².

    Args:
        embedding_size: d, the length of every embedding; a multiple of ``heads``.
        latent_size: D, the length of z.
        heads: number of attention heads h.
    """

    def __init__(self, embedding_size: int, latent_size: int, heads: int = 4) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(1, 1, embedding_size) * embedding_size**-0.5)
        self.attention = nn.MultiheadAttention(embedding_size, heads, batch_first=True)
        self.feed_forward = nn.Sequential(nn.Linear(embedding_size, embedding_size), nn.SiLU())
        self.head = GaussianHead(embedding_size, latent_size)

    @torch.no_grad()
    def pass_on(self) -> None:
        """Lets the mean of the posterior of one embedding begin as its first D elements, so that
        embeddings with a meaning of their own need not be untangled first."""
        size = self.attention.embed_dim
        nn.init.eye_(self.attention.in_proj_weight[2 * size :])
        nn.init.eye_(self.attention.out_proj.weight)
        for parameter in (*self.feed_forward.parameters(), self.head.weight):
            parameter.zero_()
        count = self.head.out_features // 2
        nn.init.eye_(self.head.weight[:count])
        self.head.bias[:count] = -self.head.weight[:count] @ self.query[0, 0]  # is in the sum, too

    def forward(self, embeddings: Tensor, present: Tensor | None = None) -> tuple[Tensor, ...]:
        """Parameters of q(z|X_s).

        Args:
            embeddings: (B, m, d), in any order along m.
            present: (..., B, m) bool, False where a sample misses that modality; ``None``: all
                present. Every row needs at least one True. With dimensions in front: several
                subsets of the same embeddings.

        Returns:
            Mean and log-variance, each (..., B, D).
        """
        return self.posterior(self.head(self.pool(embeddings, present)))

    def pool(self, embeddings: Tensor, present: Tensor | None) -> Tensor:
        """g_φ, (..., B, d); arguments as :meth:`forward`."""
        if present is not None:
            # Whatever stands in rows that no subset has: zero times infinity would not be zero.
            used = present.flatten(0, -3).any(0) if present.ndim > 2 else present
            embeddings = torch.where(used[..., None], embeddings, 0.0)
        # Scores and values are those of an embedding alone, so that all subsets share them.
        scores = embeddings @ self.score_vectors()
        if present is not None:
            # Not -inf: a row without anything, which nobody may use, would turn gradients into NaN.
            scores = torch.where(present[..., None], scores, torch.finfo(scores.dtype).min)
        weights = scores.softmax(-2)  # (..., B, m, h)
        w_value, b_value = (p.chunk(3)[2] for p in self._projections)
        values = linear(embeddings, w_value, b_value).unflatten(-1, (weights.shape[-1], -1))
        pooled = torch.einsum("...bmh,bmhk->...bhk", weights, values).flatten(-2)
        hidden = self.query[0] + self.attention.out_proj(pooled)
        return hidden + self.feed_forward(hidden)

    def score_vectors(self) -> Tensor:
        """(d, h): an embedding's score in a head is its product with a vector.

        The only query is a parameter, so key and query need not be made for each sample. The keys'
        bias shifts all scores of a head alike, which softmax does not see.
        """
        heads, size = self.attention.num_heads, self.attention.embed_dim
        (w_query, w_key, _), (b_query, _, _) = (p.chunk(3) for p in self._projections)
        queries = linear(self.query[0], w_query, b_query).view(heads, -1, 1)
        return (w_key.view(heads, -1, size) * queries).sum(1).T / math.sqrt(size // heads)

    @property
    def _projections(self) -> tuple[Tensor, Tensor]:
        """Weights and biases of queries, keys and values, one above the other."""
        return self.attention.in_proj_weight, self.attention.in_proj_bias

    def posterior(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """The head's output (..., 2 D) → mean and log-variance of q(z|X_s), each (..., D)."""
        return to_gaussian(output)


class PriorAttentionSetEncoder(AttentionSetEncoder):
    """The same, but what comes out of the head is a factor beside the prior:

        q(z|X_s) ∝ p(z) N(z; m, s²),   (m, log s²) = g_φ(X_s)

    as Bayes' rule has it, with a Gaussian in place of the likelihood. Evidence can only narrow the
    prior, and without any the posterior is the prior. A product of experts has the same factor
    (Wu & Goodman 2018); here one network makes the other factor from the whole set. Arguments as
    :class:`AttentionSetEncoder`.
    """

    def posterior(self, output: Tensor) -> tuple[Tensor, Tensor]:
        return times_prior(*to_gaussian(output))


class CorrelatedAttentionSetEncoder(PriorAttentionSetEncoder):
    """The same, and latent variables are correlated in the posterior, which is a Gaussian with a
    full covariance matrix (:class:`smvae_core.distributions.CorrelatedGaussian`).

    Only an encoder of the whole set can have one for all of it: experts of single modalities would
    have to know each other's. Arguments as :class:`AttentionSetEncoder`.
    """

    def __init__(self, embedding_size: int, latent_size: int, heads: int = 4) -> None:
        super().__init__(embedding_size, latent_size, heads)
        self.correlations = nn.Linear(embedding_size, latent_size * (latent_size - 1) // 2)

    def forward(self, embeddings: Tensor, present: Tensor | None = None) -> tuple[Tensor, ...]:
        """Arguments of :meth:`CorrelatedGaussian.from_scales`: (..., B, D) twice and
        (..., B, D (D - 1) / 2); arguments as attention's."""
        hidden = self.pool(embeddings, present)
        # Small at first, since the initialisation of a layer gives numbers around 1.
        return *self.posterior(self.head(hidden)), 0.1 * self.correlations(hidden)


class SumPooling(nn.Module):
    """ρ(Σ_i E_i(x_i)); arguments as :class:`AttentionSetEncoder`, whose ``heads`` it ignores, so
    that set encoders are interchangeable."""

    def __init__(self, embedding_size: int, latent_size: int, heads: int = 1) -> None:
        super().__init__()
        self.posterior = PosteriorHead(embedding_size, latent_size)

    def forward(self, embeddings: Tensor, present: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Parameters of q(z|X_s); arguments and result as attention's."""
        if present is not None:
            embeddings = torch.where(present[..., None], embeddings, 0.0)
        return self.posterior(self._pool(embeddings, present))

    def _pool(self, embeddings: Tensor, present: Tensor | None) -> Tensor:
        return embeddings.sum(-2)


class MeanPooling(SumPooling):
    """ρ(1/|s| Σ_i E_i(x_i)): of a size that does not grow with the number of modalities."""

    def _pool(self, embeddings: Tensor, present: Tensor | None) -> Tensor:
        if present is None:
            return embeddings.mean(-2)
        return embeddings.sum(-2) / present.sum(-1, keepdim=True)


SET_ENCODERS = {
    "attention": AttentionSetEncoder,
    "prior_attention": PriorAttentionSetEncoder,
    "correlated_attention": CorrelatedAttentionSetEncoder,
    "sum_pooling": SumPooling,
    "mean_pooling": MeanPooling,
}


def build_set_encoder(name: str, embedding_size: int, latent_size: int, heads: int) -> nn.Module:
    """The set encoder of that name.

    Raises:
        ValueError: for an unknown name, or an embedding size that the heads do not divide.
    """
    if name not in SET_ENCODERS:
        raise ValueError(f"unknown set encoder {name!r}; known are {', '.join(SET_ENCODERS)}")
    if embedding_size % heads:
        raise ValueError(f"embedding_size {embedding_size} must be a multiple of heads {heads}")
    return SET_ENCODERS[name](embedding_size, latent_size, heads)
