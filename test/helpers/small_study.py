# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A likelihood study that takes seconds: tiny data, two epochs, few draws."""

from __future__ import annotations

from pathlib import Path

import pytest

from small_images import TEST, write_labelled
from smvae_core.data.images.labelled_images import SOURCES
from training.studies.labelled_images import classifier, coherence
from training.studies.labelled_images.options import NUMBERS
from training.studies.labelled_images.protocol import Protocol

PROTOCOL = Protocol(epochs=2, batch_size=8, validation=6, test_images=TEST, importance_samples=10)
BUDGET = [
    part
    for field in NUMBERS
    for part in ("--" + field.replace("_", "-"), str(getattr(PROTOCOL, field)))
]


def write_data(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """A data set that passes for MNIST as long as the patch lasts, and a hasty classifier."""
    patch.setattr(classifier, "_STEPS", 3)
    patch.setattr(coherence, "_JOINT", 50)
    patch.setitem(SOURCES, "mnist", write_labelled(folder))
    return folder


def study_arguments(folder: Path) -> list[str]:
    """Arguments of a study in a folder with ``data``, but for methods."""
    arguments = ["--data-dir", str(folder / "data"), *BUDGET]
    return [*arguments, "--results", str(folder / "results"), "--work", str(folder / "work")]
