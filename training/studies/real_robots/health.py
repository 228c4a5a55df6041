# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""False alarms of sensor health on episodes in which every sensor works."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from smvae_core.data.logs.dataset import LogCache
from smvae_core.health.hysteresis import Level
from smvae_core.inference.inference import Inference
from training.studies.sensor_faults.runs import alarms, judge


def false_alarms(inference: Inference, cache: LogCache, rows: np.ndarray) -> dict[str, Any]:
    """What the node's monitor says of these rows, episode by episode, with a check of every sensor
    in every step: ``minutes``, and how often each sensor rose to ``warn`` and to ``error``.

    Args:
        inference: with a calibration.
        cache: of recordings without faults.
        rows: ascending.
    """
    names = tuple(inference.modalities)
    found = {"warn": Counter[str](), "error": Counter[str]()}
    trajectory = cache.arrays["trajectory"][rows]
    for number in tqdm(np.unique(trajectory), "health", unit="episode", disable=None):
        moments = _moments(cache, rows[trajectory == number], names)
        judged = judge(inference, moments, 1.0, cache.rate)
        for key, level in (("warn", Level.WARN), ("error", Level.ERROR)):
            found[key].update(alarms(judged, level))
    minutes = len(rows) / cache.rate / 60
    return {
        "minutes": round(minutes, 2),
        "episodes": len(np.unique(trajectory)),
        **{key: {name: counts[name] for name in names} for key, counts in found.items()},
    }


def _moments(
    cache: LogCache, rows: np.ndarray, names: Sequence[str]
) -> Iterator[dict[str, np.ndarray]]:
    for row in rows:
        batch = cache.read(np.array([row]), names)
        pairs = zip(batch.prepared.items(), batch.present[0], strict=True)
        yield {name: x[0].numpy() for (name, x), there in pairs if there}
