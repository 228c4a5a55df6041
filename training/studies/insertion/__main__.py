# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
r"""The robot study: SMVAE, its baselines and dedicated networks on logs of insertion.

    python -m training.simulate --output data/insertion/train --trajectories 5000 --steps 250 \
        --one-part --part-steps 2 --seed 10000
    python -m training.simulate --output data/insertion/test --trajectories 40 --steps 250 \
        --one-part --seed 1000
    python -m training.convert data/insertion/train data/insertion/train_cache
    python -m training.convert data/insertion/test data/insertion/test_cache
    python -m training.studies.insertion data/insertion/train_cache data/insertion/test_cache

Every run is one file in RESULTS/runs, keyed by its configuration and data, that grows by a section
with every stage. So the command can be stopped in any way and given again: what was measured stays,
and an unfinished training continues. After every run the table of all of them is written to
RESULTS/insertion.json and .md.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from smvae_core.data.logs.dataset import open_cache
from smvae_ros.cli.programs import parser_of
from training.programs import run_program
from training.studies.command import add_methods, add_runs, run_study
from training.studies.insertion.measures import STAGES, Caches
from training.studies.insertion.protocol import Protocol
from training.studies.insertion.study import Insertion


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = parser_of(f"python -m {Insertion.program}", __doc__)
    add = parser.add_argument
    add("training", type=Path, metavar="TRAINING_CACHE", help="converted logs to train on")
    add("test", type=Path, metavar="TEST_CACHE", help="converted logs of other trajectories")
    add_methods(parser, Insertion.methods)
    add_runs(parser, tuple(STAGES))
    for field in fields(Protocol):
        option = "--" + field.name.replace("_", "-")
        add(option, type=int, default=field.default, metavar="N", help=f"default: {field.default}")
    add(
        "--work",
        type=Path,
        default=Path("out/insertion"),
        help="folder of unfinished runs and trained models (default: out/insertion)",
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Runs what is missing and makes the tables; returns the exit code."""
    options = parser().parse_args(arguments)

    def study() -> Insertion:
        protocol = Protocol(**{f.name: getattr(options, f.name) for f in fields(Protocol)})
        return Insertion(protocol, Caches(open_cache(options.training), open_cache(options.test)))

    return run_program(Insertion.program, lambda: run_study(study(), options))


if __name__ == "__main__":
    sys.exit(main())
