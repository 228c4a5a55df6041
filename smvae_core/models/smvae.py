# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The set multimodal VAE: observations of any subset of modalities ↔ one latent variable.

encode: observations → embedding networks E_i → set encoder g_φ → q(z|X_s)     (Eq. 5–8)
decode: z → decoders D_i → likelihoods p(x_i|z)                                (section 3.2)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from smvae_core.distributions import CorrelatedGaussian, Gaussian
from smvae_core.modalities import Modality
from smvae_core.models.multimodal_vae import MultimodalVAE
from smvae_core.models.networks import ALL
from smvae_core.models.set_encoder import AttentionSetEncoder, build_set_encoder


class SMVAE(MultimodalVAE):
    """Set multimodal variational autoencoder. Other arguments and errors as
    :class:`smvae_core.models.multimodal_vae.MultimodalVAE`.

    Args:
        heads: attention heads of the set encoder.
        set_encoder: name of the set encoder, see :mod:`smvae_core.models.set_encoder`.
    """

    kind = "smvae"

    def __init__(
        self,
        modalities: Sequence[Modality],
        latent_size: int = 64,
        embedding_size: int = 128,
        heads: int = 4,
        set_encoder: str = "attention",
    ) -> None:
        if heads < 1:
            raise ValueError(f"heads must be positive, not {heads}")
        super().__init__(modalities, latent_size, embedding_size)
        self.heads = heads
        self.set_encoder_name = set_encoder
        self.set_encoder = build_set_encoder(set_encoder, embedding_size, latent_size, heads)
        self._add_decoders()

    @property
    def architecture(self) -> dict[str, Any]:
        own = {"heads": self.heads, "set_encoder": self.set_encoder_name}
        return {**super().architecture, **own}

    def set_principal_components(
        self, name: str, directions: Tensor, scales: Tensor, share: slice = ALL
    ) -> None:
        """As the base's; the set encoder begins by passing them on to z."""
        super().set_principal_components(name, directions, scales, share)
        if isinstance(self.set_encoder, AttentionSetEncoder):
            self.set_encoder.pass_on()

    def encode_embeddings(
        self, embeddings: Mapping[str, Tensor], present: Tensor | None = None
    ) -> Gaussian | CorrelatedGaussian:
        """q(z|X_s) = N(μ, σ²), (μ, log σ²) = g_φ({E_i(x_i)}) (Eq. 7), or with correlations if the
        set encoder has them; arguments as the base's."""
        mean, log_scale, *correlations = self.set_encoder(*self._stack(embeddings, present))
        if correlations:
            return CorrelatedGaussian.from_scales(mean, log_scale, *correlations)
        return Gaussian(mean, log_scale)

    def encode_subsets(
        self, embeddings: Mapping[str, Tensor], subsets: Tensor
    ) -> Gaussian | CorrelatedGaussian:
        """As the base's; the set encoder takes them as they are, which saves most of the work."""
        return self.encode_embeddings(embeddings, subsets)
