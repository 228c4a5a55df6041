# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The bounds that training maximises, β annealing and the L2 regulariser.

With O what a sample observed and S ⊆ O a random non-empty subset, an objective is one of

- :func:`subset_bound`, the paper's Eq. 3 and 4:
  E_{q(z|x_S)}[Σ_{i∈S} λ_i log p(x_i|z)] − β KL(q(z|x_S) ‖ p(z));
- :func:`masked_bound`, Hirt et al. 2023 (arXiv 2309.00380), the default:
  the above plus E_{q(z|x_O)}[Σ_{i∈O∖S} λ_i log p(x_i|z)] − β KL(q(z|x_O) ‖ q(z|x_S)).
  It may lie above log p(x_O) while posteriors are not exact, so models are never compared by it;
  :func:`full_bound`, the ELBO of Eq. 1 on all of O, is what validation reports;
- :func:`predictive_bound`: the masked bound, and what is outside of S is decoded from the mean of
  q(z|x_S), too, as in a prediction.

:func:`regression` is not a bound: it trains a network dedicated to one mapping, the yardstick that
a model for all subsets is held against.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from smvae_core.distributions import Gaussian, Posterior
from smvae_core.models.multimodal_vae import MultimodalVAE


@dataclass(frozen=True)
class Inputs:
    """What a bound is computed from, beside the model.

    Attributes:
        observations: modality → (B, *shape), normalised; rows that are not present are ignored.
        present: (B, M) bool, O.
        uniform: (B, M + 1) numbers in [0, 1), for bounds that draw subsets.
        noise: (N, B, D), standard normal ε; N is the bound's own.
        beta: weight of the KL terms.
    """

    observations: Mapping[str, Tensor]
    present: Tensor
    uniform: Tensor
    noise: Tensor
    beta: float = 1.0


@dataclass(frozen=True)
class Bound:
    """An objective's value for a batch and what it is made of, each (B,), in nats.

    Attributes:
        value: to be maximised: Σ_i λ_i log p(x_i|z) − β KL, plus ``predicted``.
        log_likelihoods: modality → unweighted log p(x_i|z), zero where not present.
        kl: the sum of the KL terms, without β.
        posterior: q(z|x_S), for the regulariser.
        predicted: what predictions of modalities outside of S add to the value, weighted.
    """

    value: Tensor
    log_likelihoods: dict[str, Tensor]
    kl: Tensor
    posterior: Posterior
    predicted: Tensor | float = 0.0


def draw_subset(present: Tensor, uniform: Tensor, alone: float = 0.0) -> Tensor:
    """A random non-empty subset S of what each sample observed: its size uniform in 1..|O|, then S
    uniform among the subsets of that size.

    Args:
        present: (B, M) bool, at least one True a row.
        uniform: (B, M + 1) numbers in [0, 1): the first decides the size, the others the members.
        alone: share of the samples whose S is a single modality, whatever the size would be.

    Returns:
        (B, M) bool, a subset of ``present`` in every row.
    """
    observed = present.sum(1)
    of_size = ((uniform[:, 0] - alone) / (1 - alone)).clamp(min=0)
    size = 1 + (of_size * observed).long().clamp(max=observed - 1)
    scores = torch.where(present, uniform[:, 1:], torch.inf)
    rank = scores.argsort(1).argsort(1)
    return (rank < size[:, None]) & present


def draw_subsets(present: Tensor, uniform: Tensor, count: int, alone: float = 0.0) -> Tensor:
    """Several subsets of each sample, each drawn as by :func:`draw_subset`, but from evenly spaced
    uniform numbers (u + r / R mod 1), so that together they are more like all subsets.

    Of two modalities and two draws one is always the pair and one always alone.

    Args:
        present: (B, M) bool, at least one True a row.
        uniform: (B, M + 1) numbers in [0, 1).
        count: R.
        alone: as for :func:`draw_subset`, less than 1.

    Returns:
        (R, B, M) bool.
    """
    draws = [draw_subset(present, (uniform + r / count) % 1.0, alone) for r in range(count)]
    return torch.stack(draws)


def annealed_beta(step: int, warm_up_steps: int, beta: float = 1.0) -> float:
    """β of Eq. 2, rising linearly from 0 to its final value (Bowman et al. 2015)."""
    return beta * min(1.0, step / warm_up_steps) if warm_up_steps > 0 else beta


def regulariser(posterior: Posterior) -> Tensor:
    """The L2 regulariser of section 3.2, which pulls μ to 0 and σ to 1: |μ|² + |σ − 1|², (B,)."""
    scale = (0.5 * posterior.log_variance).exp()
    return posterior.mean.square().sum(-1) + (scale - 1).square().sum(-1)


def subset_bound(model: MultimodalVAE, inputs: Inputs, subsets: Tensor) -> Bound:
    """Eq. 3 and 4 of the paper: the ELBO of the subset S by itself; the mean over several S.

    Args:
        model: the model.
        inputs: of their noise vectors the first R are used.
        subsets: (R, B, M) bool, R draws of S for each sample.
    """
    posterior = model.encode_subsets(model.embed(inputs.observations), subsets)
    kl = posterior.kl(Gaussian.standard(posterior.mean))
    z = posterior.sample(inputs.noise[: len(subsets)])
    terms = model.log_likelihoods(inputs.observations, z, subsets)
    return mean_bound(model, terms, kl, posterior, inputs.beta)


def masked_bound(
    model: MultimodalVAE, inputs: Inputs, subsets: Tensor, taught: Tensor | None = None
) -> Bound:
    """The masked objective of Hirt et al. 2023; arguments as :func:`subset_bound`, and the noise
    after the first R is that of q(z|x_O), which all S share.

    A modality is decoded once for each S: from the z of S if it is in S, else from that of O.

    Args:
        taught: (T, B, M) bool, subsets over which KL(q(z|x_O) ‖ q(z|x_S)) is averaged instead of
            over the R of ``subsets``. No decoder has a part in it, so that many of them cost
            little; drawn as those of ``subsets`` they change no expectation, only its variance.
    """
    observations, present, noise = inputs.observations, inputs.present, inputs.noise
    embeddings = model.embed(observations)
    given = model.encode_subsets(embeddings, subsets)
    full = model.encode_subsets(embeddings, present[None])
    covering = full.kl(given)
    if taught is not None:
        covering = full.kl(model.encode_subsets(embeddings, taught)).mean(0, keepdim=True)
    z_given, z_full = given.sample(noise[: len(subsets)]), full.sample(noise[len(subsets), None])
    # Where S is all of O, the second term is zero; so it comes out here, too.
    kl = given.kl(Gaussian.standard(given.mean)) + covering
    terms = {}
    for name, x in observations.items():
        inside = subsets[..., model.names.index(name), None]
        z = torch.where(inside, z_given, z_full)
        terms.update(model.log_likelihoods({name: x}, z, present.expand_as(subsets)))
    return mean_bound(model, terms, kl, given, inputs.beta)


def predictive_bound(
    model: MultimodalVAE,
    inputs: Inputs,
    subsets: Tensor,
    taught: Tensor | None = None,
    weight: float = 1.0,
) -> Bound:
    """:func:`masked_bound`, and predictions as they are made in use: plus the weight times
    Σ_{i∈O∖S} λ_i log p(x_i | z = E[z|x_S]).

    Decoders can tell the mean of an unsure posterior, which is near that of the prior, from the z
    of one that knows, so that what S does not say need not blur the latter. Scales of likelihoods
    that are learned are those of reconstructions and predictions alike.
    """
    bound = masked_bound(model, inputs, subsets, taught)
    outside = inputs.present & ~subsets
    terms = model.log_likelihoods(inputs.observations, bound.posterior.mean, outside)
    predicted = weight * model.weighted_sum(terms).mean(0)
    return replace(bound, value=bound.value + predicted, predicted=predicted)


def full_bound(model: MultimodalVAE, inputs: Inputs) -> Bound:
    """The ELBO of everything that was observed (Eq. 1), with β = 1."""
    return subset_bound(model, replace(inputs, beta=1.0), inputs.present[None])


def regression(
    model: MultimodalVAE, observations: Mapping[str, Tensor], given: Tensor, targets: Tensor
) -> Bound:
    """log p(x_T | z = E[z|x_G]): a plain network from the modalities G to the modalities T.

    Args:
        model: the model.
        observations: modality → (B, *shape), normalised.
        given: (B, M) bool, G.
        targets: (B, M) bool, T.
    """
    inputs = {n: x for n, x in observations.items() if given[:, model.names.index(n)].any()}
    posterior = model.encode(inputs or observations, given)
    terms = model.log_likelihoods(observations, posterior.mean[None], targets[None])
    kl = 0.0 * posterior.mean.sum(-1)[None]  # none; but a batch without any target has a gradient
    return mean_bound(model, terms, kl, posterior, 1.0)


OBJECTIVES = {"masked": masked_bound, "subset": subset_bound}  # of SMVAE, the default first


def mean_bound(
    model: MultimodalVAE,
    terms: dict[str, Tensor],
    kl: Tensor,
    posterior: Posterior,
    beta: float,
) -> Bound:
    """Σ_i λ_i log p(x_i|z) − β KL, averaged over R subsets; terms and KL are (R, B)."""
    value = (model.weighted_sum(terms) - beta * kl).mean(0)
    return Bound(value, {name: term.mean(0) for name, term in terms.items()}, kl.mean(0), posterior)
