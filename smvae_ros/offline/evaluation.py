# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Recorded bags held against the model: errors of every subset, predictions, sensor health."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from smvae_core.checkpoint import build_model
from smvae_core.inference.inference import Inference
from smvae_core.metrics.subset_choice import choose_subsets, left_out
from smvae_core.metrics.subset_errors import SubsetErrors
from smvae_ros.offline.bag_posteriors import BagPosteriors, encode_bag, recorded_modalities
from smvae_ros.offline.health_records import HealthRecords
from smvae_ros.offline.prediction_records import VISUAL, PredictionRecords
from smvae_ros.parameters.configuration import health_settings
from smvae_ros.sensors.observations import Observations

log = logging.getLogger(__name__)

Summary = Mapping[str, Mapping[str, float]]
# Is given a bag, its sensors' health up to a snapshot (None without calibration), and the snapshot.
Watch = Callable[[str, HealthRecords | None, Observations], object]


@dataclass(frozen=True)
class BagEvaluation:
    """The outcome for one bag.

    Attributes:
        posteriors: of its snapshots.
        predictions: of each of them; None where they were not wanted.
        health: of its sensors; None without calibration.
        notes: sentences about it, such as why a sensor is in no snapshot.
    """

    posteriors: BagPosteriors
    predictions: PredictionRecords | None
    health: HealthRecords | None
    notes: Sequence[str]

    def summary(self) -> dict[str, Any]:
        """Counts for a file."""
        health = {} if self.health is None else {"sensor_health": self.health.summary()}
        return health | self.posteriors.summary()


@dataclass(frozen=True)
class Evaluation:
    """The outcome for all bags.

    Attributes:
        inference: the model.
        bags: by their paths as they were given.
        snapshots: number of them, of all bags together.
        summary: subset → measures of all bags together, see
            :meth:`smvae_core.metrics.subset_errors.SubsetErrors.summary`.
    """

    inference: Inference
    bags: Mapping[str, BagEvaluation]
    snapshots: int
    summary: Summary

    def report(self) -> dict[str, Any]:
        """Everything that can be written as JSON."""
        return {
            "model_hash": self.inference.model_hash,
            "frames": self.snapshots,
            "bags": {bag: entry.summary() for bag, entry in self.bags.items()},
            "subsets": self.summary,
        }


def evaluate(
    paths: Sequence[Path],
    inference: Inference,
    values: Mapping[str, Any],
    subsets: Sequence[str] | None = None,
    *,
    predictions: bool = False,
    watch: Watch | None = None,
) -> Evaluation:
    """Runs bags through sensor set and model; the truth is what they hold.

    Args:
        paths: of the bags.
        inference: the model; where it is calibrated, its sensors' health is judged, too.
        values: of the node's parameters, see
            :func:`smvae_ros.parameters.configuration.read_values`.
        subsets: of modalities, see :func:`smvae_core.metrics.subset_choice.choose_subsets`; all
            that the bags allow by default, or where these are too many, the most telling ones.
        predictions: whether to keep :attr:`BagEvaluation.predictions`.
        watch: is called for each snapshot.

    Raises:
        BagError: where a bag cannot be read, or holds none of the configured topics.
        ValueError: for subsets or settings that are none.
    """
    names = recorded_modalities(paths, inference, values)
    chosen = choose_subsets(subsets, names)
    if note := left_out(subsets, names):
        log.warning(note)
        blind = tuple(n for n in names if inference.modalities[n].kind not in VISUAL)
        chosen += [blind] * bool(blind and blind not in chosen)
    errors = SubsetErrors(build_model(inference.stored), chosen)
    thresholds = health_settings(values).thresholds
    bags = {}
    for path in paths:
        kept = PredictionRecords(inference) if predictions else None
        health = None if inference.calibration is None else HealthRecords(inference, thresholds)
        watchers: list[Callable[[Observations], object]] = [
            records.add for records in (kept, health) if records is not None
        ]
        if watch is not None:
            watchers.append(partial(watch, str(path), health))
        posteriors = encode_bag(path, inference, values, errors, *watchers)
        bags[str(path)] = BagEvaluation(posteriors, kept, health, tuple(posteriors.notes()))
    return Evaluation(inference, bags, errors.samples, errors.summary())
