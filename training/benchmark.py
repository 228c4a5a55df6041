"""Trains SMVAE and every baseline on labelled images and tables their log-likelihoods.

    python -m training.benchmark --dataset mnist --data-dir DIR

Every finished run is one file in RESULTS/runs, keyed by its configuration. So the command can be
stopped with Ctrl-C and given again: finished runs stay, an unfinished one continues. The table
shows all finished runs of the same protocol; it goes to RESULTS/<data set>.json and .md.
"""

from __future__ import annotations

import argparse
import json
import logging
import shlex
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from smvae_ros.report import write_text
from training.likelihood_table import tabulate, to_markdown
from training.study import METHODS, Protocol, Run, RunFailed, commit, complete, finished

PIXELS = {"mnist": "dynamic", "fashion_mnist": "grey"}  # by default
NUMBERS = {  # fields of the protocol that are options
    "epochs": "of training",
    "batch_size": "samples in a step",
    "learning_rate": "highest rate of Adam",
    "warm_up_steps": "in which the weight of the KL terms rises",
    "validation": "training images held out",
    "test_images": "images that are measured",
    "importance_samples": "K",
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m training.benchmark",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = Protocol()
    add = parser.add_argument
    add("--dataset", choices=PIXELS, default="mnist", help="default: mnist")
    add("--data-dir", type=Path, help="folder of the IDX files; missing ones are downloaded")
    add(
        "--methods",
        nargs="+",
        choices=METHODS,
        default=list(METHODS),
        metavar="METHOD",
        help=f"of {', '.join(METHODS)} (default: all)",
    )
    add("--seeds", nargs="+", type=int, default=[0], metavar="SEED", help="default: 0")
    add(
        "--pixels",
        choices=("dynamic", "grey"),
        help="binarised anew in each epoch, or grey values under a Bernoulli likelihood "
        "(default: dynamic for mnist, grey for fashion_mnist)",
    )
    for field, what in NUMBERS.items():
        value = getattr(default, field)
        option = "--" + field.replace("_", "-")
        kind = type(value)
        add(option, type=kind, default=value, metavar="N", help=f"{what} (default: {value})")
    add(
        "--results",
        type=Path,
        default=Path("docs/results"),
        help="folder of tables and of finished runs (default: docs/results)",
    )
    add(
        "--work",
        type=Path,
        default=Path("out/benchmark"),
        help="folder of unfinished runs and trained models (default: out/benchmark)",
    )
    add("--only-table", action="store_true", help="make the table of what is finished")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Runs what is missing, then makes the table; returns the exit code."""
    options = parser().parse_args(arguments)
    if options.data_dir is None and not options.only_table:
        parser().error("--data-dir is needed, except with --only-table")
    _quieten()
    protocol = Protocol(
        dataset=options.dataset,
        pixels=options.pixels or PIXELS[options.dataset],
        **{field: getattr(options, field) for field in NUMBERS},
    )
    runs = options.results / "runs"
    failures = 0
    try:
        if not options.only_table:
            failures = _complete_all(protocol, options, runs)
        records = finished(runs, protocol)
    except KeyboardInterrupt:
        print("\nInterrupted; the same command continues", file=sys.stderr)
        return 130
    except ValueError as error:
        print(f"training.benchmark: error: {error}", file=sys.stderr)
        return 2
    if not records:
        print(f"No finished run of this protocol in {runs}", file=sys.stderr)
        return 1
    table = tabulate(protocol, records, _command(protocol, records), commit())
    page = to_markdown(protocol, table)
    # The other protocol of a data set is a page of its own.
    usual = protocol.pixels == PIXELS[protocol.dataset]
    name = protocol.dataset if usual else f"{protocol.dataset}_{protocol.pixels}"
    write_text(options.results / f"{name}.json", json.dumps(table, indent=1) + "\n")
    write_text(options.results / f"{name}.md", page)
    print(page)
    print(f"Saved {options.results / name}.json and .md")
    return 1 if failures else 0


def _complete_all(protocol: Protocol, options: argparse.Namespace, runs: Path) -> int:
    """Returns the number of runs that failed; the others are finished."""
    # All methods with one seed before the next seed, so that an early table has every row.
    wanted = [Run(m, seed, protocol) for seed in options.seeds for m in options.methods]
    failures = 0
    for number, run in enumerate(wanted, 1):
        title = f"[{number}/{len(wanted)}] {protocol.dataset}, {run.method}, seed {run.seed}"
        print(f"{title}: {runs / run.key}.json", flush=True)
        begin = time.monotonic()
        try:
            done = complete(run, options.data_dir, runs, options.work)
        except RunFailed as error:
            print(f"training.benchmark: error: {error}", file=sys.stderr)
            failures += 1
        else:
            spent = f"finished in {time.monotonic() - begin:.0f} s" if done else "stands already"
            print(f"{title}: {spent}", flush=True)
    return failures


def _command(protocol: Protocol, records: Sequence[Mapping[str, Any]]) -> str:
    """What makes these runs in a fresh checkout: a command for each set of seeds."""
    seeds: dict[str, list[int]] = {}
    for record in records:
        configuration = record["configuration"]
        seeds.setdefault(configuration["method"], []).append(configuration["seed"])
    groups: dict[tuple[int, ...], list[str]] = {}
    for method in METHODS:
        if method in seeds:
            groups.setdefault(tuple(sorted(seeds[method])), []).append(method)
    common = ["python", "-m", "training.benchmark", "--dataset", protocol.dataset]
    common += ["--data-dir", "DIR"]
    if protocol.pixels != PIXELS[protocol.dataset]:
        common += ["--pixels", protocol.pixels]
    default = Protocol()
    for field in NUMBERS:
        if getattr(protocol, field) != getattr(default, field):
            common += ["--" + field.replace("_", "-"), str(getattr(protocol, field))]
    commands = []
    for own, methods in groups.items():
        chosen = [] if methods == list(METHODS) else ["--methods", *methods]
        some_seeds = [] if own == (0,) else ["--seeds", *map(str, own)]
        commands.append(shlex.join([*common, *chosen, *some_seeds]))
    return " && ".join(commands)


def _quieten() -> None:
    """Keeps what Lightning says of itself with every run out of the log."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for message in (".*does not have many workers", ".*LeafSpec", ".*directory .* exists"):
        warnings.filterwarnings("ignore", message)


if __name__ == "__main__":
    sys.exit(main())
