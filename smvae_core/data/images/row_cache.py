# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Rows that are expensive to compute (decoded images, label maps), computed once into files.

Interruption loses at most the block that is being computed: `journal.jsonl` gets a line for each
block after its rows have reached the disk, and a later run continues behind the last one. The
manifest is put in place last, and only a folder with a manifest is read.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from smvae_core.data.logs.cache_folder import (
    JOURNAL_NAME,
    PLAN_NAME,
    CacheError,
    alone,
    disk_errors,
    open_array,
    read_journal,
    remove,
)
from smvae_core.data.logs.cache_writer import RowWriter, allocate
from smvae_core.files import write_text

_ADVICE = "delete the folder and run again"
_BLOCK = 256  # rows between two waits for the disk
_MANIFEST_NAME = "rows.json"
_FORMAT_VERSION = 1

RowFormat = tuple[str, tuple[int, ...]]  # dtype, shape of a row
Compute = Callable[[int, int], Mapping[str, np.ndarray]]
Blocks = Callable[[int], Iterator[tuple[int, int]]]


def cached_rows(
    folder: str | os.PathLike[str] | None,
    origin: Mapping[str, Any],
    formats: Mapping[str, RowFormat],
    count: int,
    compute: Compute,
    title: str,
) -> dict[str, np.ndarray]:
    """name → (count, *row shape), from the cache in `folder` if it is complete.

    Args:
        folder: of the cache, for it alone; ``None`` computes in memory.
        origin: what the rows are computed from and how, as JSON values: a cache of another origin
            is never read.
        formats: name → dtype and shape of a row.
        count: number of rows, N.
        compute: (first, end) → name → rows [first, end).
        title: shown beside the progress bar.

    Returns:
        Arrays in memory, or memory-mapped in mode "c": what is written to them stays in memory.

    Raises:
        CacheError: where the folder holds something else, is damaged or being written to, or the
            disk is full; what is computed stays, and another call continues.
    """
    blocks = functools.partial(_blocks, count, title)
    if folder is None:
        arrays = {name: np.empty((count, *row), dtype) for name, (dtype, row) in formats.items()}
        for first, end in blocks(0):
            for name, rows in compute(first, end).items():
                arrays[name][first:end] = rows
        return arrays
    folder = Path(folder)
    # Through JSON, so that it equals what is read back.
    plan = json.loads(json.dumps(_plan(origin, formats, count)))
    if not (folder / _MANIFEST_NAME).exists():
        with disk_errors(folder), alone(folder):
            # Another process may have finished it in the meantime.
            if not (folder / _MANIFEST_NAME).exists():
                _fill(folder, plan, blocks, compute)
    _check_plan(folder / _MANIFEST_NAME, plan)
    return {
        # Copy on write: torch has no read-only tensors, and the files must never change.
        name: np.asarray(open_array(folder / f"{name}.npy", entry, _ADVICE, "c"))
        for name, entry in plan["arrays"].items()
    }


def _plan(
    origin: Mapping[str, Any], formats: Mapping[str, RowFormat], count: int
) -> dict[str, Any]:
    return {
        "format_version": _FORMAT_VERSION,
        "origin": dict(origin),
        "arrays": {
            name: {"dtype": dtype, "shape": [count, *shape]}
            for name, (dtype, shape) in formats.items()
        },
    }


def _blocks(count: int, title: str, done: int) -> Iterator[tuple[int, int]]:
    """(first, end) of each block from row `done` on, with a progress bar."""
    with tqdm(total=count, initial=done, desc=title, unit="image", disable=None) as bar:
        for first in range(done, count, _BLOCK):
            end = min(first + _BLOCK, count)
            yield first, end
            bar.update(end - first)


def _fill(folder: Path, plan: dict[str, Any], blocks: Blocks, compute: Compute) -> None:
    if (folder / PLAN_NAME).exists():
        _check_plan(folder / PLAN_NAME, plan)
    else:
        remove(folder, JOURNAL_NAME)
        allocate(folder, plan)
        write_text(folder / PLAN_NAME, json.dumps(plan))
    lines = read_journal(folder / JOURNAL_NAME, _ADVICE)
    try:
        done = lines[-1]["end"] if lines else 0
    except (KeyError, TypeError) as error:
        raise CacheError(f"{folder / JOURNAL_NAME}: damaged ({error!r}); {_ADVICE}") from error
    try:
        writer = RowWriter(folder, plan)
    except CacheError as error:
        raise CacheError(f"{folder}: damaged; {_ADVICE}") from error
    try:
        with open(folder / JOURNAL_NAME, "a") as journal:
            for first, end in blocks(done):
                for name, rows in compute(first, end).items():
                    writer.write(name, first, rows)
                writer.flush()  # first the rows, then the line that vouches for them
                journal.write(json.dumps({"end": end}) + "\n")
                journal.flush()
                os.fsync(journal.fileno())
    finally:
        writer.close()
    write_text(folder / _MANIFEST_NAME, json.dumps(plan))
    remove(folder, PLAN_NAME, JOURNAL_NAME)


def _check_plan(path: Path, plan: dict[str, Any]) -> None:
    """Raises CacheError where the cache holds, or was begun as, something else."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CacheError(f"{path}: damaged ({error}); {_ADVICE}") from error
    if found == plan:
        return
    found = found if isinstance(found, dict) else {}
    different = [
        f"{key} {(found.get(part) or {}).get(key)} instead of {value}"
        for part in ("origin", "arrays")
        for key, value in plan[part].items()
        if (found.get(part) or {}).get(key) != value
    ]
    raise CacheError(
        f"{path.parent}: a cache of other data or settings ({'; '.join(different) or 'its format'})"
        "; delete the folder or use another one"
    )
