# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Contact by a linear head: on the latent, and on the sensors themselves, as sensors are cut off.

    python -m training.studies.contact_head MODEL TRAIN_CACHE TEST_CACHE --output contact.json

The head is logistic regression, fitted to the steps of the first cache and measured on the second,
whose scenes neither the head nor the model may have seen. Subset → balanced accuracy of

    latent         the one head on latents of all sensors, given the latent of the subset
    raw            the one head on all sensors, where those that are cut off have their mean
    raw_dedicated  a head for these sensors alone
    trees          gradient-boosted trees, which are not linear, for these sensors alone

with the standard deviation of each over scenes that are drawn with replacement. Of images, `raw` is
the first 64 principal components of the first cache.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from smvae_core.checkpoint import load_checkpoint
from smvae_core.data.batches import Batches
from smvae_core.data.logs.dataset import open_cache
from smvae_core.files import check_output, write_text
from smvae_core.metrics.subset_choice import HELP, Subset, choose_subsets
from smvae_core.models.multimodal_vae import MultimodalVAE
from smvae_core.tensors import to_tensor
from smvae_ros.cli.programs import parser_of
from training.programs import run_program
from training.provenance import provenance
from training.studies.probes import (
    balanced_accuracy,
    fit_classifier,
    fit_components,
    fit_trees,
    subset_means,
)

COMPONENTS = 64  # of images, which have thousands of values
LARGE = 1000
RESAMPLES = 200
_BATCH = 64
Features = dict[str, np.ndarray]


@dataclass(frozen=True)
class Steps:
    """The N steps of a cache in which every sensor is present.

    Attributes:
        contact: (N,) bool.
        scenes: (N,) number of each step's scene.
        raw: modality → (N, n) normalised values, 0 where nothing was measured.
        latents: subset, joined by +, → (N, D) means of the posterior.
    """

    contact: np.ndarray
    scenes: np.ndarray
    raw: Features
    latents: Features


def read_steps(path: Path, model: MultimodalVAE, subsets: Sequence[Subset]) -> Steps:
    """Encodes what is in a cache.

    Raises:
        CacheError: where it cannot be read, or does not fit the model.
        ValueError: where it has no contact, or no step with all sensors.
    """
    cache = open_cache(path, list(model.modalities.values()))
    rows = cache.complete(model.names)
    if "contact" not in cache.arrays or not len(rows):
        raise ValueError(f"{path}: needs steps with all sensors, and labels of contact")
    raw: dict[str, list[np.ndarray]] = {name: [] for name in model.names}
    batches = []
    for batch in tqdm(Batches(cache, model.names, rows, _BATCH), desc=path.name, disable=None):
        observed = {n: to_tensor(model.modalities[n], x) for n, x in batch.prepared.items()}
        batches.append(observed)
        for name, values in observed.items():
            raw[name].append(values.nan_to_num(0.0).flatten(1).numpy())
    return Steps(
        cache.arrays["contact"][rows],
        cache.arrays["trajectory"][rows],
        {name: np.concatenate(parts) for name, parts in raw.items()},
        subset_means(model, batches, subsets),
    )


def compare(train: Steps, test: Steps, subsets: Sequence[Subset]) -> dict[str, dict[str, float]]:
    """Subset, joined by +, → scores by their names in the module's description, and the ``_std`` of
    each."""
    everything = tuple(train.raw)
    train_raw, test_raw = _raw_features(train.raw, test.raw)
    fit_balanced = partial(fit_classifier, balanced=True)
    on_latents = fit_balanced(train.latents["+".join(everything)], train.contact)
    on_raw = fit_balanced(_joined(train_raw, everything), train.contact)
    means = {name: x.mean(0) for name, x in train_raw.items()}
    scores = {}
    for subset in tqdm(subsets, desc="heads", unit="subset", disable=None):
        filled = {
            name: x if name in subset else np.broadcast_to(means[name], x.shape)
            for name, x in test_raw.items()
        }
        label, given = "+".join(subset), _joined(train_raw, subset)
        own, trees = (fit(given, train.contact) for fit in (fit_balanced, fit_trees))
        mine = _joined(test_raw, subset)
        scores[label] = {
            **_score("latent", test, on_latents(test.latents[label])),
            **_score("raw", test, on_raw(_joined(filled, everything))),
            **_score("raw_dedicated", test, own(mine)),
            **_score("trees", test, trees(mine)),
        }
    return scores


def _raw_features(train: Features, test: Features) -> tuple[Features, Features]:
    """Both with principal components of the first in place of images."""
    first, second = dict(train), dict(test)
    for name, values in train.items():
        if values.shape[1] > LARGE:
            components = fit_components(values, COMPONENTS)
            first[name], second[name] = components(values), components(test[name])
    return first, second


def _joined(features: Mapping[str, np.ndarray], names: Sequence[str]) -> np.ndarray:
    return np.concatenate([features[name] for name in names], 1)


def _score(name: str, steps: Steps, guess: np.ndarray) -> dict[str, float]:
    random = np.random.default_rng(0)
    scenes = [np.flatnonzero(steps.scenes == scene) for scene in np.unique(steps.scenes)]
    drawn = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([scenes[i] for i in random.integers(len(scenes), size=len(scenes))])
        drawn.append(balanced_accuracy(steps.contact[rows], guess[rows]))
    score = balanced_accuracy(steps.contact, guess)
    return {name: round(score, 4), f"{name}_std": round(float(np.std(drawn)), 4)}


def main(arguments: list[str] | None = None) -> int:
    """Compares, prints a table and writes JSON; returns the exit code."""
    parser = parser_of("python -m training.studies.contact_head", __doc__)
    add = parser.add_argument
    add("model", metavar="MODEL", type=Path, help="checkpoint directory")
    add("train", metavar="TRAIN_CACHE", type=Path, help="folder of training.convert, to fit to")
    add("test", metavar="TEST_CACHE", type=Path, help="another, of scenes that nothing has seen")
    add("--output", type=Path, metavar="JSON", help="file to write")
    add("--subsets", nargs="+", metavar="SUBSET", help=HELP)
    options = parser.parse_args(arguments)
    return run_program(
        "training.studies.contact_head", lambda: _run(options, arguments), "nothing was written"
    )


def _run(options: argparse.Namespace, arguments: list[str] | None) -> int:
    origin = provenance("training.studies.contact_head", arguments)
    if options.output:
        check_output(options.output)
    checkpoint = load_checkpoint(options.model)
    model = checkpoint.model
    subsets = choose_subsets(options.subsets, model.names)
    encoded = list(dict.fromkeys([tuple(model.names), *subsets]))
    train, test = (read_steps(path, model, encoded) for path in (options.train, options.test))
    scores = compare(train, test, subsets)
    for label, row in scores.items():
        line = "  ".join(f"{name} {row[name]:.1%}" for name in row if not name.endswith("_std"))
        print(f"{label:<34}  {line}")
    if options.output:
        report: dict[str, Any] = {
            **origin,
            "model_hash": checkpoint.weights_hash,
            "train": _describe(train),
            "test": _describe(test),
            "subsets": scores,
        }
        write_text(options.output, json.dumps(report, indent=1) + "\n")
    return 0


def _describe(steps: Steps) -> dict[str, float]:
    return {
        "steps": len(steps.contact),
        "scenes": len(np.unique(steps.scenes)),
        "contact": round(float(steps.contact.mean()), 4),
    }


if __name__ == "__main__":
    sys.exit(main())
