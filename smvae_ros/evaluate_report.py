"""The page of an evaluation: errors of every subset, and each bag over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from smvae_core.inference import Inference
from smvae_ros.figures import clear_ticks, depth_style, displayable, plot_live
from smvae_ros.frame_records import UNITS, VISUAL, FrameRecords, Picture
from smvae_ros.health_records import HealthRecords
from smvae_ros.report import Page

COLUMNS = 6  # moments shown of a bag
LINES = (
    ("training mean", 2, "#999"),
    ("from all but images", 1, "#b05516"),
    ("from all that is live", 0, "#1668b0"),
)
COLOURS = ("#1668b0", "#b05516", "#2a9d5c", "#8e44ad", "#d4a017", "#7f8c8d")


def write_page(
    path: Path,
    inference: Inference,
    bags: Mapping[str, FrameRecords],
    summary: Mapping[str, Mapping[str, float]],
    health: Mapping[str, HealthRecords],
) -> None:
    """Writes a self-contained page.

    Args:
        path: of the HTML file.
        inference: the model.
        bags: path of a bag → its frames, at least one.
        summary: of all bags, see :meth:`smvae_core.evaluation.SubsetErrors.summary`.
        health: path of a bag → its sensors' health, where the model is calibrated.
    """
    names = tuple(inference.modalities)
    blind = [name for name in names if inference.modalities[name].kind not in VISUAL]
    page = Page("How well each set of sensors predicts the others")
    tiles = {"bags": str(len(bags)), "frames": f"{sum(len(b.seconds) for b in bags.values()):,}"}
    for title, subset in (("all sensors", names), ("all but images", blind)):
        for name in names:
            skill = summary.get("+".join(subset), {}).get(f"{name}_skill_vs_mean")
            if skill is not None and inference.modalities[name].kind in VISUAL:
                tiles[f"{name} skill, {title}"] = f"{skill:.0%}"
    page.tiles(tiles)
    page.text(
        "Skill is 1 - RMSE / RMSE of the training mean: 0 % is no better than always predicting "
        "the average, 100 % is perfect. The truth is what the bags hold.",
        note=True,
    )
    for bag, records in bags.items():
        page.heading(bag)
        if records.pictures:
            page.figure(
                _pictures(inference, records.pictures),
                "What the camera saw, predicted from all that was live, and from those of them "
                "that are no images.",
            )
        page.figure(
            _timeline(inference, records, health.get(bag)),
            "RMSE of each modality, the live subset, how far the stamp of each input was behind "
            "the trigger's, how long ago it had been received, where the model is calibrated the "
            "health score of each sensor with the thresholds of WARN and ERROR, and the time for "
            "computing a frame with all predictions. Time is that of the recording.",
        )
        if bag in health:
            page.table(
                ("sensor health", "highest score", "frames at WARN", "frames at ERROR"),
                [
                    (name, "" if top is None else f"{top:.1f}", str(e["warn"]), str(e["error"]))
                    for name, e in health[bag].summary().items()
                    for top in [e["highest_score"]]
                ],
            )
    page.heading("Skill by subset, all bags")
    page.table(("predicted from", *names), list(_skills(names, summary)))
    page.text(f"Model {inference.model_hash}.", note=True)
    page.write(path)


def _skills(
    names: Sequence[str], summary: Mapping[str, Mapping[str, float]]
) -> list[tuple[str, ...]]:
    rows = []
    for subset, measures in summary.items():
        skills = (measures.get(f"{name}_skill_vs_mean") for name in names)
        cells = ("" if skill is None else f"{skill:.1%}" for skill in skills)
        rows.append((subset.replace("+", ", ").replace("_", " "), *cells))
    return rows


def _pictures(inference: Inference, kept: Sequence[Picture]) -> Any:
    """Truth and both predictions of every image, at moments spread over the bag."""
    visual = [name for name, m in inference.modalities.items() if m.kind in VISUAL]
    chosen = np.unique(np.linspace(0, len(kept) - 1, COLUMNS).round().astype(int))
    pictures = [kept[index] for index in chosen]
    rows = [(name, source) for name in visual for source in ("truth", "live", "blind")]
    titles = {"truth": "recorded", "live": "from all", "blind": "without images"}
    figure, axes = plt.subplots(
        len(rows),
        len(pictures),
        figsize=(1 + 1.8 * len(pictures), 1.85 * len(rows)),
        squeeze=False,
        layout="constrained",
    )
    clear_ticks(axes.flat)
    for name in visual:
        true = [picture.truth[name] for picture in pictures if name in picture.truth]
        depth = inference.modalities[name].kind == "depth"
        style = depth_style(np.stack(true)) if depth and true else {}
        for row, (shown, source) in enumerate(rows):
            if shown != name:
                continue
            axes[row, 0].set_ylabel(f"{name}, {titles[source]}")
            for axis, picture in zip(axes[row], pictures, strict=True):
                image = getattr(picture, source).get(name)
                if image is not None:
                    axis.imshow(displayable(image), **style)
    for axis, picture in zip(axes[0], pictures, strict=True):
        axis.set_title(f"{picture.seconds:.1f} s", fontsize=11)
    return figure


def _timeline(inference: Inference, records: FrameRecords, health: HealthRecords | None) -> Any:
    """Errors, live modalities, skew, age, health and computing time over the time in the bag."""
    names = tuple(inference.modalities)
    seconds = np.array(records.seconds)
    count = len(names)
    rows_of_axes = count + 4 + (health is not None)
    figure, axes = plt.subplots(
        rows_of_axes,
        1,
        figsize=(10, 1.7 * rows_of_axes),
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    axes = axes[:, 0]
    for axis, (name, modality) in zip(axes, inference.modalities.items(), strict=False):
        errors = np.array(records.errors[name])
        for label, column, colour in LINES:
            axis.plot(seconds, errors[:, column], ".-", ms=3, lw=0.8, color=colour, label=label)
        axis.set_ylabel(f"{name}\n[{UNITS.get(modality.kind, 'std')}]")
        axis.set_ylim(bottom=0)
    axes[0].legend(loc="upper right", fontsize=8)
    live, skew, age, *watched, computing = axes[count:]
    plot_live(live, seconds, records.subsets, names)
    for axis, rows, label in ((skew, records.skews, "skew [ms]"), (age, records.ages, "age [ms]")):
        for number, name in enumerate(names):
            values = 1000 * np.array(rows[name])
            axis.plot(seconds, values, ".", ms=3, color=COLOURS[number % len(COLOURS)], label=name)
        axis.set_ylabel(label)
    skew.legend(loc="upper right", fontsize=8, ncols=count)
    for axis in watched:
        for number, name in enumerate(names):
            colour = COLOURS[number % len(COLOURS)]
            axis.plot(seconds, health.scores[name], ".-", ms=3, lw=0.8, color=colour, label=name)
        for threshold in (health.thresholds.warn, health.thresholds.error):
            axis.axhline(threshold, color="#999", lw=0.8, ls="--")
        axis.set_ylabel("health\n[score]")
    computing.plot(seconds, 1000 * np.array(records.computing), ".", ms=3, color="#555")
    computing.set(ylabel="computing [ms]", xlabel="time in the bag [s]")
    computing.set_ylim(bottom=0)
    for axis in axes:
        axis.grid(alpha=0.3)
    return figure
