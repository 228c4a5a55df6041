# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Prepared array → network units → raw units, as nodes; as :mod:`smvae_core.preprocessing`."""

from __future__ import annotations

import math

import numpy as np

from smvae_core.graphs.graph import NO_GRAPH, Value
from smvae_core.modalities import Modality

_LARGEST = float(np.finfo(np.float32).max)


def network_input(reading: Value, modality: Modality) -> Value:
    """A prepared array → (1, *shape), normalised; what was not measured becomes the mean."""
    if modality.kind == "image":
        reading = reading.transpose(2, 0, 1)
    elif modality.kind == "series":
        reading = reading.transpose(1, 0)
    x = reading if modality.raw_dtype == "float32" else reading.cast("float32")
    x = x.reshape(1, *modality.shape)
    mean, std = _statistics(modality)
    if modality.mean != (0.0,):
        x = x - mean
    if modality.std != (1.0,) or modality.kind == "image":
        x = x / std
    if modality.has_holes:  # NaN is not at most the largest number
        measured = x.graph.apply("LessOrEqual", x.graph.apply("Abs", x), _LARGEST)
        x = measured.where(x, 0.0)
    return x


def expectation(output: Value, modality: Modality) -> Value:
    """E[x_i|z] in network units, (K, *shape), of what a decoder puts out."""
    if modality.likelihood == "bernoulli":
        return output.sigmoid()
    if modality.likelihood == "categorical":
        return output.softmax(-1)
    if modality.is_continuous:
        return output + output.graph.weight(f"training_mean_{modality.name}", modality.shape)
    raise ValueError(NO_GRAPH.format(f"likelihood {modality.likelihood!r}", __name__))


def average(x: Value, weights: Value, modality: Modality) -> Value:
    """The sum of rows (K, *shape) with these weights (K,), (1, *shape)."""
    rows = x.reshape(-1, math.prod(modality.shape))
    return (weights.reshape(1, -1) @ rows).reshape(1, *modality.shape)


def raw_units(x: Value, modality: Modality) -> Value:
    """Network units (1, *shape) → an array as :func:`network_input` gets it, but distances are
    float32."""
    mean, std = _statistics(modality)
    x = (x * std + mean).reshape(*modality.shape)
    if modality.kind == "image":
        counts = x.graph.apply("Clip", x.graph.apply("Round", x), 0.0, 255.0)
        return counts.cast("uint8").transpose(1, 2, 0)
    if modality.has_holes:
        return x.reshape(*modality.raw_shape)
    return x.transpose(1, 0) if modality.kind == "series" else x


def _statistics(modality: Modality) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation in the units of prepared arrays, to be broadcast against (1,
    *shape)."""
    scale = 255.0 if modality.kind == "image" else 1.0
    shape = (-1, *(1 for _ in modality.shape[1:]))
    mean, std = (np.reshape(values, shape) * scale for values in (modality.mean, modality.std))
    return mean, std
