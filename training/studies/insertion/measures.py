# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What is measured of a model on trajectories that training has not seen, for every subset.

Each function is a stage of the robot study: model, run and caches → plain values for the run's
file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from smvae_core.data.batches import Batches
from smvae_core.data.logs.dataset import LogCache
from smvae_core.metrics.importance_sampling import ImportanceSampler
from smvae_core.metrics.subset_choice import Subset, all_subsets
from smvae_core.metrics.subset_errors import SubsetErrors
from smvae_core.models.multimodal_vae import MultimodalVAE
from smvae_core.tensors import to_raw, to_tensor
from training.studies.insertion.contact_classifier import ContactClassifier, train_classifier
from training.studies.insertion.protocol import Run
from training.studies.probes import (
    balanced_accuracy,
    classify,
    regress,
    subset_means,
    subset_posteriors,
)

Table = dict[str, dict[str, float]]  # subset, joined by + → measure → value
_BATCH = 64


@dataclass(frozen=True, eq=False)
class Caches:
    """The data: logs that were trained on, and logs that no training has seen."""

    training: LogCache
    test: LogCache

    def describe(self) -> dict[str, Any]:
        """What tells these two from others."""
        return {"training": self.training.describe(), "test": self.test.describe()}


Stage = Callable[[MultimodalVAE, Run, Caches], dict[str, Any]]


def errors(model: MultimodalVAE, run: Run, caches: Caches) -> Table:
    """Error and skill of every modality from every subset, see :class:`SubsetErrors`, and the
    structural similarity of predicted RGB. Of a dedicated network only of its own subset."""
    subsets = [run.given] if run.given else all_subsets(model.names)
    sums = SubsetErrors(model, subsets)
    for batch in _batches(caches.test, model, np.arange(len(caches.test)), "errors"):
        sums.add(batch.prepared, batch.present)
    table = sums.summary()
    if "rgb" in model.names:
        for subset, value in _similarity(model, run, caches.test, subsets).items():
            table[subset]["rgb_ssim"] = value
    return table


@torch.inference_mode()
def _similarity(
    model: MultimodalVAE, run: Run, cache: LogCache, subsets: list[Subset]
) -> dict[str, float]:
    """Mean SSIM (Wang et al. 2004) of predicted and true RGB, and of the training mean."""
    from skimage.metrics import structural_similarity

    totals = dict.fromkeys(["+".join(subset) for subset in subsets] + ["training_mean"], 0.0)
    rows = _spread(cache.complete(model.names), run.protocol.picture_steps)
    rgb = model.modalities["rgb"]
    for batch in _batches(cache, model, rows, "similarity"):
        truth = batch.prepared["rgb"].numpy()
        mean = to_raw(rgb, model.training_mean("rgb")[None]).numpy()
        predictions = {"training_mean": np.broadcast_to(mean, truth.shape)}
        observed = _normalised(model, batch.prepared)
        for label, posterior in subset_posteriors(model, observed, subsets):
            predictions[label] = to_raw(rgb, model.predict(posterior, ["rgb"])["rgb"])
        for label, pictures in predictions.items():
            totals[label] += sum(
                structural_similarity(true, np.asarray(guess), channel_axis=-1)
                for true, guess in zip(truth, pictures, strict=True)
            )
    return {label: total / len(rows) for label, total in totals.items()}


def likelihoods(model: MultimodalVAE, run: Run, caches: Caches) -> Table:
    """log p(x_i) in the row ``prior``, with q(z|x_i) as proposal, and log p(x_i|x_S) for every
    subset S without i, with q(z|x_S, x_i); in nats over all elements of x_i, by importance
    sampling. Measures: ``NAME_log_likelihood`` and its standard error over steps."""
    cache, protocol = caches.test, run.protocol
    rows = _spread(cache.complete(model.names), protocol.likelihood_steps)
    observed = _normalised(model, cache.read(rows, model.names).prepared)
    sampler = ImportanceSampler(model, protocol.importance_samples, run.seed)
    table: Table = {}
    for subset in tqdm([(), *all_subsets(model.names)[:-1]], "likelihoods", disable=None):
        entry = table.setdefault("+".join(subset) or "prior", {})
        for name in model.names:
            if name in subset:
                continue
            estimate = sampler.conditional(observed, [name], subset, {*subset, name})
            entry[f"{name}_log_likelihood"] = estimate.mean
            entry[f"{name}_log_likelihood_error"] = estimate.mean_error
    return table


def probes(model: MultimodalVAE, run: Run, caches: Caches) -> dict[str, Any]:
    """What linear models read from the posterior's mean: contact now and in the next step (logistic
    regression, balanced accuracy) and the end effector's position in the next step (least squares,
    m², mean over the three axes, as CoMM reports it). Fitted on the training logs.

    Returns:
        ``subsets`` → subset → measure, and ``persistence``: that the next step is as this one.

    Raises:
        ValueError: where the logs lack contact or position, or never change in contact.
    """
    parts = {name: _labelled(getattr(caches, name), model) for name in ("training", "test")}
    subsets = all_subsets(model.names)
    latents = {
        name: subset_means(
            model, _observed(getattr(caches, name), model, part.rows, "latents"), subsets
        )
        for name, part in parts.items()
    }
    fit, test = parts["training"], parts["test"]
    if min(len(np.unique(y)) for y in (fit.contact, fit.next_contact)) < 2:
        raise ValueError("the training logs never change in contact, so there is no probe of it")
    table: Table = {}
    for subset in tqdm(subsets, "probes", disable=None):
        label = "+".join(subset)
        x, y = latents["training"][label], latents["test"][label]
        table[label] = {
            "contact_probe_balanced_accuracy": classify(x, fit.contact, y, test.contact, True),
            "next_contact_probe_balanced_accuracy": classify(
                x, fit.next_contact, y, test.next_contact, True
            ),
            "position_probe_mse_m2": regress(x, fit.next_position, y, test.next_position),
        }
    persistence = {
        "next_contact_balanced_accuracy": balanced_accuracy(test.next_contact, test.contact),
        "next_position_mse_m2": float(np.mean((test.next_position - test.position) ** 2)),
    }
    return {"subsets": table, "persistence": persistence}


def generated_contact(model: MultimodalVAE, run: Run, caches: Caches) -> dict[str, Any]:
    """How often a classifier of contact, trained on real RGB-D, agrees with the truth on RGB-D that
    was generated from each subset.

    Returns:
        ``real_agreement``, of the same classifier on the real RGB-D, and ``subsets`` → subset →
        ``generated_contact_agreement`` and its ratio to that on real ones.
    """
    cache = caches.test
    _require(cache, "contact")
    classifier = train_classifier(model.modalities, caches.training, run.protocol.classifier_steps)
    agreements = _agreements(model, classifier, cache)
    real = agreements.pop("real")
    return {
        "real_agreement": real,
        "subsets": {
            label: {
                "generated_contact_agreement": share,
                "generated_contact_agreement_ratio": share / real,
            }
            for label, share in agreements.items()
        },
    }


@torch.inference_mode()
def _agreements(
    model: MultimodalVAE, classifier: ContactClassifier, cache: LogCache
) -> dict[str, float]:
    """Subset, or ``real`` → share of the steps in which the classifier says what is true."""
    subsets, pictures = all_subsets(model.names), classifier.pictures
    right = dict.fromkeys(["real", *("+".join(subset) for subset in subsets)], 0)
    rows = cache.complete(model.names)
    for batch in _batches(cache, model, rows, "generated contact"):
        truth = torch.from_numpy(cache.arrays["contact"][batch.index.numpy()])
        observed = _normalised(model, batch.prepared)
        right["real"] += int((classifier(observed) == truth).sum())
        for label, posterior in subset_posteriors(model, observed, subsets):
            right[label] += int((classifier(model.predict(posterior, pictures)) == truth).sum())
    return {label: count / len(rows) for label, count in right.items()}


STAGES: dict[str, Stage] = {
    "errors": errors,
    "likelihoods": likelihoods,
    "probes": probes,
    "generated_contact": generated_contact,
}
DEDICATED_STAGES = ("errors",)


@dataclass(frozen=True, eq=False)
class _Labelled:
    """Steps that have everything, and whose next step is in the logs: rows (n,), contact (n,)
    bool, position (n, 3) metres, and both of the next step."""

    rows: np.ndarray
    contact: np.ndarray
    position: np.ndarray
    next_contact: np.ndarray
    next_position: np.ndarray


def _labelled(cache: LogCache, model: MultimodalVAE) -> _Labelled:
    _require(cache, "contact", "ee_pos")
    arrays = cache.arrays
    position = arrays["ee_pos"].astype(np.float64)
    rows = cache.complete(model.names)
    rows = rows[rows + 1 < len(cache)]
    following = rows + 1
    good = arrays["trajectory"][rows] == arrays["trajectory"][following]
    good &= arrays["step"][rows] + 1 == arrays["step"][following]
    good &= np.isfinite(position[rows]).all(1) & np.isfinite(position[following]).all(1)
    rows, following = rows[good], following[good]
    contact = arrays["contact"]
    return _Labelled(rows, contact[rows], position[rows], contact[following], position[following])


def _require(cache: LogCache, *labels: str) -> None:
    missing = [label for label in labels if label not in cache.arrays]
    if missing:
        raise ValueError(f"{cache.path}: its logs have no {', '.join(missing)}")


def _spread(rows: np.ndarray, count: int) -> np.ndarray:
    """At most so many of the rows, evenly spread."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int))]


def _batches(cache: LogCache, model: MultimodalVAE, rows: np.ndarray, title: str) -> Iterator[Any]:
    batches = Batches(cache, model.names, rows, _BATCH)
    return iter(tqdm(batches, title, unit="batch", disable=None, leave=False))


def _observed(
    cache: LogCache, model: MultimodalVAE, rows: np.ndarray, title: str
) -> Iterator[dict[str, Tensor]]:
    for batch in _batches(cache, model, rows, title):
        yield _normalised(model, batch.prepared)


def _normalised(model: MultimodalVAE, prepared: Mapping[str, Any]) -> dict[str, Tensor]:
    return {name: to_tensor(model.modalities[name], x) for name, x in prepared.items()}
