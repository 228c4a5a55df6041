# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Every model behind the same interface."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from small_baselines import (
    NAMES,
    small_baseline,
    vector_modalities,
    vector_observations,
)
from small_models import random_prepared, small_modalities
from smvae_core.checkpoint import build_model, load_checkpoint, save_checkpoint
from smvae_core.distributions import Gaussian, Mixture
from smvae_core.inference.inference import Inference
from smvae_core.metrics.subset_choice import all_subsets
from smvae_core.metrics.subset_errors import SubsetErrors
from smvae_core.models.cvae import CVAE
from smvae_core.models.posterior_head import start_posteriors
from smvae_core.models.registry import METHODS, find_method
from smvae_core.stored_model import CheckpointError

KINDS = tuple(METHODS)
SUBSETS = all_subsets(NAMES)


def assert_same(first: Gaussian | Mixture, second: Gaussian | Mixture) -> None:
    assert type(first) is type(second)
    torch.testing.assert_close(first.mean, second.mean)
    torch.testing.assert_close(first.log_variance, second.log_variance)
    z = first.mean + 0.3
    torch.testing.assert_close(first.log_prob(z), second.log_prob(z))


def row_of(posterior: Gaussian | Mixture, row: int) -> Gaussian | Mixture:
    rows = slice(row, row + 1)
    if isinstance(posterior, Mixture):
        return Mixture(row_of(posterior.components, row), posterior.log_weights[rows])
    return Gaussian(posterior.mean[rows], posterior.log_variance[rows])


# The interface.


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_every_subset_has_a_posterior_of_its_own(kind: str) -> None:
    """Guards the other tests: with a model blind to its input they would all pass."""
    model, observations = small_baseline(kind), vector_observations(4)
    means = torch.stack([model.encode({n: observations[n] for n in s}).mean for s in SUBSETS])
    distances = (means[:, None] - means[None]).norm(dim=-1).amin(-1)
    assert (distances + torch.eye(len(SUBSETS))).min() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_order_of_observations_does_not_matter(kind: str) -> None:
    model, observations = small_baseline(kind), vector_observations(4)
    for subset in SUBSETS:
        expected = model.encode({name: observations[name] for name in subset})
        for order in itertools.permutations(subset):
            assert_same(model.encode({name: observations[name] for name in order}), expected)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_posteriors_can_begin_narrow(kind: str) -> None:
    model, observations = small_baseline(kind), vector_observations(4)
    for subset in SUBSETS:
        start_posteriors(model, 0.0)
        wide = model.encode({name: observations[name] for name in subset})
        start_posteriors(model, -4.0)
        narrow = model.encode({name: observations[name] for name in subset})
        if isinstance(narrow, Mixture):
            wide, narrow = wide.components, narrow.components
        assert (narrow.log_variance < wide.log_variance).all()
        # Not quite 4 lower where the prior is a factor, too.
        assert (narrow.log_variance - wide.log_variance).median() < -2.5


@pytest.mark.parametrize("garbage", [torch.nan, torch.inf, 1e9])
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_mask_is_leaving_out(kind: str, garbage: float) -> None:
    model, observations = small_baseline(kind), vector_observations(len(SUBSETS))
    present = torch.tensor([[name in subset for name in NAMES] for subset in SUBSETS])
    spoilt = {
        name: torch.where(present[:, column, None], x, garbage)
        for column, (name, x) in enumerate(observations.items())
    }
    masked = model.encode(dict(reversed(spoilt.items())), present)
    z = masked.mean + 0.3
    for row, subset in enumerate(SUBSETS):
        alone = model.encode({name: observations[name][row : row + 1] for name in subset})
        torch.testing.assert_close(masked.mean[row], alone.mean[0])
        torch.testing.assert_close(masked.log_variance[row], alone.log_variance[0])
        log_prob = row_of(masked, row).log_prob(z[row : row + 1])
        torch.testing.assert_close(log_prob, alone.log_prob(z[row : row + 1]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_mixture_predicts_the_average_of_its_experts_and_others_at_the_mean(kind: str) -> None:
    model, x = small_baseline(kind), vector_observations(4)
    posterior = model.encode(x)
    predicted = model.predict(posterior, ["motion", "pixels"])
    assert list(predicted) == ["motion", "pixels"]
    at_mean = {name: p.mean for name, p in model.decode(posterior.mean).items()}
    for name, found in predicted.items():
        expected = at_mean[name]
        if kind == "mmvae":
            experts = [model.encode({given: x[given]}) for given in x]
            each = [model.decode(expert.mean)[name].mean for expert in experts]
            expected = torch.stack(each).mean(0)
        if kind != "mopoe":
            torch.testing.assert_close(found, expected)
        if kind in ("mmvae", "mopoe"):
            assert not torch.allclose(found, at_mean[name], atol=1e-4)
    # What a sample does not have has no part in it.
    present = torch.tensor([[True, False, True]]).expand(4, -1)
    some = {name: x[name] for name in ("motion", "label")}
    for name, found in model.predict(model.encode(x, present)).items():
        torch.testing.assert_close(found, model.predict(model.encode(some))[name])


@pytest.mark.parametrize("kind", KINDS)
def test_networks_are_those_of_smvae(kind: str) -> None:
    """Embedding networks and decoders; the baselines differ in what lies between them."""
    shapes = {
        name: tuple(value.shape) for name, value in small_baseline("smvae").state_dict().items()
    }
    found = {name: tuple(value.shape) for name, value in small_baseline(kind).state_dict().items()}
    shared = {name for name in shapes if not name.startswith("set_encoder.")}
    if kind == "cvae":
        shared -= {name for name in shared if name.startswith("decoders.label.")}
    assert {name: found[name] for name in shared} == {name: shapes[name] for name in shared}
    own = {name.split(".")[0] for name in set(found) - shared}
    assert own <= {"set_encoder", "experts", "joint", "recognition", "conditional_prior"}


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_checkpoint_comes_back_as_the_same_model(kind: str, tmp_path: Path) -> None:
    model = small_baseline(kind).float()
    save_checkpoint(tmp_path / "model", model, {"command": "test"})
    loaded = load_checkpoint(tmp_path / "model").model
    assert type(loaded) is type(model)
    assert loaded.architecture == model.architecture
    observations = {name: x.float() for name, x in vector_observations(3).items()}
    for subset in SUBSETS:
        some = {name: observations[name] for name in subset}
        assert torch.equal(loaded.encode(some).mean, model.encode(some).mean)
    z = torch.ones(1, 3)
    for name, likelihood in model.decode(z).items():
        assert torch.equal(loaded.decode(z)[name].mean, likelihood.mean)


def test_a_checkpoint_without_a_model_name_is_an_smvae(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "model", small_baseline("smvae").float())
    file = tmp_path / "model" / "model.yaml"
    description = yaml.safe_load(file.read_text())
    assert description.pop("model") == "smvae"
    file.write_text(yaml.safe_dump(description))
    assert load_checkpoint(tmp_path / "model").model.kind == "smvae"
    for wrong in ("vae", 3, ["mvae"], None):
        file.write_text(yaml.safe_dump({**description, "model": wrong}))
        with pytest.raises(CheckpointError, match=r"model.yaml: unknown model .* known are smvae"):
            load_checkpoint(tmp_path / "model")


@pytest.mark.parametrize("kind", KINDS)
def test_inference_and_evaluation_work_on_every_model(kind: str, tmp_path: Path) -> None:
    modalities = small_modalities()
    options = {"given": ["force", "action"]} if kind == "cvae" else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = METHODS[kind].model(modalities, latent_size=6, embedding_size=16, **options)
    model.set_training_mean("force", torch.full((6, 32), 0.25))
    save_checkpoint(tmp_path / "model", model)
    inference = Inference.load(tmp_path / "model")
    inference.warm_up()
    samples = [random_prepared(modalities, np.random.default_rng(seed)) for seed in range(3)]
    prediction = inference({"force": samples[0]["force"]}, predict=inference.modalities)
    assert prediction.mean.shape == prediction.log_variance.shape == (6,)
    assert np.isfinite(prediction.mean).all()
    assert np.isfinite(prediction.log_variance).all()
    if kind == "cvae":  # what it is given is predicted as its mean
        expected = np.array(modalities[2].mean) + 0.25 * np.array(modalities[2].std)
        np.testing.assert_allclose(prediction.arrays["force"][5], expected, rtol=1e-5)
    errors = SubsetErrors(build_model(inference.stored))
    errors.add({n: torch.from_numpy(np.stack([s[n] for s in samples])) for n in samples[0]})
    summary = errors.summary()
    assert all(math.isfinite(value) for entry in summary.values() for value in entry.values())


def test_unknown_models_and_objectives_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown model 'vae'; known are smvae, jmvae"):
        find_method("vae")
    with pytest.raises(ValueError, match="model mmvae has no objective 'masked'; known are elbo"):
        find_method("mmvae").objective("masked")
    for given in ([], list(NAMES), ["smell"], "label"):
        with pytest.raises(ValueError, match="`given` must name some, but not all"):
            CVAE(vector_modalities(), 3, 8, given)
    with pytest.raises(ValueError, match="a CVAE given label needs label"):
        small_baseline("cvae").prior({"motion": torch.zeros(1, 3)})
