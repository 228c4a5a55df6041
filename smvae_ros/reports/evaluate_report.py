# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The page of an evaluation: errors of every subset, and each bag over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from smvae_core.inference.inference import Inference
from smvae_ros.offline.evaluation import BagEvaluation, Evaluation, Summary
from smvae_ros.offline.prediction_records import VISUAL
from smvae_ros.reports.evaluate_figures import moments_figure, timeline_figure
from smvae_ros.reports.page import picture, render

CARDS = 4  # modalities with large numbers, at most
ROWS = 31  # of the table of subsets that are seen without a click: all of those of five sensors


def write_page(path: Path, evaluation: Evaluation) -> None:
    """Writes a self-contained page.

    Args:
        path: of the HTML file.
        evaluation: with the predictions of each bag.
    """
    inference, summary = evaluation.inference, evaluation.summary
    names = tuple(inference.modalities)
    seen = {name for entry in evaluation.bags.values() for name in entry.predictions.used}
    used = tuple(name for name in names if name in seen)
    together = most_frequent(evaluation)
    cards = {"bags": str(len(evaluation.bags)), "snapshots": f"{evaluation.snapshots:,}"}
    measured = {subset: entry for subset, entry in summary.items() if entry}
    few = measured if len(measured) <= ROWS + 1 else _some(measured, used)
    render(
        path,
        "evaluation.html",
        cards=cards | dict(_headlines(inference, summary, together)),
        together=together,
        bags=[_describe(bag, inference, entry) for bag, entry in evaluation.bags.items()],
        header=("predicted from", *used),
        few=_skills(used, few),
        all=_skills(used, measured),
        model_hash=inference.model_hash,
    )


def _describe(path: str, inference: Inference, entry: BagEvaluation) -> dict[str, Any]:
    """A bag's section of the page."""
    records, health = entry.predictions, entry.health
    return {
        "path": path,
        "absent": [name for name in inference.modalities if name not in records.used],
        "notes": entry.notes,
        "pictures": picture(moments_figure(inference, records.pictures))
        if records.pictures
        else None,
        "timeline": picture(timeline_figure(inference, records, health)),
        "health": [
            (name, f"{e['highest_score']:.1f}", e["warn"], e["error"])
            for name, e in ({} if health is None else health.summary()).items()
            if e["highest_score"] is not None
        ],
    }


def most_frequent(evaluation: Evaluation) -> tuple[str, ...]:
    """The modalities that were most often together; of equally frequent subsets the largest.

    Those of which the summary knows how well they predict come first.
    """
    counts = Counter(
        subset for entry in evaluation.bags.values() for subset in entry.posteriors.subsets
    )
    best = max(counts, key=lambda s: (bool(evaluation.summary.get(s)), counts[s], s.count("+")))
    given = best.split("+")
    return tuple(name for name in evaluation.inference.modalities if name in given)


def _headlines(
    inference: Inference, summary: Summary, together: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Titles and skills: of images (or where there is none, of all) from everything, and
    from what is left without images (or without itself)."""
    visual = [name for name in together if inference.modalities[name].kind in VISUAL]
    blind = [name for name in together if name not in visual]
    for name in (visual or together)[:CARDS]:
        others = [other for other in together if other != name]
        rest = ("all but images", blind) if visual and blind else ("the others", others)
        for title, subset in (("all sensors", together), rest):
            skill = summary.get("+".join(subset), {}).get(f"{name}_skill_vs_mean")
            if skill is not None:
                yield f"{name} skill, {title}", f"{skill:.0%}"


def _some(rows: Summary, used: Sequence[str]) -> Summary:
    """Each sensor by itself, all but each one, all, and the training mean."""
    singles = [(name,) for name in used]
    rests = [tuple(other for other in used if other != name) for name in used]
    labels = ["+".join(subset) for subset in (*singles, *rests, used)]
    return {label: rows[label] for label in (*labels, "training_mean") if label in rows}


def _skills(names: Sequence[str], summary: Summary) -> list[tuple[str, ...]]:
    rows = []
    for subset, measures in summary.items():
        skills = (measures.get(f"{name}_skill_vs_mean") for name in names)
        cells = ("" if skill is None else f"{skill:.1%}" for skill in skills)
        given = subset.split("+")
        absent = [name for name in names if name not in given]
        label = subset.replace("_", " ") if subset == "training_mean" else ", ".join(given)
        if len(absent) == 1 and len(names) > 3:
            label = f"all but {absent[0]}"
        elif not absent and len(names) > 1:
            label = "all"
        rows.append((label, *cells))
    return rows
