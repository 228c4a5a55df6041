# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Products and mixtures of experts against closed forms."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from linear_gaussian import SIZES, linear_gaussian, sample
from single_precision import FLOAT32
from smvae_core.distributions import Gaussian, Mixture
from smvae_core.models.fusion import (
    mixture_of_experts,
    mixture_of_products,
    product_of_experts,
    with_prior,
)

BATCH, EXPERTS, LATENT = 4, 3, 2


def experts(seed: int = 0, dtype: torch.dtype = torch.float64) -> Gaussian:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(2, BATCH, EXPERTS, LATENT, generator=generator, dtype=dtype)
    return Gaussian(values[0], values[1])


def some_present() -> Tensor:
    return torch.tensor([[1, 1, 1], [0, 1, 0], [1, 0, 1], [1, 1, 0]]).bool()


# Products.


@pytest.mark.parametrize("present", [None, some_present()], ids=["all", "some"])
def test_product_adds_up_precisions(present: Tensor | None) -> None:
    q = experts()
    product = product_of_experts(q, present)
    mask = torch.ones(BATCH, EXPERTS) if present is None else present
    precision = mask[..., None] / q.log_variance.exp()
    torch.testing.assert_close(product.log_variance.exp(), 1 / precision.sum(1))
    torch.testing.assert_close(product.mean, (precision * q.mean).sum(1) / precision.sum(1))


def test_product_is_the_normalised_product_of_densities() -> None:
    q = experts()
    z = torch.linspace(-12, 12, 4001, dtype=torch.float64)
    log_density = sum(
        Gaussian(q.mean[0, i, :1], q.log_variance[0, i, :1]).log_prob(z[:, None])
        for i in range(EXPERTS)
    )
    density = log_density.exp()
    density /= torch.trapezoid(density, z)
    product = product_of_experts(q)
    found = Gaussian(product.mean[0, :1], product.log_variance[0, :1]).log_prob(z[:, None]).exp()
    torch.testing.assert_close(found, density, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("subset", [s for n in (1, 2, 3) for s in itertools.combinations(SIZES, n)])
@torch.no_grad()
def test_product_with_prior_is_the_exact_posterior(subset: tuple[str, ...]) -> None:
    """Of a linear-Gaussian model, whose likelihoods are Gaussian in z: the case that MVAE is made
    for."""
    model = linear_gaussian()
    observations = sample(model, 5)
    evidence = [model.embeddings[name](observations[name]).chunk(2, -1) for name in subset]
    means = torch.stack([linear / precision for linear, precision in evidence], dim=1)
    log_variances = torch.stack([-precision.log() for _, precision in evidence], dim=1)
    product = product_of_experts(with_prior(Gaussian(means, log_variances)))
    exact = model.encode({name: observations[name] for name in subset})
    torch.testing.assert_close(product.mean, exact.mean)
    torch.testing.assert_close(product.log_variance, exact.log_variance)


@settings(max_examples=40)
@given(order=st.permutations(range(EXPERTS)), mask=st.integers(1, 7), seed=st.integers(0, 9))
def test_product_does_not_depend_on_order_or_on_who_is_left_out(
    order: list[int], mask: int, seed: int
) -> None:
    q = experts(seed)
    members = [i for i in range(EXPERTS) if mask >> i & 1]
    alone = product_of_experts(Gaussian(q.mean[:, members], q.log_variance[:, members]))
    present = torch.tensor([[i in members for i in order]] * BATCH)
    masked = product_of_experts(Gaussian(q.mean[:, order], q.log_variance[:, order]), present)
    torch.testing.assert_close(masked.mean, alone.mean)
    torch.testing.assert_close(masked.log_variance, alone.log_variance)


@pytest.mark.parametrize("log_variance", [-150.0, 150.0])
def test_product_of_extreme_variances_is_finite(log_variance: float) -> None:
    """exp(150) has no place in single precision."""
    mean = torch.tensor([[[1.0], [3.0]]])
    product = product_of_experts(Gaussian(mean, torch.full_like(mean, log_variance)))
    torch.testing.assert_close(product.mean, torch.tensor([[2.0]]), **FLOAT32)
    expected = torch.tensor([[log_variance - math.log(2)]])
    torch.testing.assert_close(product.log_variance, expected, **FLOAT32)


def test_an_expert_that_is_left_out_has_no_gradient() -> None:
    q = experts()
    parameters = [q.mean.requires_grad_(), q.log_variance.requires_grad_()]
    product = product_of_experts(Gaussian(*parameters), some_present())
    (product.mean.sum() + product.log_variance.sum()).backward()
    for parameter in parameters:
        norms = parameter.grad.norm(dim=-1)
        assert (norms[~some_present()] == 0).all()
        assert (norms[some_present()] > 0).all()


# Mixtures.


def literal_log_prob(q: Gaussian, rows: list[list[int]], z: Tensor) -> Tensor:
    """log 1/|s| Σ_c N(z; μ_c, σ_c²) of the components that each row has."""
    values = []
    for row, members in enumerate(rows):
        density = 0.0
        for c in members:
            log_density = 0.0
            for d in range(LATENT):
                m, s = float(q.mean[row, c, d]), math.exp(float(q.log_variance[row, c, d]) / 2)
                x = float(z[row, d])
                log_density += -((x - m) ** 2) / (2 * s * s) - math.log(s * math.sqrt(2 * math.pi))
            density += math.exp(log_density) / len(members)
        values.append(math.log(density))
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("present", [None, some_present()], ids=["all", "some"])
def test_density_of_a_mixture_is_the_mean_of_its_components(present: Tensor | None) -> None:
    q = experts()
    z = torch.randn(BATCH, LATENT, generator=torch.Generator().manual_seed(1)).double()
    mixture = mixture_of_experts(q, present)
    mask = torch.ones(BATCH, EXPERTS).bool() if present is None else present
    rows = [row.nonzero()[:, 0].tolist() for row in mask]
    torch.testing.assert_close(mixture.log_prob(z), literal_log_prob(q, rows, z))
    torch.testing.assert_close(mixture.log_prob(z.expand(7, -1, -1))[3], mixture.log_prob(z))


def test_moments_are_those_of_many_draws() -> None:
    mixture = mixture_of_experts(experts(), some_present())
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(200_000, BATCH, LATENT, generator=generator).double()
    position = torch.rand(200_000, BATCH, generator=generator)
    z = mixture.sample(noise, position)
    torch.testing.assert_close(z.mean(0), mixture.mean, rtol=0, atol=0.03)
    torch.testing.assert_close(z.var(0).log(), mixture.log_variance, rtol=0, atol=0.03)


def components_of(mixture: Mixture, position: Tensor) -> Tensor:
    """Number of the component that each position falls on; means must tell them apart."""
    noise = torch.zeros(*position.shape, LATENT, dtype=torch.float64)
    z = mixture.sample(noise, position)
    return (z[..., None, :] - mixture.components.mean).abs().sum(-1).argmin(-1)


@settings(max_examples=60)
@given(
    weights=st.lists(st.sampled_from([0.0, 0.1, 1.0, 3.0]), min_size=3, max_size=3).filter(any),
    samples=st.integers(1, 40),
    offset=st.floats(0, 1, exclude_max=True),
)
def test_evenly_spaced_positions_give_each_component_its_share(
    weights: list[float], samples: int, offset: float
) -> None:
    shares = torch.tensor(weights, dtype=torch.float64) / sum(weights)
    q = experts()
    mixture = Mixture(Gaussian(q.mean[:1], q.log_variance[:1]), shares.log()[None])
    position = (torch.arange(samples, dtype=torch.float64)[:, None] + offset) / samples
    counts = components_of(mixture, position).flatten().bincount(minlength=3)
    assert counts.sum() == samples
    assert (counts[shares == 0] == 0).all()
    assert ((counts - samples * shares).abs() < 1 + 1e-9).all()


def test_stratified_draws_are_unbiased() -> None:
    """Over the offset, each component is drawn K w_c times on average, also where K / C is no
    whole number."""
    mixture = mixture_of_experts(experts(), some_present())
    offsets = (torch.arange(600, dtype=torch.float64) + 0.5) / 600
    for samples in (1, 2, 7):
        position = (torch.arange(samples)[:, None] + offsets).flatten() / samples
        chosen = components_of(mixture, position[:, None].expand(-1, BATCH))
        counts = torch.stack([row.bincount(minlength=EXPERTS) for row in chosen.T])
        shares = counts / len(position)
        torch.testing.assert_close(
            shares.double(), mixture.log_weights.exp(), rtol=0, atol=2 / len(position)
        )


@pytest.mark.parametrize("position", [0.0, 1 - 2**-53, 1 - 2**-24])
def test_no_position_leads_to_a_component_that_is_not_there(position: float) -> None:
    q = experts(dtype=torch.float32)
    present = torch.tensor([[0, 1, 0], [0, 1, 1], [1, 1, 0], [1, 0, 0]]).bool()
    mixture = mixture_of_experts(q, present)
    positions = torch.full((1, BATCH), position, dtype=torch.float64)
    chosen = components_of(mixture, positions)[0]
    assert present[torch.arange(BATCH), chosen].all()


def test_gradient_of_a_draw_goes_to_its_component() -> None:
    q = experts()
    mean = q.mean.requires_grad_()
    mixture = mixture_of_experts(Gaussian(mean, q.log_variance))
    position = torch.full((1, BATCH), 0.5)
    mixture.sample(torch.ones(1, BATCH, LATENT).double(), position).sum().backward()
    expected = torch.zeros(BATCH, EXPERTS, LATENT).double()
    expected[:, 1] = 1
    torch.testing.assert_close(mean.grad, expected)


def test_mixture_of_products_has_one_component_for_each_subset() -> None:
    q = experts()
    subsets = [s for n in (1, 2, 3) for s in itertools.combinations(range(EXPERTS), n)]
    members = torch.tensor([[i in s for i in range(EXPERTS)] for s in subsets])
    mixture = mixture_of_products(q, members, some_present())
    for c, subset in enumerate(subsets):
        chosen = list(subset)
        product = product_of_experts(Gaussian(q.mean[:, chosen], q.log_variance[:, chosen]))
        torch.testing.assert_close(mixture.components.mean[:, c], product.mean)
        torch.testing.assert_close(mixture.components.log_variance[:, c], product.log_variance)
        for row, present in enumerate(some_present().tolist()):
            weight = float(mixture.log_weights[row, c].exp())
            there = all(present[i] for i in subset)
            assert weight == pytest.approx(1 / (2 ** sum(present) - 1) if there else 0)
