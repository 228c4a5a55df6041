# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""MoPoE: the mixture of the products of experts of all subsets.

T. Sutter, I. Daunhawer and J. Vogt, "Generalized Multimodal ELBO", ICLR 2021, section 3.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping

import torch
from torch import Tensor

from smvae_core.distributions import Gaussian, Mixture
from smvae_core.models.experts import ExpertsVAE
from smvae_core.models.fusion import mixture_of_products, with_prior
from smvae_core.models.objectives import Bound, Inputs, mean_bound


class MoPoE(ExpertsVAE):
    """q(z|X_s) = 1/(2^|s| − 1) Σ_{∅≠r⊆s} q̃(z|X_r), q̃(z|X_r) ∝ Π_{i∈r} q(z|x_i) (Sutter et al. 2021,
    section 3). As in the authors' code, only the product of all the model's modalities has the
    prior as one more expert. Arguments and errors as
    :class:`smvae_core.models.multimodal_vae.MultimodalVAE`.
    """

    kind = "mopoe"

    def encode_embeddings(
        self, embeddings: Mapping[str, Tensor], present: Tensor | None = None
    ) -> Mixture:
        """The mixture over all subsets of what is given, small ones first; arguments as the
        base's."""
        experts, present = self.encode_experts(embeddings, present)
        members = _subsets(len(embeddings), len(self.names), experts.mean.device)
        if present is not None:
            present = torch.cat((present, torch.ones_like(present[:, :1])), dim=1)
        return mixture_of_products(with_prior(experts), members, present)


@functools.cache
def _subsets(count: int, modalities: int, device: torch.device) -> Tensor:
    """(2^m − 1, m + 1) bool: members of each subset of the m = ``count`` modalities given and,
    last, the prior expert, which only the product of all the model's ``modalities`` has."""
    sizes = range(1, count + 1)
    chosen = [r for size in sizes for r in itertools.combinations(range(count), size)]
    with torch.inference_mode(False):  # tensors of inference mode are of no use to training
        return torch.tensor(
            [[i in r for i in range(count)] + [len(r) == modalities] for r in chosen],
            device=device,
        )


def mopoe_bound(model: MoPoE, inputs: Inputs) -> Bound:
    """The generalised ELBO (Sutter et al. 2021, section 3), its KL bounded by the components' KL:

    E_{q(z|x_O)}[Σ_{i∈O} λ_i log p(x_i|z)] − β Σ_r w_r KL(q̃(z|X_r) ‖ p(z)),

    with one z and one noise vector for each sample, from a component that the first of the uniform
    numbers chooses.
    """
    posterior = model.encode(inputs.observations, inputs.present)
    z = posterior.sample(inputs.noise[:1], inputs.uniform[None, :, 0])
    terms = model.log_likelihoods(inputs.observations, z, inputs.present[None])
    components = posterior.components
    divergences = components.kl(Gaussian.standard(components.mean))
    kl = (posterior.log_weights.exp() * divergences).sum(-1)
    return mean_bound(model, terms, kl[None], posterior, inputs.beta)
