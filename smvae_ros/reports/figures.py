"""What the figures of several reports share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib as mpl

mpl.use("agg")  # no screen needed

import numpy as np

# Of modalities; all of them differ, also where a model has a dozen.
COLOURS = (
    *("#1668b0", "#b05516", "#2a9d5c", "#8e44ad", "#d4a017", "#7f8c8d"),
    *("#c0392b", "#16a2b8", "#6d4c41", "#e84393", "#7cb518", "#222222"),
)


def colour_of(number: int) -> str:
    """The colour of a modality by its place in the model."""
    return COLOURS[number % len(COLOURS)]


def depth_style(images: np.ndarray) -> dict[str, Any]:
    """How ``imshow`` colours depth, alike for all pictures of a figure.

    Args:
        images: the true ones, metres, NaN where there is no reading.
    """
    valid = images[np.isfinite(images)].astype(np.float32)
    if not valid.size:
        return {"cmap": "turbo", "vmin": 0.0, "vmax": 1.0}
    low, high = (float(bound) for bound in np.percentile(valid, (1, 99)))
    return {"cmap": "turbo", "vmin": low, "vmax": max(high, low + 1e-3)}


def depth_scale(
    figure: Any, axes: Sequence[Any], style: dict[str, Any], share: float = 1.0
) -> None:
    """A bar right of some axes that says which colour is how many metres.

    Args:
        figure: with a constrained layout.
        axes: that make room for it.
        style: from :func:`depth_style`.
        share: of their height, from below, that shows depth images of this style.
    """
    colours = mpl.cm.ScalarMappable(mpl.colors.Normalize(style["vmin"], style["vmax"]))
    colours.set_cmap(style["cmap"])
    bar = figure.colorbar(
        colours, ax=axes, fraction=0.03, pad=0.01, aspect=30 * share, shrink=share, anchor=(0, 0)
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
    """A row for each modality, marked where it was part of the frame.

    Args:
        axis: to draw into.
        seconds: (N,) of the frames.
        subsets: modalities of each frame, joined by +.
        names: all modalities, from top to bottom.
    """
    for row, name in enumerate(reversed(names)):
        on = np.array([name in subset.split("+") for subset in subsets], dtype=bool)
        axis.plot(seconds[on], np.full(on.sum(), row), "|", color="#2a9d5c")
    axis.set(yticks=range(len(names)), yticklabels=names[::-1], ylabel="live")
    axis.set_ylim(-0.6, len(names) - 0.4)
