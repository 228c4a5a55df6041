# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The stage that measures what a latent space knows of y: linear probes for every subset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from smvae_core.metrics.subset_choice import all_subsets
from smvae_core.models.multimodal_vae import MultimodalVAE
from training.studies.labelled_images.classifier import likeliest
from training.studies.labelled_images.protocol import Run
from training.studies.labelled_images.run_data import RunData
from training.studies.probes import classify, subset_means

_TRAINING = 10_000  # the first training images
_CHUNK = 1000


def probe(model: MultimodalVAE, run: Run, data: RunData) -> dict[str, Any]:
    """Accuracy of logistic regression from the posterior's mean to y, on the first test images, for
    every subset of modalities that the posterior can do with (Sutter et al. 2021, section 4).

    A posterior that is given y may simply hold it: only ``image`` says what was understood.

    Returns:
        ``accuracy`` → subset, joined by ``+``, → share of right classes; of attributes, the average
        over them. ``training_images`` that the probes have seen.
    """
    label = run.protocol.data_set.label
    modality = model.modalities[label]
    train = data.observations(model, "training", _TRAINING, at_most=True)
    test = data.observations(model, "test", run.protocol.test_images)
    labels = [likeliest(modality, part[label]).numpy() for part in (train, test)]
    # All subsets but those that lack what the model is always given.
    subsets = [s for s in all_subsets(model.names) if set(model.given) <= set(s)]
    means = [subset_means(model, _chunks(part), subsets) for part in (train, test)]
    accuracy = {
        subset: round(_accuracy(*(of_part[subset] for of_part in means), *labels), 4)
        for subset in means[0]
    }
    return {"accuracy": accuracy, "training_images": len(labels[0])}


def _chunks(observed: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    for parts in zip(*(x.split(_CHUNK) for x in observed.values()), strict=True):
        yield dict(zip(observed, parts, strict=True))


def _accuracy(
    train: np.ndarray, test: np.ndarray, train_labels: np.ndarray, test_labels: np.ndarray
) -> float:
    """Average over the columns of y, (N, n)."""
    shares = []
    for known, truth in zip(train_labels.T, test_labels.T, strict=True):
        if len(np.unique(known)) == 1:  # nothing to learn
            shares.append(np.mean(truth == known[0]))
            continue
        shares.append(classify(train, known, test, truth))
    return float(np.mean(shares))
