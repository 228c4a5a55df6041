"""Training with Lightning: the module, the data and a Ctrl-C that loses nothing."""

from __future__ import annotations

import dataclasses
import math
import signal
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import lightning as L
import numpy as np
import torch
from torch import Tensor

from smvae_core.data.batches import Batch, LogBatches
from smvae_core.data.labelled_images import load_labelled_images
from smvae_core.data.log_dataset import (
    LogCache,
    Statistics,
    open_cache,
    split_by_trajectory,
    statistics,
)
from smvae_core.data.samples import SampleBatches, Samples
from smvae_core.draws import EpochDraws
from smvae_core.methods import find_method
from smvae_core.modalities import Modality, ModalityOptions
from smvae_core.multimodal_vae import MultimodalVAE
from smvae_core.objectives import Bound, annealed_beta, regression, regulariser
from smvae_core.preprocessing import to_tensor


class SplitData(L.LightningDataModule):
    """What :class:`SetFitting` asks of its data: opened for a model's modalities, and batches of
    each part of a split.

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


class ImageData(SplitData):
    """MNIST or FashionMNIST in memory: modalities ``image`` (1, 28, 28) and ``label`` (10,).

    Args:
        folder: of the four IDX files; what is missing is downloaded into it.
        name: ``mnist`` or ``fashion_mnist``.
        pixels: ``dynamic`` or ``grey``, see
            :func:`smvae_core.data.labelled_images.load_labelled_images`.
        batch_size: samples in a batch, over all devices.
        validation: images at the end of the training file that are for validation.
        draw_seed: of the pixels drawn in training.
        order_seed: order of the samples in training.
    """

    _loader = SampleBatches

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

    def open(self, modalities: Sequence[Modality]) -> list[Modality]:
        """Loads the data set; the modalities stay as they are: pixels in 0..1, labels one-hot.

        Raises:
            DataSetError: where files are missing and cannot be downloaded, or are others.
            ValueError: where the data set does not have the modalities.
        """
        options = self.hparams
        self.cache = load_labelled_images(
            options.name, options.folder, options.pixels, options.validation, options.draw_seed
        )
        self.split = self.cache.split
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


class SetFitting(L.LightningModule):
    """Fits an SMVAE or one of its baselines.

    Args:
        modalities: name → what is configured of it, see :class:`smvae_core.modalities.Modality`;
            mean and std come from the training split.
        latent_size: D, length of z.
        embedding_size: d, length of every embedding.
        heads: attention heads of the set encoder of `smvae`.
        set_encoder: name of the set encoder of `smvae`.
        name: which model: smvae, jmvae, telbo, mvae, mmvae, mopoe or cvae.
        objective: of `smvae`: `masked` (Hirt et al. 2023), `subset` (the paper's Eq. 3-4), or
            `regression`: a network dedicated to predicting the modalities that are not in `given`.
            Of `mmvae`: `elbo` or `dreg`. By default the first; the others have just one.
        given: for `regression` and `cvae`: the modalities that are always given; all others are
            targets.
        learning_rate: highest rate of Adam; it falls to zero along a cosine over the run.
        beta: final weight of the KL terms.
        warm_up_steps: steps in which beta rises from 0.
        l2_weight: weight of the optional L2 regulariser of section 3.2.
        seed: of initialisation, subsets and noise.
    """

    def __init__(
        self,
        modalities: dict[str, ModalityOptions],
        latent_size: int = 64,
        embedding_size: int = 128,
        heads: int = 4,
        set_encoder: str = "attention",
        name: str = "smvae",
        objective: str | None = None,
        given: list[str] | None = None,
        learning_rate: float = 1e-3,
        beta: float = 1.0,
        warm_up_steps: int = 1000,
        l2_weight: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["modalities"])  # a state file holds plain values only
        self.configured = [Modality(name, **vars(options)) for name, options in modalities.items()]
        self._method = find_method(name)
        self._regression = name == "smvae" and objective == "regression"
        self._objective = self._method.objective(None if self._regression else objective)
        chosen = set(given or ())
        if (self._regression or name == "cvae") and not (chosen and chosen < set(modalities)):
            what = "objective regression" if self._regression else f"model {name}"
            raise ValueError(
                f"{what} needs `given`: some, but not all, of the modalities "
                f"{', '.join(modalities)}"
            )
        self.model: MultimodalVAE | None = None

    def configure_model(self) -> None:
        """Builds the model once the data's statistics are known."""
        if self.model is not None:
            return
        options, data = self.hparams, self.trainer.datamodule
        modalities = data.open(self.configured)
        with torch.random.fork_rng():
            torch.manual_seed(options.seed)
            architecture = {key: options[key] for key in self._method.options}
            self.model = self._method.model(modalities, **architecture)
        for modality in modalities:
            self.model.set_training_mean(modality.name, data.training_mean(modality))
        self.model.to(memory_format=torch.channels_last)
        count = len(modalities)
        shape = (len(data.cache), count + 1, options.latent_size, options.seed)
        self._draws = EpochDraws(*shape, self._objective.noises(count))
        self._validation_draws = EpochDraws(*shape, self._method.validation.noises(count))

    def configure_optimizers(self) -> dict[str, Any]:
        optimizer = torch.optim.Adam(self.parameters(), lr=self.hparams.learning_rate)
        trainer = self.trainer
        # Not trainer.estimated_stepping_batches: it sets the data up before a resumed run has
        # restored its position, which is then lost.
        batches = len(trainer.datamodule.train_dataloader())
        steps = math.ceil(batches / trainer.accumulate_grad_batches) * (trainer.max_epochs or 1)
        if trainer.max_steps > 0:
            steps = trainer.max_steps
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(steps, 1))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def _observations(self, batch: Batch) -> dict[str, Tensor]:
        modalities = self.model.modalities
        return {name: to_tensor(modalities[name], x) for name, x in batch.prepared.items()}

    def _bound(self, batch: Batch, epoch: int, beta: float) -> Bound:
        options, present = self.hparams, batch.present
        observations = self._observations(batch)
        if self._regression:
            given = torch.tensor([name in options.given for name in self.model.names])
            given = given.to(present.device)
            usable = present[:, given].any(1, keepdim=True)
            return regression(self.model, observations, given & present, ~given & present & usable)
        uniform, noise = self._draws(epoch, batch.index)
        return self._objective.bound(self.model, observations, present, uniform, noise, beta)

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        beta = annealed_beta(self.global_step, self.hparams.warm_up_steps, self.hparams.beta)
        bound = self._bound(batch, self.current_epoch, beta)
        loss = -bound.value
        if self.hparams.l2_weight:
            loss = loss + self.hparams.l2_weight * regulariser(bound.posterior)
        every = self.trainer.log_every_n_steps
        if every and (self.global_step + 1) % every == 0:
            # Only where loggers write: it costs milliseconds, of small models a tenth of a step.
            size = len(batch.index)
            self.log("training/objective", bound.value.mean(), prog_bar=True, batch_size=size)
            self.log("training/kl", bound.kl.mean(), prog_bar=True, batch_size=size)
            self.log("training/beta", beta, batch_size=size)
        return loss.mean()

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        size = len(batch.index)
        if self._regression:
            bound = self._bound(batch, 0, 1.0)
        else:
            # The ELBO of everything observed: comparable between objectives and epochs.
            uniform, noise = self._validation_draws(0, batch.index)
            bound = self._method.validation.bound(
                self.model, self._observations(batch), batch.present, uniform, noise
            )
        self.log(
            "validation/elbo", bound.value.mean(), prog_bar=True, batch_size=size, sync_dist=True
        )
        self.log("validation/kl", bound.kl.mean(), batch_size=size, sync_dist=True)
        for name, term in bound.log_likelihoods.items():
            self.log(f"validation/log_p_{name}", term.mean(), batch_size=size, sync_dist=True)


class StopAtBatchEnd(L.Callback):
    """Ctrl-C finishes the step that runs, saves a checkpoint and then stops.

    An optimiser that is interrupted half-way leaves parameters that belong to no step; between two
    steps nothing is lost.

    Args:
        path: file to save to.
        advice: how to go on, printed after saving.
    """

    def __init__(self, path: Path, advice: str = "continue with --resume") -> None:
        self.path = path
        self._advice = advice
        self._interrupted = False
        self._previous: Any = None

    def on_fit_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        def interrupt(number: int, frame: FrameType | None) -> None:
            if self._interrupted:
                raise KeyboardInterrupt
            self._interrupted = True
            print("\nInterrupted: saving after this step; again to stop at once", flush=True)

        self._previous = signal.signal(signal.SIGINT, interrupt)

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, number: int
    ) -> None:
        whole_step = (number + 1) % trainer.accumulate_grad_batches == 0
        # The validation of an epoch belongs to its last step; a stop between them would skip it.
        epoch_ends = number + 1 == trainer.num_training_batches
        if self._interrupted and whole_step and not epoch_ends:
            trainer.save_checkpoint(self.path, weights_only=False)
            print(f"Saved {self.path}; {self._advice}", flush=True)
            raise KeyboardInterrupt

    def teardown(self, trainer: L.Trainer, module: L.LightningModule, stage: str) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None
