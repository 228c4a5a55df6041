# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Calibrates the sensor health of a model: measures on healthy data what is normal.

    python -m training.calibrate MODEL CACHE

MODEL is a checkpoint directory, to which health.safetensors is added. CACHE holds healthy logs that
the model was not trained on, converted by training.convert; all of its steps are used. The model
itself is not changed. training.train does the same with its validation split, when it exports.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from smvae_core.checkpoint import load_checkpoint
from smvae_core.data.logs.dataset import open_cache
from smvae_core.files import check_output
from smvae_core.inference.devices import find_torch_device
from smvae_core.residuals.calibrate import calibrate
from smvae_core.residuals.calibration import MISSING, count_references, usual_missing
from smvae_core.stored_model import HEALTH, save_calibration
from smvae_core.words import counted
from smvae_ros.cli.programs import number, parser_of
from training.programs import run_program


def main(arguments: list[str] | None = None) -> int:
    """Runs as the command line says; returns the exit code."""
    parser = parser_of("python -m training.calibrate", __doc__)
    add = parser.add_argument
    add("model", metavar="MODEL", type=Path, help="checkpoint directory")
    add("cache", metavar="CACHE", type=Path, help="folder made by training.convert")
    add(
        "--rate",
        type=number(float, above=0),
        metavar="HZ",
        help="steps per second of the logs (default: what CACHE says)",
    )
    add("--device", default="auto", help="cpu, cuda, cuda:N or auto (%(default)s)")
    add(
        "--missing",
        type=number(int, 0),
        metavar="N",
        help="how many other sensors may be absent for a sensor still to be judged; combinations, "
        f"time and file grow with it (default: {MISSING}, less with more than nine modalities)",
    )
    options = parser.parse_args(arguments)
    return run_program("training.calibrate", lambda: _run(options), "the model is as it was")


def _run(options: argparse.Namespace) -> int:
    check_output(options.model / HEALTH)
    device = find_torch_device(options.device)
    model = load_checkpoint(options.model).model.to(device)
    cache = open_cache(options.cache, list(model.modalities.values()))
    missing = usual_missing(len(model.names)) if options.missing is None else options.missing
    if options.missing is None and missing < MISSING:
        print(
            f"With {len(model.names)} modalities a sensor is calibrated for up to {missing} absent "
            f"others, {count_references(len(model.names), missing)} combinations; --missing sets "
            "another number",
            file=sys.stderr,
        )
    rows = np.arange(len(cache))
    calibration = calibrate(model, cache, rows, options.rate, missing=missing)
    save_calibration(options.model, calibration)
    source: Any = calibration.source
    print(
        f"Calibrated {options.model} with {source['steps']} steps in "
        f"{counted(source['runs'], 'run')} at {1 / calibration.period:g} Hz: "
        f"{len(calibration.references)} combinations of a sensor and others"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
