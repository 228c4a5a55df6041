# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Importance-sampled log p(x, y): the estimator against the same arithmetic in one plain loop.

    python -m benchmarks.likelihood_speed

SMVAE on image (784-512-512-20) and label, 200 test points, K = 1000. The plain loop takes one point
at a time, all its draws in one batch. Both take turns on a few points each; the median over the
turns of the ratios counts. One thread, and its CPU time, so that other work on the machine says
little. Memory: how much the peak of the process grows when K does, eightfold. That both compute the
same is checked on the draws of one point.
"""

from __future__ import annotations

import math
import resource
import statistics
import time

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from benchmarks.results import publish, run_command
from smvae_core.distributions import Gaussian
from smvae_core.metrics.importance_sampling import ImportanceSampler
from smvae_core.modalities import Modality, Network
from smvae_core.models.smvae import SMVAE

LATENT, TURNS = 20, 10
NAMES = ("image", "label")


def build() -> SMVAE:
    """An untrained model; speed does not depend on weights."""
    image, label = Network("mlp", (512, 512)), Network("mlp", (256,))
    torch.manual_seed(0)
    return SMVAE(
        [
            Modality("image", "image", (1, 28, 28), "bernoulli", embedding=image, decoder=image),
            Modality("label", "categorical", (10,), "categorical", embedding=label, decoder=label),
        ],
        LATENT,
    ).eval()


@torch.inference_mode()
def plain_loop(model: SMVAE, images: Tensor, labels: Tensor, samples: int) -> Tensor:
    """log p(x, y) of each point with the proposal q(z|x, y), (N,)."""
    estimates = []
    for x, y in zip(images, labels, strict=True):
        posterior = model.encode({"image": x[None], "label": y[None]})
        noise = torch.randn(samples, LATENT)
        z = posterior.mean + (0.5 * posterior.log_variance).exp() * noise
        estimates.append(log_average(model, posterior, z, x, y))
    return torch.stack(estimates)


def log_average(model: SMVAE, posterior: Gaussian, z: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """log 1/K Σ_k p(x, y|z_k) p(z_k) / q(z_k|x, y) of one point, for its draws z (K, D)."""
    # The constants of the two Gaussians cancel.
    squared = (z - posterior.mean).square() * (-posterior.log_variance).exp()
    log_weights = 0.5 * (squared + posterior.log_variance - z.square()).sum(1)
    logits = model.decoders["image"](z)
    log_weights = log_weights - binary_cross_entropy_with_logits(
        logits, x.expand_as(logits), reduction="none"
    ).flatten(1).sum(1)
    log_weights = log_weights + model.decoders["label"](z).log_softmax(1) @ y
    return log_weights.logsumexp(0) - math.log(len(z))


@torch.inference_mode()
def difference(model: SMVAE, image: Tensor, label: Tensor, samples: int) -> float:
    """Between the two, in nats, for one point (1, ...) and the draws of the estimator."""
    drawn: list[Tensor] = []
    hook = model.decoders["image"].register_forward_pre_hook(lambda _, z: drawn.append(z[0]))
    observations = {"image": image, "label": label}
    estimate = ImportanceSampler(model, samples).log_likelihood(observations, NAMES, NAMES)
    hook.remove()
    posterior = model.encode(observations)
    expected = log_average(model, posterior, torch.cat(drawn), image[0], label[0])
    return abs(float(estimate.value - expected))


def peak_mb() -> float:
    """Most memory that this process ever had, in MB (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(points: int = 200, samples: int = 1000) -> None:
    """Measures and prints.

    Args:
        points: test points.
        samples: K of the estimator.
    """
    torch.set_num_threads(1)
    model = build()
    generator = torch.Generator().manual_seed(1)
    images = (torch.rand(points, 1, 28, 28, generator=generator) > 0.5).float()
    labels = one_hot(torch.arange(points) % 10, 10).float()

    def estimate(rows: slice, count: int) -> Tensor:
        observations = {"image": images[rows], "label": labels[rows]}
        return ImportanceSampler(model, count).log_likelihood(observations, NAMES, NAMES).value

    estimate(slice(0, 2), samples)
    before = peak_mb()
    estimate(slice(0, 2), 8 * samples)
    growth = peak_mb() - before
    plain_loop(model, images[:2], labels[:2], samples)
    step = max(1, points // TURNS)
    ours, theirs = [], []
    for first in range(0, points, step):
        rows = slice(first, first + step)
        begin = time.process_time()
        estimate(rows, samples)
        middle = time.process_time()
        plain_loop(model, images[rows], labels[rows], samples)
        theirs.append(time.process_time() - middle)
        ours.append(middle - begin)
    publish(
        "likelihood_speed",
        {
            "vs_plain_loop": statistics.median(t / o for t, o in zip(theirs, ours, strict=True)),
            "cpu_seconds": sum(ours),
            "plain_loop_cpu_seconds": sum(theirs),
            "memory_growth_at_8_times_samples_mb": growth,
            "difference_nats": difference(model, images[:1], labels[:1], samples),
        },
        {
            "model": "SMVAE, image 784-512-512-20 and label",
            "points": str(points),
            "samples": str(samples),
        },
    )


if __name__ == "__main__":
    run_command(main)
