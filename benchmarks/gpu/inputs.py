# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Random readings, untrained models and logs of random steps: speed does not depend on what they
show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from smvae_core.checkpoint import save_checkpoint
from smvae_core.data.logs.conversion import convert
from smvae_core.data.logs.recording import Block, Layout, Notes, Recording
from smvae_core.modalities import Modality, Network
from smvae_core.models.smvae import SMVAE

WIDTHS = (16, 32, 64, 128, 128, 128)  # of convolutions, each of which halves an image
_RATE, _STEPS = 20.0, 50  # Hz, and steps of a trajectory


def readings(modality: Modality, count: int, random: np.random.Generator) -> np.ndarray:
    """Prepared arrays (count, *raw_shape)."""
    shape = (count, *modality.raw_shape)
    if modality.kind == "image":
        return random.integers(0, 256, shape, np.uint8)
    if modality.kind == "depth":
        return random.uniform(0.3, 1.5, shape).astype(modality.raw_dtype)
    mean, std = np.array(modality.mean), np.array(modality.std)
    return (mean + std * random.standard_normal(shape)).astype(np.float32)


def frame(modalities: Mapping[str, Modality], seed: int = 0) -> dict[str, np.ndarray]:
    """One prepared array of each."""
    random = np.random.default_rng(seed)
    return {name: readings(modality, 1, random)[0] for name, modality in modalities.items()}


def rgbd_model(work: Path, size: int) -> Path:
    """Checkpoint directory of an untrained model of RGB and depth, both size × size, with the
    widths of config/training."""
    path = work / f"rgbd_{size}"
    if not path.exists():
        network = Network("convolution", WIDTHS[: max(2, size.bit_length() - 3)])
        options = {"embedding": network, "decoder": network}
        torch.manual_seed(0)
        model = SMVAE(
            [
                Modality("rgb", "image", (3, size, size), mean=(0.5,), std=(0.25,), **options),
                Modality("depth", "depth", (1, size, size), mean=(0.9,), std=(0.3,), **options),
            ],
            latent_size=128,
            embedding_size=256,
            heads=16,
        )
        save_checkpoint(path, model.eval(), {"command": "benchmarks.gpu"})
    return path


class RandomRecording(Recording):
    """Trajectories of random steps in which everything is present.

    Args:
        steps: of all trajectories together.
    """

    kind = "random steps"

    def __init__(self, folder: Path, steps: int) -> None:
        self.folder = folder
        self._steps = steps

    def files(self) -> list[list[Any]]:
        return []

    def layout(self, modalities: Sequence[Modality], progress: bool) -> Layout:
        parts = [{"name": f"{n}", "steps": _STEPS} for n in range(self._steps // _STEPS)]
        return Layout(parts, _RATE, {modality.name: len(parts) for modality in modalities})

    def read(
        self,
        part: Mapping[str, Any],
        modalities: Sequence[Modality],
        labels: Sequence[str],
        notes: Notes,
    ) -> Iterator[Block]:
        random = np.random.default_rng(int(part["name"]))
        yield Block(
            {modality.name: readings(modality, _STEPS, random) for modality in modalities},
            {modality.name: np.ones(_STEPS, bool) for modality in modalities},
            np.arange(_STEPS),
        )


def random_cache(work: Path, name: str, modalities: Sequence[Modality], steps: int) -> Path:
    """A cache of random steps, as training and encoding read it."""
    path = work / f"cache_{name}_{steps}"
    convert(RandomRecording(work, steps), path, modalities, progress=False)
    return path
