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

import numpy as np

from smvae_core.checkpoint import CheckpointError, load_checkpoint, save_calibration
from smvae_core.data.log_dataset import CacheError, open_cache
from smvae_core.health.calibrate import calibrate
from smvae_core.inference import DeviceError, find_device


def _rate(text: str) -> float:
    value = float(text)
    if not 0 < value < np.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training.calibrate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", type=Path, help="checkpoint directory")
    parser.add_argument("cache", metavar="CACHE", type=Path, help="folder made by training.convert")
    parser.add_argument(
        "--rate",
        type=_rate,
        metavar="HZ",
        help="steps per second of the logs (default: what CACHE says)",
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:N or auto (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        device = find_device(options.device)
        model = load_checkpoint(options.model).model.to(device)
        cache = open_cache(options.cache, list(model.modalities.values()))
        calibration = calibrate(model, cache, np.arange(len(cache)), options.rate)
        save_calibration(options.model, calibration)
    except (CacheError, CheckpointError, DeviceError, ValueError) as error:
        print(f"training.calibrate: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted; the model is as it was.", file=sys.stderr)
        return 130
    source = calibration.source
    print(
        f"Calibrated {options.model} with {source['steps']} steps in {source['runs']} runs at "
        f"{1 / calibration.period:g} Hz: "
        f"{len(calibration.references)} combinations of a sensor and others"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
