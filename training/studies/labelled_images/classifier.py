# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The classifier that judges generated images: image → y, trained once for each data set."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from filelock import FileLock
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from smvae_core.data.samples import Samples
from smvae_core.distributions import Likelihood
from smvae_core.files import whole_file
from smvae_core.modalities import Modality, Network
from smvae_core.models.networks import build_embedding, initialise
from smvae_core.tensors import to_tensor
from training.studies.classifiers import fit
from training.studies.labelled_images.protocol import Protocol
from training.studies.labelled_images.run_data import RunData

_HIDDEN = 128
_EPOCHS = 4
_STEPS = 1500  # at most
_LEAST = 200  # of small data sets
_BATCH = 128
_RATE = 2e-3
_SHIFT = 2  # pixels by which training images are moved in any direction
_CONTRAST = 0.3  # what is left of it at least: means of p(x|z) are paler than any training image
_BLUR = 3  # pixels, of the square that half of the training batches are averaged over
_CHUNK = 1000
_NO_SCALE = torch.zeros(1)  # y is categorical or Bernoulli


@dataclass(frozen=True)
class Classifier:
    """A classifier and how good it is.

    Attributes:
        network: images (B, *shape) in 0..1 → logits (B, *shape of y).
        modality: y.
        accuracy: on all test images.
        constant: accuracy of the most frequent value in their place.
    """

    network: nn.Module
    modality: Modality
    accuracy: float
    constant: float

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """The likeliest y of each image (B, *shape), see :func:`likeliest`."""
        logits = torch.cat([self.network(part) for part in images.split(_CHUNK)])
        return likeliest(self.modality, Likelihood(self.modality, logits, _NO_SCALE).mean)


def likeliest(modality: Modality, probabilities: Tensor) -> Tensor:
    """Probabilities, or y itself, (B, n) → the class (B, 1), or for attributes yes or no (B, n)."""
    if modality.likelihood == "categorical":
        return probabilities.argmax(1, keepdim=True)
    return probabilities > 0.5


def agreement(first: Tensor, second: Tensor) -> float:
    """The share of equal elements; of attributes, the average over them."""
    return float((first == second).double().mean())


def trained_classifier(data: RunData) -> Classifier:
    """The data set's classifier, from the folder of what is derived if it is there.

    It sees the original values of pixels, whatever the protocol's are, and pale and blurred ones,
    too: what it judges are means of p(x|z), as grey as the originals or greyer.

    Raises:
        DataSetError: where the data set cannot be used.
    """
    own, samples = data.original  # no more than it depends on: many protocols share one classifier
    image, label = (
        Modality(name, **vars(own.modalities()[name])) for name in ("image", own.data_set.label)
    )
    network = _network(image, label)
    path = data.folders.derived / f"classifier_{_digest(own)}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):  # a second process waits until the first has trained
        if not _restore(network, path):
            _train(network, image, label, samples, f"classifier of {own.data_set.title}")
            _save(network, path)
    network.eval()
    batch = samples.read(samples.split["test"], [image.name, label.name]).prepared
    truth = likeliest(label, batch[label.name])
    unjudged = Classifier(network, label, 0.0, 0.0)
    frequent = truth.mode(0).values.expand_as(truth)
    accuracy = agreement(unjudged(to_tensor(image, batch[image.name])), truth)
    return replace(unjudged, accuracy=accuracy, constant=agreement(frequent, truth))


def _network(image: Modality, label: Modality) -> nn.Module:
    """Convolutions as of the study's own networks, two halvings for 28 pixels and four for 64."""
    widths = (32, 64) if image.shape[-1] % 16 else (32, 64, 128, 128)
    image = replace(image, embedding=Network("convolution", widths))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            build_embedding(image, _HIDDEN),
            nn.SiLU(),
            nn.Dropout(0.3),
            nn.Linear(_HIDDEN, label.shape[0]),
        ).apply(initialise)


def _train(
    network: nn.Module, image: Modality, label: Modality, samples: Samples, title: str
) -> None:
    random = np.random.default_rng(0)
    rows = samples.split["training"]

    def loss() -> Tensor:
        batch = samples.read(random.choice(rows, _BATCH), [image.name, label.name]).prepared
        shift = tuple(random.integers(-_SHIFT, _SHIFT + 1, 2))
        x = torch.roll(to_tensor(image, batch[image.name]), shift, (2, 3))
        x = x * torch.empty(len(x), 1, 1, 1).uniform_(_CONTRAST, 1)
        if random.random() < 0.5:
            x = avg_pool2d(x, _BLUR, stride=1, padding=_BLUR // 2)
        y = to_tensor(label, batch[label.name])
        return -Likelihood(label, network(x), _NO_SCALE).log_prob(y).mean()

    steps = min(_STEPS, max(_LEAST, _EPOCHS * len(rows) // _BATCH))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # of dropout
        fit(network, loss, steps, _RATE, title)


def _digest(protocol: Protocol) -> str:
    text = repr(
        (sorted(asdict(protocol).items()), _HIDDEN, _STEPS, _BATCH, _RATE, _SHIFT, _CONTRAST, _BLUR)
    )
    return f"{protocol.dataset}_{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _restore(network: nn.Module, path: Path) -> bool:
    """Whether the weights could be read; damaged ones are trained again."""
    try:
        network.load_state_dict(safetensors.torch.load(path.read_bytes()))
    except (OSError, safetensors.SafetensorError, RuntimeError):
        return False
    return True


def _save(network: nn.Module, path: Path) -> None:
    with whole_file(path) as partial:
        partial.write_bytes(safetensors.torch.save(network.state_dict()))
