# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Statistics of a cache's modalities: for normalisation, and the baselines that predict them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from smvae_core.data.logs.dataset import LogCache

log = logging.getLogger(__name__)

_ENOUGH = 100  # readings, of which none should make nearly all of the spread
_NEARLY_ALL = 0.9
_CHUNK = 32  # steps read at a time; small, so that their float64 stays in the CPU's cache


@dataclass(frozen=True, eq=False)
class Statistics:
    """Statistics of a modality in raw units (8-bit counts, m, N, ...), float64.

    Attributes:
        mean: for each channel of an image and of a series (channels,), for each element of a vector
            (n,), one for depth and a scan (1,).
        std: likewise; 1 where all values are equal.
        minimum: likewise.
        maximum: likewise.
        mean_array: mean of each element, in the shape of a prepared array: the "training mean" that
            a prediction has to beat. Elements that were never measured hold the mean of the others.
        count: steps that the statistics were made from.
    """

    mean: np.ndarray
    std: np.ndarray
    minimum: np.ndarray
    maximum: np.ndarray
    mean_array: np.ndarray
    count: int


def statistics(
    cache: LogCache, indices: np.ndarray, names: Iterable[str] | None = None
) -> dict[str, Statistics]:
    """Statistics over the rows `indices` (normally the training split) where present.

    Reads once through the cache in chunks, in float64. Logs a warning where one reading of a series
    or vector makes nearly all of its channel's variance, so that the others come out as nothing.

    Args:
        names: modalities, all by default. Only what was measured counts.

    Raises:
        ValueError: when a modality has no reading at all in these rows.
    """
    indices = np.unique(np.asarray(indices, dtype=np.int64))
    results = {}
    for name in cache.names if names is None else names:
        rows = indices[cache.present[indices, cache.names.index(name)]]
        kind = cache.manifest["modalities"][cache.names.index(name)]["kind"]
        result = _array_statistics(cache.arrays[name], rows, kind)
        if result is None:
            raise ValueError(
                f"{cache.path}: no usable reading of {name!r} in these {len(indices)} steps; "
                "leave it out of the model or convert logs that have it"
            )
        if kind in ("series", "vector"):
            _warn_of_extremes(name, result, len(rows) * cache.arrays[name][0].size)
        results[name] = result
    return results


def _warn_of_extremes(name: str, result: Statistics, values: int) -> None:
    """values: of all channels together."""
    readings = values / len(result.std)
    low, high = result.mean - result.minimum, result.maximum - result.mean
    share = np.square(np.maximum(low, high) / result.std) / readings
    share[result.minimum == result.maximum] = 0.0
    for channel in np.flatnonzero(share > _NEARLY_ALL) if readings >= _ENOUGH else ():
        extreme = result.maximum if high[channel] > low[channel] else result.minimum
        log.warning(
            "%s, channel %d: a single reading of %g among %d makes the standard deviation %g; if "
            "no sensor can give it, correct its log and convert again",
            *(name, channel, extreme[channel], readings, result.std[channel]),
        )


def _array_statistics(array: np.ndarray, rows: np.ndarray, kind: str) -> Statistics | None:
    shape = array.shape[1:]
    count, mean, squares = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    minimum, maximum = np.full(shape, np.inf), np.full(shape, -np.inf)
    for start in range(0, len(rows), _CHUNK):
        chunk = array[rows[start : start + _CHUNK]].astype(np.float64)
        valid = np.isfinite(chunk)  # all, except where nothing was measured
        # fmin and fmax leave NaN out.
        np.fmin(minimum, np.fmin.reduce(chunk), out=minimum)
        np.fmax(maximum, np.fmax.reduce(chunk), out=maximum)
        added = valid.sum(axis=0).astype(np.float64)
        chunk_mean = chunk.sum(axis=0, where=valid) / np.maximum(added, 1)
        chunk -= chunk_mean
        # Merge by Chan, Golub & LeVeque 1983: accurate also where the mean dwarfs the deviation.
        total = np.maximum(count + added, 1)
        difference = chunk_mean - mean
        squares += np.square(chunk, out=chunk).sum(axis=0, where=valid)
        squares += difference**2 * count * added / total
        mean += difference * added / total
        count += added
    if not count.any():
        return None
    # Elements that share a channel are pooled; a vector's elements are channels of their own.
    axes = {"image": (0, 1), "depth": (0, 1), "scan": (0,), "series": (0,)}.get(kind, ())
    pooled = count.sum(axis=axes)
    channel_mean = (mean * count).sum(axis=axes) / pooled
    channel_squares = (squares + count * (mean - channel_mean) ** 2).sum(axis=axes)
    low, high = minimum.min(axis=axes), maximum.max(axis=axes)
    std = np.sqrt(channel_squares / pooled)
    std = np.where((low == high) | (std == 0), 1.0, std)
    mean_array = np.where(count > 0, mean, channel_mean)
    mean, std, low, high = map(np.atleast_1d, (channel_mean, std, low, high))
    return Statistics(mean, std, low, high, mean_array, len(rows))
