# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A Gaussian with a full covariance matrix, against PyTorch's own."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, kl_divergence

from single_precision import FLOAT32
from small_models import random_observations, small_modalities
from smvae_core.checkpoint import save_checkpoint
from smvae_core.distributions import CorrelatedGaussian, Gaussian
from smvae_core.inference.inference import Inference
from smvae_core.metrics.importance_sampling import ImportanceSampler
from smvae_core.models.objectives import OBJECTIVES, Inputs, draw_subsets
from smvae_core.models.smvae import SMVAE
from smvae_core.tensors import to_tensor

D = 4


def parameters(*batch: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sizes = (D, D, D * (D - 1) // 2)
    return tuple(
        torch.randn(*batch, size, generator=generator, dtype=torch.float64) for size in sizes
    )


def correlated(*batch: int, seed: int = 0) -> CorrelatedGaussian:
    return CorrelatedGaussian.from_scales(*parameters(*batch, seed=seed))


def torchs(q: CorrelatedGaussian) -> MultivariateNormal:
    return MultivariateNormal(q.mean, scale_tril=q.factor)


def test_without_correlations_it_is_the_diagonal_gaussian() -> None:
    mean, log_scale, correlations = parameters(3)
    q = CorrelatedGaussian.from_scales(mean, log_scale, 0 * correlations)
    plain, other = Gaussian(mean, log_scale), Gaussian(*parameters(3, seed=1)[:2])
    noise = parameters(7, 3, seed=2)[0]
    torch.testing.assert_close(q.log_variance, plain.log_variance)
    torch.testing.assert_close(q.sample(noise), plain.sample(noise))
    torch.testing.assert_close(q.log_prob(noise), plain.log_prob(noise))
    torch.testing.assert_close(q.kl(other), plain.kl(other))


@pytest.mark.parametrize("shape", [(3,), (2, 3)])
@pytest.mark.parametrize("more", [(), (5,), (5, 2)])
def test_density_is_torchs(shape: tuple[int, ...], more: tuple[int, ...]) -> None:
    q = correlated(*shape)
    z = parameters(*more, *shape, seed=1)[0]
    torch.testing.assert_close(q.log_prob(z), torchs(q).log_prob(z))
    torch.testing.assert_close(q.log_variance.exp(), torchs(q).variance)


def test_kl_is_torchs() -> None:
    q, p = correlated(2, 3), correlated(2, 3, seed=1)
    torch.testing.assert_close(q.kl(p), kl_divergence(torchs(q), torchs(p)))
    standard = MultivariateNormal(torch.zeros(D).double(), torch.eye(D).double())
    torch.testing.assert_close(
        q.kl(Gaussian.standard(q.mean)), kl_divergence(torchs(q), standard.expand((2, 3)))
    )
    torch.testing.assert_close(q.kl(q), torch.zeros(2, 3).double())


def test_one_is_compared_with_several() -> None:
    """As q(z|x_O) with the posteriors of several subsets."""
    one, several = correlated(1, 3), correlated(2, 3, seed=1)
    for found, p in zip(one.kl(several), several.mean, strict=True):
        assert found.shape == p.shape[:1]
    alone = CorrelatedGaussian(several.mean[1:], several.factor[1:])
    torch.testing.assert_close(one.kl(several)[1:], one.kl(alone))


def test_samples_have_its_mean_and_covariance() -> None:
    q = correlated()
    noise = torch.randn(200_000, D, generator=torch.Generator().manual_seed(0)).double()
    z = q.sample(noise)
    torch.testing.assert_close(z.mean(0), q.mean, atol=0.05, rtol=0)
    torch.testing.assert_close(z.T.cov(), q.factor @ q.factor.T, atol=0.1, rtol=0.03)


def test_batches_are_reshaped() -> None:
    q = correlated(6)
    shaped = q.unflatten((2, 3))
    torch.testing.assert_close(shaped.mean.flatten(0, 1), q.mean)
    z = parameters(2, 3, seed=1)[0]
    torch.testing.assert_close(shaped.log_prob(z).flatten(), q.log_prob(z.flatten(0, 1)))


def test_gradients_reach_all_parameters() -> None:
    parts = [p.requires_grad_() for p in parameters(3)]
    q, p = CorrelatedGaussian.from_scales(*parts), correlated(3, seed=1)
    (q.kl(p) + p.kl(q)).sum().backward()
    assert all((part.grad != 0).all() for part in parts)


@pytest.fixture(scope="module")
def model() -> SMVAE:
    torch.manual_seed(0)
    return SMVAE(small_modalities(), 6, 16, 4, set_encoder="correlated_attention").eval()


@torch.no_grad()
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_bounds_of_a_model_with_it(model: SMVAE, objective: str) -> None:
    generator = torch.Generator().manual_seed(0)
    observations = random_observations(model, 8, generator)
    present = torch.ones(8, 5, dtype=torch.bool)
    subsets = draw_subsets(present, torch.rand(8, 6, generator=generator), 2)
    noise = torch.randn(3, 8, 6, generator=generator)
    bound = OBJECTIVES[objective](
        model, Inputs(observations, present, torch.empty(0), noise, 0.5), subsets
    )
    full = torchs(model.encode(observations, present))
    prior = MultivariateNormal(torch.zeros(6), torch.eye(6)).expand((8,))
    kl = torch.zeros(8)
    for subset in subsets:
        given = torchs(model.encode(observations, subset))
        kl += kl_divergence(given, prior) / 2
        if objective == "masked":
            kl += kl_divergence(full, given) / 2
    torch.testing.assert_close(bound.kl, kl, rtol=1e-4, atol=1e-4)
    weights = {name: modality.weight for name, modality in model.modalities.items()}
    weighted = sum(weights[name] * term for name, term in bound.log_likelihoods.items())
    torch.testing.assert_close(bound.value, weighted - 0.5 * kl, rtol=1e-4, atol=1e-3)


@torch.no_grad()
def test_importance_sampling_with_it(model: SMVAE) -> None:
    """The proposal, here one like the prior but correlated, says nothing about the result."""
    model = copy.deepcopy(model)
    encoder = model.set_encoder
    for layer, bias in ((encoder.head, [0.0] * 6 + [6.0] * 6), (encoder.correlations, [3.0] * 15)):
        torch.nn.init.zeros_(layer.weight)
        layer.bias.copy_(torch.tensor(bias))
    action = random_observations(model, 3, torch.Generator().manual_seed(1))["action"]
    sampler = ImportanceSampler(model, 20_000)
    found = sampler.log_likelihood({"action": action}, ["action"], ["action"])
    prior = sampler.log_likelihood({"action": action}, ["action"], [])
    errors = (found.standard_error.square() + prior.standard_error.square()).sqrt()
    assert ((found.value - prior.value).abs() < 4 * errors + 1e-3).all()


def test_a_checkpoint_and_inference_keep_it(model: SMVAE, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "model", model)
    sample = {
        name: np.ones(modality.raw_shape, modality.raw_dtype)
        for name, modality in model.modalities.items()
    }
    del sample["rgb"]
    encoding = Inference.load(tmp_path / "model").encode(sample)
    posterior = model.encode(
        {
            name: to_tensor(model.modalities[name], torch.from_numpy(x)[None])
            for name, x in sample.items()
        }
    )
    expected = torch.cat((posterior.mean, posterior.log_variance), dim=1)[0]
    found = np.concatenate([encoding.mean, encoding.log_variance])
    np.testing.assert_allclose(found, expected.detach(), **FLOAT32)
