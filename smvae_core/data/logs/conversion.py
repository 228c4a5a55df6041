# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""One pass over a folder of Vision&Touch logs into a cache of memory-mapped arrays.

Opening files and skipping unused keys costs training far more than the data itself, so the logs
are read once and stored at the model's image size, through the same `prepare` as the node's input.

How it survives interruption: `plan.json` fixes what is converted and in which order, and the
arrays are allocated at full size. `journal.jsonl` gets a line for each converted file, written
after the data has reached the disk; a later run continues behind the last complete line. The
manifest `cache.yaml` is put in place last, and only a folder with a manifest opens.
"""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from tqdm import tqdm

from smvae_core.data.logs.cache_folder import (
    FORMAT_VERSION,
    JOURNAL_NAME,
    MANIFEST_NAME,
    PLAN_NAME,
    CacheError,
    alone,
    clear,
    compare_sources,
    describe_modality,
    disk_errors,
    list_sources,
    read_ahead,
    read_journal,
    read_manifest,
    remove,
)
from smvae_core.data.logs.cache_plan import (
    LABELS,
    SOURCES,
    check_modalities,
    check_same,
    make_plan,
    nothing_usable,
    read_plan,
)
from smvae_core.data.logs.cache_writer import RowWriter, allocate
from smvae_core.data.logs.dataset import open_cache
from smvae_core.data.logs.log_file import LogFile, open_log
from smvae_core.data.logs.plausibility import FileCheck, finite_steps
from smvae_core.data.logs.vision_touch import (
    CONTROL_RATE,
    STEPS_PER_FILE,
    LogError,
    Problem,
)
from smvae_core.files import write_text
from smvae_core.modalities import Modality
from smvae_core.preprocessing import prepare

log = logging.getLogger(__name__)

_FILES_PER_COMMIT = 16  # files between two waits for the disk
_FILES_AHEAD = 4  # that the system is asked to read while one is converted
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@dataclass
class ConversionReport:
    """The result of a conversion.

    Attributes:
        rate: steps per second.
        absent: modality -> steps in which it is marked absent.
        strange: what is implausible, as found in the first file that has it -> in how many files.
    """

    steps: int = 0
    rate: float = CONTROL_RATE
    trajectories: int = 0
    files: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    absent: dict[str, int] = field(default_factory=dict)
    strange: dict[str, int] = field(default_factory=dict)
    modalities: tuple[str, ...] = ()
    already_complete: bool = False


def convert_logs(
    logs_folder: str | os.PathLike[str],
    cache_folder: str | os.PathLike[str],
    modalities: Sequence[Modality],
    restart: bool = False,
    progress: bool = True,
) -> ConversionReport:
    """Convert every *.h5 of a folder into a cache, or continue doing so.

    Files that cannot be used are named in the report and by the log, and left out. Steps in which
    a reading holds NaN, infinite or impossible values, or a depth image no valid pixel, are kept
    with that modality marked absent. What is implausible, see `smvae_core.data.logs.plausibility`,
    is named once and counted.

    Args:
        modalities: any of `SOURCES`, with the shapes that the arrays shall have. One that no log
            holds (proprio is optional) is left out of the cache.
        restart: throw away what the cache folder holds and convert everything.

    Raises:
        ValueError: for modalities that logs do not have.
        CacheError: when no file can be used, logs have several rates, the cache folder holds
            something else or cannot be written to, another conversion is at work in it, it was
            begun with other files or sizes, or the disk is full (what is converted stays, run again
            to continue).
    """
    logs_folder, cache_folder = Path(logs_folder), Path(cache_folder)
    check_modalities(modalities)
    sources = _find_sources(logs_folder)
    wanted = [describe_modality(modality) for modality in modalities]
    if (cache_folder / MANIFEST_NAME).exists() and not restart:
        manifest = read_manifest(cache_folder)
        check_same(cache_folder, manifest, wanted, sources)
        open_cache(cache_folder)
        with suppress(OSError):  # a complete cache may lie on a read-only disk
            remove(cache_folder, PLAN_NAME, JOURNAL_NAME)
        return _report(manifest, already_complete=True)
    with disk_errors(cache_folder), alone(cache_folder):
        if restart:
            clear(cache_folder)
        plan = read_plan(cache_folder)
        if plan is None:
            plan = make_plan(logs_folder, sources, modalities, progress)
            allocate(cache_folder, plan)
            write_text(cache_folder / PLAN_NAME, json.dumps(plan))
        else:
            check_same(cache_folder, plan, wanted, sources)
        held = {entry["name"] for entry in plan["modalities"]}
        used = [modality for modality in modalities if modality.name in held]
        entries = _convert_files(logs_folder, cache_folder, plan, used, progress)
        changed = compare_sources(plan["sources"], list_sources(logs_folder))
        if changed:
            raise CacheError(
                f"{logs_folder}: {len(changed)} files changed during the conversion, the first is "
                f"{changed[0]}; wait until they are complete and convert again with --restart"
            )
        manifest = _make_manifest(logs_folder, plan, entries)
        if manifest["steps"] == 0:
            clear(cache_folder)
            raise CacheError(nothing_usable(logs_folder, manifest["left_out"]))
        text = yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, default_flow_style=None)
        write_text(cache_folder / MANIFEST_NAME, text)
        remove(cache_folder, PLAN_NAME, JOURNAL_NAME)
    return _report(manifest)


def _find_sources(folder: Path) -> list[list[Any]]:
    if not folder.is_dir():
        raise CacheError(f"{folder}: no such folder; give the folder that holds the *.h5 logs")
    sources = list_sources(folder)
    if not sources:
        below = next(folder.rglob("*.h5"), None)
        hint = f"; did you mean {below.parent}?" if below else ""
        raise CacheError(f"{folder}: no *.h5 files in this folder{hint}")
    return sources


def _convert_files(
    logs_folder: Path,
    cache_folder: Path,
    plan: dict[str, Any],
    modalities: Sequence[Modality],
    progress: bool,
) -> list[dict[str, Any]]:
    """Convert what the journal does not list yet; returns the journal: an entry for each file."""
    path = cache_folder / JOURNAL_NAME
    entries = _read_journal(path, plan)
    if entries:
        log.info("continuing after %d of %d files", len(entries), len(plan["files"]))
    row = sum(entry["steps"] for entry in entries)
    bar = tqdm(
        total=plan["arrays"]["step"]["shape"][0],
        initial=sum(file["steps"] for file in plan["files"][: len(entries)]),
        desc="converting",
        unit="step",
        disable=not progress,
    )
    todo = plan["files"][len(entries) :]
    said: set[tuple[str | None, str]] = set()
    writer = RowWriter(cache_folder, plan)
    waiting: list[dict[str, Any]] = []

    def commit(done: Sequence[dict[str, Any]]) -> None:
        # First the data, then the lines that vouch for it.
        writer.flush()
        journal.write("".join(json.dumps(entry) + "\n" for entry in done))
        journal.flush()
        os.fsync(journal.fileno())
        entries.extend(done)

    try:
        # One thread waits for the disk while the next files are converted.
        with bar, open(path, "a") as journal, ThreadPoolExecutor(1) as disk:
            committed: Future[None] | None = None
            for file, ahead in zip_longest(todo, todo[_FILES_AHEAD:]):
                if ahead is not None:
                    read_ahead(logs_folder / ahead["name"])
                try:
                    absent, strange = _convert_file(
                        logs_folder, file, plan, modalities, writer, row
                    )
                    entry = {"name": file["name"], "steps": file["steps"], "absent": absent}
                    if strange:
                        entry["strange"] = [[*problem.kind, str(problem)] for problem in strange]
                    for problem in strange:
                        if problem.kind not in said:
                            said.add(problem.kind)
                            log.warning("%s", problem)
                    row += file["steps"]
                except LogError as error:
                    log.warning("left out: %s", error)
                    entry = {"name": file["name"], "steps": 0, "problem": str(error)}
                waiting.append(entry)
                bar.update(file["steps"])
                if len(waiting) >= _FILES_PER_COMMIT:
                    if committed is not None:
                        committed.result()
                    committed = disk.submit(commit, waiting)
                    waiting = []
            if committed is not None:
                committed.result()
            commit(waiting)
    finally:
        writer.close()
    return entries


def _read_journal(path: Path, plan: dict[str, Any]) -> list[dict[str, Any]]:
    """The journal, which lists the first files of the plan."""
    entries = read_journal(path, "convert with --restart")
    expected = [file["name"] for file in plan["files"][: len(entries)]]
    try:
        if [entry["name"] for entry in entries] != expected:
            raise ValueError("it lists other files than the plan")
    except (ValueError, KeyError, TypeError) as error:
        raise CacheError(f"{path}: damaged ({error}); convert with --restart") from error
    return entries


def _convert_file(
    folder: Path,
    file: dict[str, Any],
    plan: dict[str, Any],
    modalities: Sequence[Modality],
    writer: RowWriter,
    row: int,
) -> tuple[dict[str, int], list[Problem]]:
    """Write the rows of one log from `row` on.

    Returns modality -> steps in which it is absent, and what is strange about the file.

    Raises:
        LogError: when the log is damaged.
    """
    labels = [name for name in LABELS if name in plan["arrays"]]
    keys = [SOURCES[modality.name][0] for modality in modalities] + labels
    absent: Counter[str] = Counter()
    with open_log(folder / file["name"], keys) as log_file:
        if log_file.steps != file["steps"]:
            raise LogError(f"{log_file.path}: changed while it was converted")
        check = FileCheck(log_file)
        # In parts of the usual length, so that a long file needs no more memory than a short one.
        for start in range(0, log_file.steps, STEPS_PER_FILE):
            stop = min(start + STEPS_PER_FILE, log_file.steps)
            present = np.zeros((stop - start, len(modalities)), bool)
            for column, modality in enumerate(modalities):
                rows, present[:, column] = _prepare_steps(modality, log_file, start, stop, check)
                writer.write(modality.name, row + start, rows)
            for name in labels:
                values = log_file.read(name, start, stop)
                if name == "contact":
                    values = ((values != 0) & ~np.isnan(values)).any(axis=1)
                else:
                    values = np.where(finite_steps(values)[:, None], values, np.nan)
                writer.write(name, row + start, values)
            # Longer files than the original ones must not run into the next part's numbers.
            first = file["part"] * max(STEPS_PER_FILE, log_file.reserved)
            writer.write("step", row + start, np.arange(first + start, first + stop))
            writer.write("trajectory", row + start, np.full(stop - start, file["trajectory"]))
            writer.write("present", row + start, present)
            for column, modality in enumerate(modalities):
                absent[modality.name] += int((~present[:, column]).sum())
        strange = [*log_file.notes, *check.problems()]
    return {name: count for name, count in absent.items() if count}, strange


def _prepare_steps(
    modality: Modality, log_file: LogFile, start: int, stop: int, check: FileCheck
) -> tuple[np.ndarray, np.ndarray]:
    """Prepared rows (t, *raw_shape) and present (t,); absent rows hold zeros, in depth NaN.

    Absent is what the node would refuse as unusable, too, and what is beyond all reason.
    """
    count = stop - start
    blank = np.nan if modality.kind == "depth" else 0
    rows = np.full((count, *modality.raw_shape), blank, modality.raw_dtype)
    present = np.zeros(count, bool)
    key = SOURCES[modality.name][0]
    if key not in log_file.keys:
        return rows, present
    raw = log_file.read(key, start, stop)
    if modality.kind == "series":
        raw = raw[:, -modality.raw_shape[0] :]  # the newest readings of the step
    for i in np.flatnonzero(check.add(key, start, raw)):
        try:
            rows[i] = prepare(modality, raw[i])
            present[i] = True
        except ValueError:
            continue
    return rows, present


def _make_manifest(
    logs_folder: Path, plan: dict[str, Any], entries: list[dict[str, Any]]
) -> dict[str, Any]:
    left_out = dict(plan["left_out"])
    absent: Counter[str] = Counter()
    strange: dict[tuple[str | None, str], list[str]] = {}
    used = []
    for entry in entries:
        absent.update(entry.get("absent", {}))
        for key, advice, text in entry.get("strange", ()):
            strange.setdefault((key, advice), []).append(text)
        if "problem" in entry:
            left_out[entry["name"]] = entry["problem"]
        else:
            used.append(entry["name"])
    trajectory = {file["name"]: file["trajectory"] for file in plan["files"]}
    return {
        "format_version": FORMAT_VERSION,
        "steps": sum(entry["steps"] for entry in entries),  # the arrays may have more rows
        "rate": plan["rate"],
        "files": len(used),
        "trajectory_count": len({trajectory[name] for name in used}),
        "absent": dict(absent),
        "strange": {texts[0]: len(texts) for texts in strange.values()},
        "left_out": left_out,
        "requested": plan["requested"],
        "modalities": plan["modalities"],
        "arrays": plan["arrays"],
        "source_folder": str(logs_folder.absolute()),
        "trajectories": plan["trajectories"],
        "sources": plan["sources"],
    }


def _report(manifest: dict[str, Any], already_complete: bool = False) -> ConversionReport:
    return ConversionReport(
        steps=manifest["steps"],
        trajectories=manifest["trajectory_count"],
        files=manifest["files"],
        left_out=manifest["left_out"],
        # Caches from before these were there hold nothing of them.
        rate=manifest.get("rate", CONTROL_RATE),
        strange=manifest.get("strange", {}),
        absent=manifest["absent"],
        modalities=tuple(entry["name"] for entry in manifest["modalities"]),
        already_complete=already_complete,
    )
