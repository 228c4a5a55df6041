# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Networks that can be built for a modality, and how large they and what they give may be; without
PyTorch."""

from __future__ import annotations

import math
from collections.abc import Sequence

from smvae_core.modalities import Modality, Network

NETWORKS = ("mlp", "residual_mlp", "principal", "convolution", "temporal_convolution")
MAXIMUM_LAYERS = 64
MAXIMUM_VALUES = 2**26  # of all layers for one sample, 256 MiB: a few weights can ask for terabytes
LOG_VARIANCE_RANGE = (-14.0, 6.0)  # of posteriors; keeps exp() finite in half precision too
MIXTURES = ("mmvae", "mopoe")  # models whose posterior has several components
_RANKS = {"convolution": 3, "temporal_convolution": 2}


def check_network(network: Network, modality: Modality) -> None:
    """Raises ValueError for an unknown name, for a network that does not fit the modality's shape,
    and for one that would take an absurd amount of memory when it runs."""
    name, widths = network.name, network.widths
    if name not in NETWORKS:
        raise ValueError(
            f"modality {modality.name!r}: unknown network {name!r}; known are {', '.join(NETWORKS)}"
        )
    if (name in _RANKS or name == "principal") and not widths:
        raise ValueError(f"modality {modality.name!r}: network {name!r} needs at least one width")
    _check_layers(network, modality)
    if name == "principal" and widths[0] > math.prod(modality.shape):
        raise ValueError(
            f"modality {modality.name!r}: {widths[0]} principal components of "
            f"{math.prod(modality.shape)} values; the first width is their number, at most that"
        )
    if name == "principal" and not modality.is_continuous:
        raise ValueError(
            f"modality {modality.name!r}: network 'principal' is for likelihoods gaussian and "
            "laplace"
        )
    if len(modality.shape) != _RANKS.get(name, len(modality.shape)):
        raise ValueError(
            f"modality {modality.name!r}: network {name!r} needs a shape of "
            f"{_RANKS[name]} numbers, not {modality.shape}"
        )


def components(kind: str, count: int) -> int:
    """Components of the posterior of a model with so many modalities."""
    if kind not in MIXTURES:
        return 1
    return count if kind == "mmvae" else 2**count - 1


def check_values(kind: str, modalities: Sequence[Modality], latent_size: int) -> None:
    """Raises ValueError for a model that would take an absurd amount of memory when it runs: what
    its layers put out for one sample, decoders for each component of the posterior."""
    times = components(kind, len(modalities))
    values = times * latent_size
    for modality in modalities:
        embedding, decoder = (
            math.prod(modality.shape) + sum(_layer_values(network, modality))
            for network in (modality.embedding, modality.decoder)
        )
        values += embedding + times * decoder
    if values > MAXIMUM_VALUES:
        raise ValueError(
            f"the layers of this {kind} would put out {values} values for each sample, more than "
            f"{MAXIMUM_VALUES}; choose smaller shapes, narrower layers or a smaller latent_size"
        )


def _check_layers(network: Network, modality: Modality) -> None:
    if len(network.widths) > MAXIMUM_LAYERS:
        raise ValueError(
            f"modality {modality.name!r}: {len(network.widths)} layers, more than {MAXIMUM_LAYERS}"
        )
    for depth, values in enumerate(_layer_values(network, modality), 1):
        if values > MAXIMUM_VALUES:
            raise ValueError(
                f"modality {modality.name!r}: layer {depth} of {network.name!r} would put out "
                f"{values} values for each sample, more than {MAXIMUM_VALUES}; choose a smaller "
                "shape or narrower layers"
            )


def _layer_values(network: Network, modality: Modality) -> list[int]:
    """What each layer puts out for one sample."""
    if network.name not in tuple(_RANKS):  # a file may have anything there, lists too
        return list(network.widths)
    places, axes = math.prod(modality.shape[1:]), len(modality.shape) - 1
    return [width * places // 2 ** (n * axes) for n, width in enumerate(network.widths, 1)]


def coarsest(modality: Modality, halvings: int) -> tuple[int, ...]:
    """Spatial size after that many halvings.

    Raises:
        ValueError: where it does not come out even.
    """
    factor = 2**halvings
    if any(length % factor for length in modality.shape[1:]):
        raise ValueError(
            f"modality {modality.name!r}: {halvings} convolutions halve the size {halvings} times, "
            f"but {modality.shape[1:]} is not divisible by {factor}; choose fewer widths or "
            "another size"
        )
    return tuple(length // factor for length in modality.shape[1:])
