# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The command of a study: completes the runs that are wanted and makes their table.

It can be stopped in any way and given again: what was measured stays, and an unfinished training
continues. After every run the table is written anew. Progress goes to standard error, the table to
standard output.
"""

from __future__ import annotations

import argparse
import itertools
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from training.studies.ledger import RunFailed, runs_of
from training.studies.study import Run, Study, complete
from training.studies.tables import check_table, write_table

RESULTS = Path("out/results")  # where studies write unless told otherwise


def add_methods(parser: argparse.ArgumentParser, methods: Sequence[str]) -> None:
    """Adds the option for the methods to work on, all by default."""
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=methods,
        default=list(methods),
        metavar="METHOD",
        help=f"of {', '.join(methods)} (default: all)",
    )


def add_runs(parser: argparse.ArgumentParser, stages: Sequence[str]) -> None:
    """Adds the options of a command that completes runs: seeds, stages, results and name."""
    add = parser.add_argument
    add("--seeds", nargs="+", type=int, default=[0], metavar="SEED", help="default: 0")
    add(
        "--stages",
        nargs="+",
        choices=stages,
        metavar="STAGE",
        help=f"what is measured, of {', '.join(stages)} (default: all)",
    )
    add(
        "--results",
        type=Path,
        default=RESULTS,
        help=f"folder of the table and of the runs' files (default: {RESULTS})",
    )
    add("--name", help="of the table's files (default: that of the study and its data)")
    add("--only-table", action="store_true", help="make the table of what has been measured")


def run_study(study: Study, options: argparse.Namespace) -> int:
    """Completes runs and makes the table; returns the exit code.

    Args:
        study: with its protocol and data.
        options: those of :func:`add_methods` and :func:`add_runs`, and the folder ``work``.

    Raises:
        ValueError, OSError: where data, protocol, a run's file or the table's place cannot be used.
    """
    runs, path = options.results / "runs", options.results / (options.name or study.usual_name)
    check_table(path, study.identity, "give another --results or --name")
    wanted: list[Run] = []
    if not options.only_table:
        # One seed before the next, so that an early table has every row.
        rows = itertools.product(options.seeds, options.methods)
        wanted = [run for seed, method in rows for run in study.runs_of(method, seed)]
    failures = 0
    for number, run in enumerate(wanted, 1):
        title = f"[{number}/{len(wanted)}] {path.name}, {run.title}"
        failures += not _complete(study, run, title, options)
        _write_table(study, path)
    page = _write_table(study, path)
    if page is None:
        print(f"No run of this protocol and data in {runs}", file=sys.stderr)
        return 1
    print(page)
    print(f"Saved {path}.json and .md", file=sys.stderr)
    return 1 if failures else 0


def _complete(study: Study, run: Run, title: str, options: argparse.Namespace) -> bool:
    """Whether the run has all it should have, now."""
    runs = options.results / "runs"
    print(f"{title}: {runs / run.key}.json", file=sys.stderr, flush=True)
    begin = time.monotonic()
    try:
        done = complete(study, run, runs, options.work, options.stages)
    except RunFailed as error:
        print(f"{study.program}: error: {error}", file=sys.stderr)
        return False
    spent = f"finished in {time.monotonic() - begin:.0f} s" if done else "stands already"
    print(f"{title}: {spent}", file=sys.stderr, flush=True)
    return True


def _write_table(study: Study, path: Path) -> str | None:
    """Writes the table of what there is as PATH.json and PATH.md; returns the page."""
    runs = path.parent / "runs"
    records = runs_of(runs, study.protocol, **study.further)
    if not records:
        return None
    table = study.tabulate(records, command_of(study, records, path), runs)
    page = study.to_markdown(table, path.name)
    write_table(path, table, page)
    return page


def command_of(study: Study, records: Sequence[Mapping[str, Any]], path: Path) -> str:
    """What makes these runs in a fresh checkout: a command for each set of seeds."""
    seeds: dict[str, set[int]] = {}
    for record in records:
        configuration = record["configuration"]
        seeds.setdefault(configuration["method"], set()).add(configuration["seed"])
    groups: dict[tuple[int, ...], list[str]] = {}
    for method in study.methods:
        if method in seeds:
            groups.setdefault(tuple(sorted(seeds[method])), []).append(method)
    common = ["python", "-m", study.program, *study.words()]
    if path.name != study.usual_name:
        common += ["--name", path.name]
    if path.parent != RESULTS:
        common += ["--results", str(path.parent)]
    commands = []
    for own, methods in groups.items():
        chosen = [] if methods == list(study.methods) else ["--methods", *methods]
        some_seeds = [] if own == (0,) else ["--seeds", *map(str, own)]
        commands.append(shlex.join([*common, *chosen, *some_seeds]))
    return " && ".join(commands)


def changed_options(protocol: Any, usual: Any, names: Sequence[str] | None = None) -> list[str]:
    """The options that make one protocol of another: of these fields, or of all."""
    words = []
    for name in names or [field.name for field in fields(protocol)]:
        value = getattr(protocol, name)
        if value != getattr(usual, name):
            values = value if isinstance(value, tuple) else [value]
            words += ["--" + name.replace("_", "-"), *map(str, values)]
    return words
