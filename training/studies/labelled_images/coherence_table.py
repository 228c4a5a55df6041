# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Coherence and linear probes of finished runs → a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from training.studies.labelled_images.coherence import MEASURES
from training.studies.tables import grid, over_seeds, spread

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


def coherence_grid(table: Mapping[str, Any], label: str) -> str:
    """The table as Markdown, in %; empty where nothing was measured.

    Args:
        table: as :func:`training.studies.labelled_images.likelihood_table.tabulate` makes it.
        label: name of y.
    """
    methods: Mapping[str, Any] = table["methods"]
    if not any({"coherence", "probe"} & set(entry) for entry in methods.values()):
        return ""
    subsets = ["image", label, f"image+{label}"]
    header = ["method", *(_TITLES[measure].format(y=label) for measure in MEASURES)]
    header += [f"probe: {subset}" for subset in subsets]
    rows = [
        [
            method,
            *(spread(entry.get("coherence", {}).get(measure), 1, 100) for measure in MEASURES),
            *(spread(entry.get("probe", {}).get(subset), 1, 100) for subset in subsets),
        ]
        for method, entry in methods.items()
    ]
    return grid(header, rows)
