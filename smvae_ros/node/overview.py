# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""``~/overview``: a picture of one snapshot, what is live beside what the model predicts.

A column for each modality: its name and its age in milliseconds, or that it was not live, or left
out (``~/status`` has the reason); its health with the score (:mod:`smvae_core.health.monitor`),
which also frames the tile of a sensor that is not OK; then what arrived, and what the model
expects. Images are shown as they are; depth in colours, from near (blue) to far (red) within the
training data's range, grey without a reading; scans from above; series as a curve, vectors as a bar
for each channel, in units of the training data's standard deviation.
"""

from __future__ import annotations

import cv2
import numpy as np

from smvae_core.health.hysteresis import Level
from smvae_core.modalities import Modality
from smvae_ros.node.predictions import Predictions
from smvae_ros.scan_picture import draw_scan

# Pixels. With five modalities the picture stays below 512 kB, Fast DDS' default shared memory.
TILE = 112
GAP = 4
HEADER = 22
CAPTION = 34  # two lines

SPREAD = 3.0  # standard deviations from the middle of a tile to its edge
# Levels of grey.
_BACKGROUND = 26
_EMPTY = 46
_AXIS = 92
# RGB.
_TEXT = (225, 225, 225)
_LIVE = (110, 220, 120)
_ABSENT = (170, 170, 170)
_LEVELS = {Level.OK: _LIVE, Level.WARN: (250, 190, 60), Level.ERROR: (255, 80, 70)}
_CURVES = (
    (240, 100, 90),
    (110, 210, 110),
    (100, 150, 255),
    (230, 200, 80),
    (200, 120, 230),
    (90, 210, 220),
)


def draw_overview(predictions: Predictions) -> np.ndarray:
    """The picture, uint8 (height, width, 3) RGB.

    Args:
        predictions: of whatever is to be shown; others are left empty.
    """
    step = TILE + GAP
    height = HEADER + CAPTION + 2 * step
    picture = np.full((height, GAP + step * len(predictions.modalities), 3), _BACKGROUND, np.uint8)
    milliseconds = 1000 * sum(predictions.timings.values())
    live = "+".join(predictions.snapshot.readings)
    _write(picture, f"live: {live}   {milliseconds:.1f} ms", (GAP, HEADER - 7), _TEXT)
    for column, (name, modality) in enumerate(predictions.modalities.items()):
        left, top = GAP + step * column, HEADER + CAPTION
        entry = predictions.snapshot.readings.get(name)
        if entry is not None:
            state, colour = f"{1000 * entry.age:.0f} ms", _LIVE
        else:
            absence = predictions.snapshot.absent.get(name)
            state = "left out" if absence is not None and absence.arrives else "not live"
            colour = _ABSENT
        judgement = None if entry is None else predictions.judgements.get(name)
        _write(picture, f"{name} {state}", (left, top - 21), colour)
        arrays = (predictions.observations.arrays.get(name), predictions.arrays.get(name))
        for row, (array, label) in enumerate(zip(arrays, ("live", "predicted"), strict=True)):
            corner = top + step * row
            tile = picture[corner : corner + TILE, left : left + TILE]
            tile[:] = _EMPTY if array is None else _draw(modality, array)
            _write(picture, label, (left + 3, corner + TILE - 4), _TEXT)
        if judgement is not None:
            text = f"{judgement.level.name} {judgement.score:.1f}"
            shown = text if judgement.level == Level.OK else f"{text} {judgement.statistic}"
            _write(picture, shown, (left, top - 5), _LEVELS[judgement.level])
            if judgement.level > Level.OK:
                edge = (left + TILE - 1, top + TILE - 1)
                cv2.rectangle(picture, (left, top), edge, _LEVELS[judgement.level], 2)
    return picture


def _write(
    picture: np.ndarray, text: str, place: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    font, size = cv2.FONT_HERSHEY_SIMPLEX, 0.36
    x, y = place
    cv2.putText(picture, text, (x + 1, y + 1), font, size, (0, 0, 0), 1, cv2.LINE_AA)
    cv2.putText(picture, text, place, font, size, colour, 1, cv2.LINE_AA)


def _draw(modality: Modality, array: np.ndarray) -> np.ndarray:
    """One observation in raw units as uint8 (TILE, TILE, 3)."""
    if modality.kind == "image":
        picture = cv2.resize(array, (TILE, TILE), interpolation=cv2.INTER_NEAREST)
        return picture if picture.ndim == 3 else cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
    if modality.kind == "scan":
        return draw_scan(modality, array, TILE)
    array = array.astype(np.float32)
    middle, spread = (
        np.asarray(modality.mean, np.float32),
        SPREAD * np.asarray(modality.std, np.float32),
    )
    # -1 to 1 within SPREAD standard deviations of the training data.
    shown = np.clip((array - middle) / spread, -1, 1)
    if modality.kind == "depth":
        return _draw_depth(shown)
    if modality.kind == "series":
        return _draw_series(shown)
    # Categories are probabilities: from the bottom up.
    return _draw_bars(shown if modality.kind == "vector" else 2 * np.clip(array, 0, 1) - 1)


def _draw_depth(shown: np.ndarray) -> np.ndarray:
    seen = np.isfinite(shown)
    grey = np.where(seen, (np.nan_to_num(shown) + 1) * 127.5, 0).astype(np.uint8)
    coloured = cv2.applyColorMap(grey, cv2.COLORMAP_TURBO)[..., ::-1].copy()
    coloured[~seen] = _AXIS
    return cv2.resize(coloured, (TILE, TILE), interpolation=cv2.INTER_NEAREST)


def _rows(shown: np.ndarray) -> np.ndarray:
    """-1 to 1 as rows of a tile, from its bottom to its top."""
    return np.rint((1 - np.nan_to_num(shown)) / 2 * (TILE - 1)).astype(np.int32)


def _draw_series(shown: np.ndarray) -> np.ndarray:
    tile = _empty_plot()
    samples, channels = shown.shape
    columns = np.linspace(0, TILE - 1, samples).astype(np.int32)
    for channel in range(channels):
        curve = np.stack([columns, _rows(shown[:, channel])], axis=-1)
        colour = _CURVES[channel % len(_CURVES)]
        cv2.polylines(tile, [curve], isClosed=False, color=colour, lineType=cv2.LINE_AA)
    return tile


def _draw_bars(shown: np.ndarray) -> np.ndarray:
    tile = _empty_plot()
    edges = np.linspace(0, TILE, len(shown) + 1).astype(int)
    for channel, row in enumerate(_rows(shown)):
        low, high = sorted((int(row), TILE // 2))
        colour = _CURVES[channel % len(_CURVES)]
        tile[
            low : high + 1, edges[channel] + 1 : max(edges[channel] + 2, edges[channel + 1] - 1)
        ] = colour
    return tile


def _empty_plot() -> np.ndarray:
    tile = np.full((TILE, TILE, 3), _EMPTY, np.uint8)
    tile[TILE // 2] = _AXIS
    return tile
