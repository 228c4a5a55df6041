# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The ledger of a study: a file for each run, with a section for each stage that was measured.

A run is trained once, and its file grows by a section after each stage. A section that is there is
never computed again, so a study can be interrupted at any time and can grow: by runs, and by stages
that did not exist when a run was trained.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from smvae_core.files import check_output, write_text

Record = dict[str, Any]  # content of a run's file


class RunFailed(RuntimeError):
    """A run did not come to a result; the message says why."""


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keeps a second process away from a run until this one is done with it or gone.

    Raises:
        RunFailed: where another process works on it.
    """
    check_output(folder, folder=True)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            yield
    except Timeout:
        raise RunFailed(f"{folder}: another process works on this run") from None


def read(path: Path) -> Record:
    """The content of a run's file.

    Raises:
        ValueError: where it is none.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        record["configuration"]["protocol"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not the file of a run ({error!r}); move it elsewhere") from error
    return record


def write(path: Path, record: Mapping[str, Any]) -> None:
    """Writes a run's file, whole or not at all."""
    write_text(path, json.dumps(record, indent=1, allow_nan=False) + "\n")


def runs_of(runs: Path, protocol: Any, **further: Any) -> list[Record]:
    """Records of all runs of a protocol; each has the sections that were measured.

    Args:
        runs: folder of the files.
        protocol: a dataclass.
        further: entries of the configuration that must be these, too.

    Raises:
        ValueError: for a file that is not a run's.
    """
    wanted = json.loads(json.dumps({"protocol": asdict(protocol), **further}))
    records = [read(path) for path in sorted(runs.glob("*.json"))]
    return [record for record in records if wanted.items() <= record["configuration"].items()]
