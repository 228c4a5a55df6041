"""Muon for the matrices of a model and Adam for everything else, as one optimiser.

Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon) takes steps of momentum whose
singular values are all made about 1. It is meant for matrices that several tasks share, as a set
encoder serves every modality and every subset: directions with small gradients count as much as
those with large ones, while Adam scales each element by itself. Steps are scaled to have the size
of Adam's (Liu et al. 2025, arXiv 2502.16982), so that both share one learning rate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import Adam, Muon, Optimizer


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
            Muon(matrices, learning_rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
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
