# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Samples per second from Vision&Touch logs: opened for each sample, and converted once.

    python -m benchmarks.log_reading

Writes logs of the format's real layout (128x128 RGB, depth and optical flow, 50 wrenches a step)
with random values, converts them at the same image size and reads the same steps in random order:

- as the loader of Lee et al. 2020 does: the file is opened for each sample, all modalities and the
  optical flow are read, and a second file is opened for an unpaired sample;
- leaner: the file is opened for each sample, and only the four modalities are read;
- ours: batches of 64 from the converted arrays, ready for the network.

All read from files that the system has in memory, in turns. Conversion is compared with one pass of
plain reading: every file opened once, every dataset read whole. Both are measured with the files in
memory and again with the files dropped from it, as 37 GB of logs would be.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np
import torch
from tqdm import tqdm

from benchmarks.results import publish, run_command
from smvae_core.data.batches import Batches
from smvae_core.data.logs.dataset import open_cache
from smvae_core.data.logs.vision_touch.layout import (
    DATASETS,
    STEPS_PER_FILE,
    log_file_name,
    write_log,
)
from smvae_core.data.logs.vision_touch.recording import convert_logs
from smvae_core.robot import read_robot
from smvae_ros.bundled import robot_path

MODALITIES = ("rgb", "depth", "force", "action")
KEYS = ("image", "depth_data", "ee_forces_continuous", "action")
SIZE = 128  # pixels, as in the files
BATCH = 64
REAL_STEPS = 150_000  # in the original data set


def write_logs(folder: Path, files: int) -> list[Path]:
    """Logs of random values, all keys of the format, 20 parts to a trajectory."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    paths = []
    for number in tqdm(range(files), "writing logs", unit="file", disable=None):
        arrays = {}
        for key, dataset in DATASETS.items():
            shape = (STEPS_PER_FILE, *dataset.shapes[0])
            if dataset.dtype == np.uint8:
                arrays[key] = random.integers(0, 2 if key == "contact" else 256, shape, np.uint8)
            else:
                arrays[key] = random.random(shape, np.float32).astype(dataset.dtype)
        paths.append(folder / log_file_name("benchmark", *divmod(number, 20)))
        write_log(paths[-1], arrays)
    return paths


def as_the_original_loader(path: Path, step: int, unpaired: Path, other: int) -> list[np.ndarray]:
    """One sample as `multimodal_representation` reads it: two files opened, optical flow read."""
    with h5py.File(path, "r", swmr=True, libver="latest") as file:
        sample = [file[key][step] for key in KEYS]
        sample += [file["proprio"][step], file["optical_flow"][step]]
        following = min(step + 1, STEPS_PER_FILE - 1)
        sample += [file["contact"][following].any(), file["proprio"][following][:4]]
    with h5py.File(unpaired, "r", swmr=True, libver="latest") as file:
        sample += [file[key][other] for key in (*KEYS, "proprio")]
    return sample


def opened_for_each_sample(path: Path, step: int) -> list[np.ndarray]:
    """The four modalities of one sample and nothing else."""
    with h5py.File(path, "r") as file:
        return [file[key][step] for key in KEYS]


def rate(samples: Iterator[int], seconds: float) -> float:
    """Samples per second; the iterator says how many each of its turns has read."""
    begin, count = time.perf_counter(), 0
    for read in samples:
        count += read
        if time.perf_counter() - begin > seconds:
            break
    return count / (time.perf_counter() - begin)


def reading(paths: Sequence[Path], cache: Path) -> dict[str, Callable[[], Iterator[int]]]:
    """Way of reading → starts it; it yields how many samples were read at a time, without end."""
    random = np.random.default_rng(1)

    def place() -> tuple[Path, int]:
        return paths[random.integers(len(paths))], int(random.integers(STEPS_PER_FILE))

    def original() -> Iterator[int]:
        while True:
            as_the_original_loader(*place(), *place())
            yield 1

    def per_sample() -> Iterator[int]:
        while True:
            opened_for_each_sample(*place())
            yield 1

    opened = open_cache(cache)
    batches = Batches(opened, MODALITIES, np.arange(len(opened)), BATCH, shuffle=True)

    def ours() -> Iterator[int]:
        epoch = 0
        while True:
            batches.sampler.set_epoch(epoch)
            yield from (len(batch.index) for batch in batches)
            epoch += 1

    return {"original_loader": original, "open_per_sample": per_sample, "converted": ours}


def drop(folder: Path) -> None:
    """Asks the system to forget the contents of a folder's files."""
    for path in folder.iterdir():
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def plain_reading(paths: Sequence[Path]) -> float:
    """Seconds for reading every dataset of every file once."""
    begin = time.perf_counter()
    for path in paths:
        with h5py.File(path, "r") as file:
            for key in file:
                file[key][()]
    return time.perf_counter() - begin


def conversion(logs: Path, cache: Path) -> float:
    """Seconds for converting all files, until everything is on the disk."""
    shutil.rmtree(cache, ignore_errors=True)
    begin = time.perf_counter()
    convert_logs(
        logs,
        cache,
        read_robot(robot_path("vision_touch")).with_image_size(SIZE).modalities,
        progress=False,
    )
    return time.perf_counter() - begin


def memory(cache: Path) -> dict[str, float]:
    """What training needs, measured in a process of its own, see `log_reading_memory`."""
    finished = subprocess.run(
        [sys.executable, "-m", "benchmarks.log_reading_memory", str(cache), str(REAL_STEPS)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(finished.stdout.splitlines()[-1])


def main(
    files: int = 40,
    seconds: float = 2.0,
    turns: int = 5,
    folder: Path = Path("out/benchmarks/log_reading"),
) -> None:
    """Measures and prints.

    Args:
        files: logs of 50 steps; 40 take 0.5 GB.
        seconds: a way and turn.
        turns: of every way.
        folder: for logs and arrays, removed afterwards.
    """
    torch.set_num_threads(1)
    if folder.exists():
        raise SystemExit(f"{folder} exists already; remove it, or give another --folder")
    try:
        logs, cache = folder / "logs", folder / "cache"
        paths = write_logs(logs, files)
        size = sum(path.stat().st_size for path in paths)
        converting: dict[str, list[float]] = {"memory": [], "disk": []}
        for _ in tqdm(range(turns), "converting", unit="turn", disable=None):
            for source, ratios in converting.items():
                times = []
                for run in (lambda: plain_reading(paths), lambda: conversion(logs, cache)):
                    if source == "disk":
                        drop(logs)
                    times.append(run())
                ratios.append(times[1] / times[0])
        ways = reading(paths, cache)
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for start in ways.values():  # everything into memory, and the code warm
            rate(start(), seconds / 2)
        for _ in tqdm(range(turns), "reading", unit="turn", disable=None):
            for name, start in ways.items():
                rates[name].append(rate(start(), seconds))
        needed = memory(cache)
        stored = sum(path.stat().st_size for path in cache.glob("*.npy"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    steps = files * STEPS_PER_FILE
    per_turn = {
        name: [ours / other for ours, other in zip(rates["converted"], rates[name], strict=True)]
        for name in ("open_per_sample", "original_loader")
    }
    publish(
        "log_reading",
        {
            **{f"vs_{name}": statistics.median(ratios) for name, ratios in per_turn.items()},
            **{f"{name}_samples_per_s": statistics.median(r) for name, r in rates.items()},
            "conversion_vs_plain_reading_from_disk": statistics.median(converting["disk"]),
            "conversion_vs_plain_reading_from_memory": statistics.median(converting["memory"]),
            "converted_kb_per_step": stored / steps / 1e3,
            **needed,
        },
        {
            "logs": f"{files} files of {STEPS_PER_FILE} steps, {size / 1e9:.2f} GB",
            "modalities": ", ".join(MODALITIES),
            "image size": f"{SIZE}x{SIZE}",
            "batch": str(BATCH),
            "ratios": f"median of {turns} turns; conversion / plain reading in seconds",
        },
    )


if __name__ == "__main__":
    run_command(main)
