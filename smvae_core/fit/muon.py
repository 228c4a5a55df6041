# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Muon for the matrices of a model and Adam for everything else, as one optimiser.

Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon) takes steps of momentum whose
singular values are all made about 1. It is meant for matrices that several tasks share, as a set
encoder serves every modality and every subset: directions with small gradients count as much as
those with large ones, while Adam scales each element by itself. Steps are scaled to have the size
of Adam's (Liu et al. 2025, arXiv 2502.16982), so that both share one learning rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim import Muon as HalfMuon

_TINY = 1e-7  # smallest norm that a matrix is divided by


class Muon(HalfMuon):
    """torch's Muon with steps of Adam's size and no decay, and on a CPU all of it in float32.

    torch makes steps orthogonal in bfloat16. A CPU without instructions for it emulates them, which
    takes 60 times as long as float32.

    Args:
        matrices: parameters of two dimensions.
        learning_rate: of a step whose elements are 0.2 in the root of their mean square.
    """

    def __init__(self, matrices: Sequence[nn.Parameter], learning_rate: float) -> None:
        super().__init__(matrices, learning_rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step, after one evaluation of the closure; returns what that returns."""
        devices = {p.device.type for group in self.param_groups for p in group["params"]}
        if devices != {"cpu"}:
            return super().step(closure)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group)
        return loss

    def _move(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        momentum, state = group["momentum"], self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        average = state["momentum_buffer"].lerp_(gradient, 1 - momentum)
        step = gradient.lerp(average, momentum)  # Nesterov's
        step = orthogonal(step, group["ns_coefficients"], group["ns_steps"])
        size = 0.2 * math.sqrt(max(parameter.shape))  # that of Adam's steps
        parameter.add_(step, alpha=-group["lr"] * size)


def orthogonal(matrix: Tensor, coefficients: Sequence[float], steps: int) -> Tensor:
    """The matrix with singular values between about 0.7 and 1.2, by Newton and Schulz's iteration
    with Jordan's polynomial a X + b (X Xᵀ) X + c (X Xᵀ)² X, in the precision of the matrix.

    Args:
        matrix: (m, n).
        coefficients: a, b and c.
        steps: of the iteration.
    """
    a, b, c = coefficients
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix  # products with its transpose are then small
    x = x / x.norm().clamp(min=_TINY)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


class MuonAdam(Optimizer):
    """See above.

    Args:
        model: weights with two dimensions (linear layers, attention's projections) are Muon's; what
            convolutions have is Adam's, and so are biases, the query and scales.
        learning_rate: of both.
        fused: of Adam.
    """

    def __init__(self, model: nn.Module, learning_rate: float, fused: bool | None = None) -> None:
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        matrices = [p for n, p in named if p.ndim == 2 and n.endswith("weight")]
        chosen = set(map(id, matrices))
        others = [p for _, p in named if id(p) not in chosen]
        super().__init__([p for _, p in named], {"lr": learning_rate})
        self._parts = [
            Muon(matrices, learning_rate),
            Adam(others, learning_rate, fused=fused),
        ]
        self._share_groups()

    def _share_groups(self) -> None:
        """Schedules of the learning rate reach both through the groups of this optimiser."""
        self.param_groups = [group for part in self._parts for group in part.param_groups]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of both, after one evaluation of the closure; returns what that returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self._parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The states of both, Muon's first."""
        return {"parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores what :meth:`state_dict` gave."""
        for part, state in zip(self._parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._share_groups()
