# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What was measured → docs/results/gpu.md, which says so where nothing was."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.studies.tables import NONE, grid, number, page

NAME = "gpu"
FRAME_AIM, TRAINING_AIM = 1, 20  # ms at most, and times two CPU cores at least
_AIM_SIZE = 128
TIMES = "\N{MULTIPLICATION SIGN}"
Entries = Mapping[str, Mapping[str, Any]]


def to_markdown(measured: Mapping[str, Any] | None) -> str:
    """The page.

    Args:
        measured: content of gpu.json; None where there is none.
    """
    parts = measured["parts"] if measured else {}
    return page(
        Path(__file__).with_name("page.md.jinja"),
        name=NAME,
        measured=measured,
        parts=parts,
        frame_aim=FRAME_AIM,
        training_aim=TRAINING_AIM,
        frame=_best_frame(parts),
        speedups=_speedups(parts),
        number=number,
        tests=_tests,
        agreement=_agreement,
        latency=_latency,
        encoding=_encoding,
        training=_training,
    )


def _best_frame(parts: Mapping[str, Entries]) -> tuple[str, float] | None:
    """The runtime that encodes a frame of :data:`_AIM_SIZE` fastest in float32, and its median in
    ms."""
    found = {
        case.split("/")[1]: entry["encode_ms_p50"]
        for case, entry in parts.get("latency", {}).items()
        if case.startswith(f"{_AIM_SIZE}/") and case.endswith("/float32")
        if "encode_ms_p50" in entry and "/cpu/" not in case
    }
    return min(found.items(), key=lambda pair: pair[1]) if found else None


def _speedups(parts: Mapping[str, Entries]) -> dict[str, float]:
    """Recipe → how many times as fast as on two CPU cores the better precision trains."""
    entries, found = parts.get("training", {}), {}
    for recipe in dict.fromkeys(case.split("/")[0] for case in entries):
        rates = {p: entries.get(f"{recipe}/{p}", {}) for p in ("fp32", "bf16", "cpu")}
        known = {p: e["samples_per_second"] for p, e in rates.items() if "samples_per_second" in e}
        slow = known.pop("cpu", None)
        if slow and known:
            found[recipe] = max(known.values()) / slow
    return found


def _tests(entries: Entries) -> str:
    rows = []
    for case, entry in entries.items():
        counts = [str(entry.get(key, NONE)) for key in ("passed", "skipped")]
        failed = _text("; ".join(entry.get("failed", [])))
        rows.append([case, *counts, _trouble(entry) or failed or "none"])
    return grid(["tests", "passed", "skipped", "failed"], rows)


def _agreement(entries: Entries) -> str:
    keys = ("mean_sigmas", "log_variance", "prediction_scales")
    header = ["runtime", "precision", "mean [sigma]", "log variance", "prediction [scale]"]
    rows = [[*case.split("/"), *_cells(entry, keys, 5)] for case, entry in entries.items()]
    return grid(header, rows)


def _latency(entries: Entries) -> str:
    rows = []
    for case, entry in sorted(entries.items(), key=lambda pair: int(pair[0].split("/")[0])):
        if "left_out" in entry:  # the table above says so
            continue
        size, *chosen = case.split("/")
        pairs = [
            _cells(entry, (f"{work}_ms_p50", f"{work}_ms_p99"), 3) for work in ("encode", "all")
        ]
        cells = [pair[0] if len(set(pair)) == 1 else " / ".join(pair) for pair in pairs]
        rows.append([f"{size}{TIMES}{size}", *chosen, *cells, number(entry.get("memory_mb"), 0)])
    header = [
        "frame",
        "runtime",
        "precision",
        "encode [ms]",
        "and both images [ms]",
        "memory [MB]",
    ]
    return grid(header, rows)


def _encoding(entries: Entries) -> str:
    rows = [
        [case, *_cells(entry, ("frames_per_second",), 0), number(entry.get("memory_mb"), 0)]
        for case, entry in entries.items()
    ]
    return grid(["device", "frames per second", "memory [MB]"], rows)


def _training(entries: Entries) -> str:
    rows = []
    for case, entry in entries.items():
        recipe, kind = case.split("/")
        if kind == "waits":
            continue
        waits = entries.get(f"{recipe}/waits", {}).get("waits_per_step")
        rows.append(
            [
                recipe,
                "two CPU cores, fp32" if kind == "cpu" else kind,
                *_cells(entry, ("samples_per_second",), 0),
                number(entry.get("loader_share"), 1, 100),
                NONE if waits is None or kind == "cpu" else str(waits),
                number(entry.get("memory_mb"), 0),
            ]
        )
    header = ["recipe", "how", "samples per second", "loader [%]", "waits", "memory [MB]"]
    return grid(header, rows)


def _cells(entry: Mapping[str, Any], keys: tuple[str, ...], digits: int) -> list[str]:
    """The figures, or in each cell why there are none."""
    trouble = _trouble(entry)
    return [trouble or number(entry.get(key), digits) for key in keys]


def _trouble(entry: Mapping[str, Any]) -> str:
    if "error" in entry:
        return _text(f"failed: {entry['error']}")
    return "not there" if "left_out" in entry else ""


def _text(words: str) -> str:
    """Of a cell."""
    return words.replace("|", "\\|")
