"""Trains SMVAE and every baseline on labelled images, measures them and makes a table.

    python -m training.studies.labelled_images --dataset mnist --data-dir DIR

Every run is one file in RESULTS/runs, keyed by its configuration, that grows by a section with
every stage. So the command can be stopped in any way and given again: what was measured stays, and
an unfinished training continues. After every run the table of all runs of the same protocol is
written to RESULTS/NAME.json and .md. Progress goes to standard error, the table to standard output.
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.programs import run_program
from training.provenance import commit
from training.studies.labelled_images.data_sets import LABELLED
from training.studies.labelled_images.likelihood_table import identity, tabulate, to_markdown
from training.studies.labelled_images.options import (
    add_methods,
    add_runs,
    chosen_protocol,
    page_name,
    protocol_options,
    study_parser,
)
from training.studies.labelled_images.protocol import METHODS, Protocol, Run, RunFailed
from training.studies.labelled_images.study import STAGES, complete
from training.studies.run_file import runs_of
from training.studies.table_file import RESULTS, check_table, write_table


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = study_parser(
        "python -m training.studies.labelled_images",
        __doc__,
        LABELLED,
        data_required=False,
    )
    add_methods(parser)
    add_runs(parser, tuple(STAGES), "table")
    parser.add_argument(
        "--name",
        help="of the table's files (default: the data set, with pixels and network if unusual)",
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Runs what is missing and makes the table; returns the exit code."""
    options = parser().parse_args(arguments)
    if options.data_dir is None and not options.only_table:
        parser().error("--data-dir is needed, except with --only-table")
    quieten()
    return run_program("training.studies.labelled_images", lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    protocol = chosen_protocol(options)
    runs = options.results / "runs"
    path = options.results / (options.name or page_name(protocol))
    check_table(path, identity(protocol), "give another --results or --name")
    failures = 0
    if not options.only_table:
        # All methods with one seed before the next seed, so that an early table has every row.
        wanted = [Run(m, seed, protocol) for seed in options.seeds for m in options.methods]
        for number, run in enumerate(wanted, 1):
            title = f"[{number}/{len(wanted)}] {path.name}, {run.method}, seed {run.seed}"
            failures += not _complete(title, run, runs, options)
            _write_table(protocol, path, options.results)
    page = _write_table(protocol, path, options.results)
    if page is None:
        print(f"No run of this protocol in {runs}", file=sys.stderr)
        return 1
    print(page)
    print(f"Saved {path}.json and .md", file=sys.stderr)
    return 1 if failures else 0


def _complete(title: str, run: Run, runs: Path, options: argparse.Namespace) -> bool:
    """Whether the run has all it should have, now."""
    print(f"{title}: {runs / run.key}.json", file=sys.stderr, flush=True)
    begin = time.monotonic()
    try:
        done = complete(run, options.data_dir, runs, options.work, options.stages)
    except RunFailed as error:
        print(f"training.studies.labelled_images: error: {error}", file=sys.stderr)
        return False
    spent = f"finished in {time.monotonic() - begin:.0f} s" if done else "stands already"
    print(f"{title}: {spent}", file=sys.stderr, flush=True)
    return True


def _write_table(protocol: Protocol, path: Path, results: Path) -> str | None:
    """Writes the table of what there is as PATH.json and PATH.md; returns the page."""
    runs = results / "runs"
    records = runs_of(runs, protocol)
    if not records:
        return None
    legacy = protocol.legacy
    table = tabulate(
        protocol,
        records,
        _command(protocol, records, path.name, results),
        commit(),
        runs_of(runs, legacy) if legacy else (),
    )
    page = to_markdown(protocol, table)
    write_table(path, table, page)
    return page


def _command(
    protocol: Protocol, records: Sequence[Mapping[str, Any]], name: str, results: Path
) -> str:
    """What makes these runs in a fresh checkout: a command for each set of seeds."""
    seeds: dict[str, list[int]] = {}
    for record in records:
        configuration = record["configuration"]
        seeds.setdefault(configuration["method"], []).append(configuration["seed"])
    groups: dict[tuple[int, ...], list[str]] = {}
    for method in METHODS:
        if method in seeds:
            groups.setdefault(tuple(sorted(seeds[method])), []).append(method)
    dataset, own, *options = protocol_options(protocol)
    common = [
        "python",
        "-m",
        "training.studies.labelled_images",
        dataset,
        own,
        "--data-dir",
        "DIR",
        *options,
    ]
    if name != page_name(protocol):
        common += ["--name", name]
    if results != RESULTS:
        common += ["--results", str(results)]
    commands = []
    for own, methods in groups.items():
        chosen = [] if methods == list(METHODS) else ["--methods", *methods]
        some_seeds = [] if own == (0,) else ["--seeds", *map(str, own)]
        commands.append(shlex.join([*common, *chosen, *some_seeds]))
    return " && ".join(commands)


def quieten() -> None:
    """Keeps what Lightning says of itself with every run out of the log."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for message in (".*does not have many workers", ".*LeafSpec", ".*directory .* exists"):
        warnings.filterwarnings("ignore", message)


if __name__ == "__main__":
    sys.exit(main())
