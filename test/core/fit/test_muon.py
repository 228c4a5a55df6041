# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Muon on matrices and Adam on the rest, as one optimiser."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

pytest.importorskip("torch", minversion="2.9", reason="its Muon is newer")

from small_models import random_observations, small_model
from smvae_core.fit.muon import Muon, MuonAdam
from smvae_core.models.objectives import Inputs, full_bound


def steps(model: nn.Module, optimiser: torch.optim.Optimizer, count: int, seed: int) -> None:
    """Some steps on random batches."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        observations = random_observations(model, 4, generator)
        present = torch.ones(4, len(model.names), dtype=torch.bool)
        uniform = torch.empty(4, 0)
        noise = torch.randn(2, 4, model.latent_size, generator=generator)
        optimiser.zero_grad()
        (-full_bound(model, Inputs(observations, present, uniform, noise)).value.mean()).backward()
        optimiser.step()


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def test_matrices_take_steps_of_equal_singular_values_and_the_rest_those_of_adam() -> None:
    model = small_model()
    reference = copy.deepcopy(model)
    before = weights(model)
    steps(model, MuonAdam(model, 1e-3), 1, seed=0)
    steps(reference, torch.optim.Adam(reference.parameters(), 1e-3), 1, seed=0)
    moved, expected = weights(model), weights(reference)
    step = moved["set_encoder.head.weight"] - before["set_encoder.head.weight"]
    values = torch.linalg.svdvals(step)
    assert float(values[0] / values[3]) < 2  # four samples have no more directions
    matrices = 0
    for name, parameter in moved.items():
        if name.endswith("weight") and parameter.ndim == 2:
            matrices += 1
            assert not torch.equal(parameter, expected[name]), name
            # Scaled to a root mean square of 0.2 times the rate, as Adam's steps have in practice;
            # less where the gradient has few directions.
            rms = float((parameter - before[name]).square().mean().sqrt())
            assert 1e-5 < rms < 1e-3, name
        else:
            # To a thousandth of a step.
            torch.testing.assert_close(parameter, expected[name], rtol=1e-6, atol=1e-6)
    assert matrices > 10


def test_a_saved_state_continues_exactly_and_schedules_reach_both() -> None:
    model = small_model()
    optimiser = MuonAdam(model, 1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 4)
    steps(model, optimiser, 2, seed=0)
    schedule.step()
    rates = [group["lr"] for group in optimiser.param_groups]
    assert len(rates) == 2
    assert rates[0] == rates[1] < 1e-3
    other = copy.deepcopy(model)
    continued = MuonAdam(other, 1e-3)
    continued.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    assert [group["lr"] for group in continued.param_groups] == rates
    later = torch.optim.lr_scheduler.CosineAnnealingLR(continued, 4)
    later.load_state_dict(schedule.state_dict())
    for trained, its, plan in ((model, optimiser, schedule), (other, continued, later)):
        plan.step()
        steps(trained, its, 2, seed=1)
    for name, parameter in weights(model).items():
        assert torch.equal(parameter, weights(other)[name]), name


class Types(TorchDispatchMode):
    """Collects the types of all numbers that are computed."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[torch.dtype] = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.found |= {x.dtype for x in tree_leaves(result) if isinstance(x, Tensor)}
        return result


def test_a_cpu_never_computes_in_bfloat16() -> None:
    """Most have no instructions for it: a step took 4.7 s instead of 0.1."""
    model = small_model()
    optimiser = MuonAdam(model, 1e-3)
    with Types() as types:
        steps(model, optimiser, 1, seed=0)
    assert torch.float32 in types.found
    assert not types.found & {torch.bfloat16, torch.float16}


def test_steps_are_those_of_torch_but_for_its_rounding() -> None:
    generator = torch.Generator().manual_seed(0)
    for shape in ((6, 20), (20, 6), (8, 8), (1, 5)):
        start = torch.randn(shape, generator=generator)
        ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
        options = {"lr": 0.1, "weight_decay": 0.0, "adjust_lr_fn": "match_rms_adamw"}
        optimisers = Muon([ours], 0.1), torch.optim.Muon([theirs], **options)
        for _ in range(3):
            before = ours.detach().clone()
            ours.grad = torch.randn(shape, generator=generator)
            theirs.grad = ours.grad.clone()
            for optimiser in optimisers:
                optimiser.step()
            values = torch.linalg.svdvals((ours.detach() - before) / 0.1) / (
                0.2 * max(shape) ** 0.5
            )
            assert ((values > 0.3) & (values < 1.3)).all(), values
            torch.testing.assert_close(ours, theirs, rtol=0.05, atol=0.01)
        states = [optimiser.state_dict()["state"] for optimiser in optimisers]
        torch.testing.assert_close(states[0], states[1], rtol=1e-5, atol=1e-6)


def test_a_gradient_of_zeros_moves_nothing() -> None:
    parameter = nn.Parameter(torch.ones(3, 4))
    parameter.grad = torch.zeros(3, 4)
    Muon([parameter], 0.1).step()
    assert torch.equal(parameter, torch.ones(3, 4))
