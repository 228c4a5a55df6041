# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A configuration of `training.train` for small models, its runs here, and what they log."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import yaml

from small_models import small_modalities
from smvae_core.checkpoint import Checkpoint, load_checkpoint
from training.train import main


def write_config(
    cache: Path, path: Path, batch_size: int = 5, colour_jitter: float = 0.0, **data: object
) -> Path:
    """Three epochs of a small SMVAE; ``data`` are further options of its data."""
    modalities = {}
    for modality in small_modalities():
        entry = modality.to_dict()
        for field in ("name", "mean", "std", "minimum", "maximum"):
            del entry[field]
        modalities[modality.name] = entry
    content = {
        "trainer": {
            "max_epochs": 3,
            "accelerator": "cpu",
            "devices": 1,
            "log_every_n_steps": 1,
            "enable_model_summary": False,
        },
        "data": {"cache": str(cache), "batch_size": batch_size, **data},
        "model": {
            "latent_size": 6,
            "embedding_size": 16,
            "heads": 4,
            "warm_up_steps": 10,
            "colour_jitter": colour_jitter,
            "modalities": modalities,
        },
    }
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def metrics(output: Path) -> list[dict[str, str]]:
    """Rows of the CSV logs of all starts of a run, in the order in which they were written."""
    files = sorted((output / "log").rglob("metrics.csv"))
    assert files
    return [row for file in files for row in csv.DictReader(file.open())]


def column(output: Path, name: str) -> list[float]:
    """What was logged under a name."""
    return [float(row[name]) for row in metrics(output) if row.get(name)]


def train(config: Path, output: Path, *arguments: str) -> Checkpoint:
    """Trains in this process and returns what was exported."""
    assert main(["--config", str(config), "--output", str(output), *arguments]) == 0
    return load_checkpoint(output / "model")


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What is said where training does not start; the exit code must tell, too."""
    try:
        code = main(list(arguments))
    except SystemExit as exit_:  # of the argument parser
        code = exit_.code
    assert code == 2
    message = capsys.readouterr().err
    assert "Traceback" not in message
    return " ".join(message.split())
