"""The bounds that training maximises, β annealing and the L2 regulariser.

With O what a sample observed and S ⊆ O a random non-empty subset, an objective is one of

- :func:`subset_bound`, the paper's Eq. 3 and 4:
  E_{q(z|x_S)}[Σ_{i∈S} λ_i log p(x_i|z)] − β KL(q(z|x_S) ‖ p(z));
- :func:`masked_bound`, Hirt et al. 2023 (arXiv 2309.00380), the default:
  the above plus E_{q(z|x_O)}[Σ_{i∈O∖S} λ_i log p(x_i|z)] − β KL(q(z|x_O) ‖ q(z|x_S)).
  It may lie above log p(x_O) while posteriors are not exact, so models are never compared by it;
  :func:`full_bound`, the ELBO of Eq. 1 on all of O, is what validation reports.

:func:`regression` is not a bound: it trains a network dedicated to one mapping, the yardstick that
a model for all subsets is held against.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from smvae_core.distributions import Gaussian
from smvae_core.mixture import Mixture
from smvae_core.multimodal_vae import MultimodalVAE


@dataclass(frozen=True)
class Bound:
    """An objective's value for a batch and what it is made of, each (B,), in nats.

    Attributes:
        value: to be maximised.
        log_likelihoods: modality → unweighted log p(x_i|z), zero where not present.
        kl: the sum of the KL terms, without β.
        posterior: q(z|x_S), for the regulariser.
    """

    value: Tensor
    log_likelihoods: dict[str, Tensor]
    kl: Tensor
    posterior: Gaussian | Mixture


def draw_subset(present: Tensor, uniform: Tensor) -> Tensor:
    """A random non-empty subset S of what each sample observed: its size uniform in 1..|O|, then S
    uniform among the subsets of that size.

    Args:
        present: (B, M) bool, at least one True a row.
        uniform: (B, M + 1) numbers in [0, 1): the first decides the size, the others the members.

    Returns:
        (B, M) bool, a subset of ``present`` in every row.
    """
    observed = present.sum(1)
    size = 1 + (uniform[:, 0] * observed).long().clamp(max=observed - 1)
    scores = torch.where(present, uniform[:, 1:], torch.inf)
    rank = scores.argsort(1).argsort(1)
    return (rank < size[:, None]) & present


def annealed_beta(step: int, warm_up_steps: int, beta: float = 1.0) -> float:
    """β of Eq. 2, rising linearly from 0 to its final value (Bowman et al. 2015)."""
    return beta * min(1.0, step / warm_up_steps) if warm_up_steps > 0 else beta


def regulariser(posterior: Gaussian | Mixture) -> Tensor:
    """The L2 regulariser of section 3.2, which pulls μ to 0 and σ to 1: |μ|² + |σ − 1|², (B,)."""
    scale = (0.5 * posterior.log_variance).exp()
    return posterior.mean.square().sum(-1) + (scale - 1).square().sum(-1)


def subset_bound(
    model: MultimodalVAE,
    observations: Mapping[str, Tensor],
    present: Tensor,
    subset: Tensor,
    noise: Tensor,
    beta: float = 1.0,
) -> Bound:
    """Eq. 3 and 4 of the paper: the ELBO of the subset S by itself.

    Args:
        model: the model.
        observations: modality → (B, *shape), normalised; rows that are not present are ignored.
        present: (B, M) bool, O; unused here, so that objectives are interchangeable.
        subset: (B, M) bool, S.
        noise: (2, B, D) standard normal ε; the first is used.
        beta: weight of the KL term.
    """
    posterior = model.encode(observations, subset)
    kl = posterior.kl(Gaussian.standard(posterior.mean))
    log_likelihoods = _log_likelihoods(
        model, observations, subset, lambda _: posterior.sample(noise[0])
    )
    value = _weighted(model, log_likelihoods) - beta * kl
    return Bound(value, log_likelihoods, kl, posterior)


def masked_bound(
    model: MultimodalVAE,
    observations: Mapping[str, Tensor],
    present: Tensor,
    subset: Tensor,
    noise: Tensor,
    beta: float = 1.0,
) -> Bound:
    """The masked objective of Hirt et al. 2023; arguments as :func:`subset_bound`, and the second
    noise is that of q(z|x_O).

    A modality is decoded once for each sample: from the z of S if it is in S, else from that of O.
    """
    embeddings = model.embed(observations)
    given = model.encode_embeddings(embeddings, subset)
    full = model.encode_embeddings(embeddings, present)
    z_given, z_full = given.sample(noise[0]), full.sample(noise[1])
    # Where S is all of O, the second term is exactly zero; so it comes out here, too.
    kl = given.kl(Gaussian.standard(given.mean)) + full.kl(given)
    log_likelihoods = _log_likelihoods(
        model,
        observations,
        present,
        lambda column: torch.where(subset[:, column, None], z_given, z_full),
    )
    value = _weighted(model, log_likelihoods) - beta * kl
    return Bound(value, log_likelihoods, kl, given)


def full_bound(
    model: MultimodalVAE, observations: Mapping[str, Tensor], present: Tensor, noise: Tensor
) -> Bound:
    """The ELBO of everything that was observed (Eq. 1), with β = 1; noise (2, B, D)."""
    return subset_bound(model, observations, present, present, noise)


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
    log_likelihoods = _log_likelihoods(model, observations, targets, lambda _: posterior.mean)
    kl = 0.0 * posterior.mean.sum(-1)  # none; but a batch without any target has a gradient too
    return Bound(_weighted(model, log_likelihoods) - kl, log_likelihoods, kl, posterior)


OBJECTIVES = {"masked": masked_bound, "subset": subset_bound}  # of SMVAE, the default first


def _log_likelihoods(
    model: MultimodalVAE,
    observations: Mapping[str, Tensor],
    counted: Tensor,
    latent: Callable[[int], Tensor],
) -> dict[str, Tensor]:
    """log p(x_i|z_i) for each modality, zero in rows where it is not counted."""
    terms = {}
    for name, x in observations.items():
        column = model.names.index(name)
        mask = counted[:, column]
        # Rows that do not count are not decoded, so half of the decoders' work falls away.
        rows = mask.nonzero()[:, 0]
        term = x.new_zeros(len(x))
        if len(rows):
            likelihood = model.decode(latent(column)[rows], [name])[name]
            term = term.index_copy(0, rows, likelihood.log_prob(x[rows]).to(term.dtype))
        terms[name] = term
    return terms


def _weighted(model: MultimodalVAE, log_likelihoods: Mapping[str, Tensor]) -> Tensor:
    """Σ_i λ_i log p(x_i|z), (B,)."""
    terms = [model.modalities[n].weight * term for n, term in log_likelihoods.items()]
    return torch.stack(terms).sum(0)
