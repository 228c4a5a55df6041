# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Memory that training on converted logs needs; `benchmarks.log_reading` starts it.

    python -m benchmarks.log_reading_memory CACHE STEPS

Does what grows with the number of steps, at STEPS steps, and then trains the model of
config/training/vision_touch.yaml on a cache for a few optimiser steps. Memory is what the process
cannot give back (anonymous pages): the arrays are memory-mapped, their pages the system's to drop.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import lightning as L
import numpy as np
import torch
import yaml
from lightning.pytorch.cli import LightningCLI

from smvae_core.data.batches import EpochOrder
from smvae_core.fit.data import LogData
from smvae_core.fit.module import SetFitting
from smvae_core.fit.sample_noise import SampleNoise

CONFIGURATION = Path(__file__).parents[1] / "config" / "training" / "vision_touch.yaml"
TRAINING_STEPS = 4
_ROW = 2 + 4 + 4 + 1 + 12 + 8  # bytes a step: present, trajectory, step, contact, ee_pos, its row


def resident(kind: str) -> float:
    """GB of this process in memory: ``RssAnon``, or ``VmHWM`` with mapped files, the peak."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{kind}:\s+(\d+) kB", status)[1]) * 1024 / 1e9


class Peak(L.Callback):
    """The most anonymous memory after any training step; gradients and optimiser are there."""

    def __init__(self) -> None:
        self.gigabytes = 0.0

    def on_train_batch_end(self, *_: object) -> None:
        self.gigabytes = max(self.gigabytes, resident("RssAnon"))


def main() -> None:
    """Prints what one training process takes, in bytes."""
    cache, steps = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(1)
    configuration = yaml.safe_load(CONFIGURATION.read_text())
    cli = LightningCLI(
        SetFitting,
        LogData,
        save_config_callback=None,
        args={
            "model": configuration["model"],
            "data": {**configuration["data"], "cache": cache, "test_fraction": 0.0},
        },
        run=False,
    )
    # First, while nothing that was freed could be used again: what the whole data set needs besides
    # the network. Random numbers of two epochs (the next one is drawn while the last is still
    # there), the order of the samples, and a row's small arrays.
    before = resident("RssAnon")
    options = cli.model.hparams
    draws = SampleNoise(steps, len(cli.model.configured) + 1, options.latent_size, 0)
    index = torch.arange(options.latent_size)
    draws(0, index)
    draws(1, index)
    order = EpochOrder(np.arange(steps), 0, shuffle=True)()
    rows = np.ones((steps, _ROW), np.uint8)
    growth = resident("RssAnon") - before
    assert len(order) == len(rows) == steps
    del draws, order, rows

    peak = Peak()
    trainer = L.Trainer(
        max_steps=TRAINING_STEPS,
        accelerator="cpu",
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        callbacks=[peak],
    )
    cli.model.build(cli.datamodule.open(cli.model.configured))
    trainer.fit(cli.model, cli.datamodule)
    trained, total = peak.gigabytes, resident("VmHWM")
    print(
        json.dumps(
            {
                "training_memory_gb": trained,
                "training_peak_with_mapped_files_gb": total,
                f"training_memory_at_{steps}_steps_gb": trained + growth,
            }
        )
    )


if __name__ == "__main__":
    main()
