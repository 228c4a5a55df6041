# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Data of a training whose speed is measured: all in memory, and what an epoch of it takes."""

from __future__ import annotations

import time

import lightning as L
import numpy as np

from smvae_core.data.samples import Samples, TensorColumn
from smvae_core.fit.data import SampleData


def memory_data(arrays: dict[str, np.ndarray], batch_size: int) -> SampleData:
    """Samples (N, *raw_shape) of each modality; all of them are for training."""
    rows = np.arange(len(next(iter(arrays.values()))))
    split = {"training": rows, "validation": rows[:batch_size], "test": rows[:batch_size]}
    columns = {name: TensorColumn(array) for name, array in arrays.items()}
    return SampleData(Samples(columns, split), batch_size)


class EpochTime(L.Callback):
    """Processor seconds of the last epoch."""

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._begin = time.process_time()

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.seconds = time.process_time() - self._begin


def timed_fit(
    module: L.LightningModule, data: SampleData, **options: object
) -> tuple[float, L.Trainer]:
    """Trains two epochs on the CPU; the second one, with its random numbers drawn anew, is timed.

    Args:
        module: to train.
        data: to train on.
        options: of the trainer.

    Returns:
        processor seconds of the second epoch, and the trainer.
    """
    timer = EpochTime()
    trainer = L.Trainer(
        max_epochs=2,
        limit_val_batches=0,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[timer],
        **options,
    )
    trainer.fit(module, data)
    return timer.seconds, trainer
