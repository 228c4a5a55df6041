# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Bounds of the baselines against slow literal re-computations, closed forms and gradients."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from linear_gaussian import SIZES, linear_gaussian, log_evidence, sample, sigma_points
from small_baselines import (
    NAMES,
    gradient_norms,
    small_baseline,
    vector_modalities,
    vector_observations,
)
from smvae_core.distributions import Gaussian, Mixture
from smvae_core.metrics.importance_sampling import ImportanceSampler
from smvae_core.metrics.subset_choice import all_subsets
from smvae_core.models.mmvae import MMVAE, dreg_bound, mixture_bound
from smvae_core.models.multimodal_vae import MultimodalVAE
from smvae_core.models.mvae import MVAE, subsampled_bound
from smvae_core.models.objectives import Bound, Inputs, draw_subset
from smvae_core.models.registry import METHODS

KINDS = tuple(METHODS)
OBJECTIVES = [(kind, name) for kind in KINDS for name in METHODS[kind].objectives]


# Bounds: a loop over samples, one at a time and without masks, writes each formula out.


def case(model: MultimodalVAE, kind: str, objective: str, batch: int = 10) -> tuple:
    """Observations with NaN where they are absent, present, uniform and noise."""
    generator = torch.Generator().manual_seed(3)
    observations = vector_observations(batch)
    present = torch.rand(batch, 3, generator=generator) < 0.6
    present[torch.arange(batch), torch.randint(3, (batch,), generator=generator)] = True
    present[0] = True
    if kind == "cvae":
        present[:, 2] = True
    for column, x in enumerate(observations.values()):
        x[~present[:, column]] = torch.nan
    uniform = torch.rand(batch, 4, generator=generator)
    noises = METHODS[kind].objective(objective).noises(3)
    noise = torch.randn(noises, batch, model.latent_size, generator=generator).double()
    return observations, present, uniform, noise


def weighted(model: MultimodalVAE, row: Mapping[str, Tensor], z: Tensor) -> Tensor:
    """Σ_i λ_i log p(x_i|z) of one sample."""
    likelihoods = model.decode(z[None], row)
    return sum(
        model.modalities[name].weight * likelihoods[name].log_prob(x)[0] for name, x in row.items()
    )


def elbo(model: MultimodalVAE, row: Mapping[str, Tensor], noise: Tensor, beta: float) -> Tensor:
    q = model.encode(row)
    kl = q.kl(Gaussian.standard(q.mean))[0]
    return weighted(model, row, q.sample(noise)[0]) - beta * kl


def only(row: Mapping[str, Tensor], names: tuple[str, ...] | list[str]) -> dict[str, Tensor]:
    return {name: row[name] for name in names}


def literal(
    objective: tuple[str, str],
    model: MultimodalVAE,
    row: dict[str, Tensor],
    drawn: list[str],
    uniform: Tensor,
    noise: Tensor,
    beta: float,
) -> Tensor:
    """The bound of one sample, whose observations are `row`; noise (N, D)."""
    kind, name = objective
    if kind == "jmvae":
        q = model.encode(row)
        others = [q.kl(model.encode({n: x}))[0] for n, x in row.items()]
        return elbo(model, row, noise[0], beta) - 0.1 * sum(others)
    if kind == "telbo":
        single = [elbo(model, only(row, [n]), noise[1 + NAMES.index(n)], beta) for n in row]
        return elbo(model, row, noise[0], beta) + sum(single)
    if kind == "mvae":
        single = [elbo(model, only(row, [n]), noise[1 + NAMES.index(n)], beta) for n in row]
        return (
            elbo(model, row, noise[0], beta)
            + sum(single)
            + elbo(model, only(row, drawn), noise[4], beta)
        )
    q = model.encode(row)
    if kind == "cvae":
        prior, targets = model.prior(row), only(row, [n for n in row if n != "label"])
        terms = weighted(model, targets, q.sample(noise[0])[0]) if targets else 0.0
        return terms - beta * q.kl(prior)[0]
    if kind == "mopoe":
        parts = all_subsets(tuple(row))
        experts = {part: literal_product(model, only(row, part)) for part in parts}
        kl = sum(e.kl(Gaussian.standard(e.mean))[0] for e in experts.values()) / len(parts)
        chosen = experts[parts[int(uniform[0] * len(parts))]]
        return weighted(model, row, chosen.sample(noise[0])[0]) - beta * kl
    values = []
    samples = len(noise) // 3
    for n in row:
        expert = model.encode(only(row, [n])).components
        first = samples * NAMES.index(n)
        log_weights = []
        for k in range(samples):
            z = expert.mean[0, 0] + (expert.log_variance[0, 0] / 2).exp() * noise[first + k]
            prior = Gaussian.standard(z)
            kl = q.log_prob(z[None])[0] - prior.log_prob(z)
            log_weights.append(weighted(model, row, z) - beta * kl)
        values.append(torch.stack(log_weights).logsumexp(0) - math.log(samples))
    assert name == "dreg" or samples == 1
    return sum(values) / len(values)


def literal_product(model: MultimodalVAE, row: Mapping[str, Tensor]) -> Gaussian:
    """Precisions added up; the prior joins where nothing is missing."""
    experts = [model.encode({name: x}).components for name, x in row.items()]
    precision = sum((-e.log_variance[:, 0]).exp() for e in experts)
    shift = sum((-e.log_variance[:, 0]).exp() * e.mean[:, 0] for e in experts)
    if len(row) == len(NAMES):
        precision = precision + 1
    return Gaussian(shift / precision, -precision.log())


@pytest.mark.parametrize("beta", [1.0, 0.3])
@pytest.mark.parametrize("objective", [o for o in OBJECTIVES if o[0] != "smvae"], ids="-".join)
@torch.no_grad()
def test_bound_is_the_slow_literal_one(objective: tuple[str, str], beta: float) -> None:
    kind, name = objective
    model = small_baseline(kind)
    observations, present, uniform, noise = case(model, kind, name)
    inputs = Inputs(observations, present, uniform, noise, beta)
    bound = METHODS[kind].objective(name).bound(model, inputs)
    subset = draw_subset(present, uniform)
    for row in range(len(present)):
        seen = [n for n, there in zip(NAMES, present[row].tolist(), strict=True) if there]
        drawn = [n for n, there in zip(NAMES, subset[row].tolist(), strict=True) if there]
        sample_ = {n: observations[n][row : row + 1] for n in seen}
        expected = literal(objective, model, sample_, drawn, uniform[row], noise[:, row], beta)
        torch.testing.assert_close(bound.value[row], expected)


@pytest.mark.parametrize("objective", OBJECTIVES, ids="-".join)
@torch.no_grad()
def test_a_bound_says_what_it_is_made_of(objective: tuple[str, str]) -> None:
    kind, name = objective
    model = small_baseline(kind)
    arguments = case(model, kind, name)
    bound, free = (
        METHODS[kind].objective(name).bound(model, Inputs(*arguments, beta)) for beta in (1.0, 0.0)
    )
    assert bound.kl.shape == bound.value.shape
    for column, n in enumerate(NAMES):
        assert (bound.log_likelihoods[n][~arguments[1][:, column]] == 0).all()
    if name != "dreg":
        terms = sum(model.modalities[n].weight * t for n, t in bound.log_likelihoods.items())
        if kind == "jmvae":  # its other KL terms have a weight of their own
            assert (terms > free.value)[arguments[1].sum(1) > 1].all()
        else:
            torch.testing.assert_close(free.value, terms + free.predicted)
            torch.testing.assert_close(bound.value, terms + bound.predicted - bound.kl)


@pytest.mark.parametrize("objective", OBJECTIVES, ids="-".join)
def test_gradients_reach_every_network_and_are_finite(objective: tuple[str, str]) -> None:
    """With garbage wherever nothing is present."""
    kind, name = objective
    model = small_baseline(kind)
    bound = METHODS[kind].objective(name).bound(model, Inputs(*case(model, kind, name, batch=40)))
    bound.value.mean().backward()
    assert [n for n, norm in gradient_norms(model).items() if norm == 0] == []


@pytest.mark.parametrize("objective", OBJECTIVES, ids="-".join)
@torch.no_grad()
def test_rows_of_a_batch_do_not_influence_each_other(objective: tuple[str, str]) -> None:
    kind, name = objective
    model = small_baseline(kind)
    observations, present, uniform, noise = case(model, kind, name)
    bound = METHODS[kind].objective(name).bound
    whole = bound(model, Inputs(observations, present, uniform, noise, 0.5))
    rows = torch.tensor([7, 0, 3])
    part = {n: observations[n][rows] for n in reversed(NAMES)}
    some = bound(model, Inputs(part, present[rows], uniform[rows], noise[:, rows], 0.5))
    torch.testing.assert_close(some.value, whole.value[rows])


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_validation_is_an_elbo_of_what_was_observed(kind: str) -> None:
    """Below log p(x_O) on average over the noise, and not far below."""
    # With λ = 1 it bounds the likelihood itself.
    model = small_baseline(
        kind, [dataclasses.replace(modality, weight=1.0) for modality in vector_modalities()]
    )
    observations = {n: x.expand(4000, -1) for n, x in vector_observations(1).items()}
    validation = METHODS[kind].validation
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(validation.noises(3), 4000, 3, generator=generator).double()
    uniform = torch.rand(4000, 4, generator=generator)
    present = torch.ones(4000, 3, dtype=torch.bool)
    values = validation.bound(model, Inputs(observations, present, uniform, noise)).value
    one = vector_observations(1)
    targets = [n for n in NAMES if n not in model.given]
    exact = ImportanceSampler(model, 20_000).log_likelihood(one, targets, NAMES)
    error = float(values.std()) / math.sqrt(4000) + float(exact.standard_error)
    assert float(values.mean()) < float(exact.value) + 3 * error
    assert float(values.mean()) > float(exact.value) - 3


# What is particular to one model.


def exact_mvae() -> MVAE:
    """The linear-Gaussian model as an MVAE, whose experts are its likelihoods in z."""
    exact = linear_gaussian()
    model = MVAE(list(exact.modalities.values()), exact.latent_size, 4).double()
    model.embeddings, model.decoders = exact.embeddings, exact.decoders
    model.log_scales = exact.log_scales

    class Expert(nn.Module):
        def forward(self, evidence: Tensor) -> tuple[Tensor, Tensor]:
            linear, precision = evidence.chunk(2, dim=-1)
            return linear / precision, -precision.log()

    model.experts = nn.ModuleDict({name: Expert() for name in SIZES})
    return model


@torch.no_grad()
def test_subsampled_bound_is_the_sum_of_evidences() -> None:
    """With exact experts the product is exact, and so each ELBO is log p(X_s)."""
    model, reference = exact_mvae(), linear_gaussian()
    observations = sample(reference, 3)
    points = sigma_points()
    repeated = {name: x.repeat_interleave(len(points), 0) for name, x in observations.items()}
    rows = 3 * len(points)
    present = torch.ones(rows, 3, dtype=torch.bool)
    uniform = torch.tensor([[0.5, 0.1, 0.9, 0.2]]).expand(rows, -1)  # draws {a, c}
    noise = points.repeat(3, 1).expand(5, -1, -1)
    bound = subsampled_bound(model, Inputs(repeated, present, uniform, noise))
    subsets = [("a", "b", "c"), ("a",), ("b",), ("c",), ("a", "c")]
    expected = sum(log_evidence(reference, observations, subset) for subset in subsets)
    torch.testing.assert_close(bound.value.view(3, -1).mean(1), expected)


@torch.no_grad()
def test_two_modalities_have_three_terms() -> None:
    model = MVAE(vector_modalities()[:2], 3, 8).double()
    observations = {n: x for n, x in vector_observations(6).items() if n != "label"}
    noise = torch.randn(3, 6, 3, generator=torch.Generator().manual_seed(0)).double()
    present = torch.ones(6, 2, dtype=torch.bool)
    bound = subsampled_bound(model, Inputs(observations, present, torch.zeros(6, 3), noise))
    for row in range(6):
        x = {name: value[row : row + 1] for name, value in observations.items()}
        parts = [x, only(x, ["motion"]), only(x, ["pixels"])]
        expected = sum(elbo(model, part, noise[i, row], 1.0) for i, part in enumerate(parts))
        torch.testing.assert_close(bound.value[row], expected)
    assert METHODS["mvae"].objective().noises(2) == 3


def test_triple_bound_holds_decoders_fixed_in_single_terms() -> None:
    """Their gradient is that of the joint ELBO alone, and all stay learned afterwards."""
    model = small_baseline("telbo")
    observations, present, uniform, noise = case(model, "telbo", "triple")
    learned = {name: p.requires_grad for name, p in model.named_parameters()}
    objective = METHODS["telbo"].objective()
    inputs = Inputs(observations, present, uniform, noise)
    objective.bound(model, inputs).value.sum().backward()
    assert {name: p.requires_grad for name, p in model.named_parameters()} == learned
    found = {name: p.grad.clone() for name, p in model.decoders.named_parameters()}
    model.zero_grad()
    joint = METHODS["telbo"].validation
    joint.bound(model, dataclasses.replace(inputs, noise=noise[:2])).value.sum().backward()
    for name, parameter in model.decoders.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad)


def literal_dreg(model: MMVAE, observations: dict, noise: Tensor, power: int) -> Tensor:
    """Σ_m Σ_k w̃^power log w / M with q held fixed: for the posteriors' gradient the power is 2,
    for the decoders' 1."""
    count, samples = 3, len(noise) // 3
    posterior = model.encode(observations)
    fixed = copy.deepcopy(model)
    q = fixed.encode(observations)
    q = Mixture(
        Gaussian(q.components.mean.detach(), q.components.log_variance.detach()), q.log_weights
    )
    total = 0.0
    for m in range(count):
        mean, log_variance = (
            p[:, m] for p in (posterior.components.mean, posterior.components.log_variance)
        )
        log_weights = []
        for k in range(samples):
            z = mean + (log_variance / 2).exp() * noise[m * samples + k]
            likelihoods = model.decode(z)
            terms = [
                model.modalities[n].weight * likelihoods[n].log_prob(x)
                for n, x in observations.items()
            ]
            log_weights.append(sum(terms) + Gaussian.standard(z).log_prob(z) - q.log_prob(z))
        log_weights = torch.stack(log_weights)
        shares = log_weights.detach().softmax(0)
        total = total + (shares**power * log_weights).sum(0) / count
    return total.sum()


def test_dreg_has_the_doubly_reparametrised_gradient() -> None:
    model = small_baseline("mmvae")
    observations = vector_observations(5)
    noise = torch.randn(12, 5, 3, generator=torch.Generator().manual_seed(0)).double()
    present = torch.ones(5, 3, dtype=torch.bool)
    bound = dreg_bound(model, Inputs(observations, present, torch.zeros(5, 4), noise))
    bound.value.sum().backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.requires_grad}
    for power, parts in ((2, ("embeddings", "experts")), (1, ("decoders", "log_scales"))):
        model.zero_grad()
        literal_dreg(model, observations, noise, power).backward()
        for name, parameter in model.named_parameters():
            if name.startswith(parts) and parameter.requires_grad:
                torch.testing.assert_close(found[name], parameter.grad, msg=name)


@torch.no_grad()
def test_more_importance_samples_tighten_the_bound() -> None:
    model = small_baseline("mmvae")
    observations = {n: x.expand(3000, -1) for n, x in vector_observations(1).items()}
    present = torch.ones(3000, 3, dtype=torch.bool)
    noise = torch.randn(60, 3000, 3, generator=torch.Generator().manual_seed(0)).double()
    inputs = Inputs(observations, present, torch.zeros(3000, 4), noise)
    bounds: list[Bound] = [mixture_bound(model, dataclasses.replace(inputs, noise=noise[:3]))]
    for samples in (1, 4, 20):
        bounds.append(dreg_bound(model, dataclasses.replace(inputs, noise=noise[: 3 * samples])))
    torch.testing.assert_close(bounds[0].value, bounds[1].value)
    means = [float(bound.value.mean()) for bound in bounds[1:]]
    assert means == sorted(means)
    assert means[2] - means[0] > 0.01
