# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Parts of figures that several reports share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl

mpl.use("agg")  # no screen needed

import matplotlib.pyplot as plt
import numpy as np

from smvae_core.modalities import Modality
from smvae_ros.scan_picture import draw_scan

WIDTH = 7.5  # inches; in wider figures letters would be too small on a phone
COLUMNS = 5  # of pictures side by side
SCAN_SIZE = 200  # pixels

# Of modalities; all of them differ, also where a model has a dozen.
COLOURS = (
    *("#1668b0", "#b05516", "#2a9d5c", "#8e44ad", "#d4a017", "#7f8c8d"),
    *("#c0392b", "#16a2b8", "#6d4c41", "#e84393", "#7cb518", "#222222"),
)


def colour_of(number: int) -> str:
    """The colour of a modality by its place in the model."""
    return COLOURS[number % len(COLOURS)]


def depth_style(images: np.ndarray) -> dict[str, Any]:
    """Options with which ``imshow`` colours depth, alike for all pictures of a figure.

    Args:
        images: the true ones, metres, NaN where there is no reading.
    """
    valid = images[np.isfinite(images)].astype(np.float32)
    if not valid.size:
        return {"cmap": "turbo", "vmin": 0.0, "vmax": 1.0}
    low, high = (float(bound) for bound in np.percentile(valid, (1, 99)))
    return {"cmap": "turbo", "vmin": low, "vmax": max(high, low + 1e-3)}


def depth_scale(
    figure: Any, axes: Sequence[Any], style: dict[str, Any], share: float = 1.0, below: float = 0.0
) -> None:
    """A bar right of some axes that says which colour is how many metres.

    Args:
        figure: with a constrained layout.
        axes: that make room for it.
        style: from :func:`depth_style`.
        share: of their height that shows depth images of this style.
        below: share of the rest that lies below these.
    """
    colours = mpl.cm.ScalarMappable(mpl.colors.Normalize(style["vmin"], style["vmax"]))
    colours.set_cmap(style["cmap"])
    bar = figure.colorbar(
        colours,
        ax=axes,
        fraction=0.03,
        pad=0.01,
        aspect=6 * share * figure.get_figheight(),  # as long as these are
        shrink=share,
        anchor=(0, below),
    )
    bar.set_label("depth [m]")


def displayable(image: np.ndarray) -> np.ndarray:
    """An image or depth image as ``imshow`` takes it, which knows no float16."""
    return image if image.dtype == np.uint8 else image.astype(np.float32)


def clear_ticks(axes: Iterable[Any]) -> None:
    """Axes for pictures; grey where there is none."""
    for axis in axes:
        axis.set(xticks=[], yticks=[], facecolor="#eee")


def legend_above(axis: Any, columns: int = 4) -> None:
    """A legend above the axes, where it hides no curve; none without labels.

    Args:
        axis: of a figure with a constrained layout.
        columns: of the legend at most.
    """
    handles, labels = axis.get_legend_handles_labels()
    if labels:
        axis.legend(
            handles,
            labels,
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            ncols=math.ceil(len(labels) / math.ceil(len(labels) / columns)),
            frameon=False,
            borderaxespad=0.1,
            markerscale=2,
        )


def plot_live(axis: Any, seconds: np.ndarray, subsets: Sequence[str], names: Sequence[str]) -> None:
    """A row for each modality, marked where it was part of the snapshot.

    Args:
        axis: to draw into.
        seconds: (N,) of the snapshots.
        subsets: modalities of each snapshot, joined by +.
        names: all modalities, from top to bottom.
    """
    for row, name in enumerate(reversed(names)):
        on = np.array([name in subset.split("+") for subset in subsets], dtype=bool)
        axis.plot(seconds[on], np.full(on.sum(), row), "|", color="#2a9d5c")
    axis.set(yticks=range(len(names)), yticklabels=names[::-1], ylabel="live")
    axis.set_ylim(-0.6, len(names) - 0.4)


@dataclass(frozen=True)
class Row:
    """A row of pictures.

    Attributes:
        label: left of it.
        modality: what it shows; the first row of a modality decides about its scale.
        images: of each column; None where there is none.
    """

    label: str
    modality: Modality
    images: Sequence[np.ndarray | None]


def pictures_figure(
    rows: Sequence[Row],
    titles: Sequence[str],
    moments: Sequence[str] = (),
    gap: int | None = None,
    style: dict[str, Any] | None = None,
) -> Any:
    """Rows of pictures; those of one depth modality share a scale.

    Args:
        rows: those of one modality one after the other, the truth first.
        titles: above the columns.
        moments: below the columns.
        gap: number of columns before a gap, if there is to be one.
        style: of depth, see :func:`depth_style`; by default that of the truth in the figure.
    """
    depth = any(row.modality.kind == "depth" for row in rows)
    beside = 1.4 if depth else 0.6  # inches for labels and the scale of depth
    size = (WIDTH - beside) / max(COLUMNS, len(titles))
    widths = [1.0] * len(titles)
    if gap is not None:
        widths.insert(gap, 0.08)
    figure, axes = plt.subplots(
        len(rows),
        len(widths),
        figsize=(beside + size * max(len(titles), 2), (size + 0.03) * len(rows) + 0.3),
        width_ratios=widths,
        squeeze=False,
        layout="constrained",
    )
    if gap is not None:
        for axis in axes[:, gap]:
            axis.set_visible(False)
        axes = np.delete(axes, gap, axis=1)
    clear_ticks(axes.flat)
    for name in dict.fromkeys(row.modality.name for row in rows):
        places = [place for place, row in enumerate(rows) if row.modality.name == name]
        modality = rows[places[0]].modality
        shown: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 255}  # of one channel
        if modality.kind == "depth":
            recorded = [image for image in rows[places[0]].images if image is not None]
            shown = style or depth_style(np.stack(recorded))
            share, others = len(places) / len(rows), len(rows) - len(places)
            below = (len(rows) - 1 - places[-1]) / max(others, 1)
            # All rows make room, so that columns align.
            depth_scale(figure, list(axes.flat), shown, share, below)
        for place in places:
            for axis, image in zip(axes[place], rows[place].images, strict=True):
                if image is not None:
                    is_scan = modality.kind == "scan"
                    drawn = draw_scan(modality, image, SCAN_SIZE) if is_scan else displayable(image)
                    axis.imshow(drawn, **shown)
    for axis, row in zip(axes[:, 0], rows, strict=True):
        axis.set_ylabel(row.label)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title)
    for axis, moment in zip(axes[-1], moments, strict=False):
        axis.set_xlabel(moment)
    return figure


def stack(heights: Sequence[float]) -> tuple[Any, list[Any]]:
    """A figure of plots over the same time, of so many inches from top to bottom."""
    figure, axes = plt.subplots(
        len(heights),
        1,
        figsize=(WIDTH, sum(heights)),
        height_ratios=heights,
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    for axis in axes[:, 0]:
        axis.grid(alpha=0.3)
    axes[-1, 0].set_xlabel("time in the bag [s]")
    return figure, list(axes[:, 0])
