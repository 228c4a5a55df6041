# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Tables of the documents show the figures of their JSON, rounded."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from places import DOCS

FIVE = ("rgb", "depth", "force", "action", "proprio")
SUBSETS = {
    "all five": FIVE,
    "all": FIVE,
    "from the paper's four": FIVE[:4],
    "training mean": ("training_mean",),
    "log p": ("prior",),
}
METHODS = {
    "SMVAE, 40 epochs": "smvae",
    "SMVAE, 100 epochs": "smvae_long",
    "MVAE": "mvae",
    "MMVAE": "mmvae",
    "MoPoE": "mopoe",
}
# Column → measure in a subset's entry, and what it is multiplied by.
MEASURES = {
    "RGB [dB]": ("rgb_psnr_db", 1),
    "RGB skill": ("rgb_skill_vs_mean", 100),
    "depth skill": ("depth_skill_vs_mean", 100),
    "depth RMSE [mm]": ("depth_rmse_m", 1000),
    "force RMSE [N]": ("force_rmse_n", 1),
    "action skill": ("action_skill_vs_mean", 100),
    "proprioception skill": ("proprio_skill_vs_mean", 100),
}


def table(document: str, *columns: str) -> list[dict[str, str]]:
    """Rows of the one table of a document that has these columns; emphasis is taken off, and an
    empty cell says what the one above says."""
    found = []
    rows: list[dict[str, str]] = []
    header: list[str] | None = None
    for line in [*(DOCS / document).read_text().splitlines(), ""]:
        if not line.startswith("|"):
            if header and set(columns) <= set(header):
                found.append(rows)
            header, rows = None, []
            continue
        cells = [cell.strip(" *") for cell in re.split(r"(?<!\\)\|", line[1:-1])]
        if header is None:
            header = [cell or str(place) for place, cell in enumerate(cells)]
        elif set("".join(cells)) != {"-"}:
            above = rows[-1] if rows else {}
            rows.append({h: c or above.get(h, "") for h, c in zip(header, cells, strict=True)})
    assert len(found) == 1, f"{document}: {len(found)} tables with the columns {columns}"
    return found[0]


def subset(text: str) -> str:
    """Such as "from force, proprioception" → force+proprio."""
    if text in SUBSETS:
        return "+".join(SUBSETS[text])
    words = re.sub("^from ", "", text).lower().replace("proprioception", "proprio").split(", ")
    assert set(words) <= set(FIVE), text
    return "+".join(name for name in FIVE if name in words)


def assert_rounded(cell: str, value: float, where: Any) -> None:
    """Whether a cell shows a value with as many decimals as it has."""
    number = cell.removesuffix(" %").replace(",", "").replace("\N{MINUS SIGN}", "-")
    decimals = len(number.partition(".")[2])
    # What lies in the middle may be rounded to either side.
    assert abs(float(number) - value) <= 0.5 * 10**-decimals * (1 + 1e-6), (where, cell, value)


@pytest.mark.parametrize(
    ("document", "columns"),
    [
        ("results/README.md", ("predicted from", "RGB [dB]", "force RMSE [N]")),
        ("reference/model_card.md", ("predicted from", "RGB [dB]", "action skill")),
    ],
)
def test_the_bundled_model(document: str, columns: tuple[str, ...]) -> None:
    entries = json.loads((DOCS / "results/bundled_model.json").read_text())["subsets"]
    rows = table(document, *columns)
    assert len(rows) == 7
    for row in rows:
        entry = entries[subset(row.pop("predicted from"))]
        for column, cell in row.items():
            measure, factor = MEASURES[column]
            assert_rounded(cell, factor * entry[measure], (row, column))


def test_the_methods_of_the_robot_study() -> None:
    methods = json.loads((DOCS / "results/insertion.json").read_text())["methods"]
    rows = table("results/README.md", *METHODS)
    assert len(rows) == 12
    for row in rows:
        modality, given = row["0"].lower(), row["1"]
        measure = "log_likelihood" if given == "log p" else "skill_vs_mean"
        for column, method in METHODS.items():
            value = methods[method]["subsets"][subset(given)][f"{modality}_{measure}"]
            assert_rounded(row[column], value, (modality, given, method))


def test_smvae_beside_dedicated_networks() -> None:
    methods = json.loads((DOCS / "results/insertion.json").read_text())["methods"]
    rows = table("results/README.md", "predicted", "from", "dedicated", *list(METHODS)[:2])
    assert len(rows) == 8
    for row in rows:
        key = f"{row['predicted'].lower()}_skill_vs_mean"
        for column in list(METHODS)[:2]:
            value = methods[METHODS[column]]["subsets"][subset(row["from"])][key]
            assert_rounded(row[column], value, (row, column))


def test_a_real_robot_beside_dedicated_networks_and_trivial_predictors() -> None:
    robot = json.loads((DOCS / "results/real_robots.json").read_text())["robots"]["g1"]
    measures = {
        "SMVAE": "skill_vs_mean",
        "dedicated": "skill_dedicated",
        "best trivial": "skill_trivial",
    }
    entries = {frozenset(label.split("+")): entry for label, entry in robot["subsets"].items()}
    rows = table("results/README.md", "predicted", "from", *measures)
    assert len(rows) == 11
    for row in rows:
        name, entry = subset(row["predicted"]), entries[frozenset(subset(row["from"]).split("+"))]
        for column, measure in measures.items():
            number = row[column].split(",")[0].strip("*")
            assert_rounded(number, entry[f"{name}_{measure}"], (row, column))


def test_contact_by_heads_on_the_latent_and_on_the_sensors() -> None:
    entries = json.loads((DOCS / "results/contact_head.json").read_text())["subsets"]
    columns = {
        "latent": "latent",
        "sensors": "raw",
        "sensors, own head": "raw_dedicated",
        "sensors, own trees": "trees",
    }
    rows = table("how_to/contact.md", *columns)
    assert len(rows) == len(entries)
    for row in rows:
        entry = entries[subset(row["from"])]
        for column, name in columns.items():
            assert_rounded(row[column], 100 * entry[name], (row, column))
