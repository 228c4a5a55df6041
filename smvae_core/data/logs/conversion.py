# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""One pass over a recording into a cache of memory-mapped arrays.

Opening files, decoding pictures and skipping unused keys costs training far more than the data
itself, so a recording is read once and stored at the model's image size, through the same `prepare`
as the node's input.

How it survives interruption: `plan.json` fixes what is converted and in which order, and the
arrays are allocated at full size. `journal.jsonl` gets a line for each converted part, written
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
    UNSAID_RATE,
    CacheError,
    alone,
    clear,
    compare_sources,
    describe_modality,
    disk_errors,
    read_journal,
    read_manifest,
    remove,
)
from smvae_core.data.logs.cache_plan import check_same, make_plan, nothing_usable, read_plan
from smvae_core.data.logs.cache_writer import RowWriter, allocate
from smvae_core.data.logs.dataset import open_cache
from smvae_core.data.logs.recording import Notes, Recording, RecordingError
from smvae_core.files import write_text
from smvae_core.modalities import Modality, check_names

log = logging.getLogger(__name__)

_PARTS_PER_COMMIT, _STEPS_PER_COMMIT = 16, 800  # whichever comes first, between waits for the disk
_PARTS_AHEAD = 4  # that the system is asked to read while one is converted
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@dataclass
class ConversionReport:
    """The result of a conversion.

    Attributes:
        rate: steps per second.
        files: parts of the recording that were used: log files, episodes, bags.
        left_out: part -> why it was not used.
        absent: modality -> steps in which it is marked absent.
        strange: what is implausible, as found in the first file that has it -> in how many files.
    """

    steps: int = 0
    rate: float = UNSAID_RATE
    trajectories: int = 0
    files: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    absent: dict[str, int] = field(default_factory=dict)
    strange: dict[str, int] = field(default_factory=dict)
    modalities: tuple[str, ...] = ()
    already_complete: bool = False


def convert(
    recording: Recording,
    cache_folder: str | os.PathLike[str],
    modalities: Sequence[Modality],
    restart: bool = False,
    progress: bool = True,
) -> ConversionReport:
    """Convert a recording into a cache, or continue doing so.

    Parts that cannot be used are named in the report and by the log, and left out.

    Args:
        modalities: with the shapes that the arrays shall have. One that no part of the recording
            holds is left out of the cache.
        restart: throw away what the cache folder holds and convert everything.

    Raises:
        ValueError: for modalities that the recording's format does not have.
        CacheError: when nothing can be used, the cache folder holds something else or cannot be
            written to, another conversion is at work in it, it was begun with other files or sizes,
            or the disk is full (what is converted stays, run again to continue).
    """
    cache_folder = Path(cache_folder)
    check_names(modalities)
    recording.check(modalities)
    try:
        sources = recording.files()
    except RecordingError as error:
        raise CacheError(str(error)) from error
    wanted = [{**describe_modality(m), **recording.describe(m.name)} for m in modalities]
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
            plan = make_plan(recording, sources, modalities, wanted, progress)
            allocate(cache_folder, plan)
            write_text(cache_folder / PLAN_NAME, json.dumps(plan))
        else:
            check_same(cache_folder, plan, wanted, sources)
        held = {entry["name"] for entry in plan["modalities"]}
        used = [modality for modality in modalities if modality.name in held]
        entries = _convert_parts(recording, cache_folder, plan, used, progress)
        changed = compare_sources(plan["sources"], recording.files())
        if changed:
            raise CacheError(
                f"{recording.folder}: {len(changed)} files changed during the conversion, the "
                f"first is {changed[0]}; wait until they are complete and convert again with "
                "--restart"
            )
        manifest = _make_manifest(recording.folder, plan, entries)
        if manifest["steps"] == 0:
            clear(cache_folder)
            raise CacheError(nothing_usable(recording, manifest["left_out"]))
        text = yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, default_flow_style=None)
        write_text(cache_folder / MANIFEST_NAME, text)
        remove(cache_folder, PLAN_NAME, JOURNAL_NAME)
    return _report(manifest)


def _convert_parts(
    recording: Recording,
    cache_folder: Path,
    plan: dict[str, Any],
    modalities: Sequence[Modality],
    progress: bool,
) -> list[dict[str, Any]]:
    """Convert what the journal does not list yet; returns the journal: an entry for each part."""
    path = cache_folder / JOURNAL_NAME
    entries = _read_journal(path, plan)
    if entries:
        log.info("continuing after %d of %d parts", len(entries), len(plan["files"]))
    row = sum(entry["steps"] for entry in entries)
    trajectory = len(plan["trajectories"]) + sum(len(e.get("trajectories", ())) for e in entries)
    bar = tqdm(
        total=plan["arrays"]["step"]["shape"][0],
        initial=sum(part["steps"] for part in plan["files"][: len(entries)]),
        desc="converting",
        unit="step",
        disable=not progress,
    )
    todo = plan["files"][len(entries) :]
    said: set[tuple[str | None, str]] = set()
    writer = RowWriter(cache_folder, plan)
    waiting: list[dict[str, Any]] = []
    uncommitted = 0

    def commit(done: Sequence[dict[str, Any]]) -> None:
        # First the data, then the lines that vouch for it.
        writer.flush()
        journal.write("".join(json.dumps(entry) + "\n" for entry in done))
        journal.flush()
        os.fsync(journal.fileno())
        entries.extend(done)

    try:
        # One thread waits for the disk while the next parts are converted.
        with bar, open(path, "a") as journal, ThreadPoolExecutor(1) as disk:
            committed: Future[None] | None = None
            for part, ahead in zip_longest(todo, todo[_PARTS_AHEAD:]):
                if ahead is not None:
                    recording.read_ahead(ahead)
                before = bar.n
                try:
                    notes = Notes()
                    entry = _convert_part(
                        recording, part, plan, modalities, notes, writer, row, trajectory, bar
                    )
                    for problem in notes.strange:
                        if problem.kind not in said:
                            said.add(problem.kind)
                            log.warning("%s", problem)
                    row += entry["steps"]
                    trajectory += len(entry.get("trajectories", ()))
                except RecordingError as error:
                    log.warning("left out: %s", error)
                    entry = {"name": part["name"], "steps": 0, "problem": str(error)}
                waiting.append(entry)
                bar.update(part["steps"] - (bar.n - before))
                uncommitted += part["steps"]
                if len(waiting) >= _PARTS_PER_COMMIT or uncommitted >= _STEPS_PER_COMMIT:
                    if committed is not None:
                        committed.result()
                    committed = disk.submit(commit, waiting)
                    waiting, uncommitted = [], 0
            if committed is not None:
                committed.result()
            commit(waiting)
    finally:
        writer.close()
    return entries


def _read_journal(path: Path, plan: dict[str, Any]) -> list[dict[str, Any]]:
    """The journal, which lists the first parts of the plan."""
    entries = read_journal(path, "convert with --restart")
    expected = [part["name"] for part in plan["files"][: len(entries)]]
    try:
        if [entry["name"] for entry in entries] != expected:
            raise ValueError("it lists other files than the plan")
    except (ValueError, KeyError, TypeError) as error:
        raise CacheError(f"{path}: damaged ({error}); convert with --restart") from error
    return entries


def _convert_part(
    recording: Recording,
    part: dict[str, Any],
    plan: dict[str, Any],
    modalities: Sequence[Modality],
    notes: Notes,
    writer: RowWriter,
    row: int,
    trajectory: int,
    bar: Any,
) -> dict[str, Any]:
    """Write the rows of one part from `row` on; trajectories that begin in it are numbered from
    `trajectory` on. Returns its entry of the journal.

    Raises:
        RecordingError: when the part is damaged.
    """
    own = {"trajectory", "step", "present", *(modality.name for modality in modalities)}
    labels = [name for name in plan["arrays"] if name not in own]
    absent: Counter[str] = Counter()
    begun: list[int] = []
    steps = 0
    for block in recording.read(part, modalities, labels, notes):
        count = len(block.step)
        if steps + count > part["steps"]:
            raise RecordingError(
                f"{part['name']}: has more than the {part['steps']} steps that it was planned "
                "with; convert again with --restart, when nothing writes to it any more"
            )
        for name, rows in block.rows.items():
            writer.write(name, row + steps, rows)
        number = part.get("trajectory")
        if number is None:
            if block.trajectory not in begun:
                begun.append(block.trajectory)
            number = trajectory + begun.index(block.trajectory)
        present = np.stack([block.present[modality.name] for modality in modalities], axis=1)
        writer.write("step", row + steps, block.step)
        writer.write("trajectory", row + steps, np.full(count, number))
        writer.write("present", row + steps, present)
        for column, modality in enumerate(modalities):
            absent[modality.name] += int((~present[:, column]).sum())
        steps += count
        bar.update(count)
    entry: dict[str, Any] = {
        "name": part["name"],
        "steps": steps,
        "absent": {name: count for name, count in absent.items() if count},
    }
    if begun:
        entry["trajectories"] = begun
    if notes.strange:
        entry["strange"] = [[*problem.kind, str(problem)] for problem in notes.strange]
    if notes.frame_ids:
        entry["frame_ids"] = notes.frame_ids
    return entry


def _make_manifest(
    folder: Path, plan: dict[str, Any], entries: list[dict[str, Any]]
) -> dict[str, Any]:
    left_out = dict(plan["left_out"])
    absent: Counter[str] = Counter()
    strange: dict[tuple[str | None, str], list[str]] = {}
    frame_ids: dict[str, str] = {}
    used = []
    trajectories = list(plan["trajectories"])
    for entry in entries:
        absent.update(entry.get("absent", {}))
        for key, advice, text in entry.get("strange", ()):
            strange.setdefault((key, advice), []).append(text)
        if "problem" in entry:
            left_out[entry["name"]] = entry["problem"]
        else:
            used.append(entry["name"])
        trajectories += [[entry["name"], number] for number in entry.get("trajectories", ())]
        frame_ids = entry.get("frame_ids", {}) | frame_ids
    named = {part["name"]: part.get("trajectory") for part in plan["files"]}
    begun = len(trajectories) - len(plan["trajectories"])
    return {
        "format_version": FORMAT_VERSION,
        "steps": sum(entry["steps"] for entry in entries),  # the arrays may have more rows
        "rate": plan["rate"],
        "files": len(used),
        "trajectory_count": len({named[name] for name in used} - {None}) + begun,
        "absent": dict(absent),
        "strange": {texts[0]: len(texts) for texts in strange.values()},
        "left_out": left_out,
        **({"frame_ids": frame_ids} if frame_ids else {}),
        "requested": plan["requested"],
        "modalities": plan["modalities"],
        "arrays": plan["arrays"],
        "source_folder": str(folder.absolute()),
        "trajectories": trajectories,
        "sources": plan["sources"],
    }


def _report(manifest: dict[str, Any], already_complete: bool = False) -> ConversionReport:
    return ConversionReport(
        steps=manifest["steps"],
        trajectories=manifest["trajectory_count"],
        files=manifest["files"],
        left_out=manifest["left_out"],
        # Caches from before these were there hold nothing of them.
        rate=manifest.get("rate", UNSAID_RATE),
        strange=manifest.get("strange", {}),
        absent=manifest["absent"],
        modalities=tuple(entry["name"] for entry in manifest["modalities"]),
        already_complete=already_complete,
    )
