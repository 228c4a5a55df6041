# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Errors of the predictions of every modality from every subset.

The prediction is :meth:`smvae_core.models.multimodal_vae.MultimodalVAE.predict`'s. Its *skill* is
1 − RMSE / RMSE of the training mean: 0 is no better than a constant, 1 is perfect. Errors are in
raw units; skills are taken in normalised units, where the channels of a modality weigh alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor

from smvae_core.metrics.subset_choice import Subset, all_subsets
from smvae_core.modalities import Modality
from smvae_core.models.multimodal_vae import MultimodalVAE
from smvae_core.tensors import to_tensor


class SubsetErrors:
    """Sums up the errors of predictions from every subset, batch by batch.

    Args:
        model: in evaluation mode.
        subsets: the subsets to predict from, all by default.
    """

    def __init__(self, model: MultimodalVAE, subsets: Iterable[Subset] | None = None) -> None:
        self.model = model
        self.subsets = list(all_subsets(model.names) if subsets is None else subsets)
        self.samples = 0
        # For each modality: Σ error² of the prediction, Σ error² of the training mean, number of
        # elements; for each subset (last row: the training mean as the prediction) and channel.
        self._sums = {
            name: torch.zeros(3, len(self.subsets) + 1, modality.shape[0], dtype=torch.float64)
            for name, modality in model.modalities.items()
        }

    @torch.inference_mode()
    def add(
        self,
        prepared: Mapping[str, np.ndarray | Tensor],
        present: np.ndarray | Tensor | None = None,
    ) -> None:
        """Adds a batch.

        Args:
            prepared: modality → (B, *raw_shape), see :func:`smvae_core.preprocessing.prepare`.
            present: (B, M) bool, what each sample observed; ``None``: all that is given. A subset
                is predicted from only where all of it was observed.
        """
        model = self.model
        device = model.training_mean(model.names[0]).device
        observations = {
            n: to_tensor(model.modalities[n], torch.as_tensor(x).to(device))
            for n, x in prepared.items()
        }
        size = len(next(iter(observations.values())))
        if present is None:
            present = torch.tensor([[name in observations for name in model.names]] * size)
        present = torch.as_tensor(present).to(device)
        self.samples += size
        embeddings = model.embed(observations)
        for name, x in observations.items():
            rows = present[:, model.names.index(name)]
            self._add(name, len(self.subsets), model.training_mean(name), x[rows])
        for number, subset in enumerate(self.subsets):
            if not set(subset) <= set(embeddings):
                continue
            rows = present[:, [model.names.index(name) for name in subset]].all(1)
            if not rows.any():
                continue
            given = {name: embeddings[name][rows] for name in subset}
            posterior = model.encode_embeddings(given)
            for name, predicted in model.predict(posterior, observations).items():
                target = rows & present[:, model.names.index(name)]
                self._add(name, number, predicted[target[rows]], observations[name][target])

    def _add(self, name: str, row: int, predicted: Tensor, x: Tensor) -> None:
        measured = torch.isfinite(x)
        mean = self.model.training_mean(name)
        errors = (torch.where(measured, guess - x, 0.0).square() for guess in (predicted, mean))
        for number, values in enumerate((*errors, measured)):
            by_channel = values.double().transpose(0, 1).flatten(1).sum(1)
            self._sums[name][number, row] += by_channel.cpu()

    def summary(self) -> dict[str, dict[str, float]]:
        """Subset (names joined by +) → measure → value. ``training_mean`` is the floor.

        Measures of a modality NAME: ``NAME_skill_vs_mean``; ``NAME_psnr_db`` for images,
        ``NAME_rmse_m`` for depth and scans, ``NAME_rmse_n`` and ``NAME_rmse_nm`` for forces
        and torques (:attr:`Modality.is_wrench`), ``NAME_rmse`` for others.
        """
        labels = ["+".join(subset) for subset in self.subsets] + ["training_mean"]
        table: dict[str, dict[str, float]] = {}
        for row, label in enumerate(labels):
            entry: dict[str, float] = {}
            for name, modality in self.model.modalities.items():
                squares, floors, counts = self._sums[name][:, row]
                if not counts.sum():
                    continue
                # The floor is taken over the very same elements.
                if floors.sum() > 0:
                    skill = 1 - math.sqrt(squares.sum() / floors.sum())
                    entry[f"{name}_skill_vs_mean"] = skill
                entry |= _raw_errors(modality, squares / counts)
            table[label] = entry
        return table


def _raw_errors(modality: Modality, mean_squares: Tensor) -> dict[str, float]:
    """Errors in raw units from the mean squared error of each channel in normalised units."""
    std = torch.tensor(modality.std, dtype=torch.float64)
    channels = (mean_squares * std.square()).expand(modality.shape[0])

    def rmse(part: Tensor) -> float:
        return math.sqrt(part.mean())

    name = modality.name
    if modality.kind == "image":
        return {f"{name}_psnr_db": -20 * math.log10(max(rmse(channels), 1e-12))}
    if modality.has_holes:
        return {f"{name}_rmse_m": rmse(channels)}
    if modality.is_wrench:
        return {f"{name}_rmse_n": rmse(channels[:3]), f"{name}_rmse_nm": rmse(channels[3:])}
    return {f"{name}_rmse": rmse(channels)}


def skills_of(entry: Mapping[str, float]) -> dict[str, float]:
    """Modality → its skill, of one entry of :meth:`SubsetErrors.summary`."""
    end = "_skill_vs_mean"
    return {name.removesuffix(end): skill for name, skill in entry.items() if name.endswith(end)}


def nothing_learned(summary: Mapping[str, Mapping[str, float]]) -> str | None:
    """Advice on a model that predicts nothing better than a constant; None on any other.

    Args:
        summary: of :meth:`SubsetErrors.summary`.
    """
    skills = [skill for entry in summary.values() for skill in skills_of(entry).values()]
    if not skills or max(skills) > 0:
        return None
    return (
        "this model has learned nothing: no modality is predicted better than by its training "
        "mean (all skills are 0 or less). It may need more epochs or data, or the data may be of "
        "another kind than those it was trained on"
    )


def print_summary(summary: Mapping[str, Mapping[str, float]]) -> None:
    """Prints the table of :meth:`SubsetErrors.summary`, a row for each subset that was observed."""
    measures = list(dict.fromkeys(measure for entry in summary.values() for measure in entry))
    width = max(len(label) for label in summary)
    titles = (measure.replace("_skill_vs_mean", " skill") for measure in measures)
    print(" " * width, *(f"{title:>14}" for title in titles))
    for label, entry in summary.items():
        if not entry:  # no sample had all of it
            continue
        cells = (f"{entry[m]:14.4g}" if m in entry else " " * 14 for m in measures)
        print(f"{label:<{width}}", *cells)
