# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Dynamic binarisation (Burda et al. 2015, section 5): grey values are probabilities of white.

Training sees a new draw in each epoch, so that it cannot learn one draw by heart. Validation and
test keep one draw, which is the same in every run: likelihoods compare only on the same pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


class Bernoulli:
    """Draws of black and white images x ~ Bernoulli(grey value / 255).

    Only pixels between black and white are a matter of chance (in MNIST fewer than one in five), so
    only these are drawn.

    Args:
        images: uint8, any shape, first axis samples.
    """

    def __init__(self, images: np.ndarray) -> None:
        self._images = images
        self._grey = (images > 0) & (images < 255)
        self._value = images[self._grey]

    def draw(self, seed: Sequence[int], out: np.ndarray | None = None) -> np.ndarray:
        """0 or 255 for each pixel, uint8 in the shape of the images, from the seed alone.

        A sample's pixels depend on the seed and on the images up to this one, but not on those
        behind it.

        Args:
            seed: non-negative numbers.
            out: a copy of the images or an earlier result, which is overwritten.
        """
        if out is None:
            out = self._images.copy()
        # 255 equally likely values, of which `value` lie below `value`: exactly value / 255.
        uniform = np.random.default_rng(seed).integers(0, 255, self._value.size, dtype=np.uint8)
        white = uniform < self._value
        out[self._grey] = np.multiply(white, 255, dtype=np.uint8)
        return out


class DynamicBinarisation:
    """A column of :class:`smvae_core.data.samples.Samples`: black and white images, of which the
    first ones change from epoch to epoch.

    Args:
        training: uint8 (N, h, w, 1), drawn anew in each epoch.
        fixed: uint8 (N', h, w, 1) of black and white only, the rows behind.
        seed: of the run.
    """

    def __init__(self, training: np.ndarray, fixed: np.ndarray, seed: int) -> None:
        self._training = Bernoulli(training)
        self._binary = np.concatenate([training, fixed])
        self._count = len(training)
        self._tensor = torch.from_numpy(self._binary)
        self._seed = seed
        self._epoch = -1
        self.shape = self._binary.shape
        self.dtype = self._tensor.dtype

    def read(self, rows: Tensor, epoch: int) -> Tensor:
        """Black and white images (B, h, w, 1) of these rows in this epoch."""
        # Validation between two steps of training must not cost two draws of everything.
        if epoch != self._epoch and bool((rows < self._count).any()):
            self._training.draw((self._seed, epoch), out=self._binary[: self._count])
            self._epoch = epoch
        return self._tensor.index_select(0, rows)
