# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Draws what trained models of the study know and generate, methods side by side.

    python -m training.studies.labelled_images.figures --dataset mnist --data-dir DIR

NAME_latent.png (Fig. 2 of the paper): t-SNE of the posterior's means for test images, from the
image alone and from both modalities. NAME_given_label.png (Figs. 3-5): images that are generated
for each label. Models are those that `training.studies.labelled_images` with the same options has
left in WORK; a method without one is left out. NAME_curve.png: how training went, from the files in
RESULTS/runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from tqdm import tqdm

from smvae_core.checkpoint import load_checkpoint
from smvae_core.files import check_output
from smvae_core.models.multimodal_vae import MultimodalVAE
from smvae_core.stored_model import CheckpointError
from smvae_core.tensors import to_raw
from training.programs import run_program
from training.studies.command import RESULTS, add_methods
from training.studies.labelled_images.coherence import draws
from training.studies.labelled_images.curve_figure import curve_figure
from training.studies.labelled_images.data_sets import LABELLED, DataSet, Folders
from training.studies.labelled_images.options import chosen_protocol, page_name, study_parser
from training.studies.labelled_images.protocol import METHODS, Run
from training.studies.labelled_images.run_data import RunData
from training.studies.ledger import runs_of
from training.studies.pictures import panels, save_figure, show_mosaic

_POINTS = 1000  # test images in a t-SNE picture
_ROWS = 6  # images for each label
_ACROSS = 2  # methods beside each other in the picture of generated images
_WIDTH = 7.2  # inches; in wider figures letters would be too small on a page
_GROUPED_BY = "Male"  # attribute that colours points, where y is not a class
# Distinct also in print and for most colour-blind readers (Tol 2021, "muted", and grey).
_PALETTE = (
    *("#332288", "#88CCEE", "#44AA99", "#117733", "#999933"),
    *("#DDCC77", "#CC6677", "#882255", "#AA4499", "#777777"),
)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = study_parser("training.studies.labelled_images.figures", __doc__, LABELLED)
    add_methods(parser, tuple(METHODS))
    add = parser.add_argument
    add("--seed", type=int, default=0, help="of the runs (default: 0)")
    add("--figures", type=Path, default=RESULTS / "figures", help="output folder (%(default)s)")
    add("--results", type=Path, default=RESULTS, help="folder of the study's (%(default)s)")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Draws the figures; returns the exit code."""
    options = parser().parse_args(arguments)
    return run_program(
        "training.studies.labelled_images.figures",
        lambda: _run(options),
        "figures not named above are missing",
    )


def _run(options: argparse.Namespace) -> int:
    check_output(options.figures, folder=True)
    protocol = chosen_protocol(options)
    runs = {method: Run(method, options.seed, protocol) for method in options.methods}
    models = _models(runs, options.work)
    if not models:
        print(f"No model of these runs in {options.work}", file=sys.stderr)
        return 1
    method, model = next(iter(models.items()))
    data = RunData(runs[method], Folders(options.data_dir, options.work / "derived"))
    test = data.observations(model, "test", _POINTS, at_most=True)
    training = data.observations(model, "training", 10 * _POINTS, at_most=True)
    label = protocol.data_set.label
    conditions = _conditions(training[label], protocol.data_set)
    data_set, seed = protocol.data_set, options.seed
    figures = {f"given_{label}": generated_figure(models, conditions, data_set, seed)}
    if joint := {method: model for method, model in models.items() if not model.given}:
        figures["latent"] = latent_figure(joint, test, data_set, seed)
    found = runs_of(options.results / "runs", protocol)
    records = [r for r in found if r["configuration"]["method"] in options.methods]
    if curve := curve_figure(protocol, records):
        figures["curve"] = curve
    for name, figure in figures.items():
        path = options.figures / f"{page_name(protocol)}_{name}.png"
        save_figure(figure, path)
        print(f"Saved {path}")
    return 0


def _models(runs: Mapping[str, Run], work: Path) -> dict[str, MultimodalVAE]:
    """Method → its trained model; those that are not there are named."""
    models = {}
    for method, run in runs.items():
        try:
            models[method] = load_checkpoint(work / run.key / "model").model
        except CheckpointError as error:
            print(f"{method} is left out: {error}", file=sys.stderr)
    return models


@torch.inference_mode()
def latent_figure(
    models: Mapping[str, MultimodalVAE],
    observed: Mapping[str, Tensor],
    data_set: DataSet,
    seed: int,
) -> Figure:
    """For each method two panels, from the image alone and from both modalities."""
    label = data_set.label
    classes, names = _groups(observed[label], data_set)
    subsets = (["image"], ["image", label])
    figure, pairs = latent_panels(tuple(models), names, data_set, len(classes))
    with tqdm(total=2 * len(models), desc="t-SNE", disable=None, leave=False) as bar:
        for model, axes in zip(models.values(), pairs, strict=True):
            for axis, subset in zip(axes, subsets, strict=True):
                means = model.encode({name: observed[name] for name in subset}).mean
                points = _embed(means.numpy(), seed)
                for number, _ in enumerate(names):
                    style = {"s": 4, "lw": 0, "color": _PALETTE[number % 10]}
                    axis.scatter(*points[classes == number].T, **style)
                bar.update()
    return figure


def latent_panels(
    methods: Sequence[str], names: Sequence[str], data_set: DataSet, points: int
) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """An empty figure of t-SNE, narrow enough for a page, and the two panels of each method.

    Args:
        methods: two of them stand beside each other.
        names: of the groups, in the order of their colours.
        data_set: that was embedded.
        points: how many samples.
    """
    across = min(_ACROSS, len(methods))
    figure, axes = panels(
        2 * len(methods),
        2 * across,
        (_WIDTH * across / 2, 2.15 * -(-len(methods) // across) + 1.2),
        f"{data_set.title}: t-SNE of the posterior's mean,\n{points} test images, from the image "
        f"alone and with its {data_set.label}" + _caution(data_set),
    )
    pairs = list(zip(axes[::2], axes[1::2], strict=True))
    for method, pair in zip(methods, pairs, strict=True):
        for axis, title in zip(pair, ("image", f"image, {data_set.label}"), strict=True):
            axis.set_title(f"{method}\n{title}", fontsize=9)
    for number, name in enumerate(names):
        axes[0].scatter([], [], s=25, color=_PALETTE[number % 10], label=name)
    figure.legend(loc="outside lower center", frameon=False, fontsize=9, ncols=5, handletextpad=0.1)
    return figure, pairs


def _groups(y: Tensor, data_set: DataSet) -> tuple[np.ndarray, tuple[str, ...]]:
    """Group of each sample, (N,), and names of the groups: classes, or one attribute."""
    if data_set.label == "label":
        return y.argmax(1).numpy(), data_set.classes
    attribute = data_set.classes.index(_GROUPED_BY) if _GROUPED_BY in data_set.classes else 0
    name = data_set.classes[attribute]
    return (y[:, attribute] > 0.5).long().numpy(), (f"not {name}", name)


def _embed(means: np.ndarray, seed: int) -> np.ndarray:
    """t-SNE (van der Maaten & Hinton 2008) of (N, D), (N, 2)."""
    try:
        from sklearn.manifold import TSNE
    except ImportError:
        raise ValueError("t-SNE needs scikit-learn: pip install 'smvae_ros[benchmarks]'") from None
    perplexity = min(30.0, (len(means) - 1) / 3)
    return TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(means)


@torch.inference_mode()
def generated_figure(
    models: Mapping[str, MultimodalVAE],
    conditions: Mapping[str, Tensor],
    data_set: DataSet,
    seed: int,
) -> Figure:
    """A panel for each method, in it a column of images for each condition."""
    label = data_set.label
    y = torch.stack(list(conditions.values()))
    figure, axes = generated_panels(len(models), tuple(conditions), data_set)
    for axis, (method, model) in zip(axes, models.items(), strict=True):
        posterior = model.encode({label: y})
        noise = torch.Generator().manual_seed(seed)
        images = [
            to_raw(model.modalities["image"], model.decode(z, ["image"])["image"].mean)
            for z in draws(posterior, _ROWS, noise)
        ]
        show_mosaic(axis, torch.stack(images).numpy(), method, columns=list(conditions))
    return figure


def generated_panels(
    methods: int, conditions: Sequence[str], data_set: DataSet
) -> tuple[Figure, list[Axes]]:
    """An empty figure of generated images, narrow enough for a page, and a panel for each method.

    Args:
        methods: how many.
        conditions: names of the columns of a panel.
        data_set: that was learned.
    """
    across = min(_ACROSS, methods)
    side = min(0.34, _WIDTH / _ACROSS / len(conditions))  # of an image, inches
    below = 0.45 + 0.03 * max(map(len, conditions))  # for a panel's title and slanted names
    width = max(side * len(conditions) * across + 0.3, 5.0)
    height = (side * _ROWS + below) * -(-methods // across) + 0.6
    title = f"{data_set.title}: images generated given the {data_set.label}\n"
    title += "(means of p(x|z), z ~ q(z|y))" + _caution(data_set)
    return panels(methods, across, (width, height), title)


def _conditions(training: Tensor, data_set: DataSet) -> dict[str, Tensor]:
    """Name → y: each class; or for each attribute the combination that has it most often."""
    if data_set.label == "label":
        return dict(zip(data_set.classes, torch.eye(len(data_set.classes)), strict=True))
    conditions = {}
    for number, name in enumerate(data_set.classes):
        with_it = training[training[:, number] > 0.5]
        if len(with_it):
            rows, counts = with_it.unique(dim=0, return_counts=True)
            conditions[name.replace("_", " ")] = rows[counts.argmax()]
    return conditions


def _caution(data_set: DataSet) -> str:
    return f"\n{data_set.caution}" if data_set.caution else ""


if __name__ == "__main__":
    sys.exit(main())
