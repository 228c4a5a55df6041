# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""TELBO: an ELBO for all modalities together and one for each of them alone.

R. Vedantam, I. Fischer, J. Huang and K. Murphy, "Generative Models of Visually Grounded
Imagination", ICLR 2018 (arXiv 1705.10762), the triple ELBO.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from smvae_core.distributions import Gaussian
from smvae_core.models.jmvae import JMVAE
from smvae_core.models.objectives import Bound, Inputs


class TELBO(JMVAE):
    """The networks of JMVAE, trained by :func:`triple_bound`."""

    kind = "telbo"


def triple_bound(model: TELBO, inputs: Inputs) -> Bound:
    """The triple ELBO (Vedantam et al. 2018), for two modalities with three terms:

    E_{q(z|x_O)}[Σ_{i∈O} λ_i log p(x_i|z)] − β KL(q(z|x_O) ‖ p(z))
    + Σ_{i∈O} (E_{q(z|x_i)}[λ_i log p(x_i|z)] − β KL(q(z|x_i) ‖ p(z))).

    In the terms of single modalities p(x_i|z) is held fixed: they fit posteriors to the decoders
    that the joint term learns, not the other way round.

    M + 1 noise vectors, of q(z|x_O), then of each q(z|x_i). Log-likelihoods and KL of what is
    returned are those of all terms, the posterior is q(z|x_O).
    """
    observations, present, noise = inputs.observations, inputs.present, inputs.noise
    embeddings = model.embed(observations)
    joint = model.encode_embeddings(embeddings, present)
    stacked, _ = model.encode_experts(embeddings, present)
    single = Gaussian(stacked.mean.transpose(0, 1), stacked.log_variance.transpose(0, 1))
    terms = model.log_likelihoods(observations, joint.sample(noise[:1]), present[None])
    alone = torch.eye(len(model.names), dtype=torch.bool, device=present.device)[:, None] & present
    with _held_fixed([*model.decoders.parameters(), *model.log_scales.parameters()]):
        single_terms = model.log_likelihoods(observations, single.sample(noise[1:]), alone)
    terms = {name: term[0] + single_terms[name].sum(0) for name, term in terms.items()}
    single_kl = single.kl(Gaussian.standard(single.mean))
    kl = joint.kl(Gaussian.standard(joint.mean)) + torch.where(present.T, single_kl, 0.0).sum(0)
    return Bound(model.weighted_sum(terms) - inputs.beta * kl, terms, kl, joint)


@contextmanager
def _held_fixed(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Values computed inside have no gradient to these parameters."""
    learned = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in learned:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)
