# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""JMVAE: a joint posterior network, and one for each modality pulled towards it.

M. Suzuki, K. Nakayama and Y. Matsuo, "Joint Multimodal Learning with Deep Generative Models", 2016
(arXiv 1611.01891), section 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from smvae_core.distributions import Gaussian
from smvae_core.modalities import Modality
from smvae_core.models.experts import ExpertsVAE
from smvae_core.models.fusion import product_of_experts
from smvae_core.models.networks import initialise
from smvae_core.models.objectives import Bound, Inputs
from smvae_core.models.posterior_head import JointHead

ALPHA = 0.1  # as for MNIST in the paper


class JMVAE(ExpertsVAE):
    """q(z|x_1..x_M) from all embeddings at once, q(z|x_i) from one (Suzuki et al. 2016, sections
    3.2 and 3.3). The paper has two modalities; between one and all of more, the posterior is the
    product of those of the single ones. Arguments and errors as
    :class:`smvae_core.models.multimodal_vae.MultimodalVAE`.
    """

    kind = "jmvae"

    def __init__(
        self, modalities: Sequence[Modality], latent_size: int = 64, embedding_size: int = 128
    ) -> None:
        super().__init__(modalities, latent_size, embedding_size)
        self.joint = JointHead(len(modalities), embedding_size, latent_size)
        self.joint.apply(initialise)

    def encode_embeddings(
        self, embeddings: Mapping[str, Tensor], present: Tensor | None = None
    ) -> Gaussian:
        """The joint posterior where all modalities are there, else the product of the single ones;
        arguments as the base's."""
        if set(embeddings) == set(self.names) and present is None:
            return self._joint(embeddings)
        experts, given = self.encode_experts(embeddings, present)
        product = product_of_experts(experts, given)
        if given is None or set(embeddings) != set(self.names):
            return product
        complete = given.all(1, keepdim=True)
        # Rows that are not complete may hold anything; their joint posterior is thrown away.
        joint = self._joint({n: torch.where(complete, x, 0.0) for n, x in embeddings.items()})
        return Gaussian(
            torch.where(complete, joint.mean, product.mean),
            torch.where(complete, joint.log_variance, product.log_variance),
        )

    def _joint(self, embeddings: Mapping[str, Tensor]) -> Gaussian:
        stacked = torch.stack([embeddings[name] for name in self.names], dim=1)
        return Gaussian(*self.joint(stacked))


def jmvae_kl_bound(model: JMVAE, inputs: Inputs) -> Bound:
    """JMVAE-kl (Suzuki et al. 2016, section 3.3, L_JM_kl(α)):

    E_{q(z|x_O)}[Σ_{i∈O} λ_i log p(x_i|z)] − β KL(q(z|x_O) ‖ p(z))
    − α Σ_{i∈O} KL(q(z|x_O) ‖ q(z|x_i)).

    One noise vector for each sample. α (:data:`ALPHA`) weighs the terms that train the posteriors
    of single modalities; the ``kl`` of what is returned is the sum of all, without β and α.
    """
    present = inputs.present
    embeddings = model.embed(inputs.observations)
    posterior = model.encode_embeddings(embeddings, present)
    experts, given = model.encode_experts(embeddings, present)
    joint = Gaussian(posterior.mean[:, None], posterior.log_variance[:, None])
    to_experts = torch.where(given, joint.kl(experts), 0.0).sum(1)
    to_prior = posterior.kl(Gaussian.standard(posterior.mean))
    z = posterior.sample(inputs.noise[:1])
    terms = model.log_likelihoods(inputs.observations, z, present[None])
    terms = {name: term[0] for name, term in terms.items()}
    value = model.weighted_sum(terms) - inputs.beta * to_prior - ALPHA * to_experts
    return Bound(value, terms, to_prior + to_experts, posterior)
