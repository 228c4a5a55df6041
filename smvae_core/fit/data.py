"""The data that training reads, as Lightning takes it: a split, and batches of its parts."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping, Sequence

import lightning as L
import numpy as np
import torch
from torch import Tensor

from smvae_core.data.batches import Batches
from smvae_core.data.logs.dataset import LogCache, open_cache, split_by_trajectory
from smvae_core.data.logs.statistics import Statistics, statistics
from smvae_core.data.samples import Samples
from smvae_core.modalities import Modality
from smvae_core.preprocessing import to_tensor


class SplitData(L.LightningDataModule):
    """What :class:`smvae_core.fit.module.SetFitting` asks of its data: opened for a model's
    modalities, and batches of each part of a split.

    Attributes:
        cache: the open data set; its length is the number of all samples.
        split: ``training``, ``validation`` and ``test`` → rows.
    """

    cache: LogCache | Samples
    split: Mapping[str, np.ndarray]

    def __init__(self) -> None:
        super().__init__()
        self._modalities: Sequence[Modality] = ()

    @abstractmethod
    def open(self, modalities: Sequence[Modality]) -> list[Modality]:
        """Opens the data for these modalities; returns them completed with statistics."""

    @abstractmethod
    def training_mean(self, modality: Modality) -> Tensor:
        """Mean of the training split in normalised units, of the modality's shape."""

    def batches(self, part: str, shuffle: bool = False) -> Batches:
        """Batches of ``training``, ``validation`` or ``test``."""
        trainer = self.trainer
        return Batches(
            self.cache,
            [modality.name for modality in self._modalities],
            self.split[part],
            self.hparams.batch_size,
            self.hparams.order_seed,
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

    def open(self, modalities: Sequence[Modality]) -> list[Modality]:
        """Opens the cache for these modalities and completes them with the statistics of the
        training split; images keep their range of 0..1 under a Bernoulli likelihood.

        Raises:
            CacheError: where the cache does not hold them.
            ValueError: where there are too few trajectories.
        """
        options = self.hparams
        self.cache = open_cache(options.cache, modalities)
        names = [modality.name for modality in modalities]
        self.split = split_by_trajectory(
            self.cache,
            options.validation_fraction,
            options.test_fraction,
            options.split_seed,
            names,
        )
        self.statistics = statistics(self.cache, self.split["training"], names)
        self._modalities = [
            _normalised(modality, self.statistics[modality.name]) for modality in modalities
        ]
        return list(self._modalities)

    def training_mean(self, modality: Modality) -> Tensor:
        """Mean of the training split in normalised units, of the modality's shape."""
        mean = torch.from_numpy(self.statistics[modality.name].mean_array)
        return to_tensor(modality, mean[None])[0]


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
        self.cache, self.split = samples, samples.split

    def open(self, modalities: Sequence[Modality]) -> list[Modality]:
        """The modalities.

        Raises:
            ValueError: where the data set does not have them.
        """
        self.cache.check(modalities)
        self._modalities = list(modalities)
        return list(modalities)

    def training_mean(self, modality: Modality) -> Tensor:
        """Mean of the training split, of the modality's shape."""
        mean = self.cache.mean(modality.name, self.split["training"])
        return to_tensor(modality, mean[None])[0]


def _normalised(modality: Modality, measured: Statistics) -> Modality:
    if not modality.is_continuous:
        return modality
    unit = 255.0 if modality.kind == "image" else 1.0
    return dataclasses.replace(
        modality,
        mean=tuple(float(value) for value in measured.mean / unit),
        std=tuple(float(value) for value in measured.std / unit),
    )
