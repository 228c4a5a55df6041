# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Models on a GPU, and in 16 bits: what a CPU can tell of it, and the rest where there is a GPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from small_baselines import small_baseline, vector_observations
from small_models import random_observations, random_present, small_modalities, small_model
from smvae_core.models.multimodal_vae import MultimodalVAE
from smvae_core.models.objectives import Bound, Inputs
from smvae_core.models.registry import METHODS, find_method
from smvae_core.models.set_encoder import SET_ENCODERS
from smvae_core.models.smvae import SMVAE

KINDS = tuple(METHODS)


class Operations(TorchDispatchMode):
    """Keeps the names of all operations, and the devices of their tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, set[str]]] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        leaves = torch.utils._pytree.tree_leaves((args, kwargs))
        devices = {leaf.device.type for leaf in leaves if isinstance(leaf, Tensor)}
        self.found.append((str(function), devices))
        return function(*args, **(kwargs or {}))


def small_smvae(set_encoder: str) -> SMVAE:
    return SMVAE(small_modalities(), 6, 16, heads=4, set_encoder=set_encoder)


@pytest.mark.parametrize(
    "model",
    [
        *(pytest.param(lambda n=name: small_smvae(n), id=name) for name in SET_ENCODERS),
        *(pytest.param(lambda k=kind: small_baseline(k), id=kind) for kind in KINDS[1:]),
    ],
)
@torch.inference_mode()
def test_what_joins_embeddings_can_become_a_cuda_graph(model: Any) -> None:
    """It copies nothing from the host and asks for nothing: no constant that is made anew, and no
    list as an index, which is one. On torch's device "meta" whatever asks for a value raises."""
    model = model().to("meta")
    embeddings = {n: torch.zeros(1, model.embedding_size, device="meta") for n in model.names}
    present = torch.ones(1, len(model.names), dtype=torch.bool, device="meta")

    def join() -> tuple[Tensor, Tensor]:
        posterior = model.encode_embeddings(embeddings, present)
        return posterior.mean, posterior.log_variance

    join()  # as before a capture: constants are there now
    with Operations() as operations:
        join()
    assert operations.found
    for name, devices in operations.found:
        assert devices <= {"meta"}, name
        assert "index.Tensor" not in name


def bound_of(model: MultimodalVAE, kind: str, seed: int = 0) -> Bound:
    """Of random observations, on the model's device."""
    objective = find_method(kind).objective("predictive" if kind == "smvae" else None)
    generator, count = torch.Generator().manual_seed(seed), len(model.names)
    device = next(model.parameters()).device
    observations = (
        random_observations(model, 8, generator) if kind == "smvae" else vector_observations(8)
    )
    inputs = Inputs(
        {name: x.to(device) for name, x in observations.items()},
        random_present(model, 8, generator).to(device),
        torch.rand(8, count + 1, generator=generator).to(device),
        torch.randn(objective.noises(count), 8, model.latent_size, generator=generator).to(device),
    )
    return objective.bound(model, inputs)


def test_sums_of_16_bit_numbers_are_made_in_32_bits() -> None:
    model = small_model(image_size=64)
    expected = bound_of(model, "smvae")
    with torch.autocast("cpu", torch.bfloat16):
        found = bound_of(model, "smvae")
    sums = [found.value, found.kl, found.predicted, *found.log_likelihoods.values()]
    assert {values.dtype for values in sums} == {torch.float32}
    torch.testing.assert_close(found.value, expected.value, rtol=0.1, atol=5.0)


@pytest.mark.cuda
@pytest.mark.parametrize("kind", KINDS)
def test_a_bound_and_its_gradients_on_a_gpu_are_those_of_a_cpu(kind: str) -> None:
    found = {}
    for device in ("cpu", "cuda"):
        model = (small_model() if kind == "smvae" else small_baseline(kind)).to(device)
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            bound = bound_of(model, kind)
            bound.value.mean().backward()
        gradients = {n: p.grad.cpu() for n, p in model.named_parameters() if p.grad is not None}
        found[device] = {"value": bound.value.detach().cpu(), **gradients}
    assert found["cuda"].keys() == found["cpu"].keys()
    for name, expected in found["cpu"].items():
        scale = float(expected.abs().max())
        torch.testing.assert_close(
            found["cuda"][name], expected, rtol=1e-3, atol=1e-3 * scale, msg=name
        )
