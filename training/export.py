# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Writes a model as ONNX, for ONNX Runtime, TensorRT, Netron and whatever else opens such files.

    python -m training.export MODEL

MODEL is a checkpoint directory. For each modality it gets embed_MODALITY.onnx and
decode_MODALITY.onnx, and one fuse.onnx for any subset of them; their weights stay in
model.safetensors, which they refer to. The model itself is not changed, and the node does not need
these files. In the end they are compared with PyTorch, for every subset of the modalities.
training.train does the same when it exports.
"""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from smvae_core.checkpoint import load_checkpoint
from smvae_core.files import check_output
from smvae_core.graphs.files import check_graphs, write_graphs
from smvae_core.stored_model import CheckpointError
from smvae_core.words import counted
from smvae_ros.cli.programs import parser_of
from training.parity import LIMIT, compare
from training.programs import run_program


def main(arguments: list[str] | None = None) -> int:
    """Runs as the command line says; returns the exit code."""
    parser = parser_of("python -m training.export", __doc__)
    parser.add_argument("model", metavar="MODEL", type=Path, help="checkpoint directory")
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; compare the files that are there with the model",
    )
    options = parser.parse_args(arguments)
    return run_program("training.export", lambda: _run(options), "the same command starts anew")


def _run(options: argparse.Namespace) -> int:
    if options.check:
        files = check_graphs(options.model)
        print(f"{_listed(files)} are those of {options.model}; {_compared(options.model, True)}")
    else:
        check_output(options.model, folder=True)
        print(export_graphs(options.model, details=True))
    return 0


def export_graphs(path: Path, details: bool = False) -> str:
    """Writes a model's graphs and compares them with it; returns what to say of it.

    Args:
        path: checkpoint directory.
        details: whether to print the difference of each graph.

    Raises:
        CheckpointError: where the checkpoint cannot be used, and where the graphs differ from the
            model; they are removed then.
        OutputError: where a file cannot be written.
    """
    files = write_graphs(path)
    try:
        return f"Wrote {_listed(files)} to {path}; {_compared(path, details)}"
    except BaseException:  # Ctrl-C, too: nothing stays that was not compared
        for file in files:
            file.unlink()
        raise


def _listed(files: list[Path]) -> str:
    size = sum(file.stat().st_size for file in files)
    return f"{counted(len(files), 'ONNX graph')} ({size / 1000:.0f} kB)"


def _compared(path: Path, details: bool) -> str:
    if find_spec("onnxruntime") is None:
        return "to compare them with PyTorch: pip install onnxruntime"
    parity = compare(load_checkpoint(path).model, path, np.random.default_rng(0))
    if details:
        for graph, difference in parity.differences.items():
            print(f"{graph:<30} {difference:.1e}")
    worst = parity.differences[parity.worst]
    if worst > LIMIT:
        raise CheckpointError(
            f"{path}: {parity.worst} in ONNX Runtime differs from PyTorch by {worst:.1e} of an "
            f"output's scale, more than {LIMIT:.0e}"
        )
    return (
        f"they differ from PyTorch by at most {worst:.1e} of an output's scale "
        f"({counted(parity.subsets, 'subset')})"
    )


if __name__ == "__main__":
    sys.exit(main())
