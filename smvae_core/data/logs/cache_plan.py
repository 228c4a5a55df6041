# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The plan of a conversion of logs: which files, which arrays, how many rows."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from smvae_core.data.logs.cache_folder import (
    FORMAT_VERSION,
    PLAN_NAME,
    CacheError,
    compare_sources,
    describe_modality,
)
from smvae_core.data.logs.log_file import open_log
from smvae_core.data.logs.vision_touch import (
    DATASETS,
    FORCE_RATE,
    LogError,
    parse_log_name,
)
from smvae_core.modalities import Modality, check_names

log = logging.getLogger(__name__)

# Modality -> key of the log and kind.
SOURCES = {
    "rgb": ("image", "image"),
    "depth": ("depth_data", "depth"),
    "force": ("ee_forces_continuous", "series"),
    "action": ("action", "vector"),
    "proprio": ("proprio", "vector"),
}
# What evaluations read beside the modalities: dtype and shape of a row.
LABELS: dict[str, tuple[str, tuple[int, ...]]] = {
    "contact": ("bool", ()),
    "ee_pos": ("float32", (3,)),
}


def check_modalities(modalities: Sequence[Modality]) -> None:
    """Raises ValueError where logs cannot provide a modality, or not in its shape."""
    check_names(modalities)
    for modality in modalities:
        if modality.name not in SOURCES:
            raise ValueError(f"modality {modality.name!r}: logs hold only {', '.join(SOURCES)}")
        key, kind = SOURCES[modality.name]
        step = DATASETS[key].shapes[0]
        fits = modality.kind == kind and {
            "image": modality.raw_shape[-1] == 3,
            "series": modality.raw_shape[1:] == step[1:]
            and modality.raw_shape[0] <= step[0]
            and modality.rate == FORCE_RATE,
            "vector": modality.raw_shape == step,
        }.get(kind, True)
        if not fits:
            raise ValueError(
                f"modality {modality.name!r}: logs hold it as {kind}, {step} a step"
                + (f" at {FORCE_RATE:g} Hz" if kind == "series" else "")
                + f"; configured are {describe_modality(modality)}"
            )


def make_plan(
    logs_folder: Path, sources: list[list[Any]], modalities: Sequence[Modality], progress: bool
) -> dict[str, Any]:
    """Look at the layout of every file (no values): what is usable, how many steps.

    The plan is plain values, ready for JSON. Raises CacheError when no file is usable.
    """
    files, left_out = [], {}
    rates: dict[float, str] = {}  # and the first file of each
    held: Counter[str] = Counter()
    keys = [SOURCES[modality.name][0] for modality in modalities] + list(LABELS)
    for name, *_ in tqdm(sources, "checking files", unit="file", disable=not progress):
        try:
            log_name = parse_log_name(logs_folder / name)
            with open_log(logs_folder / name, keys) as file:
                files.append((log_name, name, file.steps))
                rates.setdefault(file.rate, name)
                held.update(file.keys)
        except LogError as error:
            left_out[name] = str(error)
            log.warning("left out: %s", error)
    if not files:
        raise CacheError(nothing_usable(logs_folder, left_out))
    if len(rates) > 1:
        found = " and ".join(f"{rate:g} Hz ({name})" for rate, name in rates.items())
        raise CacheError(
            f"{logs_folder}: logs of several rates, {found}: a model and its sensor health are for "
            "one rate; put them into folders of their own, or run bag_to_log again with one --rate"
        )
    files.sort()
    trajectories = sorted({log_name[:2] for log_name, _, _ in files})
    number = {trajectory: i for i, trajectory in enumerate(trajectories)}
    rows = sum(steps for _, _, steps in files)

    arrays: dict[str, dict[str, Any]] = {}
    descriptions = []
    for modality in modalities:
        key = SOURCES[modality.name][0]
        if not held[key]:
            log.warning("no log holds %r: the cache has no modality %r", key, modality.name)
            continue
        if held[key] < len(files):
            log.warning(
                "only %d of %d logs hold %r: in the others, modality %r is marked absent",
                *(held[key], len(files), key, modality.name),
            )
        descriptions.append(describe_modality(modality))
        arrays[modality.name] = {
            "dtype": modality.raw_dtype,
            "shape": [rows, *modality.raw_shape],
        }
    if not descriptions:
        raise CacheError(f"{logs_folder}: no log holds any of the modalities asked for")
    for name, (dtype, shape) in LABELS.items():
        if held[name] == len(files):
            arrays[name] = {"dtype": dtype, "shape": [rows, *shape]}
        elif held[name]:
            log.warning(
                "only %d of %d logs hold %r: the cache does without", held[name], len(files), name
            )
    arrays["trajectory"] = {"dtype": "int32", "shape": [rows]}
    arrays["step"] = {"dtype": "int32", "shape": [rows]}
    arrays["present"] = {"dtype": "bool", "shape": [rows, len(descriptions)]}
    return {
        "format_version": FORMAT_VERSION,
        "requested": [describe_modality(modality) for modality in modalities],
        "modalities": descriptions,
        "arrays": arrays,
        "trajectories": [list(trajectory) for trajectory in trajectories],
        "files": [
            {
                "name": name,
                "steps": steps,
                "trajectory": number[log_name[:2]],
                "part": log_name.part,
            }
            for log_name, name, steps in files
        ],
        "rate": next(iter(rates)),
        "left_out": left_out,
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
        different = [
            f"{old} instead of {new}"
            for old, new in zip(before["requested"], wanted, strict=False)
            if old != new
        ] or [f"{len(before['requested'])} modalities instead of {len(wanted)}"]
        raise CacheError(
            f"{folder}: was converted with {different[0]}; use another folder, or convert again "
            "with --restart"
        )
    changed = compare_sources(before["sources"], sources)
    if changed:
        raise CacheError(
            f"{folder}: was converted from other files: {len(changed)} were added, removed or "
            f"changed since, the first is {changed[0]}; use another folder, or convert again with "
            "--restart"
        )


def nothing_usable(folder: Path, left_out: dict[str, str]) -> str:
    """The message for it."""
    first = next(iter(left_out.values()), "there are none")
    return f"{folder}: none of the {len(left_out)} *.h5 files can be used; the first: {first}"
