# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
r"""Runs recorded bags through the sensor set and the model, without DDS and without waiting.

    ros2 run smvae_ros evaluate BAG [BAG ...] --output out/evaluation.json \
        --report out/evaluation.html

The snapshots are those that the live node makes of the same messages, and so are the latents; a
second run gives the same numbers. Reported is how well subsets of modalities predict every
modality, and for a calibrated model how healthy its sensors look. The truth is what the bag holds.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from smvae_core.files import check_output, write_text
from smvae_core.inference.inference import Inference
from smvae_core.metrics.subset_choice import HELP
from smvae_core.stored_model import CheckpointError
from smvae_ros.bags import BagError
from smvae_ros.bundled import model_path
from smvae_ros.cli.programs import from_extra, parser_of, run_command
from smvae_ros.parameters.configuration import add_parameters_options, read_values
from smvae_ros.parameters.robot_values import add_robot_option


def make_parser() -> argparse.ArgumentParser:
    """The command line of ``ros2 run smvae_ros evaluate``."""
    parser = parser_of("evaluate", __doc__)
    add = parser.add_argument
    add("bags", nargs="+", type=Path, metavar="BAG", help="rosbag2 bags")
    add("--checkpoint", type=Path, default=model_path(), help="model (default: the bundled one)")
    add_robot_option(parser, "its topics and values in place of config/perception.yaml")
    add_parameters_options(parser)
    add("--device", default="auto", help="cpu, cuda, cuda:N or auto (default)")
    add("--output", type=Path, metavar="JSON", help="file to write")
    add("--report", type=Path, metavar="HTML", help="page with plots and pictures to write")
    add("--rerun", type=Path, metavar="RRD", help="recording for Rerun to write (rerun-sdk)")
    add("--subsets", nargs="+", metavar="SUBSET", help=HELP)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command `evaluate`; returns its exit code."""
    options = make_parser().parse_args(argv)
    return run_command("evaluate", lambda: _evaluate(options), BagError, CheckpointError)


def _evaluate(options: argparse.Namespace) -> int:
    # What is missing is said before the work.
    with from_extra("torch", "errors of subsets need PyTorch"):
        from smvae_core.metrics.subset_errors import print_summary
        from smvae_ros.offline.evaluation import evaluate
    if options.report:
        with from_extra("report", "--report needs jinja2 and matplotlib"):
            from smvae_ros.reports.evaluate_report import write_page
    if options.rerun:
        with from_extra("rerun", "--rerun needs rerun-sdk"):
            from smvae_ros.reports.rerun_file import RerunFile
    for path in filter(None, (options.output, options.report, options.rerun)):
        check_output(path)
    inference = Inference.load(options.checkpoint, options.device)
    modalities = inference.modalities.values()
    values = read_values(options.params, modalities, options.namespace, options.robot)
    recording = RerunFile(inference, options.bags) if options.rerun else None
    evaluation = evaluate(
        options.bags,
        inference,
        values,
        options.subsets,
        predictions=bool(options.report),
        watch=recording.add if recording else None,
    )
    print_summary(evaluation.summary)
    for bag, entry in evaluation.bags.items():
        for note in entry.notes:
            print(f"{bag}: {note}")
    if options.output:
        report = {"checkpoint": str(options.checkpoint), **evaluation.report()}
        write_text(options.output, json.dumps(report, indent=1) + "\n")
    if options.report:
        write_page(options.report, evaluation)
    if recording:
        recording.write(options.rerun)
    return 0


if __name__ == "__main__":
    sys.exit(main())
