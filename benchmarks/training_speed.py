# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Samples per second in training: one small model four ways, and the recipes of config/training.

    python -m benchmarks.training_speed

MVAE on two modalities, image 784-512-512-20 and label, is trained by `SetFitting`, as `python -m
training.studies.labelled_images` does; by a plain loop written by hand for this very model, with
everything in memory as the network takes it; by the same loop with PyTorch's fused Adam, which
SetFitting has, too; and by the trainer of the library multivae, where it is installed. That takes
an environment of its own, which docs/how_to/studies.md describes. They take turns, an epoch
each, and medians over the turns of the ratios count.

Then each recipe of config/training is trained for a few steps on random data, and its optimiser's
share of a step is measured. One thread, and its CPU time, so that other work on the machine says
little.
"""

from __future__ import annotations

import importlib.util
import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from benchmarks.memory_data import memory_data, timed_fit
from benchmarks.recipe_speed import RECIPES, recipe_speed
from benchmarks.results import publish, run_command
from smvae_core.data.samples import Samples
from smvae_core.fit.data import SampleData
from smvae_core.fit.module import SetFitting
from smvae_core.modalities import Modality, ModalityOptions, Network
from smvae_core.models.mvae import MVAE

LATENT, EMBEDDING, BATCH = 20, 128, 128
IMAGE, LABEL = Network("mlp", (512, 512)), Network("mlp", (256,))
OPTIONS = {
    "image": ModalityOptions(
        "image", (1, 28, 28), likelihood="bernoulli", embedding=IMAGE, decoder=IMAGE
    ),
    "label": ModalityOptions(
        "categorical", (10,), likelihood="categorical", embedding=LABEL, decoder=LABEL
    ),
}


def random_data(count: int) -> SampleData:
    """Black and white images and labels; speed does not depend on what they show."""
    random = np.random.default_rng(0)
    images = random.integers(0, 2, (count, 28, 28, 1), dtype=np.uint8) * np.uint8(255)
    labels = np.eye(10, dtype=np.float32)[random.integers(0, 10, count)]
    return memory_data({"image": images, "label": labels}, BATCH)


def set_fitting(data: SampleData) -> Callable[[], float]:
    """Trains two epochs in a call; the second one is timed."""
    module = SetFitting(OPTIONS, LATENT, EMBEDDING, name="mvae", warm_up_steps=0)
    module.build(data.open(module.configured))
    return lambda: timed_fit(module, data)[0]


def plain_loop(samples: Samples, fused: bool = False) -> Callable[[], float]:
    """The same objective for exactly two modalities, none missing, at a constant learning rate."""
    model = MVAE([Modality(n, **vars(o)) for n, o in OPTIONS.items()], LATENT, EMBEDDING)
    batch = samples.read(samples.split["training"], ["image", "label"])
    images = batch.prepared["image"].float().div(255).permute(0, 3, 1, 2).contiguous()
    labels = batch.prepared["label"]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=fused)

    def step(x: Tensor, y: Tensor) -> None:
        mean_x, log_variance_x = model.experts["image"](model.embeddings["image"](x))
        mean_y, log_variance_y = model.experts["label"](model.embeddings["label"](y))
        weight_x, weight_y = (-log_variance_x).exp(), (-log_variance_y).exp()
        # Both, image only, label only, each times the prior.
        precision = 1 + torch.stack([weight_x + weight_y, weight_x, weight_y])
        mean_x, mean_y = weight_x * mean_x, weight_y * mean_y
        mean = torch.stack([mean_x + mean_y, mean_x, mean_y]) / precision
        z = mean + precision.rsqrt() * torch.randn_like(mean)
        kl = 0.5 * (mean.square() + 1 / precision - 1 + precision.log()).sum()
        logits_x = model.decoders["image"](z[:2].flatten(0, 1))
        logits_y = model.decoders["label"](z[::2].flatten(0, 1))
        loss = (
            kl
            + binary_cross_entropy_with_logits(logits_x, torch.cat([x, x]), reduction="sum")
            + cross_entropy(logits_y, torch.cat([y, y]), reduction="sum")
        ) / len(x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def epoch() -> float:
        begin = time.process_time()
        for rows in torch.randperm(len(images)).split(BATCH):
            step(images[rows], labels[rows])
        return time.process_time() - begin

    return epoch


def multivae_trainer(samples: Samples) -> Callable[[], float]:
    """multivae's MVAE on networks of the same sizes, with its BaseTrainer; the second of two epochs
    is timed."""
    models = importlib.import_module("multivae.models")
    trainers = importlib.import_module("multivae.trainers")
    callbacks = importlib.import_module("multivae.trainers.base.callbacks")
    datasets = importlib.import_module("multivae.data.datasets.base")
    architectures = importlib.import_module("pythae.models.nn.base_architectures")
    output = importlib.import_module("pythae.models.base.base_utils").ModelOutput
    own = MVAE([Modality(n, **vars(o)) for n, o in OPTIONS.items()], LATENT, EMBEDDING)

    class Encoder(architectures.BaseEncoder):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.network = torch.nn.Sequential(own.embeddings[name], own.experts[name])
            self.latent_dim = LATENT

        def forward(self, x: Tensor) -> Any:
            mean, log_variance = self.network(x)
            return output(embedding=mean, log_covariance=log_variance)

    class Decoder(architectures.BaseDecoder):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.network = own.decoders[name]

        def forward(self, z: Tensor) -> Any:
            return output(reconstruction=self.network(z))

    class Timer(callbacks.TrainingCallback):
        def on_epoch_begin(self, training_config: Any, **_: Any) -> None:
            self._begin = time.process_time()

        def on_epoch_end(self, training_config: Any, **_: Any) -> None:
            self.seconds = time.process_time() - self._begin

    batch = samples.read(samples.split["training"], ["image", "label"])
    data = {
        "image": batch.prepared["image"].float().div(255).permute(0, 3, 1, 2).contiguous(),
        "label": batch.prepared["label"],
    }
    config = models.MVAEConfig(
        n_modalities=2,
        latent_dim=LATENT,
        input_dims={"image": (1, 28, 28), "label": (10,)},
        decoders_dist={"image": "bernoulli", "label": "categorical"},
        warmup=1,
    )
    model = models.MVAE(config, {n: Encoder(n) for n in data}, {n: Decoder(n) for n in data})
    dataset = datasets.MultimodalBaseDataset(data)

    def epoch() -> float:
        timer = Timer()
        with tempfile.TemporaryDirectory() as folder:
            options = trainers.BaseTrainerConfig(
                output_dir=folder,
                per_device_train_batch_size=BATCH,
                num_epochs=2,
                learning_rate=1e-3,
                no_cuda=True,
            )
            trainers.BaseTrainer(model, dataset, training_config=options, callbacks=[timer]).train()
        return timer.seconds

    return epoch


def main(batches: int = 100, turns: int = 5, steps: int = 10) -> None:
    """Measures and prints.

    Args:
        batches: in an epoch.
        turns: of each contender.
        steps: of each recipe.
    """
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    data = random_data(batches * BATCH)
    samples = data.store
    contenders = {
        "smvae_core": set_fitting(data),
        "plain_loop": plain_loop(samples),
        "plain_loop_fused_adam": plain_loop(samples, fused=True),
    }
    notes = {
        "model": "MVAE, image 784-512-512-20 and label",
        "batch": str(BATCH),
        "recipes": f"of config/training, {steps} steps each on random data",
    }
    if importlib.util.find_spec("multivae") is None:
        notes["multivae"] = "not installed, so there is no vs_multivae (docs/how_to/studies.md)"
    else:
        contenders["multivae"] = multivae_trainer(samples)
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(turns + 1):
        for name, epoch in contenders.items():
            spent = epoch()
            if turn:  # the first one warms up
                seconds[name].append(spent)
    figures = {}
    for name in contenders:
        if name != "smvae_core":
            pairs = zip(seconds[name], seconds["smvae_core"], strict=True)
            figures[f"vs_{name}"] = statistics.median(theirs / ours for theirs, ours in pairs)
    for name, spent in seconds.items():
        rate = len(samples) / statistics.median(spent)
        figures[f"{name}_samples_per_cpu_second"] = rate
    for recipe in sorted(RECIPES.glob("*.yaml")):
        figures |= recipe_speed(recipe, steps)
    publish("training_speed", figures, notes)


if __name__ == "__main__":
    run_command(main)
