# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The Gaussian posterior and the likelihoods against formulas written by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch import distributions as D

from smvae_core.distributions import Gaussian, Likelihood
from smvae_core.modalities import Modality


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gaussian(seed: int, batch: int = 4, size: int = 3) -> Gaussian:
    values = torch.randn(2, batch, size, dtype=torch.float64, generator=generator(seed))
    return Gaussian(values[0], values[1])


def as_torch(posterior: Gaussian) -> D.Distribution:
    return D.Independent(D.Normal(posterior.mean, (posterior.log_variance / 2).exp()), 1)


def test_log_prob_is_torchs() -> None:
    posterior = gaussian(0)
    z = torch.randn(7, 4, 3, dtype=torch.float64, generator=generator(1))
    torch.testing.assert_close(posterior.log_prob(z), as_torch(posterior).log_prob(z))


@settings(max_examples=50)
@given(
    mean=st.tuples(st.floats(-5, 5), st.floats(-5, 5)),
    log_variance=st.tuples(st.floats(-6, 6), st.floats(-6, 6)),
)
def test_kl_is_the_closed_form(
    mean: tuple[float, float], log_variance: tuple[float, float]
) -> None:
    """KL(N(m, s²) ‖ N(n, t²)) = log t/s + (s² + (m − n)²) / 2t² − 1/2."""
    (m, n), (s, t) = mean, (math.exp(v / 2) for v in log_variance)
    expected = math.log(t / s) + (s**2 + (m - n) ** 2) / (2 * t**2) - 0.5
    first, second = (
        Gaussian(*torch.tensor([[[a]], [[b]]], dtype=torch.float64))
        for a, b in zip(mean, log_variance, strict=True)
    )
    assert float(first.kl(second)) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert float(first.kl(second)) >= -1e-9


def test_kl_is_torchs_and_sums_over_the_latent() -> None:
    first, second = gaussian(0), gaussian(1)
    torch.testing.assert_close(first.kl(second), D.kl_divergence(as_torch(first), as_torch(second)))
    standard = Gaussian.standard(first.mean)
    torch.testing.assert_close(
        first.kl(standard), D.kl_divergence(as_torch(first), as_torch(standard))
    )


def test_kl_to_itself_is_exactly_zero_with_no_gradient() -> None:
    mean, log_variance = torch.randn(2, 4, 3, generator=generator()).requires_grad_()
    posterior = Gaussian(mean, log_variance)
    kl = posterior.kl(Gaussian(mean.clone(), log_variance.clone()))
    assert (kl == 0).all()
    gradients = torch.autograd.grad(kl.sum(), (mean, log_variance))
    assert all((gradient == 0).all() for gradient in gradients)


def test_kl_is_what_samples_say() -> None:
    first, second = gaussian(0), gaussian(1)
    z = first.sample(torch.randn(200_000, 4, 3, dtype=torch.float64, generator=generator(2)))
    ratio = first.log_prob(z) - second.log_prob(z)
    error = ratio.std(0) / math.sqrt(len(z))
    assert ((ratio.mean(0) - first.kl(second)).abs() < 4 * error).all()


def test_samples_have_mean_and_variance_of_equation_6() -> None:
    posterior = gaussian(3)
    noise = torch.randn(200_000, 4, 3, dtype=torch.float64, generator=generator(4))
    z = posterior.sample(noise)
    variance = posterior.log_variance.exp()
    assert ((z.mean(0) - posterior.mean).abs() < 5 * (variance / len(z)).sqrt()).all()
    torch.testing.assert_close(z.var(0), variance, rtol=0.02, atol=0)
    torch.testing.assert_close(posterior.sample(torch.zeros(4, 3)), posterior.mean)


# Each takes one element: x, what the decoder put out, the log of the scale.
def bernoulli(x: float, logit: float, _: float) -> float:
    p = 1 / (1 + math.exp(-logit))
    return x * math.log(p) + (1 - x) * math.log(1 - p)


def normal(x: float, location: float, log_scale: float) -> float:
    scale = math.exp(log_scale)
    return -((x - location) ** 2) / (2 * scale**2) - math.log(scale * math.sqrt(2 * math.pi))


def laplace(x: float, location: float, log_scale: float) -> float:
    scale = math.exp(log_scale)
    return -abs(x - location) / scale - math.log(2 * scale)


FORMULAS = {"bernoulli": bernoulli, "gaussian": normal, "laplace": laplace}


def modality(likelihood: str, shape: tuple[int, ...] = (2, 3)) -> Modality:
    return Modality("x", "series", shape, likelihood=likelihood, rate=1.0)


def case(likelihood: str, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """x (4, 2, 3), what the decoder put out, and one log scale for each of the 2 channels."""
    x, location = torch.randn(2, 4, 2, 3, dtype=torch.float64, generator=generator(seed))
    if likelihood == "bernoulli":
        x = (x > 0).double()
        x[0] = 0.3  # grey values are allowed
    return x, location, torch.tensor([[-0.7], [0.4]], dtype=torch.float64)


@pytest.mark.parametrize("likelihood", sorted(FORMULAS))
@pytest.mark.parametrize("holes", [False, True])
def test_log_prob_is_the_formula(likelihood: str, holes: bool) -> None:
    x, location, log_scale = case(likelihood, 0)
    if holes:
        x[1, 0, 2] = x[2] = torch.nan
    found = Likelihood(modality(likelihood), location, log_scale).log_prob(x)
    assert found.shape == (4,)
    for row in range(4):
        expected = 0.0
        for channel in range(2):
            for sample in range(3):
                value = float(x[row, channel, sample])
                if not math.isnan(value):
                    expected += FORMULAS[likelihood](
                        value, float(location[row, channel, sample]), float(log_scale[channel])
                    )
        assert float(found[row]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("likelihood", [*sorted(FORMULAS), "categorical"])
def test_several_outputs_for_each_sample(likelihood: str, holes: bool) -> None:
    """A likelihood over (k, B, ...) scores x (B, ...) as k likelihoods over (B, ...) do."""
    if likelihood == "categorical":
        one = Modality("x", "categorical", (3,), likelihood="categorical")
        x, log_scale = torch.eye(3, dtype=torch.float64)[[0, 2, 1, 1]], torch.zeros(3)
    else:
        one = modality(likelihood)
        x, _, log_scale = case(likelihood, 0)
    if holes:
        x[2, ..., -1] = torch.nan
    locations = torch.randn(5, *x.shape, dtype=torch.float64, generator=generator(9))
    found = Likelihood(one, locations, log_scale).log_prob(x)
    expected = [Likelihood(one, location, log_scale).log_prob(x) for location in locations]
    torch.testing.assert_close(found, torch.stack(expected))


@pytest.mark.parametrize("likelihood", sorted(FORMULAS))
def test_holes_give_no_gradient_and_no_nan(likelihood: str) -> None:
    x, location, log_scale = case(likelihood, 0)
    x[1, 0, 2] = x[2] = torch.nan
    location.requires_grad_()
    log_scale.requires_grad_()
    Likelihood(modality(likelihood), location, log_scale).log_prob(x).sum().backward()
    assert torch.isfinite(location.grad).all()
    assert (location.grad[x.isnan()] == 0).all()
    assert (location.grad[~x.isnan()] != 0).all()
    if likelihood != "bernoulli":
        assert torch.isfinite(log_scale.grad).all()


def test_categorical() -> None:
    label = Modality("y", "categorical", (3,), likelihood="categorical")
    logits = torch.tensor([[0.3, -1.0, 2.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    x = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    likelihood = Likelihood(label, logits, torch.zeros(3))
    total = sum(math.exp(value) for value in (0.3, -1.0, 2.0))
    expected = [-1.0 - math.log(total), -math.log(3)]
    torch.testing.assert_close(likelihood.log_prob(x), torch.tensor(expected).double())
    assert float(likelihood.mean[0, 2]) == pytest.approx(math.exp(2.0) / total)
    assert likelihood.sample().sum(1).tolist() == [1.0, 1.0]


def test_missing_label_counts_nothing() -> None:
    label = Modality("y", "categorical", (3,), likelihood="categorical")
    logits = torch.zeros(2, 3, requires_grad=True)
    x = torch.tensor([[0.0, 1.0, 0.0], [torch.nan] * 3])
    log_prob = Likelihood(label, logits, torch.zeros(3)).log_prob(x)
    assert log_prob[1] == 0
    log_prob.sum().backward()
    assert (logits.grad[1] == 0).all()
    assert (logits.grad[0] != 0).all()


@pytest.mark.parametrize("likelihood", sorted(FORMULAS))
def test_mean_and_samples_agree(likelihood: str) -> None:
    _, location, log_scale = case(likelihood, 1)
    distribution = Likelihood(modality(likelihood), location[:1].expand(100_000, 2, 3), log_scale)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        samples = distribution.sample()
    expected = location[0].sigmoid() if likelihood == "bernoulli" else location[0]
    torch.testing.assert_close(distribution.mean[0], expected)
    torch.testing.assert_close(samples.mean(0), expected, rtol=0, atol=0.04)


@pytest.mark.parametrize("likelihood", ["gaussian", "laplace"])
def test_densities_integrate_to_one(likelihood: str) -> None:
    x = torch.linspace(-60, 60, 240_001, dtype=torch.float64).view(-1, 1, 1)
    one = modality(likelihood, (1, 1))
    location = torch.full_like(x, 0.3)
    density = Likelihood(one, location, torch.tensor([[0.8]])).log_prob(x).exp()
    assert float(torch.trapezoid(density, x[:, 0, 0])) == pytest.approx(1.0, abs=1e-6)
