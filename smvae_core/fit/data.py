# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The data that training reads, as Lightning takes it: a split, and batches of its parts."""

from __future__ import annotations

import dataclasses
import functools
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor

from smvae_core.data.batches import Batches, Store
from smvae_core.data.logs.dataset import LogCache, open_cache, split_by_trajectory
from smvae_core.data.logs.statistics import Statistics, statistics
from smvae_core.data.samples import Samples
from smvae_core.fit.principal_components import components_needed, principal_components
from smvae_core.modalities import Modality
from smvae_core.tensors import to_tensor


@dataclass(frozen=True, eq=False)
class DataDescription:
    """All that a model knows of the data that it is fitted to.

    Attributes:
        modalities: completed with the statistics of the training split.
        means: modality → mean of the training split in normalised units, of the modality's shape.
        components: modality → principal components of the training split and the standard
            deviations along them, for those whose networks need them
            (:func:`smvae_core.fit.principal_components.principal_components`).
        samples: number of all samples, whose rows identify them.
        batches: number in an epoch of training.
    """

    modalities: Sequence[Modality]
    means: Mapping[str, Tensor]
    components: Mapping[str, tuple[Tensor, Tensor]]
    samples: int
    batches: int


class SplitData(L.LightningDataModule):
    """A data set that is split, and batches of its parts. It is opened before anything is fitted.

    Attributes:
        split: ``training``, ``validation`` and ``test`` → rows.
    """

    split: Mapping[str, np.ndarray]

    @property
    @abstractmethod
    def store(self) -> Store:
        """The data set."""

    @property
    def options(self) -> Any:
        """The arguments, as attributes."""
        return self.hparams

    @abstractmethod
    def open(self, modalities: Sequence[Modality]) -> DataDescription:
        """Opens the data for a model's modalities."""

    def _describe(
        self, modalities: Sequence[Modality], means: Mapping[str, Tensor]
    ) -> DataDescription:
        """The description, given means (1, *raw_shape) of the training split in raw units."""
        self._names = [modality.name for modality in modalities]
        tensors = {m.name: to_tensor(m, means[m.name])[0] for m in modalities}
        rows, needed = self.split["training"], {m.name: components_needed(m) for m in modalities}
        components = {
            m.name: principal_components(self.store, rows, m, tensors[m.name], needed[m.name])
            for m in modalities
            if needed[m.name]
        }
        batches = len(self.batches("training", shuffle=True))
        return DataDescription(modalities, tensors, components, len(self.store), batches)

    def batches(self, part: str, shuffle: bool = False) -> Batches:
        """Batches of ``training``, ``validation`` or ``test``."""
        trainer = self.trainer
        return Batches(
            self.store,
            self._names,
            self.split[part],
            self.options.batch_size,
            self.options.order_seed,
            shuffle,
            rank=trainer.global_rank if trainer else 0,
            world_size=trainer.world_size if trainer else 1,
        )

    def train_dataloader(self) -> Batches:
        return self.batches("training", shuffle=True)

    def val_dataloader(self) -> Batches:
        return self.batches("validation")

    def test_dataloader(self) -> Batches:
        return self.batches("test")


class LogData(SplitData):
    """Converted Vision&Touch logs, split by trajectory.

    Args:
        cache: folder that `python -m training.convert` made.
        batch_size: samples in a batch, over all devices.
        validation_fraction: share of the trajectories for early stopping and model selection.
        test_fraction: share of the trajectories that training never sees.
        split_seed: which trajectories go where.
        order_seed: order of the samples in training.
    """

    def __init__(
        self,
        cache: str,
        batch_size: int = 64,
        validation_fraction: float = 0.1,
        test_fraction: float = 0.1,
        split_seed: int = 0,
        order_seed: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()

    @functools.cached_property
    def store(self) -> LogCache:
        """The cache, opened when it is first needed.

        Raises:
            CacheError: where there is none that can be used.
        """
        return open_cache(self.options.cache)

    def open(self, modalities: Sequence[Modality]) -> DataDescription:
        """Splits the cache and completes the modalities with the statistics of the training split;
        images keep their range of 0..1 under a Bernoulli likelihood.

        Raises:
            CacheError: where the cache does not hold them.
            ValueError: where there are too few trajectories.
        """
        options = self.options
        self.store.check(modalities)
        names = [modality.name for modality in modalities]
        self.split = split_by_trajectory(
            self.store,
            options.validation_fraction,
            options.test_fraction,
            options.split_seed,
            names,
        )
        measured = statistics(self.store, self.split["training"], names)
        return self._describe(
            [_normalised(modality, measured[modality.name]) for modality in modalities],
            {name: torch.from_numpy(found.mean_array)[None] for name, found in measured.items()},
        )


class SampleData(SplitData):
    """A data set that is open already. Modalities stay as they are: pixels in 0..1, labels one-hot.

    Args:
        samples: the data set.
        batch_size: samples in a batch, over all devices.
        order_seed: order of the samples in training.
    """

    def __init__(self, samples: Samples, batch_size: int = 256, order_seed: int = 0) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["samples"])
        self._samples, self.split = samples, samples.split

    @property
    def store(self) -> Samples:
        return self._samples

    def open(self, modalities: Sequence[Modality]) -> DataDescription:
        """The modalities and their means.

        Raises:
            ValueError: where the data set does not have them.
        """
        self.store.check(modalities)
        rows = self.split["training"]
        return self._describe(
            list(modalities), {m.name: self.store.mean(m.name, rows)[None] for m in modalities}
        )


def _normalised(modality: Modality, measured: Statistics) -> Modality:
    if not modality.is_continuous:
        return modality
    unit = 255.0 if modality.kind == "image" else 1.0
    return dataclasses.replace(
        modality,
        mean=tuple(float(value) for value in measured.mean / unit),
        std=tuple(float(value) for value in measured.std / unit),
    )
