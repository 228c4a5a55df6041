"""Measures a model on converted logs: the error of every modality from every subset.

    python -m training.evaluate CHECKPOINT CACHE --output out/evaluation.json

Give logs that training has not seen. For a recorded bag use `ros2 run smvae_ros evaluate`, which
reports the same measures.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from smvae_core.checkpoint import CheckpointError, load_checkpoint
from smvae_core.data.batches import LogBatches
from smvae_core.data.log_dataset import CacheError, open_cache
from smvae_core.evaluation import SubsetErrors, print_summary
from smvae_core.files import OutputError, check_output, write_text


def main(arguments: list[str] | None = None) -> int:
    """Evaluates and prints a table; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="training.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", type=Path, help="directory of the model")
    parser.add_argument("cache", type=Path, help="folder that training.convert made")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument("--batch-size", type=int, default=64, help="samples at a time")
    parser.add_argument("--every", type=int, default=1, help="use only every N-th step")
    options = parser.parse_args(arguments)
    try:
        if options.output:
            check_output(options.output)
        model = load_checkpoint(options.checkpoint).model
        cache = open_cache(options.cache, list(model.modalities.values()))
    except (CheckpointError, CacheError, OutputError) as error:
        print(f"training.evaluate: error: {error}", file=sys.stderr)
        return 2
    errors = SubsetErrors(model)
    rows = np.flatnonzero(cache.present.any(1))[:: options.every]
    for batch in tqdm(
        LogBatches(cache, model.names, rows, options.batch_size), unit="batch", disable=None
    ):
        errors.add(batch.prepared, batch.present)
    summary = errors.summary()
    print_summary(summary)
    if options.output:
        report = {"samples": errors.samples, "subsets": summary}
        try:
            write_text(options.output, json.dumps(report, indent=1) + "\n")
        except OutputError as error:
            print(f"training.evaluate: error: {error}", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
