# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Shows how sensor faults are noticed: simulated scenes through the node's health monitor.

    python -m training.studies.sensor_faults MODEL --output docs/results/sensor_health.json

Every scene is watched while healthy, which counts false alarms; in the first FAULT_SCENES of them
each fault of training.studies.sensor_faults.runs begins at a random moment. MODEL is a calibrated
checkpoint (training.calibrate); the scenes must be others than those of its training and
calibration.

Each finished scene is kept in WORK, so Ctrl-C loses at most the scenes being computed: the same
command continues. About 8 s of one core for a scene, and 25 s more with faults. With --share 1
every sensor is checked in every frame, with the node's 0.1 as many as fit into a tenth of the time.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from smvae_core.files import check_output, write_text
from smvae_core.inference.inference import Inference
from smvae_core.stored_model import CheckpointError
from smvae_ros.cli.programs import number, parser_of
from smvae_ros.simulation.graphics import SimulationUnavailable
from training.programs import run_program
from training.provenance import provenance
from training.studies.sensor_faults.runs import settings
from training.studies.sensor_faults.scenes import run_scenes
from training.studies.sensor_faults.summary import summarise, to_markdown


def main(arguments: list[str] | None = None) -> int:
    """Runs as the command line says; returns the exit code."""
    parser = parser_of("python -m training.studies.sensor_faults", __doc__)
    add = parser.add_argument
    add("model", metavar="MODEL", type=Path, help="calibrated checkpoint directory")
    add("--scenes", type=number(int, 1), default=84, metavar="N", help="how many (%(default)s)")
    add("--fault-scenes", type=int, default=40, metavar="N", help="with faults too (%(default)s)")
    add("--steps", type=number(int, 1), default=250, metavar="N", help="of a scene (%(default)s)")
    add("--seed", type=int, default=1000, metavar="S", help="of the first scene (%(default)s)")
    add(
        "--share",
        type=number(float, above=0, most=1),
        default=1.0,
        metavar="S",
        help="the node's health_share (%(default)s)",
    )
    add("--workers", type=number(int, 1), default=os.cpu_count(), metavar="N", help="(%(default)s)")
    add("--work", type=Path, default=Path("out/sensor_health"), metavar="DIR", help="(%(default)s)")
    add("--output", type=Path, metavar="FILE", help="JSON of the summary and every scene")
    options = parser.parse_args(arguments)
    return run_program(
        "training.studies.sensor_faults",
        lambda: _run(options, arguments),
        expected=(SimulationUnavailable, BrokenProcessPool),
    )


def _run(options: argparse.Namespace, arguments: list[str] | None) -> int:
    origin = provenance("training.studies.sensor_faults", arguments)
    seeds = range(options.seed, options.seed + options.scenes)
    if options.output is not None:
        check_output(options.output)
    check_output(options.work, folder=True)
    calibration = Inference.load(options.model).calibration
    if calibration is None:
        raise CheckpointError(f"{options.model} is not calibrated: run training.calibrate")
    summary = summarise(run_scenes(options, seeds))
    print(to_markdown(summary))
    if options.output is not None:
        document = {
            **origin,
            "seeds": [seeds[0], seeds[-1]],
            "calibration": dict(calibration.source),
            "settings": {**settings(), "health_share": options.share},
            **summary,
        }
        write_text(options.output, json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
