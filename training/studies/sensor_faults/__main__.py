"""Shows how sensor faults are noticed: simulated scenes through the node's health monitor.

    python -m training.studies.sensor_faults MODEL --output docs/results/sensor_health.json

Every scene is watched while healthy, which counts false alarms; in the first FAULT_SCENES of them
each fault of training.studies.sensor_faults.runs begins at a random moment. MODEL is a calibrated
checkpoint (training.calibrate); the scenes must be others than those of its training and
calibration.

Each finished scene is kept in WORK, so Ctrl-C loses at most the scenes being computed: the same
command continues. About 8 s of one core for a scene, and 25 s more with faults. With --share 1
every sensor is checked in every frame, with the node's 0.1 as many as fit into a tenth of the time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from smvae_core.checkpoint import HEALTH, WEIGHTS, CheckpointError
from smvae_core.files import check_output, write_text
from smvae_core.inference.inference import Inference
from smvae_ros.simulation.graphics import SimulationUnavailable, find_mujoco
from smvae_ros.simulation.insertion import CONTROL_RATE
from training.programs import run_program
from training.provenance import provenance
from training.studies.sensor_faults.runs import FAULTS, run_scene, settings

IN_TIME = int(CONTROL_RATE)  # frames in a second
_inference: Inference | None = None


def rate_bound(events: int, hours: float, confidence: float = 0.95) -> float:
    """Upper confidence bound of the rate of a Poisson process, events an hour (exact: the rate at
    which so few or fewer events have probability 1 - confidence)."""
    low, high = 0.0, 10.0 + 10 * events
    for _ in range(100):
        middle = (low + high) / 2
        terms = [
            math.exp(k * math.log(middle) - middle - math.lgamma(k + 1)) for k in range(events + 1)
        ]
        low, high = (middle, high) if sum(terms) > 1 - confidence else (low, middle)
    return high / hours


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
        healthy[f"{level}_alarms_by_sensor"] = _added(scene[level] for scene in scenes)
    return {"healthy": healthy, "faults": {key: _summarise_fault(key, scenes) for key in FAULTS}}


def _added(counts: Any) -> dict[str, int]:
    total: dict[str, int] = {}
    for entry in counts:
        for name, count in entry.items():
            total[name] = total.get(name, 0) + count
    return total


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


def print_summary(summary: dict[str, Any]) -> None:
    """The table of docs/explanation/health.md."""
    print("| fault | runs | noticed in 1 s | in 3 s | delay in frames, median (90 %) | by |")
    print("|---|---|---|---|---|---|")
    for entry in summary["faults"].values():
        if not entry["runs"]:
            continue
        by = ", ".join(sorted(entry["statistics"], key=entry["statistics"].get, reverse=True))
        print(
            f"| {entry['title']} | {entry['runs']} | {entry['noticed_in_1_s']:.0%} | "
            f"{entry['noticed_in_3_s']:.0%} | {_cell(entry['delay_frames_median'])} "
            f"({_cell(entry['delay_frames_p90'])}) | {by} |"
        )
    healthy = summary["healthy"]
    for level in ("warn", "error"):
        print(
            f"\n{level.upper()} in {healthy['frames']} healthy frames ({healthy['hours']:.2f} h): "
            f"{healthy[f'{level}_alarms']}, {healthy[f'{level}_alarms_per_hour']:.1f} an hour, "
            f"95 % bound {healthy[f'{level}_alarms_per_hour_bound_95']:.1f}"
        )


def _cell(value: int | None) -> str:
    return "-" if value is None else str(value)


def _start_worker(model: Path) -> None:
    global _inference
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    os.environ.setdefault("LP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    _inference = Inference.load(model)


def _run_worker(
    file: Path, seed: int, steps: int, with_faults: bool, share: float
) -> dict[str, Any]:
    result = run_scene(_inference, seed, steps, with_faults, share)
    write_text(file, json.dumps(result) + "\n")
    return result


def run_scenes(
    model: Path,
    work: Path,
    seeds: Sequence[int],
    faulty: int,
    steps: int,
    share: float,
    workers: int,
) -> list[dict[str, Any]]:
    """Results of all scenes, those in ``work`` included.

    Raises:
        SimulationUnavailable: without MuJoCo or graphics.
        KeyboardInterrupt: what is finished is in ``work``.
    """
    find_mujoco()
    work.mkdir(parents=True, exist_ok=True)
    results, todo = [], []
    for k, seed in enumerate(seeds):
        file = work / f"{seed}{'_faults' if k < faulty else ''}.json"
        if file.exists():
            results.append(json.loads(file.read_text()))
        else:
            todo.append((file, seed, steps, k < faulty, share))
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, _start_worker, (model,))
    try:
        with tqdm(total=len(seeds), initial=len(results), unit="scene") as bar:
            for future in as_completed([pool.submit(_run_worker, *task) for task in todo]):
                results.append(future.result())
                bar.update()
    finally:
        pool.shutdown(cancel_futures=True)
    return results


def _work_name(model: Path, steps: int, share: float) -> str:
    """Of everything that results depend on."""
    digest = hashlib.sha256(json.dumps([settings(), steps, share]).encode())
    for name in (WEIGHTS, HEALTH):
        digest.update((model / name).read_bytes())
    return digest.hexdigest()[:12]


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not a number from 1")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most 1")
    return value


def main(arguments: list[str] | None = None) -> int:
    """Runs as the command line says; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m training.studies.sensor_faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="MODEL", type=Path, help="calibrated checkpoint directory")
    add("--scenes", type=_positive, default=84, metavar="N", help="how many (%(default)s)")
    add("--fault-scenes", type=int, default=40, metavar="N", help="with faults too (%(default)s)")
    add("--steps", type=_positive, default=250, metavar="N", help="of a scene (%(default)s)")
    add("--seed", type=int, default=1000, metavar="S", help="of the first scene (%(default)s)")
    add(
        "--share",
        type=_share,
        default=1.0,
        metavar="S",
        help="the node's health_share (%(default)s)",
    )
    add("--workers", type=_positive, default=os.cpu_count(), metavar="N", help="(%(default)s)")
    add("--work", type=Path, default=Path("out/sensor_health"), metavar="DIR", help="(%(default)s)")
    add("--output", type=Path, metavar="FILE", help="JSON of the summary and every scene")
    options = parser.parse_args(arguments)
    return run_program(
        "training.studies.sensor_faults",
        lambda: _run(options, arguments),
        expected=(SimulationUnavailable,),
    )


def _run(options: argparse.Namespace, arguments: list[str] | None) -> int:
    origin = provenance("training.studies.sensor_faults", arguments)
    seeds = range(options.seed, options.seed + options.scenes)
    if options.output is not None:
        check_output(options.output)
    check_output(options.work, folder=True)
    calibration = Inference.load(options.model).calibration
    if calibration is None:
        raise CheckpointError(f"{options.model} is not calibrated: run training.calibrate")
    work = options.work / _work_name(options.model, options.steps, options.share)
    scenes = run_scenes(
        options.model,
        work,
        seeds,
        options.fault_scenes,
        options.steps,
        options.share,
        options.workers,
    )
    summary = summarise(scenes)
    print_summary(summary)
    if options.output is not None:
        document = {
            **origin,
            "seeds": [seeds[0], seeds[-1]],
            "calibration": dict(calibration.source),
            "settings": {**settings(), "health_share": options.share},
            **summary,
        }
        write_text(options.output, json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
