# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What was measured of all robots → a page for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.studies.tables import grid, number, page

NAME = "real_robots"
ALLOWED = 0.05  # of skill, behind a dedicated network
CLAIM = 1000  # kept-out steps from which on figures are more than an example


def read_robots(file: Path) -> dict[str, Any]:
    """Robot → its entry in the table that stands there, if one does.

    Raises:
        ValueError: where something else stands there.
    """
    if not file.exists():
        return {}
    try:
        return dict(json.loads(file.read_text(encoding="utf-8"))["robots"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{file} is no table of real robots ({error!r}); give another folder with --results"
        ) from error


def to_markdown(robots: Mapping[str, Any]) -> str:
    """The page of all robots."""
    return page(
        Path(__file__).with_name("page.md.jinja"),
        robots=robots,
        skills=_skills,
        name=NAME,
        allowed=ALLOWED,
        claim=CLAIM,
    )


def _skills(robot: Mapping[str, Any]) -> str:
    """A row for each subset, a column for each modality: model, dedicated network, best trivial."""
    names = list(robot["kinds"])
    rows = [
        [label, *(_cell(entry, name, robot["dedicated_epochs"] > 0) for name in names)]
        for label, entry in robot["subsets"].items()
    ]
    return grid(["from", *names], rows)


def _cell(entry: Mapping[str, Any], name: str, with_dedicated: bool) -> str:
    ours, trivial = entry[f"{name}_skill_vs_mean"], entry[f"{name}_skill_trivial"]
    dedicated = entry.get(f"{name}_skill_dedicated")
    behind = ours < trivial or (dedicated is not None and ours < dedicated - ALLOWED)
    shown = f"**{number(ours, 3)}**" if behind else number(ours, 3)
    known = [number(dedicated, 3)] if with_dedicated else []
    return " / ".join([shown, *known, f"{number(trivial, 3)} {entry[f'{name}_trivial']}"])
