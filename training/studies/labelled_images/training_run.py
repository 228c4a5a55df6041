# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Trains the model of one run of the study."""

from __future__ import annotations

import logging
import math
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar

from smvae_core.checkpoint import save_checkpoint
from smvae_core.fit.callbacks import StopAtBatchEnd, WholeFiles
from smvae_core.fit.module import SetFitting
from training.provenance import commit
from training.studies.labelled_images.protocol import METHODS, Run
from training.studies.labelled_images.run_data import RunData
from training.studies.ledger import RunFailed
from training.warnings_filter import quieten


class ValidationCurve(L.Callback):
    """Remembers the ELBO of the validation images after each validation, also across resuming.

    Attributes:
        points: (epochs trained, nats).
    """

    def __init__(self) -> None:
        self.points: list[tuple[int, float]] = []

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if trainer.state.fn == "fit":
            elbo = float(trainer.callback_metrics["validation/elbo"])
            self.points.append((trainer.current_epoch + 1, round(elbo, 3)))

    def state_dict(self) -> dict[str, Any]:
        return {"points": self.points}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.points = [tuple(point) for point in state_dict["points"]]


def train(run: Run, data: RunData, folder: Path) -> None:
    """Trains for the whole budget and saves FOLDER/model; until then the last state is in
    FOLDER/last.ckpt, from which an interrupted run continues.

    Args:
        run: what to train.
        data: its data.
        folder: of this run alone.

    Raises:
        RunFailed: where training diverged.
        DataSetError, ValueError: where data or configuration cannot be used.
    """
    quieten()
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    protocol = run.protocol
    method = METHODS[run.method]
    module = SetFitting(
        protocol.modalities(),
        latent_size=protocol.latent_size,
        embedding_size=protocol.embedding_size,
        name=method.model,
        objective=method.objective,
        set_encoder=method.set_encoder or "attention",
        given=[protocol.data_set.label] if method.model == "cvae" else None,
        learning_rate=protocol.learning_rate,
        warm_up_steps=protocol.warm_up_steps,
        seed=run.seed,
    )
    last = folder / "last.ckpt"
    curve = ValidationCurve()
    trainer = L.Trainer(
        max_epochs=protocol.epochs,
        check_val_every_n_epoch=max(1, protocol.epochs // 50),
        accelerator="auto",
        devices=1,
        logger=False,
        use_distributed_sampler=False,
        enable_model_summary=False,
        enable_progress_bar=sys.stderr.isatty(),
        num_sanity_val_steps=0,
        default_root_dir=folder,
        callbacks=[
            *([TQDMProgressBar()] if sys.stderr.isatty() else []),
            curve,
            StopAtBatchEnd(last, "the same command continues"),
            # After every epoch. With save_top_k=0, `save_last` would never come to saving.
            ModelCheckpoint(
                folder,
                last.stem,
                save_top_k=1,
                save_on_train_epoch_end=True,
                enable_version_counter=False,
            ),
        ],
    )
    trainer.strategy.checkpoint_io = WholeFiles()
    begin = time.monotonic()
    resumed = zipfile.is_zipfile(last)  # not one whose writing was cut short
    source = data.loader()
    module.build(source.open(module.configured))
    trainer.fit(module, source, ckpt_path=last if resumed else None)
    seconds = round(time.monotonic() - begin, 1)
    # Not what fit() measured last: a run that was killed after its last epoch measures nothing.
    (metrics,) = trainer.validate(module, source, verbose=False)
    elbo = metrics["validation/elbo"]
    weights = torch.cat([parameter.detach().flatten() for parameter in module.parameters()])
    if not (math.isfinite(elbo) and bool(torch.isfinite(weights).all())):
        last.unlink(missing_ok=True)  # there is nothing to continue from
        raise RunFailed(f"{run.method}, seed {run.seed}: training diverged, no result was written")
    record = {
        "validation_elbo": elbo,
        "curve": [list(point) for point in curve.points],
        "parameters": len(weights),
        # Of a run that was interrupted only the last part was timed.
        "seconds": None if resumed else seconds,
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
        "commit": commit(),
    }
    save_checkpoint(folder / "model", module.model, record)
    last.unlink(missing_ok=True)
