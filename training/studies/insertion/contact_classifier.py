# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The classifier that judges generated RGB-D: is the peg in contact?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from smvae_core.data.logs.dataset import LogCache
from smvae_core.modalities import Modality
from smvae_core.models.networks import build_embedding, initialise
from smvae_core.tensors import to_tensor
from training.studies.classifiers import fit

_HIDDEN = 128
_BATCH = 64
_RATE = 1e-3


class ContactClassifier(nn.Module):
    """RGB and depth → contact or not, with the networks that the models embed images with.

    Args:
        modalities: of a model; those named in ``pictures`` are used.
        pictures: what it sees.
    """

    def __init__(
        self, modalities: Mapping[str, Modality], pictures: tuple[str, ...] = ("rgb", "depth")
    ) -> None:
        super().__init__()
        self.pictures = pictures
        self.embeddings = nn.ModuleDict(
            {name: build_embedding(modalities[name], _HIDDEN) for name in pictures}
        )
        self.head = nn.Sequential(nn.SiLU(), nn.Dropout(0.3), nn.Linear(_HIDDEN * len(pictures), 1))
        self.apply(initialise)

    def logits(self, pictures: Mapping[str, Tensor]) -> Tensor:
        """(B, *shape) each, normalised, NaN where there is no reading → (B,)."""
        embedded = [self.embeddings[n](torch.nan_to_num(pictures[n])) for n in self.pictures]
        return self.head(torch.cat(embedded, 1))[:, 0]

    @torch.inference_mode()
    def forward(self, pictures: Mapping[str, Tensor]) -> Tensor:
        """Whether there is contact, (B,) bool."""
        return self.logits(pictures) > 0


def train_classifier(
    modalities: Mapping[str, Modality], cache: LogCache, steps: int
) -> ContactClassifier:
    """Trains on the real pictures of a cache; always the same network for the same data."""
    random = np.random.default_rng(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # of initialisation and dropout
        classifier = ContactClassifier(modalities)
        names = classifier.pictures
        rows = cache.complete(names)

        def loss() -> Tensor:
            chosen = random.choice(rows, _BATCH)
            prepared = cache.read(chosen, names).prepared
            pictures = {name: to_tensor(modalities[name], x) for name, x in prepared.items()}
            truth = torch.from_numpy(cache.arrays["contact"][chosen]).float()
            return binary_cross_entropy_with_logits(classifier.logits(pictures), truth)

        fit(classifier, loss, steps, _RATE, "contact classifier")
    return classifier.eval()
