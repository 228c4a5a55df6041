# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""How fast the recipes of config/training train, and how much of a step is the optimiser's.

Part of `python -m benchmarks.training_speed`.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.memory_data import memory_data, timed_fit
from smvae_core.modalities import Modality
from training import train

RECIPES = Path(__file__).parents[1] / "config" / "training"
_RANGES = {"image": (0, 256), "depth": (0.2, 1.5)}  # others have a standard deviation of 1


def recipe_speed(recipe: Path, steps: int) -> dict[str, float]:
    """Trains a recipe on random data of its shapes; speed does not depend on what they show.

    Args:
        recipe: a configuration of `training.train`.
        steps: of the epoch that is timed.

    Returns:
        ``RECIPE_samples_per_cpu_second`` and ``RECIPE_optimiser_share`` of a step's time, 0 to 1.
    """
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--config", str(recipe), "--output", folder, "--trainer.accelerator", "cpu"]
        configured = train.configured([*arguments, "--trainer.logger", "false"])
    module, batch = configured.model, configured.datamodule.hparams.batch_size
    data = memory_data(_random(module.configured, steps * batch), batch)
    module.build(data.open(module.configured))
    limit = configured.config.trainer.gradient_clip_val
    seconds, trainer = timed_fit(module, data, gradient_clip_val=limit)
    own = []
    for _ in range(5):
        begin = time.process_time()
        trainer.optimizers[0].step()  # of the last gradients
        own.append(time.process_time() - begin)
    return {
        f"{recipe.stem}_samples_per_cpu_second": steps * batch / seconds,
        f"{recipe.stem}_optimiser_share": statistics.median(own) * steps / seconds,
    }


def _random(modalities: list[Modality], count: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    arrays = {}
    for modality in modalities:
        shape = (count, *modality.raw_shape)
        if modality.kind in _RANGES:
            values = random.uniform(*_RANGES[modality.kind], shape)
        else:
            values = random.standard_normal(shape)
        arrays[modality.name] = values.astype(modality.raw_dtype)
    return arrays
