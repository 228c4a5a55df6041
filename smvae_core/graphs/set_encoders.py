# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The set encoders of SMVAE (:mod:`smvae_core.models.set_encoder`) for one sample, as nodes.

Embeddings (M, d) are zero where ``present`` (M, 1) is False. What follows from weights alone, such
as the vectors that scores are made with, a runtime computes once, when it opens the graph.
"""

from __future__ import annotations

import math

import numpy as np

from smvae_core.graphs.experts import posterior_head, to_gaussian
from smvae_core.graphs.graph import NO_GRAPH, Value
from smvae_core.graphs.networks import linear, silu

_KEY = "set_encoder"
_LOWEST = float(np.finfo(np.float32).min)
Parameters = tuple[Value, Value]  # mean and log-variance, (1, D) each


def set_encoder(
    name: object, embeddings: Value, present: Value, size: int, latent_size: int, heads: int
) -> Parameters:
    """Parameters of q(z|X_s).

    Args:
        name: of :data:`smvae_core.models.set_encoder.SET_ENCODERS`.
        embeddings: (M, d).
        present: (M, 1) bool.
        size: d.
        latent_size: D.
        heads: of attention.

    Raises:
        ValueError: for an unknown name, sizes that do not fit, or weights of another.
    """
    if name in ("sum_pooling", "mean_pooling"):
        hidden = embeddings.sum(0, keepdims=True)
        if name == "mean_pooling":
            hidden = hidden / present.cast("float32").sum(0, keepdims=True)
        return posterior_head(hidden, f"{_KEY}.posterior", size, latent_size)
    if name not in ("attention", "prior_attention", "correlated_attention"):
        raise ValueError(NO_GRAPH.format(f"set encoder {name!r}", __name__))
    if size % heads:
        raise ValueError(f"embedding_size {size} must be a multiple of heads {heads}")
    hidden = _attend(embeddings, present, size, heads)
    mean, log_variance = to_gaussian(
        linear(hidden, f"{_KEY}.head", size, 2 * latent_size), latent_size
    )
    if name == "attention":
        return mean, log_variance
    mean, log_variance = _times_prior(mean, log_variance)
    if name == "correlated_attention":
        log_variance = log_variance + _spread(hidden, size, latent_size)
    return mean, log_variance


def _attend(embeddings: Value, present: Value, size: int, heads: int) -> Value:
    """g_φ, (1, d)."""
    graph = embeddings.graph
    query = graph.weight(f"{_KEY}.query", (1, 1, size)).reshape(1, size)
    weight = graph.weight(f"{_KEY}.attention.in_proj_weight", (3 * size, size))
    bias = graph.weight(f"{_KEY}.attention.in_proj_bias", (3 * size,))
    w_query, w_key, w_value = (weight.part(i * size, (i + 1) * size) for i in range(3))
    b_query, b_value = bias.part(0, size), bias.part(2 * size, 3 * size)
    queries = graph.apply("Gemm", query, w_query, b_query, transB=1).reshape(heads, -1, 1)
    keys = (w_key.reshape(heads, -1, size) * queries).sum(1) / math.sqrt(size // heads)
    scores = graph.apply("Gemm", keys, embeddings, transB=1)  # (h, M)
    weights = present.transpose(1, 0).where(scores, _LOWEST).softmax(-1)
    values = graph.apply("Gemm", embeddings, w_value, b_value, transB=1)
    values = values.reshape(-1, heads, size // heads)
    pooled = (values * weights.transpose(1, 0).reshape(-1, heads, 1)).sum(0).reshape(1, size)
    hidden = linear(pooled, f"{_KEY}.attention.out_proj", size, size) + query
    return hidden + silu(linear(hidden, f"{_KEY}.feed_forward.0", size, size))


def _times_prior(mean: Value, log_variance: Value) -> Parameters:
    """:func:`smvae_core.models.posterior_head.times_prior`."""
    negative = log_variance * -1.0
    return mean * negative.sigmoid(), mean.graph.apply("Softplus", negative) * -1.0


def _spread(hidden: Value, size: int, latent_size: int) -> Value:
    """By how much correlations raise log-variances: log(1 + Σ_j T_ij²), (1, D).

    The strictly lower triangle of T stands row by row in what the layer puts out; as a matrix,
    each place looks up its own, or the zero behind them.
    """
    graph, count = hidden.graph, latent_size * (latent_size - 1) // 2
    if not count:
        return graph.constant(np.zeros((1, 1)))
    correlations = linear(hidden, f"{_KEY}.correlations", size, count) * 0.1
    squared = graph.apply("Pad", (correlations * correlations).reshape(-1), np.array([0, 1]))
    rows = graph.apply("Range", np.array(0), np.array(latent_size), np.array(1))
    columns, rows = rows.reshape(1, -1), rows.reshape(-1, 1)
    places = rows * (rows - np.array(1)) / np.array(2) + columns
    places = graph.apply("Less", columns, rows).where(places, np.array(count))
    sums = graph.apply("Gather", squared, places).sum(1)
    return (sums + 1.0).log().reshape(1, latent_size)
