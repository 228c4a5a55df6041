# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Samples per second of recipes of config/training, through Lightning, on logs of random steps.

Wall time, from the step after some to warm up. The loader's share is the part of it in which the
host waited for a batch; ``waits`` is how often in a step the host waits for the GPU, which then has
nothing to do until it is told more.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Iterator
from typing import Any

import lightning as L
import torch

from benchmarks.gpu.inputs import random_cache
from benchmarks.gpu.settings import Cases, Settings
from smvae_core.data.batches import Batch, Batches
from smvae_core.inference.devices import find_torch_device
from smvae_ros.bundled import training_path
from training import train

RECIPES = ("insertion", "vision_touch")
PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}
_WARM_UP = 5  # steps
_ENDLESS = 10_000  # epochs


def cases(settings: Settings) -> Cases:
    """RECIPE/fp32, RECIPE/bf16, RECIPE/waits and RECIPE/cpu."""
    device = settings.device
    for recipe in RECIPES:
        for name in PRECISIONS:
            yield f"{recipe}/{name}", lambda r=recipe, p=name: _rate(settings, r, device, p)
    if settings.on_gpu:
        for recipe in RECIPES:
            yield f"{recipe}/waits", lambda r=recipe: _waits(settings, r)
            yield f"{recipe}/cpu", lambda r=recipe: _rate(settings, r, "cpu", "fp32")


class TimedLoader:
    """Batches, and the seconds that were waited for them."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self.sampler, self.batch_sampler = batches.sampler, None  # Lightning looks at them
        self.seconds = 0.0

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        batches = iter(self._batches)
        while True:
            begin = time.perf_counter()
            batch = next(batches, None)
            self.seconds += time.perf_counter() - begin
            if batch is None:
                return
            yield batch


class Clock(L.Callback):
    """Times steps after :data:`_WARM_UP`, and ends the training.

    Args:
        seconds: of the steps that are timed; there is one at least.
        loader: whose waiting is timed, too.

    Attributes:
        steps: that were timed.
        elapsed: seconds that they took.
        waited: seconds of these for batches.
    """

    def __init__(self, seconds: float, loader: TimedLoader) -> None:
        self._seconds, self._loader = seconds, loader
        self._begin = self._waited = 0.0
        self.steps, self.elapsed, self.waited = -_WARM_UP, 0.0, 0.0

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, number: int
    ) -> None:
        self.steps += 1
        late = time.perf_counter() - self._begin > self._seconds
        if self.steps == 0 or (self.steps > 0 and late):
            if module.device.type == "cuda":
                torch.cuda.synchronize(module.device)
            now, waited = time.perf_counter(), self._loader.seconds
            if self.steps:
                self.elapsed, self.waited = now - self._begin, waited - self._waited
                trainer.should_stop = True
            self._begin, self._waited = now, waited


class Waits(L.Callback):
    """Counts how often the host waits for the GPU in the step after :data:`_WARM_UP`, as PyTorch
    warns of it, and ends the training.

    Attributes:
        count: of the step.
    """

    count = 0

    def on_train_batch_start(
        self, trainer: L.Trainer, module: L.LightningModule, batch: Any, number: int
    ) -> None:
        if trainer.global_step == _WARM_UP:
            self._catching = warnings.catch_warnings(record=True)
            self._caught = self._catching.__enter__()
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, number: int
    ) -> None:
        if trainer.global_step == _WARM_UP + 1:
            torch.cuda.set_sync_debug_mode("default")
            self._catching.__exit__(None, None, None)
            self.count = sum("synchroniz" in str(caught.message) for caught in self._caught)
            trainer.should_stop = True


def _rate(settings: Settings, recipe: str, device: str, precision: str) -> dict[str, Any]:
    """Samples per second, and the loader's share of the time."""
    torch.set_num_threads(settings.threads)
    if device != "cpu":
        torch.cuda.init()  # which what follows does not do by itself
        torch.cuda.reset_peak_memory_stats(device)
    module, loader, options = _recipe(settings, recipe)
    clock = Clock(settings.seconds, loader)
    _fit(module, loader, device, PRECISIONS[precision], clock, options)
    samples = clock.steps * options["batch_size"]
    figures: dict[str, Any] = {
        "samples_per_second": samples / clock.elapsed,
        "loader_share": clock.waited / clock.elapsed,
        "steps": clock.steps,
        "batch": options["batch_size"],
    }
    if device != "cpu":
        figures["memory_mb"] = torch.cuda.max_memory_allocated(device) / 2**20
    return figures


def _waits(settings: Settings, recipe: str) -> dict[str, Any]:
    module, loader, options = _recipe(settings, recipe)
    waits = Waits()
    _fit(module, loader, settings.device, PRECISIONS["fp32"], waits, options)
    return {"waits_per_step": waits.count}


def _recipe(
    settings: Settings, recipe: str
) -> tuple[L.LightningModule, TimedLoader, dict[str, Any]]:
    """The model, batches of random steps, and the recipe's batch size and clipping."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--config", str(training_path(recipe)), "--output", folder]
        arguments += ["--trainer.accelerator", "cpu", "--trainer.logger", "false"]
        if settings.batch:
            arguments += ["--data.batch_size", str(settings.batch)]
        modalities = train.configured(arguments).model.configured
        cache = random_cache(settings.work, recipe, modalities, settings.steps)
        command = train.configured([*arguments, "--data.cache", str(cache)])
    module, data = command.model, command.datamodule
    module.build(data.open(module.configured))
    return (
        module,
        TimedLoader(data.train_dataloader()),
        {
            "batch_size": data.hparams.batch_size,
            "gradient_clip_val": command.config.trainer.gradient_clip_val,
        },
    )


def _fit(
    module: L.LightningModule,
    loader: TimedLoader,
    device: str,
    precision: str,
    callback: L.Callback,
    options: dict[str, Any],
) -> None:
    _, _, index = find_torch_device(device).partition(":")
    trainer = L.Trainer(
        max_epochs=_ENDLESS,
        limit_val_batches=0,
        accelerator="cpu" if device == "cpu" else "gpu",
        devices=1 if device == "cpu" else [int(index or 0)],
        precision=precision,
        gradient_clip_val=options["gradient_clip_val"],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[callback],
    )
    trainer.fit(module, train_dataloaders=loader, val_dataloaders=loader)  # no batch of the latter
