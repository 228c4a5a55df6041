r"""The robot study: SMVAE, its baselines and dedicated networks on logs of insertion.

    python -m training.simulate --output data/insertion/train --trajectories 5000 --steps 250 \
        --one-part --part-steps 2 --seed 10000
    python -m training.simulate --output data/insertion/test --trajectories 40 --steps 250 \
        --one-part --seed 1000
    python -m training.convert data/insertion/train data/insertion/train_cache
    python -m training.convert data/insertion/test data/insertion/test_cache
    python -m training.studies.insertion data/insertion/train_cache data/insertion/test_cache

Every run is one file in RESULTS/runs, keyed by its configuration and data, that grows by a section
with every stage. So the command can be stopped in any way and given again: what was measured stays,
and an unfinished training continues. After every run the table of all of them is written to
RESULTS/insertion.json and .md.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from dataclasses import asdict, fields
from pathlib import Path

from smvae_core.data.logs.dataset import open_cache
from training.programs import run_program
from training.provenance import commit
from training.studies.insertion.measures import STAGES, Caches
from training.studies.insertion.protocol import (
    DEDICATED,
    METHODS,
    Protocol,
    describe_data,
    wanted_runs,
)
from training.studies.insertion.study import complete
from training.studies.insertion.table import tabulate, to_markdown
from training.studies.labelled_images.options import add_methods, add_runs
from training.studies.labelled_images.protocol import RunFailed
from training.studies.run_file import runs_of
from training.studies.table_file import RESULTS, check_table, write_table


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m training.studies.insertion",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("training", type=Path, metavar="TRAINING_CACHE", help="converted logs to train on")
    add("test", type=Path, metavar="TEST_CACHE", help="converted logs of other trajectories")
    add_methods(parser, [*METHODS, DEDICATED])
    add_runs(parser, tuple(STAGES), "tables")
    for field in fields(Protocol):
        option = "--" + field.name.replace("_", "-")
        add(option, type=int, default=field.default, metavar="N", help=f"default: {field.default}")
    add(
        "--work",
        type=Path,
        default=Path("out/insertion"),
        help="folder of unfinished runs and trained models (default: out/insertion)",
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Runs what is missing and makes the tables; returns the exit code."""
    options = parser().parse_args(arguments)
    return run_program("training.studies.insertion", lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    protocol = Protocol(**{field.name: getattr(options, field.name) for field in fields(Protocol)})
    caches = Caches(open_cache(options.training), open_cache(options.test))
    shared = set(caches.training.trajectories) & set(caches.test.trajectories)
    if shared:
        raise ValueError(
            f"{len(shared)} trajectories are in both caches, the first is {min(shared)}; "
            "what is measured must not have been trained on"
        )
    data = describe_data(caches.training, caches.test)
    own = {"protocol": asdict(protocol), "data": data}
    check_table(options.results / "insertion", own, "give another --results")
    runs, failures = options.results / "runs", 0
    if not options.only_table:
        wanted = wanted_runs(options.methods, options.seeds, protocol, data)
        for number, run in enumerate(wanted, 1):
            title = f"[{number}/{len(wanted)}] {run.title}"
            print(f"{title}: {runs / run.key}.json", file=sys.stderr, flush=True)
            begin = time.monotonic()
            try:
                done = complete(run, caches, runs, options.work, options.stages)
            except RunFailed as error:
                print(f"training.studies.insertion: error: {error}", file=sys.stderr)
                failures += 1
                continue
            spent = f"finished in {time.monotonic() - begin:.0f} s" if done else "stands already"
            print(f"{title}: {spent}", file=sys.stderr, flush=True)
            _write_table(protocol, data, options)
    page = _write_table(protocol, data, options)
    if page is None:
        print(f"No run of this protocol and data in {runs}", file=sys.stderr)
        return 1
    print(page)
    print(f"Saved {options.results / 'insertion'}.json and .md", file=sys.stderr)
    return 1 if failures else 0


def _write_table(protocol: Protocol, data: dict, options: argparse.Namespace) -> str | None:
    """Writes the tables of what there is; returns the page."""
    records = [
        record
        for record in runs_of(options.results / "runs", protocol)
        if record["configuration"]["data"] == data
    ]
    if not records:
        return None
    table = tabulate(protocol, records, _command(protocol, records, options), commit())
    page = to_markdown(table)
    write_table(options.results / "insertion", table, page)
    return page


def _command(protocol: Protocol, records: list[dict], options: argparse.Namespace) -> str:
    """What makes these runs in a fresh checkout."""
    words = ["python", "-m", "training.studies.insertion", "data/insertion/train_cache"]
    words += ["data/insertion/test_cache"]
    found = {record["configuration"]["method"] for record in records}
    if found != {*METHODS, DEDICATED}:
        words += ["--methods", *(name for name in (*METHODS, DEDICATED) if name in found)]
    seeds = sorted({record["configuration"]["seed"] for record in records})
    if seeds != [0]:
        words += ["--seeds", *map(str, seeds)]
    for field in fields(Protocol):
        if getattr(protocol, field.name) != field.default:
            words += ["--" + field.name.replace("_", "-"), str(getattr(protocol, field.name))]
    if options.results != RESULTS:
        words += ["--results", str(options.results)]
    return shlex.join(words)


if __name__ == "__main__":
    sys.exit(main())
