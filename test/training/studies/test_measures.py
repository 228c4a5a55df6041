# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Coherence, linear probes and the classifier that judges."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from small_images import TEST, write_labelled
from smvae_core.data.images.labelled_images import SOURCES
from smvae_core.distributions import Gaussian, Likelihood
from smvae_core.modalities import Modality
from training.studies.labelled_images import classifier
from training.studies.labelled_images.classifier import (
    Classifier,
    agreement,
    likeliest,
    trained_classifier,
)
from training.studies.labelled_images.coherence import _shares
from training.studies.labelled_images.data_sets import Folders
from training.studies.labelled_images.probe import _accuracy
from training.studies.labelled_images.protocol import Protocol, Run
from training.studies.labelled_images.run_data import RunData

pytestmark = pytest.mark.training

CLASSES = 4
IMAGE = Modality("image", "image", (1, 2, 2), likelihood="bernoulli")
LABEL = Modality("label", "categorical", (CLASSES,), likelihood="categorical")
ATTRIBUTES = Modality("attributes", "vector", (CLASSES,), likelihood="bernoulli")


class Oracle:
    """Knows the class: z is its number's one-hot vector, an image has one white pixel there.

    shift: by which the classes of generated images are wrong.
    """

    given: tuple[str, ...] = ()
    latent_size = CLASSES

    def __init__(self, label: Modality, shift: int = 0) -> None:
        self.modalities = {"image": IMAGE, label.name: label}
        self._shift = shift

    def encode(self, observations: Mapping[str, Tensor]) -> Gaussian:
        (x,) = observations.values()
        return Gaussian(x.flatten(1), torch.full((len(x), CLASSES), -20.0))

    def decode(self, z: Tensor, names: list[str]) -> dict[str, Likelihood]:
        (name,) = names
        logits = z - 0.5
        if name == "image":
            logits = logits.roll(self._shift, 1).view(-1, 1, 2, 2)
        return {name: Likelihood(self.modalities[name], logits, torch.zeros(1))}


def perfect(label: Modality) -> Classifier:
    """Of the oracle's images."""

    class Pixels(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.flatten(1) - 0.5

    return Classifier(Pixels(), label, 1.0, 0.25)


@pytest.mark.parametrize("label", [LABEL, ATTRIBUTES], ids=["classes", "attributes"])
def test_coherence_of_a_model_that_knows(label: Modality) -> None:
    y = torch.eye(CLASSES).repeat(3, 1)
    observed = {"image": y.view(-1, 1, 2, 2), label.name: y}
    shares = _shares(Oracle(label), perfect(label), observed, label.name, 0)
    assert shares["image_given_label"] == shares["label_given_image"] == 1
    assert shares["joint"] > 0.999  # but for rounding


def test_coherence_of_a_model_that_is_wrong_in_images_only() -> None:
    y = torch.eye(CLASSES).repeat(3, 1)
    observed = {"image": y.view(-1, 1, 2, 2), "label": y}
    shares = _shares(Oracle(LABEL, shift=1), perfect(LABEL), observed, "label", 0)
    assert shares == {"image_given_label": 0, "label_given_image": 1, "joint": 0}


def test_coherence_of_a_conditional_model() -> None:
    model = Oracle(LABEL)
    model.given = ("label",)
    y = torch.eye(CLASSES)
    shares = _shares(model, perfect(LABEL), {"image": y.view(-1, 1, 2, 2), "label": y}, "label", 0)
    assert shares == {"image_given_label": 1}


def test_attributes_agree_one_by_one() -> None:
    first = likeliest(ATTRIBUTES, torch.tensor([[0.9, 0.1, 0.2, 0.8]]))
    second = likeliest(ATTRIBUTES, torch.tensor([[0.9, 0.1, 0.8, 0.8]]))
    assert agreement(first, second) == 0.75
    assert likeliest(LABEL, torch.tensor([[0.1, 0.2, 0.6, 0.1]])).tolist() == [[2]]


def test_probe_finds_what_is_linear_and_nothing_in_noise() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, (600, 1))
    means = np.eye(3)[labels[:, 0]] @ random.normal(size=(3, 5)) + 0.01 * random.normal(
        size=(600, 5)
    )
    noise = random.normal(size=(600, 5))
    assert _accuracy(means[:400], means[400:], labels[:400], labels[400:]) == 1
    assert _accuracy(noise[:400], noise[400:], labels[:400], labels[400:]) < 0.5


def test_probe_of_an_attribute_that_never_varies() -> None:
    means = np.random.default_rng(0).normal(size=(40, 3))
    labels = np.stack([means[:, 0] > 0, np.ones(40, bool)], 1)
    assert _accuracy(means[:30], means[:30], labels[:30], labels[:30]) == 1


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunData:
    monkeypatch.setitem(SOURCES, "mnist", write_labelled(tmp_path / "data"))
    for name in ("_STEPS", "_LEAST"):
        monkeypatch.setattr(classifier, name, 3)
    protocol = Protocol(validation=6, test_images=TEST)
    folders = Folders(tmp_path / "data", tmp_path / "derived")
    return RunData(Run("mvae", 0, protocol), folders)


def test_classifier_is_trained_once_for_all_protocols(
    study: RunData, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = trained_classifier(study)
    assert 0 <= first.accuracy <= 1
    assert 0.1 <= first.constant < 1
    monkeypatch.delattr(classifier, "_train")
    other = Run("mvae", 1, Protocol(pixels="grey", epochs=7, validation=6))
    second = trained_classifier(RunData(other, study.folders))
    assert second.accuracy == first.accuracy
    images = torch.rand(5, 1, 28, 28)
    assert torch.equal(first(images), second(images))


def test_damaged_classifier_is_trained_again(study: RunData) -> None:
    first = trained_classifier(study)
    (path,) = study.folders.derived.glob("*.safetensors")
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    assert trained_classifier(study).accuracy == first.accuracy
    assert path.read_bytes() == whole
