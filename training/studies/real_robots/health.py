# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""False alarms of sensor health on episodes in which every sensor works."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from tqdm import tqdm

from smvae_core.data.logs.dataset import LogCache
from smvae_core.health.hysteresis import Level
from smvae_core.health.monitor import HealthMonitor, HealthSettings
from smvae_core.inference.inference import Inference
from training.studies.sensor_faults.runs import Judged, alarms


def false_alarms(inference: Inference, cache: LogCache, rows: np.ndarray) -> dict[str, Any]:
    """What the node's monitor says of these rows, episode by episode, with a check of every sensor
    in every step: ``minutes``, and how often each sensor rose to ``warn`` and to ``error``.

    Args:
        inference: with a calibration.
        cache: of recordings without faults.
        rows: ascending.
    """
    names = tuple(inference.modalities)
    found: dict[str, dict[str, int]] = {"warn": {}, "error": {}}
    trajectory = cache.arrays["trajectory"][rows]
    for number in tqdm(np.unique(trajectory), "health", unit="episode", disable=None):
        judged = _judge(inference, cache, rows[trajectory == number])
        for key, level in (("warn", Level.WARN), ("error", Level.ERROR)):
            _add(found[key], alarms(judged, level))
    minutes = len(rows) / cache.rate / 60
    return {
        "minutes": round(minutes, 2),
        "episodes": len(np.unique(trajectory)),
        **{key: {name: counts.get(name, 0) for name in names} for key, counts in found.items()},
    }


def _judge(inference: Inference, cache: LogCache, rows: np.ndarray) -> Judged:
    monitor = HealthMonitor(HealthSettings(share=1.0), clock=time.thread_time)
    judged = []
    for step, row in enumerate(rows):
        batch = cache.read(np.array([row]), inference.modalities)
        arrays = {
            name: x[0].numpy()
            for (name, x), there in zip(batch.prepared.items(), batch.present[0], strict=True)
            if there
        }
        encoding = inference.encode(arrays)
        monitor.check(inference, encoding, arrays, dict.fromkeys(arrays, step), step / cache.rate)
        judged.append(monitor.judgements)
    return judged


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, count in more.items():
        total[name] = total.get(name, 0) + count
