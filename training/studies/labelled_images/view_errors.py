# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The stage that measures how well views of an image predict each other."""

from __future__ import annotations

from typing import Any

from tqdm import tqdm

from smvae_core.data.batches import Batches
from smvae_core.metrics.subset_choice import Subset
from smvae_core.metrics.subset_errors import SubsetErrors
from smvae_core.models.multimodal_vae import MultimodalVAE
from training.studies.labelled_images.protocol import Run
from training.studies.labelled_images.run_data import RunData


def view_errors(model: MultimodalVAE, run: Run, data: RunData) -> dict[str, Any]:
    """Errors of every view on all test images, from each view alone, from all but the original, and
    from all.

    Returns:
        ``subsets``: as :meth:`smvae_core.metrics.subset_errors.SubsetErrors.summary`, rounded; and
        the number of ``test_images``.
    """
    samples, size = data.samples, run.protocol.batch_size
    samples.check(list(model.modalities.values()))
    errors = SubsetErrors(model, view_subsets(model.names))
    batches = Batches(samples, model.names, samples.split["test"], size)
    for batch in tqdm(batches, "views", unit="batch", disable=None, leave=False):
        errors.add(batch.prepared, batch.present)
    subsets = {
        subset: {measure: round(value, 4) for measure, value in entry.items()}
        for subset, entry in errors.summary().items()
    }
    return {"subsets": subsets, "test_images": errors.samples}


def view_subsets(names: tuple[str, ...]) -> list[Subset]:
    """Each alone, all but the first, all."""
    return [*((name,) for name in names), names[1:], names]
