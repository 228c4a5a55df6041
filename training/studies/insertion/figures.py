# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Figure 7 of the paper: what the model sees with its eyes closed.

    python -m training.studies.insertion.figures CHECKPOINT CACHE --output docs/results/figures

Writes, from converted logs that training has not seen:

- insertion_sampled.png: RGB and depth sampled from force and action only, beside the truth, at
  early steps without contact and late steps with contact;
- insertion_sequence.png: RGB and depth along a sequence of actions that ends in contact, from
  force and action (partial observation) and from all four modalities (full observation);
- insertion_sequence.gif: the same sequence, every step.

Steps are chosen by rule, not by how well they turned out: the early and late steps evenly from
those of one trajectory, the sequence around its first touch.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

from smvae_core.checkpoint import load_checkpoint
from smvae_core.data.logs.dataset import LogCache, open_cache
from smvae_core.files import check_output, whole_file
from smvae_core.modalities import Modality
from smvae_core.models.multimodal_vae import MultimodalVAE
from smvae_core.tensors import to_raw, to_tensor
from smvae_ros.cli.programs import parser_of
from smvae_ros.reports.figures import Row, depth_style, displayable, pictures_figure
from training.programs import run_program
from training.studies.command import RESULTS
from training.studies.pictures import save_figure

LABELS = {"rgb": "RGB", "depth": "depth"}
PICTURES = tuple(LABELS)
PARTIAL = ("force", "action")
FULL = ("rgb", "depth", "force", "action")
MOMENTS = 3  # early, and as many late
SAMPLES = 2  # drawn for each moment
COLUMNS = 6  # moments of the sequence in print

Pictures = dict[str, np.ndarray]  # rgb (N, h, w, 3) uint8, depth (N, h, w) metres


def steps_of(cache: LogCache, trajectory: int, names: Sequence[str]) -> np.ndarray:
    """Rows of a trajectory in which these modalities are present, in the order of time."""
    rows = cache.complete(names)
    return rows[cache.arrays["trajectory"][rows] == trajectory]


def early_and_late(cache: LogCache, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Steps without contact from the first half of a trajectory, and with contact from the second.

    Raises:
        ValueError: where there are none.
    """
    contact = cache.arrays["contact"][rows]
    half = len(rows) // 2
    early, late = rows[:half][~contact[:half]], rows[half:][contact[half:]]
    if not len(early) or not len(late):
        raise ValueError(
            "the trajectory has no step without contact in its first half, or none with contact in "
            "its second; choose another with --trajectory"
        )
    places = [np.linspace(0, len(part) - 1, MOMENTS).round().astype(int) for part in (early, late)]
    return early[places[0]], late[places[1]]


def first_touch(cache: LogCache, rows: np.ndarray, length: int) -> np.ndarray:
    """``length`` steps in a row, of which the last quarter follows the first touch after at least
    so many free steps.

    Raises:
        ValueError: where there is none.
    """
    contact = cache.arrays["contact"][rows]
    free = length - length // 4
    for place in range(free, len(rows) - length // 4 + 1):
        before = contact[place - min(free, 10) : place]
        if contact[place] and not before.any():
            chosen = rows[place - free : place + length // 4]
            if chosen[-1] - chosen[0] == length - 1:
                return chosen
    raise ValueError(
        f"the trajectory has no {length} steps around a first touch; choose another with "
        "--trajectory, or a shorter --length"
    )


@torch.inference_mode()
def predicted(
    model: MultimodalVAE,
    cache: LogCache,
    rows: np.ndarray,
    given: Sequence[str],
    noise: torch.Tensor | None = None,
) -> Pictures:
    """RGB and depth expected at the mean of q(z|x_given), or with noise (N, D) at a draw of it."""
    batch = cache.read(rows, given)
    observed = {name: to_tensor(model.modalities[name], x) for name, x in batch.prepared.items()}
    posterior = model.encode(observed)
    if noise is None:
        z = posterior.mean
    else:
        z = posterior.sample(noise[None], torch.full((1, len(rows)), 0.5, dtype=torch.float64))[0]
    decoded = model.decode(z, PICTURES)
    return {name: to_raw(model.modalities[name], x.mean).numpy() for name, x in decoded.items()}


def true_pictures(cache: LogCache, rows: np.ndarray) -> Pictures:
    """What the camera saw, at the model's size."""
    return {name: x.numpy() for name, x in cache.read(rows, PICTURES).prepared.items()}


def draw(
    modalities: Mapping[str, Modality], rows: Mapping[str, Pictures], titles: Sequence[str]
) -> Figure:
    """A grid: for RGB and then for depth a row of pictures for each entry of ``rows``."""
    grid = [
        Row(f"{LABELS[name]}\n{source}", modalities[name], pictures[name])
        for name in PICTURES
        for source, pictures in rows.items()
    ]
    figure = pictures_figure(grid, titles)
    for axis in figure.axes:
        axis.yaxis.label.set_fontsize(8)  # no longer than a picture is high
    return figure


def frames(
    modalities: Mapping[str, Modality], rows: Mapping[str, Pictures], titles: Sequence[str]
) -> Iterator[np.ndarray]:
    """The same as an animation: uint8 (H, W, 3) for each moment."""
    grid = [
        Row(LABELS[name], modalities[name], [pictures[name][0] for pictures in rows.values()])
        for name in PICTURES
    ]
    # Depth has the same colours at all moments.
    figure = pictures_figure(grid, list(rows), style=depth_style(rows["truth"]["depth"]))
    panels = np.reshape(figure.axes[: len(PICTURES) * len(rows)], (len(PICTURES), len(rows)))
    for moment, title in enumerate(titles):
        for name, axes in zip(PICTURES, panels, strict=True):
            for axis, pictures in zip(axes, rows.values(), strict=True):
                axis.images[0].set_data(displayable(pictures[name][moment]))
        panels[0, 0].set_title(f"truth, {title}")
        figure.canvas.draw()
        yield np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def save_animation(path: Path, pictures: Sequence[np.ndarray], rate: float) -> None:
    """Writes an animated GIF that repeats; whole or not at all."""
    # One palette for all, so that still parts do not flicker and compress well.
    palette = Image.fromarray(np.vstack(pictures[:: max(1, len(pictures) // 8)])).quantize(128)
    images = [Image.fromarray(p).quantize(palette=palette, dither=0) for p in pictures]
    with whole_file(path) as partial:
        images[0].save(
            partial,
            format="GIF",
            save_all=True,
            append_images=images[1:],
            duration=round(1000 / rate),
            loop=0,
        )


def main(arguments: list[str] | None = None) -> int:
    """Writes the figures; returns the exit code."""
    parser = parser_of("python -m training.studies.insertion.figures", __doc__)
    add = parser.add_argument
    add("checkpoint", type=Path, help="directory of the model")
    add("cache", type=Path, help="converted logs that training has not seen")
    add("--trajectory", type=int, default=0, metavar="N", help="default: 0")
    add("--length", type=int, default=48, metavar="N", help="steps of the sequence (default: 48)")
    add("--seed", type=int, default=0, help="of the samples (default: 0)")
    add(
        "--output",
        type=Path,
        default=RESULTS / "figures",
        help="folder (default: out/results/figures)",
    )
    options = parser.parse_args(arguments)
    return run_program(
        "training.studies.insertion.figures", lambda: _run(options), "some may be missing"
    )


def _run(options: argparse.Namespace) -> int:
    check_output(options.output, folder=True)
    model = load_checkpoint(options.checkpoint).model
    missing = [name for name in FULL if name not in model.names]
    if missing:
        raise ValueError(f"{options.checkpoint}: the model has no {', '.join(missing)}")
    cache = open_cache(options.cache, [model.modalities[name] for name in FULL])
    if "contact" not in cache.arrays:
        raise ValueError(f"{options.cache}: its logs do not say when there was contact")
    rows = steps_of(cache, options.trajectory, FULL)
    early, late = early_and_late(cache, rows)
    sequence = first_touch(cache, rows, options.length)

    moments = np.concatenate([early, late])
    generator = torch.Generator().manual_seed(options.seed)
    sampled: dict[str, Pictures] = {"truth": true_pictures(cache, moments)}
    for number in range(1, SAMPLES + 1):
        noise = torch.randn(len(moments), model.latent_size, generator=generator)
        sampled[f"sample {number}"] = predicted(model, cache, moments, PARTIAL, noise)
    titles = [
        f"step {cache.arrays['step'][row]}\n{'contact' if row in late else 'no contact'}"
        for row in moments
    ]
    save_figure(draw(model.modalities, sampled, titles), options.output / "insertion_sampled.png")

    series: dict[str, Pictures] = {
        "truth": true_pictures(cache, sequence),
        "from force, action": predicted(model, cache, sequence, PARTIAL),
        "from all four": predicted(model, cache, sequence, FULL),
    }
    titles = [f"step {cache.arrays['step'][row]}" for row in sequence]
    shown = np.linspace(0, len(sequence) - 1, COLUMNS).round().astype(int)
    some = {
        source: {name: pictures[shown] for name, pictures in entry.items()}
        for source, entry in series.items()
    }
    figure = draw(model.modalities, some, [titles[place] for place in shown])
    save_figure(figure, options.output / "insertion_sequence.png")
    animation = options.output / "insertion_sequence.gif"
    save_animation(animation, list(frames(model.modalities, series, titles)), rate=10)
    for name in ("insertion_sampled.png", "insertion_sequence.png", "insertion_sequence.gif"):
        path = options.output / name
        print(f"{path} ({path.stat().st_size / 1e3:.0f} kB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
