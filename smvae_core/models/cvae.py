# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""CVAE: models some modalities given others, in this direction only.

K. Sohn, H. Lee and X. Yan, "Learning Structured Output Representation using Deep Conditional
Generative Models", NeurIPS 2015, section 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from smvae_core.distributions import Gaussian
from smvae_core.modalities import Modality
from smvae_core.models.multimodal_vae import MultimodalVAE
from smvae_core.models.objectives import Bound, Inputs, mean_bound
from smvae_core.models.posterior_head import JointHead


class CVAE(MultimodalVAE):
    """p(x_T|x_G) = ∫ p(x_T|z) p(z|x_G) dz with the recognition network q(z|x_T, x_G) (Sohn et al.
    2015, section 4), for given modalities G and all others, T.

    Decoders see x_G through z only, so that they are those of the other models: a conditional prior
    can shift z by any function of x_G. Where a modality is missing its embedding is zero; without
    any of T the posterior is the prior p(z|x_G). A modality of G has no decoder: what is predicted
    for it is its training mean. Other arguments and errors as
    :class:`smvae_core.models.multimodal_vae.MultimodalVAE`.

    Args:
        given: names of G: some, but not all, of the modalities.
    """

    kind = "cvae"

    def __init__(
        self,
        modalities: Sequence[Modality],
        latent_size: int = 64,
        embedding_size: int = 128,
        given: Sequence[str] = ("label",),
    ) -> None:
        super().__init__(modalities, latent_size, embedding_size)
        if isinstance(given, str) or not set() < set(given) < set(self.names):
            raise ValueError(
                "`given` must name some, but not all, of the modalities "
                f"{', '.join(self.names)}, not {given!r}"
            )
        self.given = tuple(name for name in self.names if name in given)
        self.targets = tuple(name for name in self.names if name not in given)
        self.recognition = JointHead(len(self.names), embedding_size, latent_size)
        self.conditional_prior = JointHead(len(self.given), embedding_size, latent_size)
        self._add_decoders()
        for name in self.given:
            self.log_scales[name].requires_grad_(False)

    @property
    def architecture(self) -> dict[str, Any]:
        return {**super().architecture, "given": list(self.given)}

    def _build_decoder(self, modality: Modality) -> nn.Module:
        return _Zeros(modality) if modality.name in self.given else super()._build_decoder(modality)

    def encode_embeddings(
        self, embeddings: Mapping[str, Tensor], present: Tensor | None = None
    ) -> Gaussian:
        """q(z|x_T, x_G), or p(z|x_G) where nothing of T is there; arguments as the base's."""
        embeddings = self._masked(embeddings, present)
        prior = self._prior(embeddings)
        targets = [name for name in self.targets if name in embeddings]
        if not targets:
            return prior
        posterior = Gaussian(*self.recognition(self._filled(embeddings, self.names)))
        if present is None:
            return posterior
        observed = self._columns(present, targets).any(1, keepdim=True)
        return Gaussian(
            torch.where(observed, posterior.mean, prior.mean),
            torch.where(observed, posterior.log_variance, prior.log_variance),
        )

    def prior(self, observations: Mapping[str, Tensor]) -> Gaussian:
        """p(z|x_G); what the observations have beside G plays no part.

        Raises:
            ValueError: without one of G.
        """
        missing = [name for name in self.given if name not in observations]
        if missing:
            raise ValueError(f"a CVAE given {', '.join(self.given)} needs {', '.join(missing)}")
        return self._prior(self.embed({name: observations[name] for name in self.given}))

    def _prior(self, embeddings: Mapping[str, Tensor]) -> Gaussian:
        return Gaussian(*self.conditional_prior(self._filled(embeddings, self.given)))

    def _masked(
        self, embeddings: Mapping[str, Tensor], present: Tensor | None
    ) -> Mapping[str, Tensor]:
        if present is None:
            return embeddings
        columns = {name: present[:, self.names.index(name), None] for name in embeddings}
        return {name: torch.where(columns[name], x, 0.0) for name, x in embeddings.items()}

    @staticmethod
    def _filled(embeddings: Mapping[str, Tensor], names: Sequence[str]) -> Tensor:
        """Embeddings of these modalities, (B, m, d), zero where there is none."""
        blank = torch.zeros_like(next(iter(embeddings.values())))
        return torch.stack([embeddings.get(name, blank) for name in names], dim=1)


class _Zeros(nn.Module):
    """In the place of a decoder of a modality that is not modelled."""

    def __init__(self, modality: Modality) -> None:
        super().__init__()
        self.shape = modality.shape

    def forward(self, z: Tensor) -> Tensor:
        """(B, D) → zeros (B, *shape)."""
        return z.new_zeros(len(z), *self.shape)


def cvae_bound(model: CVAE, inputs: Inputs) -> Bound:
    """The conditional ELBO (Sohn et al. 2015, section 4), a bound of log p(x_T|x_G):

    E_{q(z|x_O)}[Σ_{i∈T∩O} λ_i log p(x_i|z)] − β KL(q(z|x_O) ‖ p(z|x_G)).

    One noise vector for each sample.
    """
    present = inputs.present
    embeddings = model.embed(inputs.observations)
    posterior = model.encode_embeddings(embeddings, present)
    is_given = torch.tensor([name in model.given for name in model.names], device=present.device)
    some_given = {name: embeddings[name] for name in model.given}
    kl = posterior.kl(model.encode_embeddings(some_given, present & is_given))
    counted = present & ~is_given
    z = posterior.sample(inputs.noise[:1])
    terms = model.log_likelihoods(inputs.observations, z, counted[None])
    return mean_bound(model, terms, kl[None], posterior, inputs.beta)
