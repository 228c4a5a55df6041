"""Importance-sampled log p(x, y): the estimator against the same arithmetic in one plain loop.

    python -m benchmarks.likelihood_speed

SMVAE on image (784-512-512-20) and label, 200 test points, K = 1000. The plain loop takes one point
at a time, all its draws in one batch. Both take turns on a few points each. Memory: how much the
peak of the process grows when K does, eightfold.
"""

from __future__ import annotations

import argparse
import math
import resource
import statistics
import time

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from benchmarks.results import publish
from smvae_core.likelihood import ImportanceSampler
from smvae_core.modalities import Modality, Network
from smvae_core.smvae import SMVAE

LATENT, TURNS = 20, 10


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
        # The constants of the two Gaussians cancel.
        log_weights = 0.5 * (noise.square() + posterior.log_variance - z.square()).sum(1)
        logits = model.decoders["image"](z)
        log_weights = log_weights - binary_cross_entropy_with_logits(
            logits, x.expand_as(logits), reduction="none"
        ).flatten(1).sum(1)
        log_weights = log_weights + model.decoders["label"](z).log_softmax(1) @ y
        estimates.append(log_weights.logsumexp(0) - math.log(samples))
    return torch.stack(estimates)


def peak_mb() -> float:
    """Most memory that this process ever had, in MB (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, default=200, help="test points (default: 200)")
    parser.add_argument("--samples", type=int, default=1000, help="K (default: 1000)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = build()
    generator = torch.Generator().manual_seed(1)
    images = (torch.rand(options.points, 1, 28, 28, generator=generator) > 0.5).float()
    labels = one_hot(torch.arange(options.points) % 10, 10).float()

    def estimate(rows: slice, samples: int) -> Tensor:
        observations = {"image": images[rows], "label": labels[rows]}
        names = ("image", "label")
        sampler = ImportanceSampler(model, samples)
        return sampler.log_likelihood(observations, names, names).value

    estimate(slice(0, 2), options.samples)
    before = peak_mb()
    estimate(slice(0, 2), 8 * options.samples)
    growth = peak_mb() - before
    plain_loop(model, images[:2], labels[:2], options.samples)
    step = max(1, options.points // TURNS)
    ours, theirs, differences = [], [], []
    for first in range(0, options.points, step):
        rows = slice(first, first + step)
        begin = time.perf_counter()
        values = estimate(rows, options.samples)
        middle = time.perf_counter()
        expected = plain_loop(model, images[rows], labels[rows], options.samples)
        theirs.append(time.perf_counter() - middle)
        ours.append(middle - begin)
        differences.append((values - expected).mean().item())
    publish(
        "likelihood_speed",
        {
            "vs_plain_loop": statistics.median(t / o for t, o in zip(theirs, ours, strict=True)),
            "seconds": sum(ours),
            "plain_loop_seconds": sum(theirs),
            "memory_growth_at_8_times_samples_mb": growth,
            "mean_difference_nats": statistics.fmean(differences),
        },
        {
            "model": "SMVAE, image 784-512-512-20 and label",
            "points": str(options.points),
            "samples": str(options.samples),
        },
    )


if __name__ == "__main__":
    main()
