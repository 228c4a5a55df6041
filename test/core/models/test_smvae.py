# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The model: any subset in any order, masks, and work only for what is asked."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from single_precision import FLOAT32
from small_models import random_observations, random_present, small_modalities, small_model
from smvae_core.distributions import Gaussian
from smvae_core.modalities import Modality
from smvae_core.models.set_encoder import SET_ENCODERS
from smvae_core.models.smvae import SMVAE

NAMES = ("rgb", "depth", "force", "action", "proprio")
MODEL = small_model()
OBSERVATIONS = random_observations(MODEL, 3, torch.Generator().manual_seed(0))
SUBSETS = [subset for size in range(1, 6) for subset in itertools.combinations(NAMES, size)]


def assert_same(first: Gaussian, second: Gaussian) -> None:
    torch.testing.assert_close(first.mean, second.mean, **FLOAT32)
    torch.testing.assert_close(first.log_variance, second.log_variance, **FLOAT32)


@settings(max_examples=60)
@given(names=st.lists(st.sampled_from(NAMES), min_size=1, unique=True), data=st.data())
@torch.no_grad()
def test_the_order_of_observations_does_not_matter(names: list[str], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(names))
    assert_same(
        MODEL.encode({name: OBSERVATIONS[name] for name in names}),
        MODEL.encode({name: OBSERVATIONS[name] for name in shuffled}),
    )


@torch.no_grad()
def test_every_subset_has_a_posterior_of_its_own() -> None:
    """Guards the tests of this file: with a model blind to its input they would all pass."""
    means = torch.stack([MODEL.encode({n: OBSERVATIONS[n] for n in s}).mean for s in SUBSETS])
    distances = (means[:, None] - means[None]).norm(dim=-1).amin(-1)
    distances += torch.eye(len(SUBSETS))
    assert distances.min() > 1e-3


@pytest.mark.parametrize("garbage", [0.0, torch.nan, torch.inf, -torch.inf, 1e4, 3e38])
@torch.no_grad()
def test_a_mask_is_leaving_out(garbage: float) -> None:
    """Every subset in a batch of its own row, whatever stands in the rows that are masked."""
    present = torch.tensor([[name in subset for name in NAMES] for subset in SUBSETS])
    whole = random_observations(MODEL, len(SUBSETS), torch.Generator().manual_seed(1))
    spoilt = {}
    for column, (name, x) in enumerate(whole.items()):
        keep = present[:, column].view(-1, *[1] * (x.ndim - 1))
        spoilt[name] = torch.where(keep, x, garbage)
    masked = MODEL.encode(spoilt, present)
    for row, subset in enumerate(SUBSETS):
        alone = MODEL.encode({name: whole[name][row : row + 1] for name in subset})
        assert_same(Gaussian(masked.mean[row : row + 1], masked.log_variance[row : row + 1]), alone)


@torch.no_grad()
def test_columns_of_a_mask_go_by_name() -> None:
    """They stand in the model's order, whatever the order of the observations, and whatever is
    left out of them."""
    present = torch.tensor([[True, False, True, True, False]] * 3)
    backwards = {name: OBSERVATIONS[name] for name in reversed(NAMES)}
    expected = MODEL.encode({name: OBSERVATIONS[name] for name in ("rgb", "force", "action")})
    assert_same(MODEL.encode(backwards, present), expected)
    some = {name: OBSERVATIONS[name] for name in ("action", "depth", "force")}
    expected = MODEL.encode({name: OBSERVATIONS[name] for name in ("force", "action")})
    assert_same(MODEL.encode(some, present), expected)


@torch.no_grad()
def test_what_was_not_measured_is_seen_as_the_mean() -> None:
    depth = OBSERVATIONS["depth"].clone()
    depth[:, :, 3:9] = torch.nan
    depth[:, :, 12] = torch.inf
    filled = torch.where(torch.isfinite(depth), depth, 0.0)
    assert_same(MODEL.encode({"depth": depth}), MODEL.encode({"depth": filled}))


def calls(modules: nn.ModuleDict) -> tuple[list[str], list[object]]:
    """Names of the modules that run from now on, and the hooks to take away again."""
    names: list[str] = []
    hooks = [
        module.register_forward_hook(lambda *_, name=name: names.append(name))
        for name, module in modules.items()
    ]
    return names, hooks


@pytest.mark.parametrize("subset", SUBSETS, ids="+".join)
def test_only_the_networks_of_what_is_there_run(subset: tuple[str, ...]) -> None:
    embedded, hooks = calls(MODEL.embeddings)
    decoded, more = calls(MODEL.decoders)
    posterior = MODEL.encode({name: OBSERVATIONS[name] for name in subset})
    assert embedded == list(subset)
    assert decoded == []
    likelihoods = MODEL.decode(posterior.mean, subset)
    assert decoded == list(subset)
    assert embedded == list(subset)
    assert list(likelihoods) == list(subset)
    for name, likelihood in likelihoods.items():
        assert likelihood.mean.shape == OBSERVATIONS[name].shape
        assert likelihood.log_prob(OBSERVATIONS[name]).shape == (3,)
    for hook in (*hooks, *more):
        hook.remove()


def test_decode_takes_everything_nothing_and_any_collection() -> None:
    z = torch.zeros(2, MODEL.latent_size)
    assert tuple(MODEL.decode(z)) == NAMES
    assert MODEL.decode(z, ()) == {}
    assert set(MODEL.decode(z, {"rgb", "force"})) == {"rgb", "force"}
    assert list(MODEL.decode(z, (name for name in ("force",)))) == ["force"]


@torch.no_grad()
def test_rows_of_a_batch_do_not_influence_each_other() -> None:
    present = random_present(MODEL, 3, torch.Generator().manual_seed(3))
    whole = MODEL.encode(OBSERVATIONS, present)
    for row in range(3):
        part = {name: x[row : row + 1] for name, x in OBSERVATIONS.items()}
        alone = MODEL.encode(part, present[row : row + 1])
        assert_same(Gaussian(whole.mean[row : row + 1], whole.log_variance[row : row + 1]), alone)


@torch.no_grad()
def test_shared_embeddings_give_the_same_posterior() -> None:
    embeddings = MODEL.embed(OBSERVATIONS)
    for subset in SUBSETS[::5]:
        assert_same(
            MODEL.encode_embeddings({name: embeddings[name] for name in subset}),
            MODEL.encode({name: OBSERVATIONS[name] for name in subset}),
        )


@pytest.mark.parametrize("set_encoder", SET_ENCODERS)
@torch.no_grad()
def test_several_subsets_of_a_batch_encode_as_one_at_a_time(set_encoder: str) -> None:
    model = SMVAE(small_modalities(), 6, 16, 4, set_encoder=set_encoder)
    embeddings = model.embed(OBSERVATIONS)
    some = {name: embeddings[name] for name in ("proprio", "rgb", "force")}
    generator = torch.Generator().manual_seed(0)
    # Every row needs one of the three.
    subsets = torch.stack([random_present(model, 3, generator) for _ in range(7)])
    subsets[..., model.names.index("force")] |= ~subsets[..., [0, 4]].any(-1)
    together = model.encode_subsets(some, subsets)
    assert together.mean.shape == together.log_variance.shape == (7, 3, 6)
    for r, present in enumerate(subsets):
        alone = model.encode_embeddings(some, present)
        assert_same(Gaussian(together.mean[r], together.log_variance[r]), alone)


@torch.no_grad()
def test_what_no_subset_has_may_be_anything() -> None:
    embeddings = MODEL.embed(OBSERVATIONS)
    subsets = torch.ones(2, 3, 5, dtype=torch.bool)
    subsets[:, 1, 2] = subsets[0, 2, 2] = False
    expected = MODEL.encode_subsets(embeddings, subsets)
    embeddings["force"][1] = torch.inf
    found = MODEL.encode_subsets(embeddings, subsets)
    assert_same(found, expected)


@torch.no_grad()
def test_a_continuous_decoder_adds_to_the_training_mean() -> None:
    model = small_model()
    z = torch.randn(2, model.latent_size)
    before = {name: likelihood.mean for name, likelihood in model.decode(z).items()}
    for name, modality in model.modalities.items():
        change = torch.randn(modality.shape)
        model.set_training_mean(name, model.training_mean(name) + change)
        after = model.decode(z, [name])[name].mean
        torch.testing.assert_close(after, before[name] + change, **FLOAT32)


@torch.no_grad()
def test_several_latents_of_each_sample_decode_as_one_at_a_time() -> None:
    model = small_model()
    z = torch.randn(4, 3, model.latent_size)
    together, alone = model.decode(z), [model.decode(one) for one in z]
    for name, likelihood in together.items():
        expected = torch.stack([likelihoods[name].mean for likelihoods in alone])
        torch.testing.assert_close(likelihood.mean, expected, **FLOAT32)


@torch.no_grad()
def test_the_training_mean_does_not_shift_logits() -> None:
    """It is a mean, not a logit; it may be kept for evaluation, but not be added to a logit."""
    image = dataclasses.replace(
        small_modalities()[0], likelihood="bernoulli", mean=(0.0,), std=(1.0,)
    )
    model = SMVAE([image], latent_size=4, embedding_size=8, heads=2)
    z = torch.randn(2, 4)
    before = model.decode(z)["rgb"].mean
    model.set_training_mean("rgb", torch.full(image.shape, 0.7))
    torch.testing.assert_close(model.decode(z)["rgb"].mean, before)


def test_scales() -> None:
    rgb, _, force, *_ = small_modalities()
    model = SMVAE(
        [
            dataclasses.replace(rgb, scale=0.25),
            dataclasses.replace(force, name="learned"),
            dataclasses.replace(force, name="fixed", scale=3),
            dataclasses.replace(rgb, name="bits", likelihood="bernoulli"),
        ],
        embedding_size=8,
    )
    learned = {name: p.requires_grad for name, p in model.log_scales.items()}
    assert learned == {"rgb": False, "learned": True, "fixed": False, "bits": False}
    likelihoods = model.decode(torch.zeros(1, 64))
    assert likelihoods["rgb"].distribution.scale.unique().tolist() == [0.25]
    fixed = likelihoods["fixed"].distribution.scale
    torch.testing.assert_close(fixed, torch.full_like(fixed, 3.0))
    assert model.log_scales["learned"].shape == (6, 1)
    assert likelihoods["learned"].distribution.scale.unique().tolist() == [1.0]


def test_learned_scale_is_the_likelihoods() -> None:
    """The best Laplace scale of a channel is its mean absolute error: there the gradient is 0."""
    model = small_model()
    x, z = OBSERVATIONS["force"], torch.randn(3, model.latent_size)
    error = (x - model.decode(z, ["force"])["force"].mean).abs().mean((0, 2)).detach()
    model.log_scales["force"].data = error.log()[:, None]
    model.decode(z, ["force"])["force"].log_prob(x).sum().backward()
    assert model.log_scales["force"].grad.abs().max() < 1e-3


@pytest.mark.parametrize(
    ("observations", "message"),
    [
        ({}, "at least one observation"),
        ({"smell": torch.zeros(1, 3)}, "unknown modality smell; the model has rgb, depth, "),
        ({**OBSERVATIONS, "smell": torch.zeros(3, 3)}, "unknown modality smell"),
    ],
)
def test_bad_observations_are_refused(observations: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MODEL.encode(observations)


def test_unknown_target_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown modality smell; the model has rgb"):
        MODEL.decode(torch.zeros(1, MODEL.latent_size), ["rgb", "smell"])


def test_model_without_or_with_equal_modalities_is_refused() -> None:
    rgb = small_modalities()[0]
    with pytest.raises(ValueError, match="at least one modality"):
        SMVAE([])
    with pytest.raises(ValueError, match="rgb occurs more than once"):
        SMVAE([rgb, rgb])


@pytest.mark.parametrize(
    "sizes",
    [
        {"heads": 0},
        {"heads": -4},
        {"latent_size": 0},
        {"latent_size": -8},
        {"embedding_size": 0},
        {"embedding_size": -8},
    ],
)
def test_impossible_sizes_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(sizes))):
        SMVAE(small_modalities(), **sizes)


@pytest.mark.parametrize("name", ["half", "type", "get"])
def test_a_name_that_pytorch_needs_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"cannot be named '{name}'"):
        SMVAE([Modality(name, "vector", (3,))], latent_size=2, embedding_size=4, heads=1)
