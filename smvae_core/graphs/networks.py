# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Embedding networks and decoders: the layers of :mod:`smvae_core.models.networks`, as nodes.

Keys are the names of layers in the model's weights.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from smvae_core.graphs.graph import NO_GRAPH, Value
from smvae_core.modalities import Modality
from smvae_core.models.network_checks import check_network, coarsest


def silu(x: Value) -> Value:
    """x · sigmoid(x)."""
    return x * x.sigmoid()


def linear(x: Value, key: str, inputs: int, outputs: int) -> Value:
    """(rows, inputs) → (rows, outputs)."""
    weight, bias = x.graph.weight(f"{key}.weight", (outputs, inputs)), f"{key}.bias"
    return x.graph.apply("Gemm", x, weight, x.graph.weight(bias, (outputs,)), transB=1)


def _mlp(x: Value, key: str, sizes: Sequence[int]) -> Value:
    for layer, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        x = linear(silu(x) if layer else x, f"{key}.{2 * layer}", inputs, outputs)
    return x


def _residual_mlp(x: Value, key: str, sizes: Sequence[int]) -> Value:
    return linear(x, f"{key}.linear", sizes[0], sizes[-1]) + _mlp(x, f"{key}.deep", sizes)


def embedding(x: Value, modality: Modality, size: int) -> Value:
    """E_i: (1, *shape) in network units → (1, size).

    Raises:
        ValueError: for a network that cannot be built, or weights of another.
    """
    check_network(modality.embedding, modality)
    name, widths = modality.embedding.name, modality.embedding.widths
    key, count = f"embeddings.{modality.name}", math.prod(modality.shape)
    if name in ("convolution", "temporal_convolution"):
        return _convolution_embedding(x, modality, key, size)
    x = x.reshape(1, count)
    if name == "mlp":
        return _mlp(x, f"{key}.1", (count, *widths, size))
    if name == "residual_mlp":
        return _residual_mlp(x, f"{key}.1", (count, *widths, size))
    if name == "principal":
        return _residual_mlp(linear(x, f"{key}.1", count, widths[0]), f"{key}.2", (*widths, size))
    raise ValueError(NO_GRAPH.format(f"network {name!r}", __name__))


def _convolution_embedding(x: Value, modality: Modality, key: str, size: int) -> Value:
    widths = modality.embedding.widths
    values = widths[-1] * math.prod(coarsest(modality, len(widths)))
    for layer, (inputs, outputs) in enumerate(itertools.pairwise((modality.shape[0], *widths))):
        x = silu(
            _convolution(x, "Conv", f"{key}.{2 * layer}", modality, (outputs, inputs), outputs)
        )
    return linear(x.reshape(1, values), f"{key}.{2 * len(widths) + 1}", values, size)


def decoder(z: Value, modality: Modality, latent_size: int) -> Value:
    """D_i: (K, latent size) → (K, *shape), of which the likelihood is made.

    Raises:
        ValueError: for a network that cannot be built, or weights of another.
    """
    check_network(modality.decoder, modality)
    name, widths = modality.decoder.name, modality.decoder.widths[::-1]
    key, count = f"decoders.{modality.name}", math.prod(modality.shape)
    if name in ("convolution", "temporal_convolution"):
        return _convolution_decoder(z, modality, key, latent_size)
    if name == "mlp":
        x = _mlp(z, f"{key}.0", (latent_size, *widths, count))
    elif name == "residual_mlp":
        x = _residual_mlp(z, f"{key}.0", (latent_size, *widths, count))
    elif name == "principal":
        coefficients = _residual_mlp(z, f"{key}.0", (latent_size, *widths))
        x = linear(coefficients, f"{key}.1", widths[-1], count)
    else:
        raise ValueError(NO_GRAPH.format(f"network {name!r}", __name__))
    return x.reshape(-1, *modality.shape)


def _convolution_decoder(z: Value, modality: Modality, key: str, latent_size: int) -> Value:
    widths = modality.decoder.widths[::-1]
    shape = (widths[0], *coarsest(modality, len(widths)))
    x = linear(z, f"{key}.0", latent_size, math.prod(shape)).reshape(-1, *shape)
    for layer, channels in enumerate(itertools.pairwise((*widths, modality.shape[0]))):
        layer_key = f"{key}.{2 * layer + 3}"
        x = _convolution(silu(x), "ConvTranspose", layer_key, modality, channels, channels[1])
    return x


def _convolution(
    x: Value, operator: str, key: str, modality: Modality, channels: tuple[int, int], outputs: int
) -> Value:
    """One that halves every dimension of space, or doubles it; ``channels`` in the order in which
    its weight has them."""
    kernel, strides, pads = ((size,) * (len(modality.shape) - 1) for size in (4, 2, 1))
    weight = x.graph.weight(f"{key}.weight", (*channels, *kernel))
    bias = x.graph.weight(f"{key}.bias", (outputs,))
    return x.graph.apply(
        operator, x, weight, bias, kernel_shape=kernel, strides=strides, pads=2 * pads
    )
