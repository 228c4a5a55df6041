# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Principal components of a modality in the training split, for the networks that begin with them.

By randomised subspace iteration (Halko, Martinsson & Tropp 2011, Algorithm 4.4), which takes some
products with the matrix of all samples and no decomposition of anything large.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from smvae_core.data.batches import Store
from smvae_core.modalities import Modality
from smvae_core.models.multimodal_vae import without_holes
from smvae_core.models.networks import components_of
from smvae_core.tensors import to_tensor

log = logging.getLogger(__name__)

MAXIMUM_SAMPLES = 6000  # of 64x64 colours, 300 MB; more change components hardly
_ITERATIONS = 3
_SPARE = 16  # directions beyond those asked for, which make those better


def components_needed(modality: Modality) -> int:
    """Number of components that the networks of a modality have to be given; 0 for most."""
    return max(components_of(network) for network in (modality.embedding, modality.decoder))


def shares_of(latent_size: int, counts: Mapping[str, int]) -> dict[str, slice]:
    """The elements of z that each modality's components begin in, one modality behind the other:
    equal numbers, but for those that have fewer components, which leave the rest to the others.

    Args:
        latent_size: D.
        counts: modality → number of components.
    """
    sizes: dict[str, int] = {}
    for name in sorted(counts, key=counts.__getitem__):
        left = latent_size - sum(sizes.values())
        sizes[name] = min(counts[name], left // (len(counts) - len(sizes)))
    ends = itertools.accumulate(sizes[name] for name in counts)
    return {name: slice(end - sizes[name], end) for name, end in zip(counts, ends, strict=True)}


@torch.no_grad()
def principal_components(
    store: Store, rows: np.ndarray, modality: Modality, mean: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """Of at most MAXIMUM_SAMPLES samples evenly spread over the rows; always the same for the same
    data.

    Args:
        store: the data set.
        rows: of the training split.
        modality: with the statistics of the training split.
        mean: (*shape), the training mean, in normalised units.
        count: K, number of components.

    Returns:
        Directions (K, *shape), orthonormal and in the order of falling variance, and the standard
        deviations along them (K,).

    Raises:
        ValueError: where fewer samples are there than components.
    """
    batch = store.read(rows[:: -(-len(rows) // MAXIMUM_SAMPLES)], [modality.name])
    observed = to_tensor(modality, batch.prepared[modality.name])[batch.present[:, 0]]
    if len(observed) <= count:
        raise ValueError(
            f"modality {modality.name!r}: {count} principal components need more samples than the "
            f"{len(observed)} there are; choose fewer (the network's first width)"
        )
    values = without_holes(observed - mean).flatten(1)
    generator = torch.Generator().manual_seed(0)
    size = min(count + _SPARE, *values.shape)
    basis = torch.randn(values.shape[1], size, generator=generator)
    for _ in range(_ITERATIONS):
        basis = torch.linalg.qr(values.T @ (values @ basis)).Q
    projected = values @ basis
    variances, rotation = torch.linalg.eigh(projected.T @ projected / len(values))
    directions = (basis @ rotation.flip(1)).T[:count]
    # What never varied is not to be divided by.
    scales = variances.flip(0)[:count].clamp(min=1e-6).sqrt()
    share = variances[-count:].sum() / values.square().sum(1).mean().clamp(min=1e-12)
    log.info("%s: %d principal components hold %.1f %%", modality.name, count, 100 * share)
    return directions.unflatten(1, modality.shape), scales
