# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Networks dedicated to one cell of the table: one modality from one subset.

Each has the model's own embedding networks, set encoder and decoder, of the cell's modalities only,
and the settings that the model was trained with, but for its objective and its epochs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smvae_core.checkpoint import Checkpoint, load_checkpoint
from smvae_core.data.batches import Batches
from smvae_core.data.logs.dataset import LogCache
from smvae_core.metrics.subset_choice import Subset
from smvae_core.metrics.subset_errors import SubsetErrors, skills_of
from smvae_core.modalities import ModalityOptions
from smvae_core.models.multimodal_vae import MultimodalVAE
from training.train import train

_BATCH = 64


def skills_on(
    model: MultimodalVAE, cache: LogCache, rows: np.ndarray, subsets: Sequence[Subset]
) -> dict[Subset, dict[str, float]]:
    """Subset → modality → the model's skill on these rows."""
    errors = SubsetErrors(model, subsets)
    for batch in Batches(cache, model.names, rows, _BATCH):
        errors.add(batch.prepared, batch.present)
    summary = errors.summary()
    return {subset: skills_of(summary["+".join(subset)]) for subset in subsets}


def dedicated_skill(
    checkpoint: Checkpoint,
    cache: LogCache,
    rows: np.ndarray,
    subset: Subset,
    target: str,
    epochs: int,
    work: Path,
) -> float:
    """Trains the network of a cell, or continues to, and measures it.

    Args:
        checkpoint: of the model.
        cache: that it was trained on.
        rows: to measure on.
        subset: what is given.
        target: what is predicted.
        epochs: of training.
        work: folder of the networks; one that is finished there is taken as it is.
    """
    output = work / f"{'+'.join(subset)}-{target}"
    if not (output / "model").exists():
        train(_configuration(checkpoint, cache, subset, target, epochs), output)
    model = load_checkpoint(output / "model").model
    return skills_on(model, cache, rows, [subset])[subset][target]


def _configuration(
    checkpoint: Checkpoint, cache: LogCache, subset: Subset, target: str, epochs: int
) -> dict[str, Any]:
    """Of training.train."""
    record = checkpoint.training
    options = {"objective": "regression", "given": list(subset), "targets": [target]}
    changes = record["model"]
    modalities = [m for n, m in checkpoint.model.modalities.items() if n in (*subset, target)]
    kinds = {modality.kind for modality in modalities}
    if "image" not in kinds:
        changes = {**changes, "colour_jitter": 0.0, "image_shift": 0}
    if "vector" not in kinds:
        changes = {**changes, "vector_noise": 0.0}
    fields = [field.name for field in dataclasses.fields(ModalityOptions)]
    return {
        "seed_everything": 0,
        "calibrate": False,
        "patience": epochs,
        "trainer": {
            "max_epochs": epochs,
            "accelerator": "cpu",
            "devices": 1,
            "gradient_clip_val": 1000.0,
            "enable_model_summary": False,
        },
        "data": {
            key: str(cache.path) if key == "cache" else record["data"][key]
            for key in (
                *("cache", "batch_size", "order_seed"),
                *("validation_fraction", "test_fraction", "split_seed"),
            )
        },
        "model": {
            **changes,
            **options,
            "modalities": {
                modality.name: {
                    key: value for key, value in modality.to_dict().items() if key in fields
                }
                for modality in modalities
            },
        },
    }
