# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Statistics of a feature as LeRobot keeps them, for normalising; never NaN."""

from __future__ import annotations

from typing import Any

import numpy as np

_QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}


def statistics_of(values: np.ndarray, present: np.ndarray, limit: int) -> dict[str, list[Any]]:
    """``min``, ``max``, ``mean``, ``std``, ``count`` and quantiles of a feature's readings.

    Args:
        values: (t, ...), t > 0. Pictures uint8 (t, H, W, channels) count in 0..1 and have
            statistics (channels, 1, 1); depth float16 (t, H, W) has them likewise, of the pixels
            that were measured; others have them for each value of the last axis.
        present: bool (t,), the rows that count; where none does, all do.
        limit: numbers that are looked at, about; of more, evenly spaced rows.
    """
    rows = np.flatnonzero(present) if present.any() else np.arange(len(present))
    count = len(rows)
    kept = max(1, min(count, limit // max(1, values[0].size)))
    rows = rows[np.linspace(0, count - 1, kept).astype(int)]
    chosen = np.asarray(values[rows], np.float64)
    is_picture = values.dtype in (np.uint8, np.float16)
    if values.dtype == np.float16:
        chosen = chosen[np.isfinite(chosen)]
        chosen = (chosen if len(chosen) else np.zeros(1))[:, None]
    elif values.dtype == np.uint8:
        chosen /= 255
    chosen = np.nan_to_num(chosen, nan=0.0)  # as it is written
    chosen = chosen.reshape(-1, chosen.shape[-1] if chosen.ndim > 1 else 1)
    quantiles = np.quantile(chosen, list(_QUANTILES.values()), axis=0)
    found = {
        "min": chosen.min(0),
        "max": chosen.max(0),
        "mean": chosen.mean(0),
        "std": chosen.std(0),
        **dict(zip(_QUANTILES, quantiles, strict=True)),
    }
    shape = (-1, 1, 1) if is_picture else (-1,)
    statistics = {name: value.reshape(shape).tolist() for name, value in found.items()}
    return {**statistics, "count": [count]}
