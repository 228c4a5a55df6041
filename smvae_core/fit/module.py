# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Training with Lightning: what a step and a validation do."""

from __future__ import annotations

import math
from typing import Any, Literal

import lightning as L
import torch
from torch import Tensor

from smvae_core.data.batches import Batch
from smvae_core.fit.augmentation import RandomChanges
from smvae_core.fit.data import DataDescription
from smvae_core.fit.muon import MuonAdam
from smvae_core.fit.principal_components import shares_of
from smvae_core.fit.sample_noise import SampleNoise
from smvae_core.modalities import Modality, ModalityOptions
from smvae_core.models.multimodal_vae import MultimodalVAE
from smvae_core.models.objectives import Bound, Inputs, annealed_beta, regression, regulariser
from smvae_core.models.posterior_head import start_posteriors
from smvae_core.models.registry import find_method
from smvae_core.tensors import to_tensor


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
        objective: of `smvae`: `masked` (Hirt et al. 2023), `subset` (the paper's Eq. 3-4), either
            with `-pair` for the mean over two subsets of each sample instead of one, `predictive`,
            for models that shall predict absent sensors (docs/explanation/mathematics.md), or
            `regression`: a network dedicated to predicting the modalities that are not in `given`.
            Of `mmvae`: `elbo` or `dreg`. By default the first; the others have just one.
        given: for `regression` and `cvae`: the modalities that are always given.
        targets: for `regression`: the modalities to predict, which may be among the given ones; by
            default all others.
        initial_log_variance: log σ² that posteriors begin with, about.
        optimizer: `adam`, or `muon` for Muon on matrices and Adam on the rest, see
            :mod:`smvae_core.fit.muon`.
        learning_rate: highest rate of the optimiser; it falls to zero along a cosine over the run.
        beta: final weight of the KL terms.
        warm_up_steps: steps in which beta rises from 0.
        l2_weight: weight of the optional L2 regulariser of section 3.2.
        colour_jitter: strength of random colours of images in training, see
            :mod:`smvae_core.fit.augmentation`; 0 for none.
        image_shift: images are moved at random by up to so many pixels in training.
        vector_noise: standard deviation, in normalised units, of noise that is added to vectors in
            training.
        seed: of initialisation, subsets, noise and all that is random in observations.
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
        targets: list[str] | None = None,
        initial_log_variance: float = 0.0,
        optimizer: Literal["adam", "muon"] = "adam",
        learning_rate: float = 1e-3,
        beta: float = 1.0,
        warm_up_steps: int = 1000,
        l2_weight: float = 0.0,
        colour_jitter: float = 0.0,
        image_shift: int = 0,
        vector_noise: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["modalities"])  # a state file holds plain values only
        self.configured = [Modality(name, **vars(options)) for name, options in modalities.items()]
        self._method = find_method(name)
        self._regression = name == "smvae" and objective == "regression"
        self._objective = self._method.objective(None if self._regression else objective)
        chosen, known = set(given or ()), set(modalities)
        some = bool(chosen) and (chosen < known or (targets is not None and chosen == known))
        if (self._regression or name == "cvae") and not some:
            what = "objective regression" if self._regression else f"model {name}"
            raise ValueError(
                f"{what} needs `given`: some, but not all, of the modalities "
                f"{', '.join(modalities)}"
            )
        if targets is not None and not (self._regression and targets and set(targets) <= known):
            raise ValueError(
                "`targets` are for objective regression: at least one of the modalities "
                f"{', '.join(modalities)}"
            )
        # Raises where there is nothing to change.
        self._changes = RandomChanges(
            self.configured, colour_jitter, image_shift, vector_noise, seed
        )

    @property
    def options(self) -> Any:
        """The arguments but for the modalities, as attributes."""
        return self.hparams

    def build(self, data: DataDescription) -> None:
        """Builds the model for these data; to be called once, before it is fitted."""
        options = self.options
        with torch.random.fork_rng():
            torch.manual_seed(options.seed)
            architecture = {key: options[key] for key in self._method.options}
            self.model: MultimodalVAE = self._method.model(data.modalities, **architecture)
        start_posteriors(self.model, options.initial_log_variance)
        for name, mean in data.means.items():
            self.model.set_training_mean(name, mean)
        counts = {name: len(scales) for name, (_, scales) in data.components.items()}
        for name, share in shares_of(options.latent_size, counts).items():
            self.model.set_principal_components(name, *data.components[name], share)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._batches = data.batches
        count = len(data.modalities)
        shape = (data.samples, count + 1, options.latent_size, options.seed)
        self._noise = SampleNoise(*shape, self._objective.noises(count))
        self._validation_noise = SampleNoise(*shape, self._method.validation.noises(count))
        self._changes.prepare(data.samples)

    def configure_optimizers(self) -> Any:
        # On a CPU the default takes three times as long. Elsewhere it does not, and the fused step
        # rules out clipping under mixed precision.
        fused = True if self.device.type == "cpu" else None
        rate = self.options.learning_rate
        optimizer: torch.optim.Optimizer
        if self.options.optimizer == "muon":
            optimizer = MuonAdam(self.model, rate, fused)
        else:
            optimizer = torch.optim.Adam(self.parameters(), lr=rate, fused=fused)
        trainer = self.trainer
        # Not trainer.estimated_stepping_batches: it sets the data up before a resumed run has
        # restored its position, which is then lost.
        steps = math.ceil(self._batches / trainer.accumulate_grad_batches)
        steps *= trainer.max_epochs or 1
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

    def _bound(
        self, batch: Batch, observations: dict[str, Tensor], epoch: int, beta: float
    ) -> Bound:
        options, present = self.options, batch.present
        if self._regression:
            names, others = self.model.names, set(self.model.names) - set(options.given)
            given, targets = (
                torch.tensor([name in chosen for name in names]).to(present.device)
                for chosen in (options.given, options.targets or others)
            )
            usable = present[:, given].any(1, keepdim=True)
            return regression(self.model, observations, given & present, targets & present & usable)
        uniform, noise = self._noise(epoch, batch.index, present.device)
        inputs = Inputs(observations, present, uniform, noise, beta)
        return self._objective.bound(self.model, inputs)

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        beta = annealed_beta(self.global_step, self.options.warm_up_steps, self.options.beta)
        observations = self._changes(self._observations(batch), self.current_epoch, batch.index)
        bound = self._bound(batch, observations, self.current_epoch, beta)
        loss = -bound.value
        if self.options.l2_weight:
            loss = loss + self.options.l2_weight * regulariser(bound.posterior)
        loss = loss.mean()
        if self.trainer.world_size > 1:
            # DDP waits for a gradient of every parameter, also of those that nothing in this
            # process's part of the batch needs.
            loss = loss + 0.0 * sum(p.sum() for p in self.parameters() if p.requires_grad)
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every and (self.global_step + 1) % every == 0:
            # Only where loggers write: it costs milliseconds, of small models a tenth of a step.
            size = len(batch.index)
            for name, value in (("objective", bound.value), ("kl", bound.kl)):
                mean = value.mean()
                self.log(f"training/{name}", mean, True, batch_size=size, sync_dist=True)
            self.log("training/beta", beta, batch_size=size)
        return loss

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        # Lightning weighs the processes by the average of their sizes in whole numbers, which cuts
        # off a half where they have 4 and 3 samples; a multiple of their number has no half.
        size = len(batch.index) * self.trainer.world_size
        observations = self._observations(batch)
        if self._regression:
            bound = self._bound(batch, observations, 0, 1.0)
        else:
            # The ELBO of everything observed: comparable between objectives and epochs.
            present = batch.present
            uniform, noise = self._validation_noise(0, batch.index, present.device)
            inputs = Inputs(observations, present, uniform, noise)
            bound = self._method.validation.bound(self.model, inputs)
        self.log(
            "validation/elbo", bound.value.mean(), prog_bar=True, batch_size=size, sync_dist=True
        )
        self.log("validation/kl", bound.kl.mean(), batch_size=size, sync_dist=True)
        for name, term in bound.log_likelihoods.items():
            self.log(f"validation/log_p_{name}", term.mean(), batch_size=size, sync_dist=True)
