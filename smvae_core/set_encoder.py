"""The set encoder g_φ (Eq. 7 and 8): any subset of embeddings → parameters of the posterior.

    H   = I + MultiHead(I, X, X)
    g_φ = H + f(H)

I is one trainable vector, the only query; X are the embeddings of the modalities that are present.
Attention over a set has no order, so the result is invariant to permutations (Definition 1), and a
modality that is masked out has weight exactly zero, as if it had been left out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from smvae_core.posterior_head import times_prior, to_gaussian
from smvae_core.set_pooling import MeanPooling, SumPooling


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
        self.head = nn.Linear(embedding_size, 2 * latent_size)

    def forward(self, embeddings: Tensor, present: Tensor | None = None) -> tuple[Tensor, ...]:
        """Parameters of q(z|X_s).

        Args:
            embeddings: (B, m, d), in any order along m.
            present: (B, m) bool, False where a sample misses that modality; ``None``: all present.
                Every row needs at least one True.

        Returns:
            Mean and log-variance, each (B, D).
        """
        return self.posterior(self.head(self.pool(embeddings, present)))

    def pool(self, embeddings: Tensor, present: Tensor | None) -> Tensor:
        """g_φ, (B, d); arguments as :meth:`forward`."""
        if present is not None:
            # Whatever stands in masked rows: zero times infinity would not be zero.
            embeddings = torch.where(present[..., None], embeddings, 0.0)
        batch = embeddings.shape[0]
        query = self.query.expand(batch, -1, -1)
        pooled, _ = self.attention(
            query,
            embeddings,
            embeddings,
            key_padding_mask=None if present is None else ~present,
            need_weights=False,
        )
        hidden = (query + pooled)[:, 0]
        return hidden + self.feed_forward(hidden)

    def posterior(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """The head's output (B, 2 D) → mean and log-variance of q(z|X_s), each (B, D)."""
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
    full covariance matrix (:class:`smvae_core.correlated_gaussian.CorrelatedGaussian`).

    Only an encoder of the whole set can have one for all of it: experts of single modalities would
    have to know each other's. Arguments as :class:`AttentionSetEncoder`.
    """

    def __init__(self, embedding_size: int, latent_size: int, heads: int = 4) -> None:
        super().__init__(embedding_size, latent_size, heads)
        self.correlations = nn.Linear(embedding_size, latent_size * (latent_size - 1) // 2)

    def forward(self, embeddings: Tensor, present: Tensor | None = None) -> tuple[Tensor, ...]:
        """Arguments of :meth:`CorrelatedGaussian.from_scales`, (B, D), (B, D) and (B, D (D-1)/2);
        arguments as attention's."""
        hidden = self.pool(embeddings, present)
        # Small at first, since the initialisation of a layer gives numbers around 1.
        return *self.posterior(self.head(hidden)), 0.1 * self.correlations(hidden)


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
