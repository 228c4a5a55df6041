# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What scenes of the fault study show: false alarms, and how each fault is noticed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from smvae_ros.simulation.insertion import CONTROL_RATE
from training.studies.sensor_faults.runs import FAULTS
from training.studies.tables import grid

IN_TIME = int(CONTROL_RATE)  # frames in a second


def rate_bound(events: int, hours: float, confidence: float = 0.95) -> float:
    """Upper confidence bound of the rate of a Poisson process, events an hour (exact: the rate at
    which so few or fewer events have probability 1 - confidence)."""
    from scipy.stats import chi2

    return float(chi2.ppf(confidence, 2 * (events + 1)) / 2 / hours)


def summarise(scenes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """False alarms of all scenes, and for each fault how it was noticed."""
    frames = sum(scene["frames"] for scene in scenes)
    hours = frames / CONTROL_RATE / 3600
    healthy: dict[str, Any] = {"frames": frames, "scenes": len(scenes), "hours": hours}
    for level in ("warn", "error"):
        count = sum(sum(scene[level].values()) for scene in scenes)
        healthy[f"{level}_alarms"] = count
        healthy[f"{level}_alarms_per_hour"] = count / hours
        healthy[f"{level}_alarms_per_hour_bound_95"] = rate_bound(count, hours)
        healthy[f"{level}_alarms_by_sensor"] = dict(
            sum((Counter(scene[level]) for scene in scenes), Counter())
        )
    return {"healthy": healthy, "faults": {key: _summarise_fault(key, scenes) for key in FAULTS}}


def _summarise_fault(key: str, scenes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    runs = [s["faults"][key] for s in scenes if s.get("faults") and s["faults"][key] is not None]
    if not runs:
        return {"runs": 0}
    delays = sorted(run["warn_delay"] for run in runs if run["warn_delay"] is not None)
    statistics = [run["statistic"] for run in runs if run["statistic"]]
    return {
        "title": FAULTS[key].title,
        "sensors": list(FAULTS[key].sensors),
        "runs": len(runs),
        "noticed_in_1_s": sum(delay <= IN_TIME for delay in delays) / len(runs),
        "noticed_in_3_s": len(delays) / len(runs),
        "error_in_1_s": sum(
            run["error_delay"] is not None and run["error_delay"] <= IN_TIME for run in runs
        )
        / len(runs),
        "delay_frames_median": _quantile(delays, len(runs), 0.5),
        "delay_frames_p90": _quantile(delays, len(runs), 0.9),
        "statistics": {name: statistics.count(name) for name in sorted(set(statistics))},
        "another_sensor_named_too": sum(bool(run["others_named"]) for run in runs) / len(runs),
    }


def _quantile(delays: Sequence[int], runs: int, share: float) -> int | None:
    """Frames after which this share of all runs was noticed; None where it never was."""
    needed = math.ceil(share * runs)
    return delays[needed - 1] if needed <= len(delays) else None


def to_markdown(summary: dict[str, Any]) -> str:
    """The table of docs/explanation/health.md, and the false alarms."""
    rows = []
    for entry in summary["faults"].values():
        if not entry["runs"]:
            continue
        median, slowest = (
            "-" if value is None else str(value)
            for value in (entry["delay_frames_median"], entry["delay_frames_p90"])
        )
        row = [entry["title"], str(entry["runs"])]
        row += [f"{entry['noticed_in_1_s']:.0%}", f"{entry['noticed_in_3_s']:.0%}"]
        row += [f"{median} ({slowest})"]
        row += [", ".join(sorted(entry["statistics"], key=entry["statistics"].get, reverse=True))]
        rows.append(row)
    header = ["fault", "runs", "noticed in 1 s", "in 3 s", "delay in frames, median (90 %)", "by"]
    lines = [grid(header, rows)]
    healthy = summary["healthy"]
    for level in ("warn", "error"):
        lines += [
            "",
            f"{level.upper()} in {healthy['frames']} healthy frames ({healthy['hours']:.2f} h): "
            f"{healthy[f'{level}_alarms']}, {healthy[f'{level}_alarms_per_hour']:.1f} an hour, "
            f"95 % bound {healthy[f'{level}_alarms_per_hour_bound_95']:.1f}",
        ]
    return "\n".join(lines)
