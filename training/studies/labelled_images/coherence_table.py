# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Coherence and linear probes of finished runs → a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from training.studies.labelled_images.coherence import MEASURES
from training.studies.tables import NONE, grid, over_seeds

_TITLES = {
    "image_given_label": "image given {y}",
    "label_given_image": "{y} given image",
    "joint": "both from the prior",
}


def coherence_entry(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """``coherence`` → measure and ``probe`` → subset → ``mean`` and ``std`` over the runs of one
    method (``std`` is null for one run). What was not measured is missing."""
    entry: dict[str, Any] = {}
    for name, sections in (
        ("coherence", [r["coherence"] for r in records if "coherence" in r]),
        ("probe", [r["probe"]["accuracy"] for r in records if "probe" in r]),
    ):
        if sections:
            measures = [m for m in sections[0] if name == "probe" or m in MEASURES]
            entry[name] = {m: over_seeds([section[m] for section in sections], 4) for m in measures}
    return entry


def judge(records: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """What the runs say of the classifier: its accuracy, and that of the most frequent class."""
    found = next((record["coherence"] for record in records if "coherence" in record), None)
    if found is None:
        return {}
    return {key: found[key] for key in ("classifier_accuracy", "most_frequent_accuracy")}


def coherence_lines(table: Mapping[str, Any], label: str) -> list[str]:
    """The table as lines of Markdown; none where nothing was measured.

    Args:
        table: as :func:`training.studies.labelled_images.likelihood_table.tabulate` makes it.
        label: name of y.
    """
    methods: Mapping[str, Any] = table["methods"]
    if not any({"coherence", "probe"} & set(entry) for entry in methods.values()):
        return []
    subsets = ["image", label, f"image+{label}"]
    header = ["method", *(_TITLES[measure].format(y=label) for measure in MEASURES)]
    header += [f"probe: {subset}" for subset in subsets]
    rows = [
        [
            method,
            *(_cell(entry.get("coherence", {}).get(measure)) for measure in MEASURES),
            *(_cell(entry.get("probe", {}).get(subset)) for subset in subsets),
        ]
        for method, entry in methods.items()
    ]
    lines = ["## Coherence and linear probes, in %", ""]
    if "classifier" in table:
        accuracy, constant = (100 * value for value in table["classifier"].values())
        lines += [
            "Coherence (Shi et al. 2019; Sutter et al. 2021), as judged by a classifier that is "
            f"right on {accuracy:.1f} % of the test images (always the most frequent: "
            f"{constant:.1f} %): how often images generated given the {label} fit; how often what "
            f"is generated for the {label} given a test image is true; how often both fit each "
            "other when they come from one z of the prior. Images are means of p(x\\|z); z is "
            "drawn.",
            "",
        ]
    lines += [
        "Probe: accuracy of logistic regression from the posterior's mean given these modalities, "
        f"on test images. Given the {label}, too, a latent space may just hold it; the column that "
        "says something is that of the image alone.",
        "",
        *grid(header, rows),
        "",
    ]
    return lines


def _cell(entry: Mapping[str, float | None] | None) -> str:
    if entry is None:
        return NONE
    std = entry["std"]
    return f"{100 * entry['mean']:.1f}" + ("" if std is None else f" ± {100 * std:.1f}")
