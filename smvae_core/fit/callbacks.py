# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The state of a run, safe from interruption: whole files, and stops between two steps."""

from __future__ import annotations

import io
import os
import signal
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from smvae_core.files import whole_file


class WholeFiles(TorchCheckpointIO):
    """Writes a run's state beside its place and then puts it there, so that a run that is killed
    while saving keeps the state before.

    Lightning's own way goes through the system's folder for temporary files: where that is on
    another disk, the last step is a copy, which can be cut short.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        content = io.BytesIO()  # into a file on a full disk, torch's own writer ends in its own way
        torch.save(checkpoint, content)
        with whole_file(path) as partial:
            # Not getbuffer(): where writing fails its view becomes garbage, and CPython 3.12.0 and
            # 3.12.1 crash as they collect it. This is no copy either.
            partial.write_bytes(content.getvalue())


class StopAtBatchEnd(L.Callback):
    """Ctrl-C finishes the step that runs, saves a checkpoint and then stops.

    An optimiser that is interrupted half-way leaves parameters that belong to no step; between two
    steps nothing is lost.

    Of several processes it is enough that one hears of it: all stop after the same step.

    Args:
        path: file to save to.
        advice: how to go on, printed after saving.
    """

    def __init__(self, path: Path, advice: str = "continue with --resume") -> None:
        self.path = path
        self._advice = advice
        self._interrupted = False
        self._previous: Any = None

    def on_fit_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        def interrupt(number: int, frame: FrameType | None) -> None:
            if self._interrupted:
                raise KeyboardInterrupt
            self._interrupted = True
            if trainer.is_global_zero:
                print("\nInterrupted: saving after this step; again to stop at once", flush=True)

        self._previous = signal.signal(signal.SIGINT, interrupt)

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, number: int
    ) -> None:
        whole_step = (number + 1) % trainer.accumulate_grad_batches == 0
        # The validation of an epoch belongs to its last step; a stop between them would skip it.
        epoch_ends = number + 1 == trainer.num_training_batches
        if not whole_step or epoch_ends:
            return
        if trainer.strategy.reduce_boolean_decision(self._interrupted, all=False):
            trainer.save_checkpoint(self.path, weights_only=False)
            if trainer.is_global_zero:
                print(f"Saved {self.path}; {self._advice}", flush=True)
            raise KeyboardInterrupt

    def teardown(self, trainer: L.Trainer, module: L.LightningModule, stage: str) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None
