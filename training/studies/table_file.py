"""The files of a study's table: NAME.json for programs, NAME.md for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smvae_core.files import check_output, write_text

RESULTS = Path("out/results")  # where studies write unless told otherwise


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
