"""The stage that measures what a latent space knows of y: linear probes for every subset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from smvae_core.metrics.subset_errors import Subset, all_subsets
from smvae_core.models.multimodal_vae import MultimodalVAE
from training.studies.labelled_images.classifier import likeliest
from training.studies.labelled_images.protocol import Run
from training.studies.labelled_images.run_data import RunData

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
    accuracy = {}
    for subset in _subsets(model):
        means = [_means(model, part, subset) for part in (train, test)]
        accuracy["+".join(subset)] = round(_accuracy(*means, *labels), 4)
    return {"accuracy": accuracy, "training_images": len(labels[0])}


def _subsets(model: MultimodalVAE) -> list[Subset]:
    """All but those that lack what the model is always given."""
    return [subset for subset in all_subsets(model.names) if set(model.given) <= set(subset)]


@torch.inference_mode()
def _means(
    model: MultimodalVAE, observed: Mapping[str, torch.Tensor], subset: Subset
) -> np.ndarray:
    """Means of q(z|X_s), (N, D)."""
    count = len(observed[subset[0]])
    parts = (
        model.encode({name: observed[name][first : first + _CHUNK] for name in subset}).mean
        for first in range(0, count, _CHUNK)
    )
    return torch.cat(list(parts)).numpy()


def _accuracy(
    train: np.ndarray, test: np.ndarray, train_labels: np.ndarray, test_labels: np.ndarray
) -> float:
    """Average over the columns of y, (N, n)."""
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ImportError:
        raise ValueError(
            "linear probes need scikit-learn: pip install 'smvae_ros[benchmarks]'"
        ) from None
    shares = []
    for known, truth in zip(train_labels.T, test_labels.T, strict=True):
        if len(np.unique(known)) == 1:  # nothing to learn
            shares.append(np.mean(truth == known[0]))
            continue
        classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        shares.append(classifier.fit(train, known).score(test, truth))
    return float(np.mean(shares))
