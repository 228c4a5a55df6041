# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The objectives against closed forms, a slow literal re-computation, and their gradients."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from linear_gaussian import SIZES, linear_gaussian, log_evidence, sample, sigma_points
from small_models import random_observations, random_present, small_modalities, small_model
from smvae_core.distributions import Gaussian
from smvae_core.models.objectives import (
    OBJECTIVES,
    Inputs,
    annealed_beta,
    draw_subset,
    draw_subsets,
    full_bound,
    masked_bound,
    predictive_bound,
    regression,
    regulariser,
    subset_bound,
)
from smvae_core.models.smvae import SMVAE


def inputs_of(
    observations: dict[str, Tensor], present: Tensor, noise: Tensor, beta: float = 1.0
) -> Inputs:
    """Inputs of bounds of given subsets, which draw none."""
    return Inputs(observations, present, present.new_zeros(0), noise, beta)


SUBSETS = [s for size in (1, 2, 3) for s in itertools.combinations(SIZES, size)]
PAIRS = [(s, o) for o in SUBSETS for s in SUBSETS if set(s) <= set(o)]


def expected_value(
    objective: str, model: SMVAE, observations: dict[str, Tensor], given: tuple, observed: tuple
) -> Tensor:
    """The objective's exact expectation over z, (B,): its integrand is quadratic in ε."""
    points = sigma_points()
    batch = len(next(iter(observations.values())))
    repeated = {name: x.repeat_interleave(len(points), 0) for name, x in observations.items()}
    noise = points.repeat(batch, 1).expand(2, -1, -1)
    present, subset = (
        torch.tensor([[name in names for name in model.names]] * len(noise[0]))
        for names in (observed, given)
    )
    bound = OBJECTIVES[objective](model, inputs_of(repeated, present, noise), subset[None])
    return bound.value.view(batch, len(points)).mean(1)


@torch.no_grad()
@pytest.mark.parametrize("names", SUBSETS, ids="".join)
def test_subset_bound_is_the_evidence_of_the_subset(names: tuple[str, ...]) -> None:
    model = linear_gaussian()
    observations = sample(model, 5)
    torch.testing.assert_close(
        expected_value("subset", model, observations, names, tuple(SIZES)),
        log_evidence(model, observations, names),
        rtol=0,
        atol=1e-6,
    )


@torch.no_grad()
@pytest.mark.parametrize(("given", "observed"), PAIRS, ids=lambda names: "".join(names))
def test_masked_bound_is_the_evidence_of_all_that_was_observed(
    given: tuple[str, ...], observed: tuple[str, ...]
) -> None:
    """Whatever subset was drawn (Hirt et al. 2023, with exact posteriors and λ = β = 1)."""
    model = linear_gaussian()
    observations = sample(model, 5)
    torch.testing.assert_close(
        expected_value("masked", model, observations, given, observed),
        log_evidence(model, observations, observed),
        rtol=0,
        atol=1e-6,
    )


@torch.no_grad()
@pytest.mark.parametrize("names", SUBSETS, ids="".join)
def test_gap_of_the_subset_bound_is_the_kl_to_the_exact_posterior(names: tuple[str, ...]) -> None:
    model, exact = linear_gaussian(shift=0.3), linear_gaussian()
    observations = sample(exact, 5)
    given = {name: observations[name] for name in names}
    gap = model.encode(given).kl(exact.encode(given))
    assert (gap > 0.05).all()
    torch.testing.assert_close(
        expected_value("subset", model, observations, names, tuple(SIZES)),
        log_evidence(exact, observations, names) - gap,
        rtol=0,
        atol=1e-6,
    )


@torch.no_grad()
def test_masked_bound_may_lie_above_the_evidence() -> None:
    """Why models are never compared by it (design: objectives)."""
    model, exact = linear_gaussian(shift=0.3), linear_gaussian()
    observations = sample(exact, 50)
    found = expected_value("masked", model, observations, ("a",), tuple(SIZES))
    exact_given, exact_full = exact.encode({"a": observations["a"]}), exact.encode(observations)
    given, full = model.encode({"a": observations["a"]}), model.encode(observations)
    # E_{q_S}[log p(x_S|z)] − KL(q_S‖p) = log p(x_S) − KL(q_S‖p_S), and likewise for O given S.
    difference = (
        -given.kl(exact_given) - full.kl(exact_full) + full.kl(exact_given) - full.kl(given)
    )
    torch.testing.assert_close(
        found, log_evidence(exact, observations, tuple(SIZES)) + difference, rtol=0, atol=1e-6
    )
    assert (difference > 0).any()


@torch.no_grad()
def test_random_noise_gives_the_evidence_on_average() -> None:
    """The same through plain sampling, as training does it."""
    model = linear_gaussian()
    observations = {name: x.expand(10_000, -1) for name, x in sample(model, 1).items()}
    noise = torch.randn(
        2, 10_000, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    present = torch.ones(10_000, 3, dtype=torch.bool)
    subset = torch.tensor([[True, False, False]]).expand(10_000, -1)
    expected = float(log_evidence(model, observations, tuple(SIZES))[0])
    inputs = inputs_of(observations, present, noise)
    for value in (
        masked_bound(model, inputs, subset[None]).value,
        full_bound(model, inputs).value,
    ):
        error = float(value.std()) / math.sqrt(len(value))
        assert float(value.mean()) == pytest.approx(expected, abs=4 * error)


# The literal re-computation: a loop over samples and modalities, in float64, that leaves absent
# modalities out instead of masking them and writes every density out.


def literal_model() -> SMVAE:
    weights = {"rgb": 0.5, "depth": 2.0, "force": 1.0, "action": 10.0, "proprio": 0.0}
    model = small_model(3).double()
    model.modalities = {
        name: dataclasses.replace(modality, weight=weights[name])
        for name, modality in model.modalities.items()
    }
    return model


def literal_log_likelihood(model: SMVAE, name: str, z: Tensor, x: Tensor) -> float:
    """log p(x_i|z) of one sample; its loop is over elements."""
    modality = model.modalities[name]
    location = model.decoders[name](z[None])[0] + model.training_mean(name)
    scale = model.log_scales[name].exp().expand_as(location)
    total = 0.0
    for value, m, s in zip(
        x.flatten().tolist(), location.flatten().tolist(), scale.flatten().tolist(), strict=True
    ):
        if math.isnan(value):
            continue
        if modality.likelihood == "laplace":
            total += -abs(value - m) / s - math.log(2 * s)
        else:
            total += -((value - m) ** 2) / (2 * s * s) - 0.5 * math.log(2 * math.pi * s * s)
    return total


def literal_posterior(
    model: SMVAE, observations: dict[str, Tensor], row: int, members: Tensor
) -> tuple[Tensor, Tensor]:
    given = {
        name: x[row : row + 1]
        for (name, x), member in zip(observations.items(), members.tolist(), strict=True)
        if member
    }
    posterior = model.encode(given)
    return posterior.mean[0], (posterior.log_variance[0] / 2).exp()


def literal_kl(m: Tensor, s: Tensor, n: Tensor, t: Tensor) -> float:
    return sum(
        math.log(t_d / s_d) + (s_d**2 + (m_d - n_d) ** 2) / (2 * t_d**2) - 0.5
        for m_d, s_d, n_d, t_d in zip(*(v.tolist() for v in (m, s, n, t)), strict=True)
    )


def literal_bound(
    objective: str,
    model: SMVAE,
    observations: dict[str, Tensor],
    present: Tensor,
    subset: Tensor,
    noise: Tensor,
    beta: float,
) -> tuple[list[float], list[dict[str, float]], list[float]]:
    values, likelihoods, kls = [], [], []
    for row in range(len(present)):
        m, s = literal_posterior(model, observations, row, subset[row])
        z = m + s * noise[0, row]
        kl = literal_kl(m, s, torch.zeros_like(m), torch.ones_like(s))
        terms = {}
        for column, (name, x) in enumerate(observations.items()):
            terms[name] = 0.0
            if subset[row, column]:
                terms[name] = literal_log_likelihood(model, name, z, x[row])
        if objective == "masked":
            n, t = literal_posterior(model, observations, row, present[row])
            z_full = n + t * noise[1, row]
            kl += literal_kl(n, t, m, s)
            for column, (name, x) in enumerate(observations.items()):
                if present[row, column] and not subset[row, column]:
                    terms[name] = literal_log_likelihood(model, name, z_full, x[row])
        weighted = sum(model.modalities[name].weight * term for name, term in terms.items())
        values.append(weighted - beta * kl)
        likelihoods.append(terms)
        kls.append(kl)
    return values, likelihoods, kls


def literal_case(model: SMVAE, batch: int) -> tuple[dict[str, Tensor], Tensor, Tensor, Tensor]:
    """Observations with holes, with NaN in all rows that are absent; present, subset, noise."""
    generator = torch.Generator().manual_seed(5)
    observations = random_observations(model, batch, generator)
    present = random_present(model, batch, generator)
    subset = draw_subset(present, torch.rand(batch, 6, generator=generator))
    noise = torch.randn(2, batch, model.latent_size, generator=generator).double()
    observations["depth"][:, :, 2:5, 3:9] = torch.nan
    for column, x in enumerate(observations.values()):
        x[~present[:, column]] = torch.nan
    return observations, present, subset, noise


@torch.no_grad()
@pytest.mark.parametrize("objective", sorted(OBJECTIVES))
@pytest.mark.parametrize("draws", [1, 3])
@pytest.mark.parametrize("beta", [0.0, 0.7])
def test_objective_is_the_slow_literal_one(objective: str, draws: int, beta: float) -> None:
    """The mean over the subsets, of which each has its noise and all share that of q(z|x_O)."""
    model = literal_model()
    observations, present, _, _ = literal_case(model, 12)
    generator = torch.Generator().manual_seed(6)
    subsets = draw_subsets(present, torch.rand(12, 6, generator=generator), draws)
    noise = torch.randn(draws + 1, 12, model.latent_size, generator=generator).double()
    bound = OBJECTIVES[objective](model, inputs_of(observations, present, noise, beta), subsets)
    found = [
        literal_bound(objective, model, observations, present, subset, noise[[draw, draws]], beta)
        for draw, subset in enumerate(subsets)
    ]
    values, likelihoods, kls = (np.array(part) for part in zip(*found, strict=True))
    np.testing.assert_allclose(bound.value, values.mean(0), rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(bound.kl, kls.mean(0), rtol=1e-9, atol=1e-9)
    for name, terms in bound.log_likelihoods.items():
        expected = [np.mean([draw[row][name] for draw in likelihoods]) for row in range(12)]
        np.testing.assert_allclose(terms, expected, rtol=1e-9, atol=1e-7)


@torch.no_grad()
def test_full_bound_is_the_elbo_of_everything_observed() -> None:
    model = literal_model()
    observations, present, _, noise = literal_case(model, 6)
    bound = full_bound(model, inputs_of(observations, present, noise))
    values, _, _ = literal_bound("subset", model, observations, present, present, noise, 1.0)
    torch.testing.assert_close(bound.value.tolist(), values, rtol=1e-9, atol=1e-7)


@torch.no_grad()
def test_objectives_agree_where_the_subset_is_everything() -> None:
    model = literal_model()
    observations, present, _, noise = literal_case(model, 6)
    inputs = inputs_of(observations, present, noise, 0.3)
    masked = masked_bound(model, inputs, present[None])
    subset = subset_bound(model, inputs, present[None])
    torch.testing.assert_close(masked.value, subset.value)


@torch.no_grad()
def test_subsets_that_are_only_taught_change_nothing_but_their_kl() -> None:
    """With them the bound is that of the drawn subset, its last term averaged over all of them."""
    model = literal_model()
    observations, present, _, noise = literal_case(model, 6)
    uniform = torch.rand(6, 6, generator=torch.Generator().manual_seed(0))
    taught = draw_subsets(present, uniform, 8)
    drawn = taught[:1]

    inputs = inputs_of(observations, present, noise, 0.3)

    def bound(**only_taught: Tensor) -> Tensor:
        return masked_bound(model, inputs, drawn, **only_taught).value

    torch.testing.assert_close(bound(taught=drawn), bound())
    each = [bound(taught=subsets[None]) for subsets in taught]
    assert (each[0] - each[1]).abs().max() > 1e-3
    torch.testing.assert_close(bound(taught=taught), torch.stack(each).mean(0))


def test_predictions_are_decoded_from_the_mean_of_the_subset() -> None:
    """They add log p(x_i|z) of what is outside of S, as it is predicted in use, and teach encoder
    and decoders alike."""
    model = literal_model()
    observations, present, subset, noise = literal_case(model, 6)
    arguments = model, inputs_of(observations, present, noise, 0.3), subset[None]
    plain, found = masked_bound(*arguments), predictive_bound(*arguments, weight=0.3)
    posterior = model.encode(observations, subset)
    terms = model.log_likelihoods(observations, posterior.mean[None], (present & ~subset)[None])
    added = model.weighted_sum(terms)[0]
    assert (added.abs() > 1e-3).any()
    torch.testing.assert_close(found.value, plain.value + 0.3 * added)
    found.predicted.sum().backward()
    reached = {name for name, norm in gradient_norms(model).items() if norm > 0}
    outside = present & ~subset
    for column, name in enumerate(model.names):
        predicted = outside[:, column].any() and model.modalities[name].weight > 0
        assert (f"D {name}" in reached) == bool(predicted), name
        assert (f"E {name}" in reached) == bool(subset[outside.any(1), column].any()), name


@torch.no_grad()
@pytest.mark.parametrize("objective", sorted(OBJECTIVES))
def test_order_of_rows_and_of_modalities_does_not_matter(objective: str) -> None:
    model = literal_model()
    observations, present, subset, noise = literal_case(model, 8)
    whole = OBJECTIVES[objective](model, inputs_of(observations, present, noise, 0.5), subset[None])
    rows = torch.tensor([5, 0, 7])
    part = {name: observations[name][rows] for name in reversed(observations)}
    some = inputs_of(part, present[rows], noise[:, rows], 0.5)
    bound = OBJECTIVES[objective](model, some, subset[None, rows])
    torch.testing.assert_close(bound.value, whole.value[rows])


def gradient_norms(model: SMVAE) -> dict[str, float]:
    """Norm of the gradients of every network and learned scale."""
    modules = {
        **{f"E {name}": module.parameters() for name, module in model.embeddings.items()},
        **{f"D {name}": module.parameters() for name, module in model.decoders.items()},
        **{f"scale {name}": [scale] for name, scale in model.log_scales.items()},
        "g": model.set_encoder.parameters(),
    }
    norms = {}
    for name, parameters in modules.items():
        gradients = [p.grad for p in parameters if p.grad is not None]
        assert all(torch.isfinite(gradient).all() for gradient in gradients), name
        norms[name] = float(sum(gradient.norm() for gradient in gradients))
    return norms


@pytest.mark.parametrize("objective", sorted(OBJECTIVES))
def test_gradients_reach_every_network(objective: str) -> None:
    model = small_model()
    generator = torch.Generator().manual_seed(0)
    observations = random_observations(model, 8, generator)
    present = torch.ones(8, 5, dtype=torch.bool)
    subset = draw_subset(present, torch.rand(8, 6, generator=generator))
    assert subset.any(0).all()
    noise = torch.randn(2, 8, model.latent_size, generator=generator)
    bound = OBJECTIVES[objective](model, inputs_of(observations, present, noise), subset[None])
    bound.value.sum().backward()
    norms = gradient_norms(model)
    assert {name for name, norm in norms.items() if norm == 0} == set()
    for name, parameter in model.set_encoder.named_parameters():
        # A bias of all keys shifts every score alike, which softmax does not see.
        keys = slice(16, 32) if name == "attention.in_proj_bias" else slice(0, 0)
        gradient = parameter.grad.clone()
        gradient[keys] = 1
        assert (gradient != 0).any(), name


@pytest.mark.parametrize(
    ("objective", "reached"),
    [
        ("subset", {"E force", "D force", "scale force", "g"}),
        (
            "masked",
            {"E force", "D force", "scale force", "E rgb", "D rgb", "scale rgb", "g"},
        ),
    ],
)
def test_gradients_reach_only_what_takes_part(objective: str, reached: set[str]) -> None:
    """S = {force}, O = {rgb, force}; in the rows of all others stands garbage."""
    model = small_model()
    generator = torch.Generator().manual_seed(0)
    observations = random_observations(model, 4, generator)
    for name in ("depth", "action", "proprio"):
        observations[name][:] = torch.nan
    present, subset = (
        torch.tensor([[name in names for name in model.names]] * 4)
        for names in (("rgb", "force"), ("force",))
    )
    noise = torch.randn(2, 4, model.latent_size, generator=generator)
    bound = OBJECTIVES[objective](model, inputs_of(observations, present, noise), subset[None])
    bound.value.sum().backward()
    assert {name for name, norm in gradient_norms(model).items() if norm > 0} == reached
    assert bound.log_likelihoods["depth"].eq(0).all()


def test_only_decoders_of_counted_rows_run() -> None:
    model = small_model()
    rows: dict[str, int] = {}
    for name, decoder in model.decoders.items():
        decoder.register_forward_hook(
            lambda _, inputs, output, name=name: rows.update({name: len(output)})
        )
    observations = random_observations(model, 4, torch.Generator().manual_seed(0))
    present = torch.ones(4, 5, dtype=torch.bool)
    subset = torch.zeros(4, 5, dtype=torch.bool)
    subset[:, 2] = True
    subset[:3, 0] = True
    subset_bound(model, inputs_of(observations, present, torch.zeros(2, 4, 6)), subset[None])
    assert rows == {"force": 4, "rgb": 3}


# Annealing and regulariser.


def test_beta_rises_linearly_and_stays() -> None:
    assert annealed_beta(0, 100) == 0.0
    assert annealed_beta(25, 100) == pytest.approx(0.25)
    assert annealed_beta(100, 100) == 1.0
    assert annealed_beta(10**6, 100) == 1.0
    assert annealed_beta(50, 100, beta=4.0) == pytest.approx(2.0)
    assert annealed_beta(0, 0, beta=0.5) == 0.5


def test_regulariser() -> None:
    zeros = torch.zeros(2, 3)
    assert regulariser(Gaussian(zeros, zeros)).tolist() == [0.0, 0.0]
    mean = torch.tensor([[1.0, -2.0, 0.0], [0.0, 0.0, 0.0]])
    log_variance = torch.tensor([[0.0, 0.0, 0.0], [2 * math.log(3.0), 2 * math.log(0.5), 0.0]])
    expected = torch.tensor([5.0, 4.25])  # |μ|², and (3 − 1)² + (0.5 − 1)²
    torch.testing.assert_close(regulariser(Gaussian(mean, log_variance)), expected)


def test_regulariser_pulls_to_the_standard_gaussian() -> None:
    values = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    optimiser = torch.optim.Adam([values], lr=0.1)
    for _ in range(200):
        optimiser.zero_grad()
        regulariser(Gaussian(values[0], values[1])).sum().backward()
        optimiser.step()
    assert values.abs().max() < 0.01


# The dedicated network.


def test_regression_predicts_the_targets_from_the_given_alone() -> None:
    model = literal_model()
    observations, present, _, _ = literal_case(model, 12)
    given = present & torch.tensor([False, False, True, True, False])
    targets = present & torch.tensor([True, True, False, False, False])
    targets &= given.any(1, keepdim=True)
    assert targets.any(0)[:2].all()
    embedded: list[str] = []
    for name, network in model.embeddings.items():
        network.register_forward_hook(lambda *_, name=name: embedded.append(name))
    bound = regression(model, observations, given, targets)
    assert embedded == ["force", "action"]
    expected = torch.zeros(12, dtype=torch.float64)
    with torch.no_grad():
        for row in range(12):
            if not given[row].any():
                continue
            mean, _ = literal_posterior(model, observations, row, given[row])
            for column, (name, x) in enumerate(observations.items()):
                if targets[row, column]:
                    weight = model.modalities[name].weight
                    expected[row] += weight * literal_log_likelihood(model, name, mean, x[row])
    torch.testing.assert_close(bound.value.detach(), expected)
    assert bound.kl.eq(0).all()
    bound.value.sum().backward()
    reached = {name for name, norm in gradient_norms(model).items() if norm > 0}
    parts = {f"{part} {name}" for part in ("D", "scale") for name in ("rgb", "depth")}
    assert reached == {"E force", "E action", "g", *parts}


@pytest.mark.parametrize("given", [(), ("force",)])
def test_regression_of_a_batch_without_given_or_targets(given: tuple[str, ...]) -> None:
    """It can happen to any batch that a sensor is absent in all of its rows."""
    model = small_model()
    observations = random_observations(model, 3, torch.Generator().manual_seed(0))
    mask = torch.tensor([[name in given for name in model.names]] * 3)
    bound = regression(model, observations, mask, torch.zeros_like(mask))
    assert bound.value.tolist() == [0.0] * 3
    bound.value.sum().backward()  # a step of the optimiser must not fail
    assert all(norm == 0 for norm in gradient_norms(model).values())


def test_weights_are_the_modalities() -> None:
    rgb, depth, *_ = small_modalities()
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = SMVAE([rgb, dataclasses.replace(depth, weight=3.0)], 4, 8, 2)
    observations = random_observations(model, 2, generator)
    ones = torch.ones(2, 2, dtype=torch.bool)
    bound = subset_bound(
        model, inputs_of(observations, ones, torch.zeros(2, 2, 4), 2.0), ones[None]
    )
    terms = bound.log_likelihoods
    expected = terms["rgb"] + 3 * terms["depth"] - 2 * bound.kl
    torch.testing.assert_close(bound.value, expected, rtol=1e-5, atol=1e-2)  # of some thousand
