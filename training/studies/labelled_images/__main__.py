# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Trains SMVAE and every baseline on labelled images, measures them and makes a table.

    python -m training.studies.labelled_images --dataset mnist --data-dir DIR

Every run is one file in RESULTS/runs, keyed by its configuration, that grows by a section with
every stage. So the command can be stopped in any way and given again: what was measured stays, and
an unfinished training continues. After every run the table of all runs of the same protocol is
written to RESULTS/NAME.json and .md. Progress goes to standard error, the table to standard output.
"""

from __future__ import annotations

import argparse
import sys

from training.programs import run_program
from training.studies.command import add_methods, add_runs, run_study
from training.studies.labelled_images.data_sets import LABELLED, Folders
from training.studies.labelled_images.options import chosen_protocol, study_parser
from training.studies.labelled_images.study import STAGES, LabelledImages


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = study_parser(LabelledImages.program, __doc__, LABELLED, False)
    add_methods(parser, LabelledImages.methods)
    add_runs(parser, tuple(STAGES))
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Runs what is missing and makes the table; returns the exit code."""
    options = parser().parse_args(arguments)
    if options.data_dir is None and not options.only_table:
        parser().error("--data-dir is needed, except with --only-table")

    def study() -> LabelledImages:
        folders = Folders(options.data_dir, options.work / "derived")
        return LabelledImages(chosen_protocol(options), folders)

    return run_program(LabelledImages.program, lambda: run_study(study(), options))


if __name__ == "__main__":
    sys.exit(main())
