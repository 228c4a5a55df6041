"""What the figures of several reports share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib as mpl

mpl.use("agg")  # no screen needed

import numpy as np


def depth_style(images: np.ndarray) -> dict[str, Any]:
    """How ``imshow`` colours depth, alike for all pictures of a figure.

    Args:
        images: the true ones, metres, NaN where there is no reading.
    """
    valid = images.astype(np.float32)
    low, high = np.nanpercentile(valid, 1), np.nanpercentile(valid, 99)
    return {"cmap": "turbo", "vmin": low, "vmax": high}


def displayable(image: np.ndarray) -> np.ndarray:
    """An image or depth image as ``imshow`` takes it, which knows no float16."""
    return image if image.dtype == np.uint8 else image.astype(np.float32)


def clear_ticks(axes: Iterable[Any]) -> None:
    """Axes for pictures; grey where there is none."""
    for axis in axes:
        axis.set(xticks=[], yticks=[], facecolor="#eee")


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
