# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The stage that measures cross-modal coherence (Shi et al. 2019; Sutter et al. 2021)."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from smvae_core.distributions import Posterior
from smvae_core.models.multimodal_vae import MultimodalVAE
from training.studies.labelled_images.classifier import (
    Classifier,
    agreement,
    likeliest,
    trained_classifier,
)
from training.studies.labelled_images.protocol import Run
from training.studies.labelled_images.run_data import RunData

MEASURES = ("image_given_label", "label_given_image", "joint")
_DRAWS = 5  # of z for each test image
_JOINT = 10_000  # draws of z from the prior
_CHUNK = 1000


def coherence(model: MultimodalVAE, run: Run, data: RunData) -> dict[str, Any]:
    """Whether what a model generates for one modality fits the other.

    A generated image is the mean of p(x|z), a generated label the likeliest y of p(y|z), each for
    one z. The class of an image is what :mod:`training.studies.labelled_images.classifier` says of
    it.

    Returns:
        ``image_given_label``: share of images, from z ~ q(z|y) for the test labels, of that class;
        ``label_given_image``: share of labels, from z ~ q(z|x), that are the test image's;
        ``joint``: share of pairs, both from one z ~ p(z), that fit each other. Of attributes, the
        average over them. Then the classifier's own accuracy on test images, and that of the most
        frequent class in its place. A CVAE has only the first.
    """
    protocol = run.protocol
    classifier = trained_classifier(data)
    observed = data.observations(model, "test", protocol.test_images)
    shares = _shares(model, classifier, observed, protocol.data_set.label, run.seed)
    return {
        **{measure: round(value, 4) for measure, value in shares.items()},
        "classifier_accuracy": round(classifier.accuracy, 4),
        "most_frequent_accuracy": round(classifier.constant, 4),
        "test_images": protocol.test_images,
        "draws": _DRAWS,
        "joint_draws": _JOINT,
    }


@torch.inference_mode()
def _shares(
    model: MultimodalVAE,
    classifier: Classifier,
    observed: Mapping[str, Tensor],
    label: str,
    seed: int,
) -> dict[str, float]:
    truth = likeliest(model.modalities[label], observed[label])
    noise = torch.Generator().manual_seed(seed)

    def of_images(z: Tensor) -> Tensor:
        parts = z.split(_CHUNK)
        return torch.cat([classifier(model.decode(p, ["image"])["image"].mean) for p in parts])

    def of_labels(z: Tensor) -> Tensor:
        return likeliest(model.modalities[label], model.decode(z, [label])[label].mean)

    def share(given: str, generated: Callable[[Tensor], Tensor]) -> float:
        posterior = model.encode({given: observed[given]})
        return statistics.fmean(
            agreement(generated(z), truth) for z in draws(posterior, _DRAWS, noise)
        )

    shares = {"image_given_label": share(label, of_images)}
    if not model.given:
        z = torch.randn(_JOINT, model.latent_size, generator=noise)
        shares["label_given_image"] = share("image", of_labels)
        shares["joint"] = agreement(of_images(z), of_labels(z))
    return shares


def draws(posterior: Posterior, count: int, generator: torch.Generator) -> Iterator[Tensor]:
    """That many times z (B, D), independent draws from each row's posterior."""
    for _ in range(count):
        shape = posterior.mean.shape
        noise = torch.randn(shape, generator=generator)
        yield posterior.sample(noise, torch.rand(shape[0], generator=generator))
