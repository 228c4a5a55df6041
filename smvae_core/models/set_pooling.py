"""Set encoders that pool by a sum or a mean, as alternatives to attention.

Deep Sets (Zaheer et al. 2017, Theorem 2): every function of a set that does not depend on order is
ρ(Σ_i φ(x_i)). Here φ is the embedding network E_i and ρ the head that attention has, too.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from smvae_core.models.posterior_head import PosteriorHead


class SumPooling(nn.Module):
    """ρ(Σ_i E_i(x_i)); arguments as :class:`smvae_core.models.set_encoder.AttentionSetEncoder`,
    whose ``heads`` it ignores, so that set encoders are interchangeable."""

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
