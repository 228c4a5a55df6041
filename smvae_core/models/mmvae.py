# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""MMVAE: the mixture of experts, trained by the ELBO or by IWAE with the DReG estimator.

Y. Shi, N. Siddharth, B. Paige and P. Torr, "Variational Mixture-of-Experts Autoencoders for
Multi-Modal Deep Generative Models", NeurIPS 2019, section 3. As everywhere here, prior and
posteriors are Gaussian; the paper's experiments use Laplace distributions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from smvae_core.distributions import Gaussian, Mixture
from smvae_core.models.experts import ExpertsVAE
from smvae_core.models.fusion import mixture_of_experts
from smvae_core.models.objectives import Bound, Inputs

DREG_SAMPLES = 5  # K, importance samples of each expert: the smaller K of Burda et al. (2016)


class MMVAE(ExpertsVAE):
    """q(z|X_s) = 1/|s| Σ_{i∈s} q(z|x_i) (Shi et al. 2019, section 3). Arguments and errors as
    :class:`smvae_core.models.multimodal_vae.MultimodalVAE`."""

    kind = "mmvae"

    def encode_embeddings(
        self, embeddings: Mapping[str, Tensor], present: Tensor | None = None
    ) -> Mixture:
        """The mixture of the experts given; arguments as the base's."""
        return mixture_of_experts(*self.encode_experts(embeddings, present))


def mixture_bound(model: MMVAE, inputs: Inputs) -> Bound:
    """The ELBO of the mixture, its experts sampled in turn (Shi et al. 2019, section 3):

    1/|O| Σ_{m∈O} E_{q(z|x_m)}[Σ_{i∈O} λ_i log p(x_i|z) + β (log p(z) − log q(z|x_O))].

    One noise vector for each expert; KL(q(z|x_O) ‖ p(z)) is estimated from the same samples.
    """
    posterior, experts = _posterior(model, inputs)
    z = experts.sample(inputs.noise)
    terms, divergence = _terms(model, inputs, z, posterior)
    shares = _shares(inputs.present, divergence)
    terms = {name: (shares * term).sum(0) for name, term in terms.items()}
    kl = (shares * divergence).sum(0)
    return Bound(model.weighted_sum(terms) - inputs.beta * kl, terms, kl, posterior)


def dreg_bound(model: MMVAE, inputs: Inputs) -> Bound:
    """IWAE for each expert, averaged over experts (Shi et al. 2019, section 3, L_IWAE^MoE):

    1/|O| Σ_{m∈O} E_{z^1..z^K ~ q(z|x_m)}[log 1/K Σ_k w(z^k)],
    log w(z) = Σ_{i∈O} λ_i log p(x_i|z) + β (log p(z) − log q(z|x_O)),

    whose gradient is the doubly reparametrised one (DReG, Tucker et al. 2019): the density q(z|x_O)
    is held fixed, and what reaches the posteriors through z^k is weighted by the square of the
    normalised weight of z^k.

    M · K noise vectors, the K of an expert one after another. Log-likelihoods and KL of what is
    returned are averages over all samples.
    """
    posterior, experts = _posterior(model, inputs)
    count = len(model.names)
    noise = inputs.noise.unflatten(0, (count, -1))
    samples = noise.shape[1]
    z = Gaussian(experts.mean[:, None], experts.log_variance[:, None]).sample(noise)
    fixed = Mixture(
        Gaussian(posterior.components.mean.detach(), posterior.components.log_variance.detach()),
        posterior.log_weights,
    )
    terms, divergence = _terms(model, inputs, z.flatten(0, 1), fixed)
    log_weights = model.weighted_sum(terms) - inputs.beta * divergence
    log_weights = log_weights.view(count, samples, -1)
    normalised = log_weights.detach().softmax(1)
    if z.requires_grad:
        z.register_hook(lambda gradient: gradient * normalised[..., None])
    shares = _shares(inputs.present, divergence)
    value = (shares * (log_weights.logsumexp(1) - math.log(samples))).sum(0)

    def average(term: Tensor) -> Tensor:
        return (shares * term.view(count, samples, -1).mean(1)).sum(0)

    terms = {name: average(term) for name, term in terms.items()}
    return Bound(value, terms, average(divergence), posterior)


def _posterior(model: MMVAE, inputs: Inputs) -> tuple[Mixture, Gaussian]:
    """q(z|x_O), and its experts with the modalities first, (M, B, D)."""
    posterior = model.encode(inputs.observations, inputs.present)
    experts = posterior.components
    return posterior, Gaussian(experts.mean.transpose(0, 1), experts.log_variance.transpose(0, 1))


def _shares(present: Tensor, like: Tensor) -> Tensor:
    """1/|O| for the experts of O and 0 for others, (M, B), of the type of ``like``."""
    return (present.to(like.dtype) / present.sum(1, keepdim=True)).T


def _terms(
    model: MMVAE, inputs: Inputs, z: Tensor, posterior: Mixture
) -> tuple[dict[str, Tensor], Tensor]:
    """log p(x_i|z) for each modality and log q(z|x_O) − log p(z), each (M · K, B); zero for an
    expert that is not in O."""
    used = inputs.present.T.repeat_interleave(len(z) // len(model.names), dim=0)
    terms = model.log_likelihoods(inputs.observations, z, used[..., None] & inputs.present)
    prior = Gaussian.standard(z)
    divergence = torch.where(used, posterior.log_prob(z) - prior.log_prob(z), 0.0)
    return terms, divergence
