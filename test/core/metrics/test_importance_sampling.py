# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The importance-sampling estimator: closed forms, invariances, bounds that must hold."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from linear_gaussian import SIZES, linear_gaussian, log_evidence, sample
from small_baselines import NAMES, small_baseline, vector_observations
from smvae_core.distributions import Gaussian, Mixture
from smvae_core.metrics.importance_sampling import Estimate, ImportanceSampler
from smvae_core.modalities import Modality, Network
from smvae_core.models.fusion import mixture_of_experts
from smvae_core.models.registry import METHODS
from smvae_core.models.smvae import SMVAE

SUBSETS = [s for n in (1, 2, 3) for s in itertools.combinations(SIZES, n)]


def assert_close(estimate: Estimate, expected: Tensor, errors: float = 4.5) -> None:
    """Within some standard errors everywhere; and these errors are not just large."""
    assert (estimate.standard_error < 0.3).all()
    distance = (estimate.value - expected).abs()
    assert (distance <= errors * estimate.standard_error + 1e-9).all()


# The linear-Gaussian model, where everything is known.


@pytest.mark.parametrize("names", SUBSETS, ids="".join)
def test_exact_posteriors_give_the_evidence_without_error(names: tuple[str, ...]) -> None:
    model = linear_gaussian()
    observations = sample(model, 5)
    estimate = ImportanceSampler(model, 3).log_likelihood(observations, names, names)
    torch.testing.assert_close(estimate.value, log_evidence(model, observations, names).detach())
    assert (estimate.standard_error < 1e-6).all()


@pytest.mark.parametrize("proposal", [("b",), ()], ids=["b", "prior"])
@pytest.mark.parametrize("names", SUBSETS, ids="".join)
def test_other_proposals_give_the_evidence(
    names: tuple[str, ...], proposal: tuple[str, ...]
) -> None:
    """From any that is wide enough; b says least of z, and the posterior is wrong on purpose."""
    model = linear_gaussian(shift=0.2)
    observations = sample(model, 4)
    estimate = ImportanceSampler(model, 6_000).log_likelihood(observations, names, proposal)
    assert_close(estimate, log_evidence(model, observations, names).detach())


@pytest.mark.parametrize("given_from_prior", [False, True])
def test_conditional_is_the_difference_of_evidences(given_from_prior: bool) -> None:
    model = linear_gaussian(shift=0.2)
    observations = sample(model, 6)
    expected = log_evidence(model, observations, ("a", "c")) - log_evidence(
        model, observations, ("a",)
    )
    sampler = ImportanceSampler(model, 5_000)
    for proposal in (("a", "c"), ("a", "b", "c"), ("a",)):
        estimate = sampler.conditional(observations, ["c"], ["a"], proposal, given_from_prior)
        assert_close(estimate, expected.detach())


def test_the_given_set_never_has_the_numerators_proposal() -> None:
    """With exact posteriors log p(x_G) has no error from q(z|x_G), but a large one from others."""
    model = linear_gaussian()
    observations = sample(model, 6)
    sampler = ImportanceSampler(model, 10)
    conditional = sampler.conditional(observations, ["c"], ["a"], ["a", "c"])
    assert (conditional.standard_error < 1e-6).all()
    assert (sampler.log_likelihood(observations, ["a"], ["a", "c"]).standard_error > 0.01).any()


def test_standard_errors_are_the_spread_over_seeds() -> None:
    model = linear_gaussian(shift=0.3)
    observations = sample(model, 3)
    jobs = {
        "joint": lambda s: s.log_likelihood(observations, ["a", "c"], ["a", "c"]),
        "unpaired": lambda s: s.conditional(observations, ["c"], ["a"], ["a", "c"]),
        "paired": lambda s: s.conditional(observations, ["c"], ["a"], ["a"]),
    }
    for name, job in jobs.items():
        estimates = [job(ImportanceSampler(model, 200, seed)) for seed in range(100)]
        spread = torch.stack([estimate.value for estimate in estimates]).std(0)
        said = torch.stack([estimate.standard_error for estimate in estimates]).mean(0)
        torch.testing.assert_close(said, spread, rtol=0.3, atol=0, msg=name)


def test_mean_and_its_error() -> None:
    estimate = Estimate(torch.tensor([1.0, 3.0, 5.0]), torch.zeros(3))
    assert estimate.mean == 3.0
    assert estimate.mean_error == pytest.approx(2 / math.sqrt(3))
    one_draw = ImportanceSampler(linear_gaussian(), 1).log_likelihood(
        sample(linear_gaussian(), 2), ["a"], []
    )
    assert one_draw.value.isfinite().all()
    assert one_draw.standard_error.isnan().all()


# Every model.


@pytest.mark.parametrize("kind", METHODS)
def test_is_the_literal_average(kind: str) -> None:
    """Density by density, on the z_k that the estimator draws."""
    model = small_baseline(kind)
    observations = vector_observations(3)
    drawn: list[Tensor] = []
    hook = model.decoders["motion"].register_forward_pre_hook(lambda _, z: drawn.append(z[0]))
    estimate = ImportanceSampler(model, 100).log_likelihood(
        observations, ["motion", "pixels"], NAMES
    )
    hook.remove()
    z = torch.cat([block.view(-1, 3, 3) for block in drawn])
    assert z.shape == (100, 3, 3)
    with torch.no_grad():
        posterior, prior = model.encode(observations), model.prior(observations)
        weights = []
        for draw in z:
            likelihoods = model.decode(draw)
            log_p = sum(likelihoods[n].log_prob(observations[n]) for n in ("motion", "pixels"))
            weights.append((log_p + prior.log_prob(draw) - posterior.log_prob(draw)).exp())
    weights = torch.stack(weights)
    torch.testing.assert_close(estimate.value, weights.mean(0).log())
    error = weights.std(0) / weights.mean(0) / math.sqrt(100)
    torch.testing.assert_close(estimate.standard_error, error)


@pytest.mark.parametrize("kind", METHODS)
def test_batches_order_and_chunks_do_not_matter(kind: str) -> None:
    model = small_baseline(kind)
    observations = vector_observations(9)
    targets, proposal = [("motion", "pixels"), ("pixels",)], ("pixels", "label")
    expected = ImportanceSampler(model, 130).log_likelihoods(observations, targets, proposal)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    for max_elements in (1, 4 * 64 * 2, 10**9):
        sampler = ImportanceSampler(model, 130, max_elements=max_elements)
        parts = [
            sampler.log_likelihoods(
                {name: x[rows] for name, x in observations.items()}, targets, proposal, rows
            )
            for rows in order.split(4)
        ]
        for number, estimate in enumerate(expected):
            value = torch.cat([part[number].value for part in parts])
            torch.testing.assert_close(value, estimate.value[order], rtol=0, atol=1e-9)
            error = torch.cat([part[number].standard_error for part in parts])
            torch.testing.assert_close(error, estimate.standard_error[order])


@pytest.mark.parametrize(
    ("kind", "elements"),
    [("mvae", 4), ("mopoe", 7 * 3)],  # pixels; seven components of three dimensions
)
def test_memory_is_bounded_whatever_k_is(kind: str, elements: int) -> None:
    model = small_baseline(kind)
    rows: list[int] = []
    model.decoders["pixels"].register_forward_hook(lambda *args: rows.append(len(args[2])))
    sampler = ImportanceSampler(model, 1000, max_elements=elements * 64 * 3)
    sampler.log_likelihood(vector_observations(7), ["pixels"], NAMES)
    assert sum(rows) == 7 * 1000
    assert max(rows) == 3 * 64


def test_samples_and_seeds_have_draws_of_their_own() -> None:
    model = small_baseline("smvae")
    twice = {name: x[:1].expand(2, -1) for name, x in vector_observations(1).items()}
    first, second = (
        ImportanceSampler(model, 20, seed).log_likelihood(twice, NAMES, NAMES) for seed in (0, 1)
    )
    values = torch.cat((first.value, second.value))
    assert len(values.unique()) == 4
    again = ImportanceSampler(model, 20, 0).log_likelihood(twice, NAMES, NAMES)
    assert torch.equal(again.value, first.value)


@pytest.mark.parametrize("proposal", [("motion",), NAMES, ()], ids=["x", "all", "prior"])
@pytest.mark.parametrize("kind", [kind for kind in METHODS if kind != "cvae"])
def test_a_discrete_modality_more_is_never_more_likely(
    kind: str, proposal: tuple[str, ...]
) -> None:
    """log p(x, y) ≤ log p(x) for each sample, and for every K: they have the same z_k."""
    observations = vector_observations(8)
    targets = [("motion", "label"), ("motion",), ("motion", "pixels", "label")]
    for samples in (1, 50):
        sampler = ImportanceSampler(small_baseline(kind), samples)
        pair, single, triple = sampler.log_likelihoods(observations, targets, proposal)
        assert (pair.value <= single.value).all()
        assert (triple.value <= pair.value).all()


@pytest.mark.parametrize("kind", [kind for kind in METHODS if kind != "cvae"])
def test_probabilities_of_all_labels_add_up_to_one(kind: str) -> None:
    """Σ_y p(y|x) = 1 is exact where numerator and denominator have the same z_k; with proposals
    that see y it holds within the errors."""
    model = small_baseline(kind)
    one = vector_observations(1)
    labels = torch.eye(5, dtype=torch.float64)
    observations = {"motion": one["motion"].expand(5, -1), "label": labels}
    same = torch.zeros(5, dtype=torch.long)
    sampler = ImportanceSampler(model, 500)
    exact = sampler.conditional(observations, ["label"], ["motion"], ["motion"], index=same)
    assert (exact.value <= 0).all()
    assert float(exact.value.exp().sum()) == pytest.approx(1)
    other = sampler.conditional(observations, ["label"], ["motion"], ["motion", "label"])
    error = float((other.value.exp() * other.standard_error).norm())
    assert float(other.value.exp().sum()) == pytest.approx(1, abs=5 * error)


def balanced_classes() -> SMVAE:
    """p(y) = 1/10 for every y: logits are the projections of z to ten directions of a circle, and
    the prior is the same in all directions."""
    network = Network("mlp", (4,))
    modality = Modality("label", "categorical", (10,), "categorical", None, network, network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = SMVAE([modality], 2, 8, 2).double().eval()
    angles = 2 * math.pi * torch.arange(10, dtype=torch.float64) / 10
    decoder = nn.Linear(2, 10, bias=False).double()
    decoder.weight.data = 5 * torch.stack((angles.cos(), angles.sin()), dim=1)
    model.decoders["label"] = decoder
    return model


@pytest.mark.parametrize("proposal", [(), ("label",)], ids=["prior", "own"])
def test_implied_probability_of_balanced_classes(proposal: tuple[str, ...]) -> None:
    labels = torch.eye(10, dtype=torch.float64)
    sampler = ImportanceSampler(balanced_classes(), 6_000)
    estimate = sampler.log_likelihood({"label": labels}, ["label"], proposal)
    assert_close(estimate, torch.full((10,), -math.log(10), dtype=torch.float64))
    assert estimate.mean == pytest.approx(-2.30, abs=0.1)


# Mixtures.


class _MixtureOfTwo(SMVAE):
    """The linear-Gaussian model with a mixture as its posterior."""

    def encode(self, observations: dict[str, Tensor], present: Tensor | None = None) -> Mixture:
        posterior = super().encode(observations, present)
        means = torch.stack((posterior.mean - 1.0, posterior.mean + 0.7), dim=1)
        log_variances = torch.stack((posterior.log_variance, posterior.log_variance + 1.0), dim=1)
        return mixture_of_experts(Gaussian(means, log_variances))


def test_mixtures_are_unbiased_also_for_an_odd_k() -> None:
    """The average of p̂ over many seeds is p: log p̂ itself lies below."""
    model = linear_gaussian()
    model.__class__ = _MixtureOfTwo
    observations = {name: x.expand(6000, -1) for name, x in sample(model, 1).items()}
    expected = log_evidence(model, sample(model, 1), tuple(SIZES)).detach()
    for samples in (1, 3, 8):
        estimate = ImportanceSampler(model, samples).log_likelihood(observations, SIZES, SIZES)
        ratio = (estimate.value - expected).exp()
        error = float(ratio.std()) / math.sqrt(len(ratio))
        assert float(ratio.mean()) == pytest.approx(1, abs=4 * error)


def test_every_component_of_a_mixture_is_sampled() -> None:
    model = small_baseline("mmvae")
    drawn: list[Tensor] = []
    model.decoders["motion"].register_forward_pre_hook(lambda _, z: drawn.append(z[0]))
    for head in model.experts.values():  # far apart and narrow, so that a draw tells its component
        nn.init.zeros_(head.head.weight)
    for number, head in enumerate(model.experts.values()):
        head.head.bias.data = torch.tensor([10.0 * number] * 3 + [-6.0] * 3).double()
    sampler = ImportanceSampler(model, 300)
    sampler.log_likelihood(vector_observations(2), ["motion"], NAMES)
    z = torch.cat([block.view(-1, 2, 3) for block in drawn])
    for row in range(2):
        counts = (z[:, row, 0] / 10).round().long().bincount()
        assert counts.tolist() == [100, 100, 100]


# The CVAE, and what is refused.


def test_cvae_is_direct() -> None:
    """log p(x_T|x_G) is the estimate itself, with p(z|x_G) as the prior; nothing is subtracted."""
    model, observations = small_baseline("cvae"), vector_observations(4)
    sampler = ImportanceSampler(model, 2000)
    target = ["motion", "pixels"]
    from_posterior = sampler.conditional(observations, target, ["label"], NAMES)
    direct = sampler.log_likelihood(observations, target, target)
    assert torch.equal(from_posterior.value, direct.value)
    from_prior = sampler.conditional(observations, target, ["label"], ())
    difference = (from_prior.value - from_posterior.value).abs()
    error = torch.hypot(from_prior.standard_error, from_posterior.standard_error)
    assert (difference < 5 * error).all()
    more = sampler.conditional(observations, ["motion"], ["label", "pixels"], NAMES)
    both, rest = (
        sampler.log_likelihood(observations, names, (*names, "label"))
        for names in (target, ["pixels"])
    )
    assert ((more.value - both.value + rest.value).abs() < 5 * more.standard_error + 0.1).all()


def test_what_does_not_fit_is_refused() -> None:
    model, observations = small_baseline("smvae"), vector_observations(4)
    with pytest.raises(ValueError, match="positive, not 0"):
        ImportanceSampler(model, 0)
    sampler = ImportanceSampler(model, 2)
    with pytest.raises(ValueError, match="target set that is not empty"):
        sampler.log_likelihood(observations, [], NAMES)
    with pytest.raises(ValueError, match="no observations of smell; there are motion, "):
        sampler.log_likelihood(observations, ["smell"], NAMES)
    with pytest.raises(ValueError, match="no observations of label"):
        sampler.log_likelihood({"motion": observations["motion"]}, ["motion"], ["label"])
    with pytest.raises(ValueError, match="differ in their number of samples"):
        sampler.log_likelihood(observations, NAMES, NAMES, torch.arange(3))
    with pytest.raises(ValueError, match="both have label"):
        sampler.conditional(observations, NAMES, ["label"], NAMES)
    with pytest.raises(ValueError, match="at least one sample"):
        sampler.log_likelihood({name: x[:0] for name, x in observations.items()}, NAMES, ())
    conditional = ImportanceSampler(small_baseline("cvae"), 2)
    with pytest.raises(ValueError, match="label cannot be a target"):
        conditional.log_likelihood(observations, NAMES, NAMES)
    with pytest.raises(ValueError, match="always given label"):
        conditional.conditional(observations, ["motion"], ["pixels"], NAMES)
