# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Trains SMVAE on six views of a face, measures how they predict each other, and draws Fig. 6.

    python -m training.studies.labelled_images.views --dataset celeba_views --data-dir DIR

The run is one file in RESULTS/runs, as those of `training.studies.labelled_images`, and its model
stays in WORK, so that the same command continues what was interrupted and only draws what stands.
Progress goes to standard error, the table of errors to standard output.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from smvae_core.checkpoint import load_checkpoint
from smvae_core.data.images.celeba_views import paint_landmarks
from smvae_core.files import check_output
from smvae_core.metrics.subset_errors import print_summary
from smvae_core.models.multimodal_vae import MultimodalVAE
from smvae_core.tensors import to_raw
from training.programs import run_program
from training.studies.command import RESULTS
from training.studies.labelled_images.data_sets import DATA_SETS, DataSet, Folders
from training.studies.labelled_images.options import chosen_protocol, page_name, study_parser
from training.studies.labelled_images.protocol import METHODS, Run
from training.studies.labelled_images.study import LabelledImages
from training.studies.ledger import read
from training.studies.pictures import save_figure, show_mosaic
from training.studies.study import complete

DATA_SETS_OF_VIEWS = tuple(name for name in DATA_SETS if DATA_SETS[name].label is None)
_FACES = 5
# Panels of Fig. 6, left and right: title, given views, generated ones. Both sides are nine rows.
_PANELS = (
    (
        ("(a) Edges and parts of the face, from the image", ("original",), ("edges", "landmarks")),
        ("(e) The image, from edges and parts", ("edges", "landmarks"), ("original",)),
    ),
    (
        ("(b) Colours, from grey", ("grey",), ("original",)),
        ("(c) The right half, from the left", ("left_half",), ("original",)),
        ("(d) No watermark, from a watermarked image", ("watermarked",), ("original",)),
    ),
)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = study_parser("training.studies.labelled_images.views", __doc__, DATA_SETS_OF_VIEWS)
    add = parser.add_argument
    methods = [method for method in METHODS if method != "cvae"]
    add("--method", choices=methods, default=methods[0], help=f"default: {methods[0]}")
    add("--seed", type=int, default=0, help="default: 0")
    where = "folder of the run's file and of figures/NAME.png (%(default)s)"
    add("--results", type=Path, default=RESULTS, help=where)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Trains and measures what is missing, and draws; returns the exit code."""
    options = parser().parse_args(arguments)
    return run_program("training.studies.labelled_images.views", lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    run = Run(options.method, options.seed, chosen_protocol(options))
    runs, work = options.results / "runs", options.work
    path = options.results / "figures" / f"{page_name(run.protocol)}.png"
    check_output(path)
    study = LabelledImages(run.protocol, Folders(options.data_dir, work / "derived"))
    complete(study, run, runs, work)
    print_summary(read(runs / f"{run.key}.json")["views"]["subsets"])
    model = load_checkpoint(work / run.key / "model").model
    faces = study.open(run).observations(model, "test", _FACES, at_most=True)
    save_figure(views_figure(model, faces, run.protocol.data_set), path)
    print(f"Saved {path}", file=sys.stderr)
    return 0


@torch.inference_mode()
def views_figure(model: MultimodalVAE, observed: Mapping[str, Tensor], data_set: DataSet) -> Figure:
    """Fig. 6 of the paper: what is given, what is generated from it, and what is true; a column for
    each face.

    Args:
        model: with all six views.
        observed: view → (B, *shape), normalised.
        data_set: that they come from.
    """
    count = len(next(iter(observed.values())))
    figure = Figure(figsize=(1.4 * count + 3.2, 7.5), layout="constrained")
    for side, panels in zip(figure.subfigures(1, 2), _PANELS, strict=True):
        heights = [len(given) + 2 * len(targets) for _, given, targets in panels]
        axes = side.subplots(len(panels), height_ratios=heights)
        for axis, (title, given, targets) in zip(axes, panels, strict=True):
            rows = _rows(model, observed, given, targets)
            show_mosaic(axis, np.stack(list(rows.values())), title, rows=list(rows))
    figure.suptitle(f"{data_set.title}" + (f"\n{data_set.caution}" if data_set.caution else ""))
    return figure


def _rows(
    model: MultimodalVAE,
    observed: Mapping[str, Tensor],
    given: Sequence[str],
    targets: Sequence[str],
) -> dict[str, np.ndarray]:
    """Name of a row of a panel → its pictures (B, h, w, 3)."""
    z = model.encode({name: observed[name] for name in given}).mean
    generated = model.decode(z, targets)
    rows = {f"given: {name}": _picture(model, name, observed[name]) for name in given}
    for name in targets:
        rows[f"{name}, generated"] = _picture(model, name, generated[name].mean)
        rows[f"{name}, true"] = _picture(model, name, observed[name])
    return {title.replace("_", " "): pictures for title, pictures in rows.items()}


def _picture(model: MultimodalVAE, name: str, values: Tensor) -> np.ndarray:
    """A view (B, *shape), normalised, as pictures (B, h, w, 3)."""
    raw = to_raw(model.modalities[name], values).numpy()
    if name == "landmarks":
        return paint_landmarks(raw)
    return np.broadcast_to(raw, (*raw.shape[:-1], 3))


if __name__ == "__main__":
    sys.exit(main())
