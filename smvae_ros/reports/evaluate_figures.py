# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The figures of an evaluation: images beside the predicted ones, and snapshots over time.

What the bag does not have takes no room: sensors that no snapshot has, curves without a value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from smvae_core.inference.inference import Inference
from smvae_ros.offline.health_records import HealthRecords
from smvae_ros.offline.prediction_records import SHOWN, VISUAL, Picture, PredictionRecords, unit_of
from smvae_ros.reports.figures import (
    COLUMNS,
    Row,
    colour_of,
    legend_above,
    pictures_figure,
    plot_live,
    stack,
)

SOURCES = {"truth": "recorded", "live": "from all", "blind": "no images"}
LINES = (
    ("training mean", 2, "#999"),
    ("from all but images", 1, "#b05516"),
    ("from all that is live", 0, "#1668b0"),
)


def moments_figure(inference: Inference, kept: Sequence[Picture]) -> Any:
    """Truth and both predictions of every image and scan, at moments spread over the bag.

    An image that the bag never has is shown as predicted; where the live sensors were nothing but
    images, there is no row without them.

    Args:
        inference: the model.
        kept: of the bag, at least one.
    """
    chosen = np.unique(np.linspace(0, len(kept) - 1, COLUMNS).round().astype(int))
    pictures = [kept[index] for index in chosen]
    rows = [
        Row(f"{name},\n{words}", modality, [getattr(p, source).get(name) for p in pictures])
        for name, modality in inference.modalities.items()
        if modality.kind in SHOWN
        for source, words in SOURCES.items()
    ]
    rows = [row for row in rows if any(image is not None for image in row.images)]
    return pictures_figure(rows, [f"{picture.seconds:.1f} s" for picture in pictures])


def timeline_figure(
    inference: Inference, records: PredictionRecords, health: HealthRecords | None
) -> Any:
    """Errors, live modalities, skew, age, health and computing time over the time in the bag.

    Args:
        inference: the model.
        records: of the bag, at least one snapshot.
        health: of its sensors, where the model is calibrated.
    """
    names = tuple(inference.modalities)
    used = records.used
    seconds = np.array(records.seconds)
    scores = {} if health is None else health.scores
    watched = [name for name in used if np.isfinite(scores.get(name, np.nan)).any()]
    heights = [1.5] * len(used) + [0.5 + 0.2 * len(names), 1.5, 1.5] + [1.8] * bool(watched) + [1.5]
    figure, plots = stack(heights)
    axes = iter(plots)
    colours = {name: colour_of(number) for number, name in enumerate(names)}

    errors = {name: np.array(records.errors[name]) for name in used}
    for number, name in enumerate(used):
        axis = next(axes)
        for label, column, colour in _lines(inference, errors):
            style = {"color": colour, "label": label}
            axis.plot(seconds, errors[name][:, column], ".-", ms=3, lw=0.8, **style)
        axis.set_ylabel(f"{name}\n[{unit_of(inference.modalities[name])}]")
        axis.set_ylim(bottom=0)
        if number == 0:
            legend_above(axis)

    plot_live(next(axes), seconds, records.subsets, names)
    rows_of = {"skew [ms]": records.skews, "age [ms]": records.ages}
    for label, rows in rows_of.items():
        axis = next(axes)
        for name in used:
            values = 1000 * np.array(rows[name])
            axis.plot(seconds, values, ".", ms=3, color=colours[name], label=name)
        axis.set_ylabel(label)
        if rows is records.skews:
            legend_above(axis, columns=6)
    if health is not None and watched:
        axis = next(axes)
        for name in watched:
            style = {"color": colours[name], "label": name}
            axis.plot(seconds, health.scores[name], ".-", ms=3, lw=0.8, **style)
        for threshold in (health.thresholds.warn, health.thresholds.error):
            axis.axhline(threshold, color="#999", lw=0.8, ls="--")
        axis.set_ylabel("health\n[score]")
    computing = next(axes)
    computing.plot(seconds, 1000 * np.array(records.computing), ".", ms=3, color="#555")
    computing.set(ylabel="computing\n[ms]", ylim=(0, None))
    figure.align_ylabels()
    return figure


def _lines(inference: Inference, errors: Mapping[str, np.ndarray]) -> list[tuple[str, int, str]]:
    """Of :data:`LINES` those that this bag has: without images is the same as all where there is no
    image, and nothing where there is nothing else."""
    some_images = any(inference.modalities[name].kind in VISUAL for name in errors)
    return [
        (label, column, colour)
        for label, column, colour in LINES
        if any(np.isfinite(rows[:, column]).any() for rows in errors.values())
        and (some_images or label != "from all but images")
    ]
