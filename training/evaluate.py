# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Measures a model on converted logs: the error of every modality from subsets of them.

    python -m training.evaluate CHECKPOINT CACHE --output out/evaluation.json

Give logs that training has not seen. For a recorded bag use `ros2 run smvae_ros evaluate`, which
reports the same measures.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from smvae_core.checkpoint import load_checkpoint
from smvae_core.data.batches import Batches
from smvae_core.data.logs.dataset import open_cache
from smvae_core.files import check_output, write_text
from smvae_core.metrics.subset_choice import HELP, choose_subsets, left_out
from smvae_core.metrics.subset_errors import SubsetErrors, nothing_learned, print_summary
from smvae_ros.cli.programs import number, parser_of
from training.programs import run_program
from training.provenance import provenance


def main(arguments: list[str] | None = None) -> int:
    """Evaluates and prints a table; returns the exit code."""
    parser = parser_of("python -m training.evaluate", __doc__)
    add = parser.add_argument
    add("checkpoint", type=Path, help="directory of the model")
    add("cache", type=Path, help="folder that training.convert made")
    add("--output", type=Path, help="JSON file to write")
    add("--batch-size", type=number(int, 1), default=64, help="samples at a time")
    add("--every", type=number(int, 1), default=1, help="use only every N-th step")
    add("--subsets", nargs="+", metavar="SUBSET", help=HELP)
    options = parser.parse_args(arguments)
    return run_program("training.evaluate", lambda: _run(options, arguments), "nothing was written")


def _run(options: argparse.Namespace, arguments: list[str] | None) -> int:
    origin = provenance("training.evaluate", arguments)
    if options.output:
        check_output(options.output)
    checkpoint = load_checkpoint(options.checkpoint)
    model = checkpoint.model
    subsets = choose_subsets(options.subsets, model.names)
    cache = open_cache(options.cache, list(model.modalities.values()))
    if note := _other_rate(checkpoint.training, cache.rate):
        print(note, file=sys.stderr)
    if note := left_out(options.subsets, model.names):
        print(note, file=sys.stderr)
    errors = SubsetErrors(model, subsets)
    rows = np.flatnonzero(cache.present.any(1))[:: options.every]
    for batch in tqdm(
        Batches(cache, model.names, rows, options.batch_size), unit="batch", disable=None
    ):
        errors.add(batch.prepared, batch.present)
    summary = errors.summary()
    print_summary(summary)
    if advice := nothing_learned(summary):
        print(f"training.evaluate: {advice}", file=sys.stderr)
    if options.output:
        report = {
            **origin,
            "model_hash": checkpoint.weights_hash,
            "samples": errors.samples,
            "subsets": summary,
        }
        write_text(options.output, json.dumps(report, indent=1) + "\n")
    return 0


def _other_rate(training: Mapping[str, Any], rate: float) -> str | None:
    """A note where a model was trained on logs of another rate. Older ones do not say."""
    data = training.get("data")
    trained = data.get("rate", rate) if isinstance(data, Mapping) else rate
    if trained == rate:
        return None
    return (
        f"training.evaluate: CACHE has {rate:g} steps a second, the data of the model's training "
        f"{trained:g}: what is given per step, such as the action, is of another size"
    )


if __name__ == "__main__":
    sys.exit(main())
