# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A callback for tests, given to `training.train` on its command line."""

from __future__ import annotations

import sys
from typing import Any

import lightning as L


class WaitAt(L.Callback):
    """Prints a line at the end of one training step, and goes on when it is sent one.

    Args:
        epoch: from 0.
        batch: in the epoch, from 0.
    """

    def __init__(self, epoch: int, batch: int) -> None:
        self.place = (epoch, batch)

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, number: int
    ) -> None:
        # Of several processes the others wait where they next need this one.
        if (trainer.current_epoch, number) == self.place and trainer.is_global_zero:
            print("waiting", flush=True)
            sys.stdin.readline()
