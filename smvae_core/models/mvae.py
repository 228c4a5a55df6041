# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""MVAE: the product of experts, trained on sub-samples of the modalities.

M. Wu and N. Goodman, "Multimodal Generative Models for Scalable Weakly-Supervised Learning",
NeurIPS 2018, section 2.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from smvae_core.distributions import Gaussian
from smvae_core.models.experts import ExpertsVAE
from smvae_core.models.fusion import product_of_experts, with_prior
from smvae_core.models.objectives import Bound, Inputs, draw_subset


class MVAE(ExpertsVAE):
    """q(z|X_s) ∝ p(z) Π_{i∈s} q̃(z|x_i), with the prior as one more expert (Wu & Goodman 2018,
    section 2.1). Arguments and errors as
    :class:`smvae_core.models.multimodal_vae.MultimodalVAE`."""

    kind = "mvae"

    def encode_embeddings(
        self, embeddings: Mapping[str, Tensor], present: Tensor | None = None
    ) -> Gaussian:
        """The product of the experts given and the prior; arguments as the base's."""
        return _product(*self.encode_experts(embeddings, present))


def _product(experts: Gaussian, present: Tensor | None) -> Gaussian:
    """The product with the prior expert, which is always present."""
    if present is not None:
        present = torch.cat((present, torch.ones_like(present[..., :1])), dim=-1)
    return product_of_experts(with_prior(experts), present)


def subsampled_terms(modalities: int) -> int:
    """Number of ELBOs, and so of noise vectors, in :func:`subsampled_bound`."""
    return 1 + modalities + (modalities > 2)


def subsampled_bound(model: MVAE, inputs: Inputs) -> Bound:
    """Sub-sampled training (Wu & Goodman 2018, section 2.2):

    ELBO(x_O) + Σ_{i∈O} ELBO(x_i) + Σ_{j=1..k} ELBO(X_{s_j}),

    where ELBO(X_s) = E_{q(z|X_s)}[Σ_{i∈s} λ_i log p(x_i|z)] − β KL(q(z|X_s) ‖ p(z)). Here k = 1;
    for two modalities k = 0, since the other terms are all the subsets there are.

    The uniform numbers decide the random subset; a noise vector for each term
    (:func:`subsampled_terms`). Log-likelihoods and KL of what is returned are those of all terms,
    the posterior is q(z|x_O).
    """
    count, present = len(model.names), inputs.present
    alone = torch.eye(count, dtype=torch.bool, device=present.device)[:, None]
    subsets = [present[None], alone & present]
    if count > 2:
        subsets.append(draw_subset(present, inputs.uniform)[None])
    members = torch.cat(subsets)
    experts, _ = model.encode_experts(model.embed(inputs.observations), present)
    posterior = _product(experts, members)
    terms = model.log_likelihoods(inputs.observations, posterior.sample(inputs.noise), members)
    # A term whose subset is empty is zero: its posterior is the prior.
    kl = posterior.kl(Gaussian.standard(posterior.mean)).sum(0)
    value = model.weighted_sum(terms).sum(0) - inputs.beta * kl
    full = Gaussian(posterior.mean[0], posterior.log_variance[0])
    return Bound(value, {name: term.sum(0) for name, term in terms.items()}, kl, full)
