# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""MVAE, MMVAE and MoPoE with the same weights as in the library `multivae`, where it is installed.

It needs pythae, torchvision and some more packages: docs/how_to/studies.md says how to
install it in an environment of its own.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from small_baselines import gradient_norms, small_baseline
from smvae_core.distributions import Mixture
from smvae_core.modalities import Modality, Network
from smvae_core.models.mmvae import dreg_bound
from smvae_core.models.multimodal_vae import MultimodalVAE
from smvae_core.models.objectives import Inputs

if importlib.util.find_spec("multivae") is None:
    pytest.skip("multivae is not installed", allow_module_level=True)
with contextlib.suppress(RuntimeError):  # they are declared already
    # torchvision, which multivae imports, wants its compiled operators to be declared.
    operators = torch.library.Library("torchvision", "DEF")
    operators.define("nms(Tensor dets, Tensor scores, float threshold) -> Tensor")
    operators.define("qnms(Tensor dets, Tensor scores, float threshold) -> Tensor")

multivae_models = importlib.import_module("multivae.models")
multivae_data = importlib.import_module("multivae.data.datasets.base")
architectures = importlib.import_module("pythae.models.nn.base_architectures")
base_utils = importlib.import_module("pythae.models.base.base_utils")

SIZES = {"a": 3, "b": 4, "c": 2}
BATCH, LATENT = 6, 3
SUBSETS = [s for n in (1, 2, 3) for s in itertools.combinations(SIZES, n)]


class Encoder(architectures.BaseEncoder):
    """Our embedding network and expert in the shape of theirs."""

    def __init__(self, model: MultimodalVAE, name: str) -> None:
        super().__init__()
        self.network = torch.nn.Sequential(model.embeddings[name], model.experts[name])
        self.latent_dim = LATENT

    def forward(self, x: Tensor) -> Any:
        mean, log_variance = self.network(x)
        return base_utils.ModelOutput(embedding=mean, log_covariance=log_variance)


class Decoder(architectures.BaseDecoder):
    def __init__(self, model: MultimodalVAE, name: str) -> None:
        super().__init__()
        self.network = model.decoders[name]

    def forward(self, z: Tensor) -> Any:
        return base_utils.ModelOutput(reconstruction=self.network(z))


def ours(kind: str) -> MultimodalVAE:
    network = Network("mlp", (7,))
    return small_baseline(
        kind,
        [
            Modality(n, "vector", (size,), scale=1.0, embedding=network, decoder=network)
            for n, size in SIZES.items()
        ],
    )


def theirs(name: str, model: MultimodalVAE, **options: Any) -> Any:
    config = getattr(multivae_models, f"{name}Config")(
        n_modalities=len(SIZES),
        latent_dim=LATENT,
        input_dims={n: (size,) for n, size in SIZES.items()},
        decoders_dist=dict.fromkeys(SIZES, "normal"),
        **options,
    )
    return getattr(multivae_models, name)(
        config,
        encoders={n: Encoder(model, n) for n in SIZES},
        decoders={n: Decoder(model, n) for n in SIZES},
    ).double()


def observations() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {n: torch.randn(BATCH, size, generator=generator).double() for n, size in SIZES.items()}


@pytest.mark.parametrize("subset", SUBSETS, ids="".join)
@torch.no_grad()
def test_mvae_has_the_same_posteriors(subset: tuple[str, ...]) -> None:
    model, x = ours("mvae"), observations()
    data = multivae_data.MultimodalBaseDataset(x)
    mean, log_variance = theirs("MVAE", model).compute_mu_log_var_subset(data, list(subset))
    posterior = model.encode({n: x[n] for n in subset})
    torch.testing.assert_close(posterior.mean, mean, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(posterior.log_variance, log_variance, rtol=1e-6, atol=1e-6)


@torch.no_grad()
def test_mopoe_has_the_same_components() -> None:
    model, x = ours("mopoe"), observations()
    latents = theirs("MoPoE", model).inference(multivae_data.MultimodalBaseDataset(x))
    posterior = model.encode(x)
    assert isinstance(posterior, Mixture)
    assert len(latents["subsets"]) == len(SUBSETS)
    for c, subset in enumerate(SUBSETS):
        mean, log_variance = latents["subsets"]["_".join(subset)]
        components = posterior.components
        torch.testing.assert_close(components.mean[:, c], mean, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(
            components.log_variance[:, c], log_variance, rtol=1e-6, atol=1e-6
        )
    weights = latents["weights"].T.double()
    torch.testing.assert_close(
        posterior.log_weights.exp(), weights.expand(BATCH, -1), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("loss", ["iwae_looser", "dreg_looser"])
def test_mmvae_has_the_same_bound_and_the_same_gradient(loss: str) -> None:
    """On the very same z: theirs are drawn first, and our noise is what leads there."""
    model, x = ours("mmvae"), observations()
    other = theirs(
        "MMVAE", model, K=4, loss=loss, prior_and_posterior_dist="normal", learn_prior=False
    )
    data = multivae_data.MultimodalBaseDataset(x)
    found = other(data, detailed_output=True)
    experts = model.encode(x).components
    noise = []
    for column, name in enumerate(SIZES):
        q = found.qz_xs[name]
        torch.testing.assert_close(q.loc, experts.mean[:, column])
        torch.testing.assert_close(q.scale, (experts.log_variance[:, column] / 2).exp())
        noise.append(((found.zss[name] - q.loc) / q.scale).detach())
    found.loss.backward()
    theirs_gradient = {n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad}
    model.zero_grad()
    present = torch.ones(BATCH, len(SIZES), dtype=torch.bool)
    bound = dreg_bound(model, Inputs(x, present, torch.zeros(BATCH, 4), torch.cat(noise)))
    if loss == "iwae_looser":
        torch.testing.assert_close(bound.value.sum(), -found.loss, rtol=1e-6, atol=1e-6)
        return
    bound.value.sum().backward()
    assert min(gradient_norms(model).values()) > 0
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(
                parameter.grad, -theirs_gradient[name], rtol=1e-5, atol=1e-6, msg=name
            )
