# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Networks that can be built for a modality, and how large they may be; without PyTorch."""

from __future__ import annotations

import math

from smvae_core.modalities import Modality, Network

NETWORKS = ("mlp", "residual_mlp", "principal", "convolution", "temporal_convolution")
MAXIMUM_LAYERS = 64
MAXIMUM_VALUES = 2**26  # of one layer's output, 256 MiB: a few weights can ask for terabytes
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


def _check_layers(network: Network, modality: Modality) -> None:
    if len(network.widths) > MAXIMUM_LAYERS:
        raise ValueError(
            f"modality {modality.name!r}: {len(network.widths)} layers, more than {MAXIMUM_LAYERS}"
        )
    places = math.prod(modality.shape[1:]) if network.name in _RANKS else 1
    for depth, width in enumerate(network.widths, 1):
        values = width * places // 2 ** (depth * (len(modality.shape) - 1)) if places > 1 else width
        if values > MAXIMUM_VALUES:
            raise ValueError(
                f"modality {modality.name!r}: layer {depth} of {network.name!r} would put out "
                f"{values} values for each sample, more than {MAXIMUM_VALUES}; choose a smaller "
                "shape or narrower layers"
            )


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
