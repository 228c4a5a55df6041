# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The sensors' health in each snapshot of a bag, by the node's own monitor."""

from __future__ import annotations

import math
from typing import Any

from smvae_core.health.hysteresis import Level, Thresholds
from smvae_core.health.monitor import HealthMonitor, HealthSettings
from smvae_core.inference.inference import Inference
from smvae_ros.sensors.observations import Observations


class HealthRecords:
    """Rows of numbers, one for each snapshot. Every sensor is checked in each of them, however
    long it takes, so that a second run gives the same.

    Args:
        inference: with a calibration.
        thresholds: of the node's parameters.

    Attributes:
        thresholds: as given.
        scores: modality → the latest score, NaN where there is none yet or it is not live.
        levels: modality → its level after each snapshot.
    """

    def __init__(self, inference: Inference, thresholds: Thresholds) -> None:
        self.thresholds = thresholds
        self.scores: dict[str, list[float]] = {name: [] for name in inference.modalities}
        self.levels: dict[str, list[Level]] = {name: [] for name in inference.modalities}
        self._inference = inference
        self._monitor = HealthMonitor(HealthSettings(1.0, thresholds))

    def add(self, observations: Observations) -> None:
        """Checks the sensors of a snapshot."""
        arrays, snapshot = observations.arrays, observations.snapshot
        encoding = self._inference.encode(arrays)
        now = snapshot.taken_ns / 1e9
        self._monitor.check(self._inference, encoding, arrays, snapshot.receipts, now)
        for name, scores in self.scores.items():
            judgement = self._monitor.judgements.get(name)
            if name not in arrays:
                judgement = None
            scores.append(judgement.score if judgement else math.nan)
            self.levels[name].append(judgement.level if judgement else Level.OK)

    def summary(self) -> dict[str, dict[str, Any]]:
        """Modality → ``highest_score`` (None without any), and how many snapshots found it
        ``warn`` or ``error``."""
        return {
            name: {
                "highest_score": max((s for s in scores if not math.isnan(s)), default=None),
                "warn": self.levels[name].count(Level.WARN),
                "error": self.levels[name].count(Level.ERROR),
            }
            for name, scores in self.scores.items()
        }
