# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The set encoders: Eq. 8 by hand, pooling, invariance, and masks."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from single_precision import FLOAT32
from smvae_core.distributions import Gaussian
from smvae_core.models.fusion import product_of_experts, with_prior
from smvae_core.models.network_checks import LOG_VARIANCE_RANGE
from smvae_core.models.set_encoder import (
    SET_ENCODERS,
    AttentionSetEncoder,
    PriorAttentionSetEncoder,
    build_set_encoder,
)


def encoder(seed: int = 0) -> AttentionSetEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = AttentionSetEncoder(embedding_size=8, latent_size=3, heads=2).double()
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return module


def equation_8(module: AttentionSetEncoder, embeddings: Tensor) -> Tensor:
    """H + f(H), H = I + MultiHead(I, X, X), for one set X (m, d), written out head by head."""
    query = module.query[0, 0]
    size = len(query)
    weights, biases = module.attention.in_proj_weight, module.attention.in_proj_bias
    q = weights[:size] @ query + biases[:size]
    keys = embeddings @ weights[size : 2 * size].T + biases[size : 2 * size]
    values = embeddings @ weights[2 * size :].T + biases[2 * size :]
    heads = []
    for head in range(2):
        part = slice(head * size // 2, (head + 1) * size // 2)
        scores = [float(q[part] @ key[part]) / math.sqrt(size / 2) for key in keys]
        total = sum(math.exp(score) for score in scores)
        pairs = zip(scores, values, strict=True)
        heads.append(sum(math.exp(score) / total * value[part] for score, value in pairs))
    hidden = query + module.attention.out_proj(torch.cat(heads))
    linear = module.feed_forward[0]
    activation = linear.weight @ hidden + linear.bias
    hidden = hidden + activation / (1 + (-activation).exp())  # swish
    return module.head.weight @ hidden + module.head.bias


@torch.no_grad()
@pytest.mark.parametrize("count", [1, 2, 5])
def test_is_equation_8(count: int) -> None:
    module = encoder()
    embeddings = torch.randn(
        4, count, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    mean, log_variance = module(embeddings)
    for row, x in enumerate(embeddings):
        torch.testing.assert_close(
            torch.cat((mean[row], log_variance[row])), equation_8(module, x), rtol=0, atol=1e-10
        )


@settings(max_examples=40)
@given(order=st.permutations(range(5)), mask=st.integers(1, 31), seed=st.integers(0, 5))
@torch.no_grad()
def test_order_does_not_matter(order: list[int], mask: int, seed: int) -> None:
    module = encoder(seed).float()
    embeddings = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(seed))
    present = torch.tensor([[bool(mask >> i & 1) for i in range(5)]] * 2)
    expected = module(embeddings, present)
    found = module(embeddings[:, order], present[:, order])
    for a, b in zip(expected, found, strict=True):
        torch.testing.assert_close(a, b, **FLOAT32)


@settings(max_examples=40)
@given(mask=st.integers(1, 31), seed=st.integers(0, 5))
@torch.no_grad()
def test_mask_is_leaving_out(mask: int, seed: int) -> None:
    module = encoder(seed)
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(2, 5, 8, dtype=torch.float64, generator=generator)
    present = torch.tensor([[bool(mask >> i & 1) for i in range(5)]] * 2)
    masked = module(embeddings, present)
    left_out = module(embeddings[:, present[0]])
    for a, b in zip(masked, left_out, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_a_masked_embedding_has_no_gradient() -> None:
    embeddings = torch.randn(2, 3, 8, dtype=torch.float64, requires_grad=True)
    present = torch.tensor([[True, False, True], [False, True, False]])
    sum(part.sum() for part in encoder()(embeddings, present)).backward()
    norms = embeddings.grad.norm(dim=-1)
    assert (norms[~present] == 0).all()
    assert (norms[present] > 0).all()


def test_log_variance_stays_in_range() -> None:
    module = encoder()
    torch.nn.init.constant_(module.head.bias, 1e4)
    assert module(torch.randn(1, 1, 8).double())[1].max() == LOG_VARIANCE_RANGE[1]
    torch.nn.init.constant_(module.head.bias, -1e4)
    assert module(torch.randn(1, 1, 8).double())[1].min() == LOG_VARIANCE_RANGE[0]


@torch.no_grad()
def test_prior_attention_is_a_product_with_the_prior() -> None:
    plain = encoder()
    module = PriorAttentionSetEncoder(embedding_size=8, latent_size=3, heads=2).double()
    module.load_state_dict(plain.state_dict())
    embeddings = torch.randn(
        6, 4, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    factor = Gaussian(*(parameter[:, None] for parameter in plain(embeddings)))
    expected = product_of_experts(with_prior(factor))
    mean, log_variance = module(embeddings)
    torch.testing.assert_close(mean, expected.mean)
    torch.testing.assert_close(log_variance, expected.log_variance)
    assert (log_variance < 0).all()


@torch.no_grad()
def test_prior_attention_that_has_no_evidence_gives_the_prior() -> None:
    module = PriorAttentionSetEncoder(embedding_size=8, latent_size=3, heads=2)
    torch.nn.init.zeros_(module.head.weight)
    module.head.bias.copy_(torch.tensor([1.0] * 3 + [1e4] * 3))
    mean, log_variance = module(torch.randn(2, 2, 8))
    assert mean.abs().max() < 0.003  # the factor's variance is at its limit, not infinite
    assert log_variance.abs().max() < 0.003


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown set encoder 'mean'; known are attention"):
        build_set_encoder("mean", 8, 3, 2)
    with pytest.raises(ValueError, match=r"embedding_size 8 must be a multiple of heads 3"):
        build_set_encoder("attention", 8, 3, 3)


def small_encoder(name: str) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build_set_encoder(name, 8, 3, 2).double()


@pytest.mark.parametrize("name", ["sum_pooling", "mean_pooling"])
@torch.no_grad()
def test_pooling_is_a_sum_or_a_mean(name: str) -> None:
    module = small_encoder(name)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 5, 8, generator=generator).double()
    pooled = x.sum(1) if name == "sum_pooling" else x.sum(1) / 5
    linear, head = module.posterior.feed_forward[0], module.posterior.head
    hidden = pooled @ linear.weight.T + linear.bias
    expected = (pooled + hidden * hidden.sigmoid()) @ head.weight.T + head.bias
    torch.testing.assert_close(torch.cat(module(x), dim=1), expected)


@pytest.mark.parametrize("name", SET_ENCODERS)
@torch.no_grad()
def test_order_and_masks_of_set_encoders(name: str) -> None:
    module = small_encoder(name)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(31, 5, 8, generator=generator).double()
    present = torch.tensor([[bool(row + 1 >> i & 1) for i in range(5)] for row in range(31)])
    masked = module(torch.where(present[..., None], x, torch.nan), present)
    order = torch.randperm(5, generator=generator)
    for found, expected in zip(module(x[:, order], present[:, order]), masked, strict=True):
        torch.testing.assert_close(found, expected)
    for row in range(31):
        alone = module(x[row : row + 1, present[row]])
        for found, expected in zip(alone, masked, strict=True):
            torch.testing.assert_close(found[0], expected[row])
