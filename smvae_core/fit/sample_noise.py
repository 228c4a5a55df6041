# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The random numbers of an epoch, one row for each sample, from seed and epoch alone.

A sample's subset and noise do not depend on its place in a batch, on the number of processes, or on
whether the run was interrupted in between. So a resumed run repeats an uninterrupted one exactly,
and two processes take the step that one would have taken.
"""

from __future__ import annotations

import torch
from torch import Tensor

from smvae_core.data.batches import send

CPU = torch.device("cpu")


class SampleNoise:
    """Uniform numbers and Gaussian noise for every sample of an epoch.

    Args:
        samples: number of rows, of which a batch names some by index.
        uniforms: uniform numbers a sample needs.
        latent_size: D, length of a noise vector.
        seed: of the run.
        noises: N, noise vectors a sample needs.
    """

    def __init__(
        self, samples: int, uniforms: int, latent_size: int, seed: int, noises: int = 2
    ) -> None:
        self._shape = (samples, uniforms, noises, latent_size)
        self._seed = seed
        self._epoch = -1
        self._uniform = self._noise = torch.empty(0)

    def __call__(
        self, epoch: int, index: Tensor, device: torch.device = CPU
    ) -> tuple[Tensor, Tensor]:
        """Uniforms (B, uniforms) in [0, 1) and standard normal noise (N, B, D) of these samples.

        Args:
            epoch: of training.
            index: (B,) rows, on the host.
            device: of what is returned.
        """
        if epoch != self._epoch:
            samples, uniforms, *vectors = self._shape
            generator = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
            self._uniform = torch.rand(samples, uniforms, generator=generator)
            self._noise = torch.randn(samples, *vectors, generator=generator)
            self._epoch = epoch
        noise = send(self._noise[index], device).transpose(0, 1)
        return send(self._uniform[index], device), noise
