"""Trains SMVAE on six views of a face, measures how they predict each other, and draws Fig. 6.

    python -m training.views --dataset celeba_views --data-dir DIR

The run is one file in RESULTS/runs, as those of `training.benchmark`, and its model stays in WORK,
so that the same command continues what was interrupted and only draws what stands. Progress goes to
standard error, the table of errors to standard output.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from smvae_core.checkpoint import CheckpointError, load_checkpoint
from smvae_core.data.cache_folder import CacheError
from smvae_core.data.celeba_views import paint_landmarks
from smvae_core.evaluation import print_summary
from smvae_core.multimodal_vae import MultimodalVAE
from smvae_core.preprocessing import to_raw
from training.benchmark import quieten
from training.data_sets import DATA_SETS, DataSet, Folders
from training.pictures import save_figure, show_mosaic
from training.protocol import METHODS, Run, RunFailed
from training.protocol_options import add_protocol_options, chosen_protocol, page_name
from training.run_data import observations
from training.study import complete

DATA_SETS_OF_VIEWS = tuple(name for name in DATA_SETS if DATA_SETS[name].label is None)
_FACES = 6
# Panels of Fig. 6: title, given views, generated ones.
_PANELS = (
    ("(a) Edges and parts of the face, from the image", ("original",), ("edges", "landmarks")),
    ("(b) Colours, from grey", ("grey",), ("original",)),
    ("(c) The right half, from the left", ("left_half",), ("original",)),
    ("(d) No watermark, from a watermarked image", ("watermarked",), ("original",)),
    ("(e) The image, from edges and parts", ("edges", "landmarks"), ("original",)),
)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m training.views",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_protocol_options(parser, DATA_SETS_OF_VIEWS)
    add = parser.add_argument
    add("--data-dir", type=Path, required=True, help="folder of the data set")
    methods = [method for method in METHODS if method != "cvae"]
    add("--method", choices=methods, default=methods[0], help=f"default: {methods[0]}")
    add("--seed", type=int, default=0, help="default: 0")
    add(
        "--results",
        type=Path,
        default=Path("docs/results"),
        help="folder of the run's file and of figures/NAME.png (default: docs/results)",
    )
    add(
        "--work",
        type=Path,
        default=Path("out/benchmark"),
        help="folder of the model and of what is computed from the images (default: out/benchmark)",
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Trains and measures what is missing, and draws; returns the exit code."""
    options = parser().parse_args(arguments)
    quieten()
    try:
        run = Run(options.method, options.seed, chosen_protocol(options))
        runs, work = options.results / "runs", options.work
        complete(run, options.data_dir, runs, work)
        record = json.loads((runs / f"{run.key}.json").read_text())
        print_summary(record["views"]["subsets"])
        model = load_checkpoint(work / run.key / "model").model
        folders = Folders(options.data_dir, work / "derived")
        faces = observations(model, run, folders, "test", _FACES, at_most=True)
    except KeyboardInterrupt:
        print("\nInterrupted; the same command continues", file=sys.stderr)
        return 130
    except (CacheError, CheckpointError, RunFailed, ValueError) as error:
        print(f"training.views: error: {error}", file=sys.stderr)
        return 2
    path = options.results / "figures" / f"{page_name(run.protocol)}.png"
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
    heights = [len(given) + 2 * len(targets) for _, given, targets in _PANELS]
    columns = _in_two_columns(heights)
    tallest = max(sum(heights[i] + 0.8 for i in column) for column in columns)
    count = len(next(iter(observed.values())))
    figure = Figure(figsize=(1.3 * count + 3.2, 0.65 * tallest + 0.8), layout="constrained")
    for side, panels in zip(figure.subfigures(1, 2), columns, strict=True):
        axes = side.subplots(len(panels), height_ratios=[heights[i] for i in panels], squeeze=False)
        for axis, (title, given, targets) in zip(
            axes.flat, (_PANELS[i] for i in panels), strict=True
        ):
            z = model.encode({name: observed[name] for name in given}).mean
            generated = {name: x.mean for name, x in model.decode(z, targets).items()}
            rows = {name: observed[name] for name in given}
            for name in targets:
                rows |= {f"{name}, generated": generated[name], f"{name}, true": observed[name]}
            pictures = [_picture(model, name.split(",")[0], x) for name, x in rows.items()]
            labels = [name if "," in name else f"given: {name}" for name in rows]
            show_mosaic(axis, np.stack(pictures), title, rows=labels)
    figure.suptitle(f"{data_set.title}" + (f"\n{data_set.caution}" if data_set.caution else ""))
    return figure


def _in_two_columns(heights: Sequence[int]) -> tuple[list[int], list[int]]:
    """Numbers of the panels left and right, in order, as even as it gets."""
    total = sum(heights)
    split = min(range(1, len(heights)), key=lambda n: abs(2 * sum(heights[:n]) - total))
    return list(range(split)), list(range(split, len(heights)))


def _picture(model: MultimodalVAE, name: str, values: Tensor) -> np.ndarray:
    """A view (B, *shape), normalised, as pictures (B, h, w, 3)."""
    raw = to_raw(model.modalities[name], values).numpy()
    if name == "landmarks":
        return paint_landmarks(raw)
    return np.broadcast_to(raw, (*raw.shape[:-1], 3))


if __name__ == "__main__":
    sys.exit(main())
