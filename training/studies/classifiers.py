# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Training of the classifiers that judge what models generate."""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from torch import Tensor, nn
from tqdm import tqdm


def fit(
    network: nn.Module, loss: Callable[[], Tensor], steps: int, rate: float, title: str
) -> None:
    """Adam along a cosine from a rate to zero, with a progress bar.

    Args:
        network: to train, in place.
        loss: of the network on a batch that it draws itself.
        steps: of the optimiser.
        rate: the first.
        title: of the bar.
    """
    optimiser = torch.optim.Adam(network.parameters(), rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in tqdm(range(steps), title, unit="step", disable=None, leave=False, file=sys.stderr):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
        schedule.step()
