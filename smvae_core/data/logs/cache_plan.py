# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The plan of a conversion: which parts, which arrays, how many rows."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smvae_core.data.logs.cache_folder import (
    FORMAT_VERSION,
    PLAN_NAME,
    CacheError,
    compare_sources,
    describe_modality,
)
from smvae_core.data.logs.recording import Recording, RecordingError
from smvae_core.modalities import Modality

log = logging.getLogger(__name__)


def make_plan(
    recording: Recording,
    sources: list[list[Any]],
    modalities: Sequence[Modality],
    wanted: list[dict[str, Any]],
    progress: bool,
) -> dict[str, Any]:
    """Look at the layout of every part (no values): what is usable, how many steps.

    The plan is plain values, ready for JSON. Raises CacheError when no part is usable.
    """
    try:
        layout = recording.layout(modalities, progress)
    except RecordingError as error:
        raise CacheError(str(error)) from error
    if not layout.parts:
        raise CacheError(nothing_usable(recording, layout.left_out))
    rows, count = sum(part["steps"] for part in layout.parts), len(layout.parts)
    arrays: dict[str, dict[str, Any]] = {}
    descriptions = []
    for modality in modalities:
        held = layout.held.get(modality.name, 0)
        if not held:
            log.warning(
                "%s: nothing there holds it: the cache has no modality %r",
                *(recording.folder, modality.name),
            )
            continue
        if held < count:
            log.warning(
                "%s: only %d of %d hold %r: in the others it is marked absent",
                *(recording.folder, held, count, modality.name),
            )
        descriptions.append(describe_modality(modality))
        arrays[modality.name] = {
            "dtype": modality.raw_dtype,
            "shape": [rows, *modality.raw_shape],
        }
    if not descriptions:
        raise CacheError(f"{recording.folder}: holds none of the modalities asked for")
    for name, (dtype, shape) in layout.labels.items():
        arrays[name] = {"dtype": dtype, "shape": [rows, *shape]}
    arrays["trajectory"] = {"dtype": "int32", "shape": [rows]}
    arrays["step"] = {"dtype": "int32", "shape": [rows]}
    arrays["present"] = {"dtype": "bool", "shape": [rows, len(descriptions)]}
    return {
        "format_version": FORMAT_VERSION,
        "requested": wanted,
        "modalities": descriptions,
        "arrays": arrays,
        "trajectories": [list(trajectory) for trajectory in layout.trajectories],
        "files": layout.parts,
        "rate": layout.rate,
        "left_out": layout.left_out,
        "sources": sources,
    }


def read_plan(folder: Path) -> dict[str, Any] | None:
    """The plan of a conversion that was begun in this folder. Raises CacheError if unusable."""
    try:
        plan = json.loads((folder / PLAN_NAME).read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise CacheError(f"{folder / PLAN_NAME}: damaged; convert with --restart") from error
    if plan.get("format_version") != FORMAT_VERSION or "rate" not in plan:
        raise CacheError(f"{folder}: begun by another version; convert with --restart")
    return plan


def check_same(
    folder: Path, before: dict[str, Any], wanted: list[dict[str, Any]], sources: list[list[Any]]
) -> None:
    """Compare what a plan or a manifest was made for with what is asked for now."""
    if before["requested"] != wanted:
        raise CacheError(
            f"{folder}: was converted with {_difference(before['requested'], wanted)}; use another "
            "folder, or convert again with --restart"
        )
    changed = compare_sources(before["sources"], sources)
    if changed:
        raise CacheError(
            f"{folder}: was converted from other files: {len(changed)} were added, removed or "
            f"changed since, the first is {changed[0]}; use another folder, or convert again with "
            "--restart"
        )


def _difference(before: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> str:
    """What was asked for otherwise: the names of modalities, or the fields of the first that
    differs."""
    names, now = ([entry["name"] for entry in entries] for entries in (before, wanted))
    if names != now:
        return f"the modalities {', '.join(names)} instead of {', '.join(now)}"
    old, new = next(pair for pair in zip(before, wanted, strict=True) if pair[0] != pair[1])
    fields = [field for field in {**old, **new} if old.get(field) != new.get(field)]
    return ", ".join(
        f"{old['name']}.{field} {old.get(field)} instead of {new.get(field)}" for field in fields
    )


def nothing_usable(recording: Recording, left_out: dict[str, str]) -> str:
    """The message for it."""
    first = next(iter(left_out.values()), "there are none")
    return (
        f"{recording.folder}: none of the {len(left_out)} {recording.kind} can be used; the "
        f"first: {first}"
    )
