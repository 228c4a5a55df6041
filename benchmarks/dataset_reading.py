# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Conversion of a LeRobot data set, beside plain decoding of its videos.

    python -m benchmarks.dataset_reading --dataset g1_bottle --robot g1

Plain decoding turns every frame of every video into an RGB array and does nothing with it, with as
many threads as FFmpeg takes and one converter of colours for all frames. Conversion does that, too,
and reads the rows, brings pictures to the model's size and writes the cache to the disk. Both in
turns; ratios are of the same turn. Memory is what the process grows by during its first conversion.
"""

from __future__ import annotations

import resource
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import av
from av.video.reformatter import VideoReformatter
from tqdm import tqdm

from benchmarks.results import publish, run_command
from smvae_core.data.logs.conversion import convert
from smvae_core.data.logs.lerobot.recording import LeRobotRecording
from smvae_core.robot import Robot, read_robot
from smvae_ros.bundled import robot_path


def decode(videos: list[Path]) -> int:
    """Decodes them; returns how many frames there were."""
    frames = 0
    reformatter = VideoReformatter()
    for path in videos:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for frame in container.decode(stream):
                reformatter.reformat(frame, format="rgb24").to_ndarray()
                frames += 1
    return frames


def conversion(dataset: Path, robot: Robot, cache: Path) -> int:
    """Converts, until everything is on the disk; returns the steps."""
    shutil.rmtree(cache, ignore_errors=True)
    recording = LeRobotRecording(dataset, robot.sensors)
    return convert(recording, cache, robot.modalities, progress=False).steps


def timed(run: Callable[[], int]) -> tuple[float, float, int]:
    """Seconds, seconds of all processors, and what it returns."""
    begin, busy = time.perf_counter(), time.process_time()
    count = run()
    return time.perf_counter() - begin, time.process_time() - busy, count


def peak() -> float:
    """The most memory that this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main(
    dataset: Path,
    robot: str = "g1",
    turns: int = 5,
    folder: Path = Path("out/benchmarks/dataset_reading"),
) -> None:
    """Measures and prints.

    Args:
        dataset: folder of a LeRobot data set with videos.
        robot: its robot file, or the name of one of config/robots.
        turns: of each.
        folder: for the cache, removed afterwards.
    """
    videos = sorted((dataset / "videos").rglob("*.mp4"))
    if not videos:
        raise SystemExit(f"{dataset}: no videos")
    if folder.exists():
        raise SystemExit(f"{folder} exists already; remove it, or give another --folder")
    sensors = read_robot(robot_path(robot))
    found: dict[str, list[tuple[float, float, int]]] = {"conversion": [], "decoding": []}
    before = peak()
    memory = 0.0
    try:
        for _ in tqdm(range(turns), "measuring", unit="turn", disable=None):
            found["conversion"].append(timed(lambda: conversion(dataset, sensors, folder)))
            memory = memory or peak() - before
            found["decoding"].append(timed(lambda: decode(videos)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    pairs = list(zip(found["conversion"], found["decoding"], strict=True))
    figures = {
        "conversion_vs_decoding": statistics.median(ours[0] / plain[0] for ours, plain in pairs),
        "conversion_vs_decoding_cpu": statistics.median(
            ours[1] / plain[1] for ours, plain in pairs
        ),
        **{
            f"{name}_frames_per_s": statistics.median(count / seconds for seconds, _, count in runs)
            for name, runs in found.items()
        },
        "memory_mb": memory,
    }
    notes = {
        "data set": f"{dataset.name}: {pairs[0][0][2]} steps, {pairs[0][1][2]} frames of video",
        "modalities": ", ".join(sensors.sensors),
        "ratios": f"median of {turns} turns, in seconds, and in seconds of all processors",
    }
    publish("dataset_reading", figures, notes)


if __name__ == "__main__":
    run_command(main)
