# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A model's description → all its graphs.

Inputs and outputs, for M modalities, embeddings of length d and latent variables of length D:

- ``embed_<modality>``: ``reading``, a prepared array → ``embedding`` (1, d)
- ``fuse``: ``embeddings`` (1, M, d), ``present`` (1, M) bool → ``mean`` and ``log_variance``
  (1, D); of a mixture also ``means`` (C, D) and ``weights`` (C,) of its components. What stands in
  rows that are not present plays no part.
- ``decode_<modality>``: ``z`` (1, D); of a mixture (K, D) and ``weights`` (K,), which are those of
  its components or of some of them → ``prediction``, an array of the modality's ``raw_shape`` in
  raw units, and ``sum`` of it before that: no number where any of it is none
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from smvae_core.graphs.fusion import FUSIONS, Fusion, Posterior, positive
from smvae_core.graphs.graph import NO_GRAPH, Graph, Value
from smvae_core.graphs.networks import decoder, embedding
from smvae_core.graphs.units import average, expectation, network_input, raw_units
from smvae_core.modalities import Modality
from smvae_core.models.network_checks import MIXTURES, check_values


def build_graphs(
    kind: str,
    modalities: Mapping[str, Modality],
    architecture: Mapping[str, Any],
    weights: Mapping[str, np.ndarray],
    offsets: Mapping[str, int] | None = None,
) -> dict[str, Graph]:
    """All graphs of a model by name, such as ``embed_rgb``, ``fuse`` and ``decode_rgb``.

    No memory is taken for anything but what is in ``weights``.

    Args:
        kind: the model's name.
        modalities: in the model's order.
        architecture: the other arguments of its constructor.
        weights: its tensors, float32 or float16; only shapes and types matter.
        offsets: where in the weights' file each begins, see :class:`Graph`.

    Raises:
        ValueError: for a model that is unknown or cannot be built, and for weights of another.
    """
    if kind not in FUSIONS:
        raise ValueError(NO_GRAPH.format(f"model {kind!r}", "smvae_core.graphs.fusion"))
    size, latent_size = (positive(architecture, key) for key in ("embedding_size", "latent_size"))
    given = _given(kind, modalities, architecture)
    check_values(kind, tuple(modalities.values()), latent_size)
    _check_statistics(modalities, weights)
    graphs = {}
    for name, modality in modalities.items():
        graph = graphs[f"embed_{name}"] = Graph(f"embed_{name}", weights, offsets)
        _embed(graph, modality, size)
    graph = graphs["fuse"] = Graph("fuse", weights, offsets)
    inputs = _fusion_inputs(graph, len(modalities), size)
    fusion = Fusion(*inputs, tuple(modalities), size, latent_size, given, architecture)
    _fuse(graph, FUSIONS[kind](fusion), latent_size)
    for name, modality in modalities.items():
        graph = graphs[f"decode_{name}"] = Graph(f"decode_{name}", weights, offsets)
        _decode(graph, modality, latent_size, kind in MIXTURES, name not in given)
    known = {weight for graph in graphs.values() for weight in graph.weight_names}
    unknown = sorted(set(weights) - known - set(_statistics(modalities)))
    if unknown:
        raise ValueError(f"tensor {unknown[0]} is unknown")
    return graphs


def _statistics(modalities: Mapping[str, Modality]) -> dict[str, tuple[int, ...]]:
    """Shapes of tensors that all models have and not all graphs take."""
    return {
        key: shape
        for name, modality in modalities.items()
        for key, shape in (
            (f"training_mean_{name}", modality.shape),
            (f"log_scales.{name}", (modality.shape[0], *(1 for _ in modality.shape[1:]))),
        )
    }


def _check_statistics(
    modalities: Mapping[str, Modality], weights: Mapping[str, np.ndarray]
) -> None:
    """Raises ValueError where one is missing or has another shape."""
    graph = Graph("statistics", weights)
    for key, shape in _statistics(modalities).items():
        graph.weight(key, shape)


def _given(
    kind: str, modalities: Mapping[str, Modality], architecture: Mapping[str, Any]
) -> tuple[str, ...]:
    """Modalities that the model is conditioned on, in its order."""
    if kind != "cvae":
        return ()
    given: Any = architecture.get("given")
    is_list = isinstance(given, list) and all(isinstance(name, str) for name in given)
    if not is_list or not set() < set(given) < set(modalities):
        raise ValueError(f"given must name some, but not all, of the modalities, not {given!r}")
    return tuple(name for name in modalities if name in given)


def _embed(graph: Graph, modality: Modality, size: int) -> None:
    reading = graph.input("reading", modality.raw_dtype, modality.raw_shape)
    embedded = embedding(network_input(reading, modality), modality, size)
    graph.output("embedding", embedded, "float32", (1, size))


def _fusion_inputs(graph: Graph, count: int, size: int) -> tuple[Value, Value]:
    """Embeddings (M, d), and which are present (M, 1)."""
    embeddings = graph.input("embeddings", "float32", (1, count, size)).reshape(count, size)
    present = graph.input("present", "bool", (1, count)).reshape(count, 1)
    # Whatever stands in other rows: zero times infinity would not be zero.
    return present.where(embeddings, 0.0), present


def _fuse(graph: Graph, posterior: Posterior, latent_size: int) -> None:
    graph.output("mean", posterior.mean, "float32", (1, latent_size))
    graph.output("log_variance", posterior.log_variance, "float32", (1, latent_size))
    if posterior.components is not None:
        means, weights, count = posterior.components
        graph.output("means", means, "float32", (count, latent_size))
        graph.output("weights", weights.reshape(count), "float32", (count,))


def _decode(
    graph: Graph, modality: Modality, latent_size: int, mixture: bool, modelled: bool
) -> None:
    z = graph.input("z", "float32", ("K" if mixture else 1, latent_size))
    if modelled:
        x = decoder(z, modality, latent_size)
    else:
        x = graph.apply("Expand", 0.0, np.array((1, *modality.shape)))
    x = expectation(x, modality)
    if mixture:
        x = average(x, graph.input("weights", "float32", ("K",)), modality)
    dtype = "uint8" if modality.kind == "image" else "float32"
    graph.output("prediction", raw_units(x, modality), dtype, modality.raw_shape)
    graph.output("sum", graph.apply("ReduceSum", x, keepdims=0), "float32", ())
