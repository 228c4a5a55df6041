"""Draws what trained models of the study know and generate, methods side by side.

    python -m training.benchmark_figures --dataset mnist --data-dir DIR

NAME_latent.png (Fig. 2 of the paper): t-SNE of the posterior's means for test images, from the
image alone and from both modalities. NAME_given_label.png (Figs. 3-5): images that are generated
for each label. Models are those that `training.benchmark` with the same options has left in WORK; a
method without one is left out. NAME_curve.png: how training went, from the files in RESULTS/runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from tqdm import tqdm

from smvae_core.checkpoint import CheckpointError, load_checkpoint
from smvae_core.data.cache_folder import CacheError
from smvae_core.files import OutputError, check_output
from smvae_core.multimodal_vae import MultimodalVAE
from smvae_core.preprocessing import to_raw
from training.coherence import draws
from training.curve_figure import curve_figure
from training.data_sets import LABELLED, DataSet, Folders
from training.pictures import save_figure, show_mosaic
from training.protocol import Run
from training.protocol_options import add_methods, chosen_protocol, page_name, study_parser
from training.run_data import observations
from training.run_file import runs_of

_POINTS = 1000  # test images in a t-SNE picture
_ROWS = 6  # images for each label
_ACROSS = 3  # methods beside each other in the picture of generated images
_GROUPED_BY = "Male"  # attribute that colours points, where y is not a class
# Distinct also in print and for most colour-blind readers (Tol 2021, "muted", and grey).
_PALETTE = (
    *("#332288", "#88CCEE", "#44AA99", "#117733", "#999933"),
    *("#DDCC77", "#CC6677", "#882255", "#AA4499", "#777777"),
)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = study_parser("python -m training.benchmark_figures", __doc__, LABELLED)
    add_methods(parser)
    add = parser.add_argument
    add("--seed", type=int, default=0, help="of the runs (default: 0)")
    add(
        "--figures",
        type=Path,
        default=Path("docs/results/figures"),
        help="folder to write to (default: docs/results/figures)",
    )
    add(
        "--results",
        type=Path,
        default=Path("docs/results"),
        help="folder of the study's results (default: docs/results)",
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Draws the figures; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        check_output(options.figures, folder=True)
        protocol = chosen_protocol(options)
        runs = {method: Run(method, options.seed, protocol) for method in options.methods}
        models = _models(runs, options.work)
        if not models:
            print(f"No model of these runs in {options.work}", file=sys.stderr)
            return 1
        run = runs[next(iter(models))]
        folders = Folders(options.data_dir, options.work / "derived")
        model = next(iter(models.values()))
        test = observations(model, run, folders, "test", _POINTS, at_most=True)
        training = observations(model, run, folders, "training", 10 * _POINTS, at_most=True)
        label = protocol.data_set.label
        conditions = _conditions(training[label], protocol.data_set)
        data_set, seed = protocol.data_set, options.seed
        figures = {f"given_{label}": generated_figure(models, conditions, data_set, seed)}
        if joint := {method: model for method, model in models.items() if not model.given}:
            figures["latent"] = latent_figure(joint, test, data_set, seed)
        records = [
            record
            for record in runs_of(options.results / "runs", protocol)
            if record["configuration"]["method"] in options.methods
        ]
        if curve := curve_figure(protocol, records):
            figures["curve"] = curve
        for name, figure in figures.items():
            path = options.figures / f"{page_name(protocol)}_{name}.png"
            save_figure(figure, path)
            print(f"Saved {path}")
    except KeyboardInterrupt:
        print("\nInterrupted; nothing was written", file=sys.stderr)
        return 130
    except (CacheError, OutputError, ValueError) as error:
        print(f"training.benchmark_figures: error: {error}", file=sys.stderr)
        return 2
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
    """Two rows, from the image alone and from both modalities, and a column for each method."""
    label = data_set.label
    classes, names = _groups(observed[label], data_set)
    subsets = {"image alone": ["image"], f"image and {label}": ["image", label]}
    figure = Figure(figsize=(2.1 * max(len(models), 2) + 1.2, 4.5), layout="constrained")
    axes = figure.subplots(len(subsets), len(models), squeeze=False)
    with tqdm(total=axes.size, desc="t-SNE", disable=None, leave=False) as bar:
        for column, (method, model) in enumerate(models.items()):
            axes[0, column].set_title(method, fontsize=10)
            for row, (title, subset) in enumerate(subsets.items()):
                means = model.encode({name: observed[name] for name in subset}).mean
                axis = axes[row, column]
                points = _embed(means.numpy(), seed)
                for number, _ in enumerate(names):
                    axis.scatter(
                        *points[classes == number].T, s=4, lw=0, color=_PALETTE[number % 10]
                    )
                axis.set(xticks=[], yticks=[])
                if column == 0:
                    axis.set_ylabel(f"from {title}", fontsize=9)
                bar.update()
    handles = [
        axes[0, 0].scatter([], [], s=25, color=_PALETTE[number % 10])
        for number in range(len(names))
    ]
    figure.legend(handles, names, loc="outside right center", frameon=False, fontsize=8)
    figure.suptitle(
        f"{data_set.title}: t-SNE of the posterior's mean, {len(classes)} test images"
        + _caution(data_set),
        fontsize=11,
    )
    return figure


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
    across = min(_ACROSS, len(models))
    down = -(-len(models) // across)
    shape = (0.33 * len(conditions) * across + 0.4, 0.33 * (_ROWS + 1.6) * down + 0.6)
    figure = Figure(figsize=tuple(max(side, 3.0) for side in shape), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False).flat
    for axis in panels:
        axis.set_visible(False)
    panels = figure.axes
    for axis, (method, model) in zip(panels, models.items(), strict=False):
        posterior = model.encode({label: y})
        noise = torch.Generator().manual_seed(seed)
        images = [
            to_raw(model.modalities["image"], model.decode(z, ["image"])["image"].mean)
            for z in draws(posterior, _ROWS, noise)
        ]
        axis.set_visible(True)
        show_mosaic(axis, torch.stack(images).numpy(), method, columns=list(conditions))
    figure.suptitle(
        f"{data_set.title}: images generated given the {label} (means of p(x|z), z ~ q(z|y))"
        + _caution(data_set),
        fontsize=11,
    )
    return figure


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
