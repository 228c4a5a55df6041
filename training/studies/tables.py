# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Tables of a study: NAME.json for programs, NAME.md for people, and what both are made of."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from smvae_core.files import check_output, write_text

NONE = "\N{EN DASH}"  # in the place of what was not measured
MINUS = "\N{MINUS SIGN}"


def check_table(path: Path, own: Mapping[str, Any], advice: str) -> None:
    """Says before a study works where its table cannot be written.

    Args:
        path: of the files, without ending.
        own: entries of the table that tell its protocol, and its data, from others.
        advice: what to do instead of replacing the table of another protocol.

    Raises:
        OutputError: where the place cannot be written.
        ValueError: where something else stands there.
    """
    page = path.with_name(f"{path.name}.md")
    check_output(page)
    file = path.with_name(f"{path.name}.json")
    check_output(file)
    if not file.exists():
        if page.exists():
            raise ValueError(
                f"{page} is not the page of a study: no {file.name} is beside it; {advice}"
            )
        return
    try:
        table = json.loads(file.read_text(encoding="utf-8"))
        found = {key: table[key] for key in own}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is no table of this study ({error!r}); {advice}") from error
    if different := [key for key in own if found[key] != json.loads(json.dumps(own[key]))]:
        key = different[0]
        raise ValueError(
            f"{file} is the table of another study, whose {key} is: {found[key]} (this one's: "
            f"{own[key]}); {advice}, or move that table away"
        )


def write_table(path: Path, table: Mapping[str, Any], page: str) -> None:
    """Writes both files, see :func:`smvae_core.files.write_text`."""
    write_text(path.with_name(f"{path.name}.json"), json.dumps(table, indent=1) + "\n")
    write_text(path.with_name(f"{path.name}.md"), page)


def origin(records: Sequence[Mapping[str, Any]], command: str, commit: str) -> dict[str, Any]:
    """The first entries of a table: what made it, and what its runs were made with.

    Args:
        records: runs, see :func:`training.studies.ledger.runs_of`.
        command: that makes them.
        commit: of the checkout that makes the table.
    """
    sections = [record["training"] for record in records]
    sections += [section for record in records for section in record.get("measured", {}).values()]
    return {
        "command": command,
        "commit": commit,
        "run_commits": sorted({section["commit"] for section in sections}),
        "seeds": sorted({record["configuration"]["seed"] for record in records}),
    }


def over_seeds(values: Sequence[float], digits: int) -> dict[str, float | None]:
    """``mean`` and ``std`` of a measure, rounded; ``std`` is null for one run."""
    return {
        "mean": round(statistics.fmean(values), digits),
        "std": round(statistics.stdev(values), digits) if len(values) > 1 else None,
    }


def grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown."""
    cells = ["| " + " | ".join(row) + " |" for row in [header, *rows]]
    return "\n".join([cells[0], "|---" * len(header) + "|", *cells[1:]])


def number(value: float | None, digits: int = 2, factor: float = 1.0) -> str:
    """A cell of a table."""
    return NONE if value is None else f"{factor * value:.{digits}f}".replace("-", MINUS)


def spread(entry: Mapping[str, float | None] | None, digits: int = 2, factor: float = 1.0) -> str:
    """A cell of what :func:`over_seeds` made, or None."""
    mean, std = (None, None) if entry is None else (entry["mean"], entry["std"])
    error = "" if std is None else f" ± {number(std, digits, factor)}"
    return number(mean, digits, factor) + error


def page(template: Path, **content: Any) -> str:
    """A page out of a template in Markdown. Between two blocks of it there may be any number of
    empty lines; in ``{% filter joined %}`` text is broken where it suits.

    Args:
        template: file of Jinja.
        content: what it names; functions are filters, too.
    """
    environment = Environment(trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    environment.filters["joined"] = lambda text: " ".join(text.split()) + "\n"
    environment.filters |= {name: value for name, value in content.items() if callable(value)}
    text = environment.from_string(template.read_text(encoding="utf-8")).render(content)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
