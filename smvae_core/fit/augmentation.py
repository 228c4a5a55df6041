# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Random changes of observations in training, for recordings of few scenes.

Colours as of another light, another camera, other paint; images moved by some pixels, as of a
camera that is mounted a little differently; vectors with noise. A model that has seen few scenes
knows them by their colours, and few episodes by the joints that were still in each, and what it
makes of others suffers from it, and what it makes of a set that holds them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from smvae_core.fit.sample_noise import SampleNoise
from smvae_core.modalities import Modality

COLOUR_NUMBERS = 13  # uniform numbers that an image needs for its colours
MOVE_NUMBERS = 2  # and to be moved


def jitter_colours(images: Tensor, uniform: Tensor, strength: float = 1.0) -> Tensor:
    """Each image with all its colours changed by one random affine map, (1 + a) c + M c + b.

    At strength 1 the contrast changes by up to 30 %, each channel takes up to 25 % of each, and
    gains or loses up to 0.15 standard deviations.

    Args:
        images: (B, 3, H, W), normalised.
        uniform: (B, COLOUR_NUMBERS) numbers in [0, 1); all 0.5 changes nothing.
        strength: factor of all changes; 0 for none.

    Returns:
        (B, 3, H, W).
    """
    contrast, mixing, offset = (strength * (2 * uniform - 1)).split((1, 9, 3), 1)
    maps = (1 + 0.3 * contrast[..., None]) * torch.eye(3, device=images.device)
    maps = maps + 0.25 * mixing.view(-1, 3, 3)
    changed = torch.einsum("bij,bjhw->bihw", maps, images)
    return changed + 0.15 * offset[..., None, None]


def move_images(images: Tensor, uniform: Tensor, pixels: int) -> Tensor:
    """Each image moved along both axes by whole pixels; what comes in repeats the edge.

    Args:
        images: (B, channels, H, W).
        uniform: (B, MOVE_NUMBERS) numbers in [0, 1); all 0.5 moves nothing.
        pixels: the largest move.

    Returns:
        (B, channels, H, W).
    """
    height, width = images.shape[2:]
    down, right = (uniform * (2 * pixels + 1)).long().unbind(1)
    rows = down[:, None] - pixels + torch.arange(height, device=images.device)
    columns = right[:, None] - pixels + torch.arange(width, device=images.device)
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    moved = images.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def shake_vectors(vectors: Tensor, uniform: Tensor, strength: float) -> Tensor:
    """Each vector with uniform noise of standard deviation ``strength``.

    Args:
        vectors: (B, n), normalised.
        uniform: (B, n) numbers in [0, 1).
        strength: in normalised units.

    Returns:
        (B, n).
    """
    return vectors + strength * math.sqrt(12) * (uniform - 0.5)


@dataclass(frozen=True, eq=False)
class _Change:
    """One kind of change.

    Attributes:
        function: observations (B, *shape), uniform numbers (B, n), strength → (B, *shape).
        strength: 0 for none.
        sizes: modality that is changed → n.
        seed: of its random numbers.
    """

    function: Callable[..., Tensor]
    strength: float
    sizes: Mapping[str, int]
    seed: int


class RandomChanges:
    """What training changes in observations. A sample's changes depend on seed, epoch and sample
    alone (:mod:`smvae_core.fit.sample_noise`).

    Args:
        modalities: of the model.
        colour_jitter: strength of :func:`jitter_colours`; 0 for none.
        image_shift: largest move of an image in pixels, of :func:`move_images`.
        vector_noise: strength of :func:`shake_vectors`.
        seed: of the run.

    Raises:
        ValueError: for a change of modalities that are not there, or below 0.
    """

    def __init__(
        self,
        modalities: Sequence[Modality],
        colour_jitter: float,
        image_shift: int,
        vector_noise: float,
        seed: int,
    ) -> None:
        images = [m for m in modalities if m.kind == "image" and m.is_continuous]
        vectors = [m for m in modalities if m.kind == "vector" and m.is_continuous]
        coloured = {m.name: COLOUR_NUMBERS for m in images if m.shape[0] == 3}
        moved = {m.name: MOVE_NUMBERS for m in images}
        shaken = {m.name: m.shape[0] for m in vectors}
        # Of other seeds: changes shall tell nothing of subsets, nor of each other.
        changes = {
            "colour_jitter": _Change(jitter_colours, colour_jitter, coloured, seed + 500_000),
            "image_shift": _Change(move_images, image_shift, moved, seed + 600_000),
            "vector_noise": _Change(shake_vectors, vector_noise, shaken, seed + 700_000),
        }
        needs = ("an image of three channels", "an image", "a vector")
        for (option, change), needed in zip(changes.items(), needs, strict=True):
            if change.strength < 0:
                raise ValueError(f"{option} must be at least 0, not {change.strength}")
            if change.strength and not change.sizes:
                raise ValueError(f"{option} needs {needed} with a continuous likelihood")
        self._changes = [change for change in changes.values() if change.strength]

    def prepare(self, samples: int) -> None:
        """To be called once before use, with the number of all samples."""
        self._noise = [
            SampleNoise(samples, sum(change.sizes.values()), 0, change.seed)
            for change in self._changes
        ]

    def __call__(
        self, observations: Mapping[str, Tensor], epoch: int, index: Tensor
    ) -> dict[str, Tensor]:
        """The same, changed.

        Args:
            observations: modality → (B, *shape), normalised.
            epoch: of training.
            index: (B,) rows of the data set, on the host.
        """
        changed = dict(observations)
        device = next(iter(observations.values())).device
        for change, noise in zip(self._changes, self._noise, strict=True):
            uniform, _ = noise(epoch, index, device)
            parts = uniform.split(list(change.sizes.values()), 1)
            for name, part in zip(change.sizes, parts, strict=True):
                if name in changed:
                    changed[name] = change.function(changed[name], part, change.strength)
        return changed
