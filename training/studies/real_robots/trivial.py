# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Trivial predictors of each modality from each subset, which a model has to beat.

- ``pca``: where the modality is given, its projection on as many principal components as the
  latent variable has elements; where it has no more elements than that, the reading itself.
- ``ridge``: least squares with an L2 penalty that is chosen on the validation split; images go in,
  and come out, as those principal components.
- ``neighbours``: the mean of the ten training steps whose readings are nearest, with every
  modality of the same weight, and images as their principal components.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from smvae_core.data.logs.dataset import LogCache
from smvae_core.fit.principal_components import principal_components
from smvae_core.metrics.subset_choice import Subset
from smvae_core.models.multimodal_vae import MultimodalVAE, without_holes
from smvae_core.tensors import to_tensor

NEIGHBOURS = 10
PENALTIES = tuple(10.0**k for k in range(7))
_CHUNK = 256  # steps at a time


@dataclass(frozen=True, eq=False)
class Readings:
    """A modality's readings in all parts of the split, without the training mean.

    Attributes:
        values: part → (N, P), normalised.
        directions: (K, P), orthonormal; None where the values are few.
    """

    values: Mapping[str, Tensor]
    directions: Tensor | None

    def features(self, part: str) -> Tensor:
        """(N, K), or the values themselves."""
        values = self.values[part]
        return values if self.directions is None else values @ self.directions.T

    def complete(self, features: Tensor) -> Tensor:
        """The values (N, P) that features stand for."""
        return features if self.directions is None else features @ self.directions

    def skill(self, predicted: Tensor, part: str) -> float:
        """1 − RMSE / RMSE of the training mean, of values (N, P)."""
        truth = self.values[part]
        errors = (predicted - truth).square().sum(dtype=torch.float64)
        return float(1 - (errors / truth.square().sum(dtype=torch.float64)).sqrt())


def trivial_skills(
    model: MultimodalVAE,
    cache: LogCache,
    split: Mapping[str, np.ndarray],
    subsets: Sequence[Subset],
) -> dict[Subset, dict[str, dict[str, float]]]:
    """Subset → modality → predictor → its skill on the test split.

    Args:
        model: whose modalities, training means and latent size they share.
        cache: the data.
        split: ``training``, ``validation`` and ``test`` → rows, of which those are used in which
            every modality is present.
        subsets: to predict from.
    """
    readings = _read(model, cache, split)
    table = {}
    for subset in subsets:
        given = [readings[name] for name in subset]
        linear, nearest = ridge(given, readings), nearest_steps(given)
        entry: dict[str, dict[str, float]] = {}
        for name, own in readings.items():
            guesses = {"ridge": linear[name], "neighbours": _mean_of(own, nearest)}
            if name in subset:
                guesses["pca"] = own.complete(own.features("test"))
            entry[name] = {key: own.skill(guess, "test") for key, guess in guesses.items()}
        table[subset] = entry
    return table


def _read(
    model: MultimodalVAE, cache: LogCache, split: Mapping[str, np.ndarray]
) -> dict[str, Readings]:
    complete = cache.complete(model.names)
    parts = {part: np.intersect1d(rows, complete) for part, rows in split.items()}
    readings = {}
    for name, modality in model.modalities.items():
        mean = model.training_mean(name)
        values = {
            part: torch.cat(
                [
                    without_holes(to_tensor(modality, chunk.prepared[name]) - mean).flatten(1)
                    for chunk in (
                        cache.read(rows[k : k + _CHUNK], [name])
                        for k in range(0, len(rows), _CHUNK)
                    )
                ]
            )
            for part, rows in parts.items()
        }
        directions = None
        if mean.numel() > model.latent_size:
            count = min(model.latent_size, len(parts["training"]) - 1)
            found = principal_components(cache, parts["training"], modality, mean, count)
            directions = found[0].flatten(1)
        readings[name] = Readings(values, directions)
    return readings


def ridge(given: Sequence[Readings], targets: Mapping[str, Readings]) -> dict[str, Tensor]:
    """Target → values predicted for the test split."""
    inputs = {
        part: torch.cat([r.features(part) for r in given], 1).double()
        for part in ("training", "validation", "test")
    }
    x = inputs["training"]
    centre = x.mean(0)
    gram = (x - centre).T @ (x - centre)
    identity = torch.eye(len(gram), dtype=gram.dtype)
    predicted = {}
    for name, own in targets.items():
        y = own.features("training").double()
        offset = y.mean(0)
        product = (x - centre).T @ (y - offset)
        best = -torch.inf
        for penalty in PENALTIES:
            weights = torch.linalg.solve(gram + penalty * identity, product)
            validation, test = (
                own.complete(((inputs[part] - centre) @ weights + offset).float())
                for part in ("validation", "test")
            )
            if (skill := own.skill(validation, "validation")) > best:
                best, predicted[name] = skill, test
    return predicted


def nearest_steps(given: Sequence[Readings]) -> Tensor:
    """(N, NEIGHBOURS) training steps for each step of the test split."""
    scales = [r.features("training").square().sum(1).mean().sqrt() for r in given]
    train, test = (
        torch.cat([r.features(part) / s for r, s in zip(given, scales, strict=True)], 1)
        for part in ("training", "test")
    )
    count = min(NEIGHBOURS, len(train))
    return torch.cat(
        [torch.cdist(part, train).topk(count, largest=False).indices for part in test.split(_CHUNK)]
    )


def _mean_of(own: Readings, nearest: Tensor) -> Tensor:
    values = own.values["training"]
    return torch.cat([values[part].mean(1) for part in nearest.split(_CHUNK)])
