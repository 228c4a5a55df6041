# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
r"""A model of a real robot beside dedicated networks and trivial predictors, on kept-out episodes.

    python -m training.convert g1_bottle data/g1/cache --robot g1
    python -m training.train --config config/training/g1.yaml --robot g1
    python -m training.studies.real_robots g1 data/g1/cache out/training/g1/model

The episodes are those of the test split of the model's training, and the table has every subset of
its sensors. Adds the robot to RESULTS/real_robots.json, or replaces it there, and writes the page
of all robots, RESULTS/real_robots.md, and RESULTS/figures/real_robots_ROBOT.png. Dedicated networks
stay in WORK: the same command goes on with those that are missing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from smvae_core.checkpoint import Checkpoint, load_checkpoint
from smvae_core.data.logs.dataset import LogCache, open_cache, split_by_trajectory
from smvae_core.files import check_output
from smvae_core.inference.inference import Inference
from smvae_core.metrics.subset_choice import HELP, Subset, choose_subsets
from smvae_ros.cli.programs import number, parser_of
from training.programs import run_program
from training.provenance import provenance
from training.studies.command import RESULTS
from training.studies.pictures import save_figure
from training.studies.real_robots.dedicated import dedicated_skill, skills_on
from training.studies.real_robots.health import false_alarms
from training.studies.real_robots.pictures import moments, pictures_figure, pictures_of
from training.studies.real_robots.table import NAME, read_robots, to_markdown
from training.studies.real_robots.trivial import trivial_skills
from training.studies.tables import write_table

PROGRAM = "training.studies.real_robots"
_RECORDED = ("commit", "epochs", "steps")  # of the model's training


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = parser_of(f"python -m {PROGRAM}", __doc__)
    add = parser.add_argument
    add("robot", metavar="ROBOT", help="its name in the table")
    add("cache", type=Path, metavar="CACHE", help="folder of training.convert")
    add("model", type=Path, metavar="MODEL", help="checkpoint directory, trained on that cache")
    add("--subsets", nargs="+", metavar="SUBSET", help=HELP)
    add(
        "--epochs",
        type=number(int, 0),
        default=4,
        help="of each dedicated network, 0 for no such networks (default: 4)",
    )
    add("--results", type=Path, default=RESULTS, help=f"folder to write to (default: {RESULTS})")
    add(
        "--work",
        type=Path,
        default=Path("out/real_robots"),
        help="folder of dedicated networks (default: out/real_robots)",
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Measures, and writes the table of all robots; returns the exit code."""
    options = parser().parse_args(arguments)
    return run_program(PROGRAM, lambda: _run(options, arguments))


def _run(options: argparse.Namespace, arguments: list[str] | None) -> int:
    origin = provenance(PROGRAM, arguments)
    path, figures = options.results / NAME, options.results / "figures"
    check_output(path.with_suffix(".json"))
    check_output(figures, folder=True)
    robots = read_robots(path.with_suffix(".json"))
    checkpoint = load_checkpoint(options.model)
    cache = open_cache(options.cache, list(checkpoint.model.modalities.values()))
    split = _split(checkpoint, cache)
    subsets = choose_subsets(options.subsets, checkpoint.model.names)
    work = options.work / options.robot
    entry = {
        **origin,
        **_described(checkpoint, cache, split, options.epochs),
        "subsets": _cells(checkpoint, cache, split, subsets, options.epochs, work),
    }
    if checkpoint.calibration:
        entry["false_alarms"] = false_alarms(Inference(checkpoint), cache, split["test"])
    robots[options.robot] = entry
    _draw(options.robot, checkpoint, cache, split["test"], subsets, figures)
    write_table(path, {"robots": robots}, to_markdown(robots))
    print(f"Wrote {path}.json and {path}.md")
    return 0


def _split(checkpoint: Checkpoint, cache: LogCache) -> Mapping[str, np.ndarray]:
    """That of the model's training.

    Raises:
        ValueError: where the model was trained on other data, or no episode was kept out.
    """
    data = checkpoint.training.get("data", {})
    if data.get("digest") != cache.describe()["digest"]:
        raise ValueError(f"{cache.path}: the model was trained on other data")
    split = split_by_trajectory(
        cache,
        *(data[key] for key in ("validation_fraction", "test_fraction", "split_seed")),
        list(checkpoint.model.names),
    )
    if not len(split["test"]):
        raise ValueError("no episode was kept out: train with --data.test_fraction above 0")
    return split


def _described(
    checkpoint: Checkpoint, cache: LogCache, split: Mapping[str, np.ndarray], epochs: int
) -> dict[str, Any]:
    trajectory = cache.arrays["trajectory"]
    return {
        "model_hash": checkpoint.weights_hash,
        "training": {key: checkpoint.training[key] for key in _RECORDED},
        "latent_size": checkpoint.model.latent_size,
        "parameters": sum(p.numel() for p in checkpoint.model.parameters()),
        "dedicated_epochs": epochs,
        "rate": cache.rate,
        "data": {
            part: {"episodes": len(np.unique(trajectory[rows])), "steps": len(rows)}
            for part, rows in split.items()
        },
        "kinds": {name: m.kind for name, m in checkpoint.model.modalities.items()},
    }


def _cells(
    checkpoint: Checkpoint,
    cache: LogCache,
    split: Mapping[str, np.ndarray],
    subsets: Sequence[Subset],
    epochs: int,
    work: Path,
) -> dict[str, dict[str, Any]]:
    """Subset, joined by +, → measures of each modality."""
    model = checkpoint.model
    table: dict[str, dict[str, Any]] = {}
    ours = skills_on(model, cache, split["test"], subsets)
    with torch.inference_mode():
        trivial = trivial_skills(model, cache, split, subsets)
    cells = [(subset, name) for subset in subsets for name in model.names]
    for subset, name in tqdm(cells, "cells", disable=None):
        entry = table.setdefault("+".join(subset), {})
        entry[f"{name}_skill_vs_mean"] = ours[subset][name]
        if epochs:
            arguments = checkpoint, cache, split["test"], subset, name, epochs, work
            entry[f"{name}_skill_dedicated"] = dedicated_skill(*arguments)
        best = max(trivial[subset][name], key=trivial[subset][name].__getitem__)
        entry[f"{name}_skill_trivial"] = trivial[subset][name][best]
        entry[f"{name}_trivial"] = best
    return table


def _draw(
    robot: str,
    checkpoint: Checkpoint,
    cache: LogCache,
    rows: np.ndarray,
    subsets: Sequence[Subset],
    folder: Path,
) -> None:
    model = checkpoint.model
    cameras = [name for name, m in model.modalities.items() if m.kind == "image"]
    if not cameras:
        return
    steps = moments(cache, rows)
    columns = [str(n) for n in cache.arrays["trajectory"][steps]]
    pictures = {name: pictures_of(model, cache, steps, name, subsets) for name in cameras}
    folder.mkdir(parents=True, exist_ok=True)
    figure = pictures_figure(robot, pictures, columns)
    save_figure(figure, folder / f"{NAME}_{robot}.png")


if __name__ == "__main__":
    sys.exit(main())
