"""The data that training reads, as Lightning takes it: a split, and batches of its parts."""

from __future__ import annotations

import dataclasses
import sys
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import lightning as L
import numpy as np
import torch
from torch import Tensor

from smvae_core.data.batches import LogBatches
from smvae_core.data.images.celeba import ATTRIBUTES, LAYOUTS, CelebA, celeba_samples
from smvae_core.data.images.celeba_views import celeba_views
from smvae_core.data.images.labelled_images import load_labelled_images
from smvae_core.data.logs.dataset import (
    LogCache,
    Statistics,
    open_cache,
    split_by_trajectory,
    statistics,
)
from smvae_core.data.samples import SampleBatches, Samples
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
    _loader: type[LogBatches] = LogBatches

    def __init__(self) -> None:
        super().__init__()
        self._modalities: Sequence[Modality] = ()

    @abstractmethod
    def open(self, modalities: Sequence[Modality]) -> list[Modality]:
        """Opens the data for these modalities; returns them completed with statistics."""

    @abstractmethod
    def training_mean(self, modality: Modality) -> Tensor:
        """Mean of the training split in normalised units, of the modality's shape."""

    def batches(self, part: str, shuffle: bool = False) -> LogBatches:
        """Batches of ``training``, ``validation`` or ``test``."""
        trainer = self.trainer
        return self._loader(
            self.cache,
            [modality.name for modality in self._modalities],
            self.split[part],
            self.hparams.batch_size,
            self.hparams.order_seed,
            shuffle,
            rank=trainer.global_rank if trainer else 0,
            world_size=trainer.world_size if trainer else 1,
        )

    def train_dataloader(self) -> LogBatches:
        return self.batches("training", shuffle=True)

    def val_dataloader(self) -> LogBatches:
        return self.batches("validation")

    def test_dataloader(self) -> LogBatches:
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
    """A data set in memory or memory-mapped. Modalities stay as they are: pixels in 0..1, labels
    one-hot."""

    _loader = SampleBatches

    @abstractmethod
    def load(self) -> Samples:
        """The data set."""

    def open(self, modalities: Sequence[Modality]) -> list[Modality]:
        """Loads the data set.

        Raises:
            DataSetError: where its files cannot be used.
            ValueError: where the data set does not have the modalities.
        """
        self.cache = self.load()
        self.split = self.cache.split
        self.cache.check(modalities)
        self._modalities = list(modalities)
        return list(modalities)

    def training_mean(self, modality: Modality) -> Tensor:
        """Mean of the training split, of the modality's shape."""
        mean = self.cache.mean(modality.name, self.split["training"])
        return to_tensor(modality, mean[None])[0]


class ImageData(SampleData):
    """MNIST or FashionMNIST in memory: modalities ``image`` (1, 28, 28) and ``label`` (10,).

    Args:
        folder: of the four IDX files; what is missing is downloaded into it.
        name: ``mnist`` or ``fashion_mnist``.
        pixels: ``dynamic`` or ``grey``, see
            :func:`smvae_core.data.images.labelled_images.load_labelled_images`.
        batch_size: samples in a batch, over all devices.
        validation: images at the end of the training file that are for validation.
        draw_seed: of the pixels drawn in training.
        order_seed: order of the samples in training.
    """

    def __init__(
        self,
        folder: str = "data/mnist",
        name: str = "mnist",
        pixels: Literal["dynamic", "grey"] = "dynamic",
        batch_size: int = 256,
        validation: int = 5000,
        draw_seed: int = 0,
        order_seed: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()

    def load(self) -> Samples:
        options = self.hparams
        return load_labelled_images(
            options.name, options.folder, options.pixels, options.validation, options.draw_seed
        )


class FaceData(SampleData):
    """CelebA, or faces that are laid out like it: modalities ``image`` (3, size, size) and
    ``attributes`` (n,), or six views of each image.

    Args:
        folder: of the data set.
        layout: name of its layout in :data:`smvae_core.data.images.celeba.LAYOUTS`.
        attributes: names of the n attributes; ``None`` for the views.
        size: of the images, in pixels.
        cache: folder for what is computed once from the images; ``None`` keeps it in memory.
        batch_size: samples in a batch, over all devices.
        order_seed: order of the samples in training.
    """

    def __init__(
        self,
        folder: str = "data/celeba",
        layout: str = "celeba",
        attributes: Sequence[str] | None = ATTRIBUTES,
        size: int = 64,
        cache: str | None = None,
        batch_size: int = 256,
        order_seed: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()

    def load(self) -> Samples:
        options = self.hparams
        celeba = CelebA(options.folder, LAYOUTS[options.layout])
        cache = None if options.cache is None else Path(options.cache)
        bars = sys.stderr.isatty()
        if options.attributes is None:
            return celeba_views(celeba, options.size, cache, progress=bars)
        images = cache and cache / "images"  # the same as of the views
        return celeba_samples(celeba, options.attributes, options.size, images, bars)


def _normalised(modality: Modality, measured: Statistics) -> Modality:
    if not modality.is_continuous:
        return modality
    unit = 255.0 if modality.kind == "image" else 1.0
    return dataclasses.replace(
        modality,
        mean=tuple(float(value) for value in measured.mean / unit),
        std=tuple(float(value) for value in measured.std / unit),
    )
