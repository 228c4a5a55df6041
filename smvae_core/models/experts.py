# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Models with one posterior network for each modality, whose outputs are fused afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from smvae_core.distributions import Gaussian
from smvae_core.modalities import Modality
from smvae_core.models.multimodal_vae import MultimodalVAE
from smvae_core.models.posterior_head import PosteriorHead


class ExpertsVAE(MultimodalVAE):
    """Base of the models that have an expert q(z|x_i) for each modality.

    Arguments and errors as :class:`smvae_core.models.multimodal_vae.MultimodalVAE`.
    """

    def __init__(
        self, modalities: Sequence[Modality], latent_size: int = 64, embedding_size: int = 128
    ) -> None:
        super().__init__(modalities, latent_size, embedding_size)
        self.experts = nn.ModuleDict(
            {m.name: PosteriorHead(embedding_size, latent_size) for m in modalities}
        )
        self._add_decoders()

    def encode_experts(
        self, embeddings: Mapping[str, Tensor], present: Tensor | None = None
    ) -> tuple[Gaussian, Tensor | None]:
        """The experts of the modalities given, in the model's order, and their columns of the mask.

        Args:
            embeddings: what :meth:`embed` returned, or some of it, in any order.
            present: (B, M) bool in the order of :attr:`names`, or ``None``.

        Returns:
            Experts (B, m, D), finite also where a modality is not present; mask (B, m) or ``None``.
        """
        names = [name for name in self.names if name in embeddings]
        if present is not None:
            present = self._columns(present, names)
        parameters = []
        for column, name in enumerate(names):
            hidden = embeddings[name]
            if present is not None:
                # Whatever stands in masked rows: zero times infinity would not be zero.
                hidden = torch.where(present[:, column, None], hidden, 0.0)
            parameters.append(self.experts[name](hidden))
        means, log_variances = zip(*parameters, strict=True)
        return Gaussian(torch.stack(means, dim=1), torch.stack(log_variances, dim=1)), present
