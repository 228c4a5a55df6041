# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What the figures of the study share: grids of pictures, and small PNG files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from smvae_core.files import whole_file

_GAP = 2  # white pixels between pictures
_COLOURS = 256
_DPI = 110


def mosaic(images: np.ndarray) -> np.ndarray:
    """Pictures (rows, columns, h, w, 1 or 3) uint8 → one picture, uint8 (H, W, 3)."""
    rows, columns, height, width, channels = images.shape
    framed = np.full((rows, columns, height + _GAP, width + _GAP, channels), 255, np.uint8)
    framed[:, :, :height, :width] = images
    joined = framed.transpose(0, 2, 1, 3, 4).reshape(rows * (height + _GAP), -1, channels)
    return np.broadcast_to(joined[:-_GAP, :-_GAP], (*joined[:-_GAP, :-_GAP].shape[:2], 3))


def show_mosaic(
    axes: Axes,
    images: np.ndarray,
    title: str,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
) -> None:
    """Shows pictures as :func:`mosaic` joins them, with names of rows and columns."""
    height, width = (size + _GAP for size in images.shape[2:4])
    axes.imshow(mosaic(images))
    axes.set_anchor("N")
    axes.set_title(title, fontsize=10)
    axes.set_yticks([height * (i + 0.5) - _GAP for i in range(len(rows))], rows, fontsize=8)
    centres = [width * (i + 0.5) - _GAP for i in range(len(columns))]
    slanted = max(map(len, columns), default=0) > 2
    axes.set_xticks(
        centres,
        columns,
        fontsize=8,
        rotation=45 if slanted else 0,
        ha="right" if slanted else "center",
        rotation_mode="anchor",
    )
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def panels(
    count: int, across: int, size: tuple[float, float], title: str
) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels, ``across`` of them beside each other, without ticks.

    Args:
        count: of the panels.
        across: in a row.
        size: of the figure, inches.
        title: above all.
    """
    figure = Figure(figsize=size, layout="constrained")
    axes = list(figure.subplots(-(-count // across), across, squeeze=False).flat)
    for number, axis in enumerate(axes):
        axis.set(xticks=[], yticks=[], visible=number < count)
    figure.suptitle(title, fontsize=11)
    return figure, axes[:count]


def save_figure(figure: Figure, path: Path) -> None:
    """Writes a PNG file of few colours, whole or not at all."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, bbox_inches="tight", facecolor="white")
    picture = Image.open(buffer).convert("RGB")
    # Less than half the size. Rare colours, as of a legend, stay (MAXCOVERAGE), and so do greys
    # (k-means).
    picture = picture.quantize(
        _COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE
    )
    with whole_file(path) as partial:
        picture.save(partial, format="png", optimize=True)
