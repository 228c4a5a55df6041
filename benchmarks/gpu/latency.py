# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""One RGB-D frame through an untrained model, from NumPy arrays to NumPy arrays.

Copies to the device and back are part of it, as in the node: ``encode`` ends with the posterior on
the host, ``all`` with both predicted images, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.inputs import frame, rgbd_model
from benchmarks.gpu.settings import ORDER, Cases, Settings
from smvae_core.inference.choices import PRECISIONS
from smvae_core.inference.devices import DeviceError
from smvae_core.inference.inference import Inference

_FRAMES = 16  # different ones, in turn


def cases(settings: Settings) -> Cases:
    """SIZE/RUNTIME/PRECISION, and SIZE/cpu/float32."""
    chosen = [
        (f"{runtime}/{precision}", (settings.device, precision, runtime))
        for runtime in ORDER
        for precision in PRECISIONS
    ]
    if settings.on_gpu:
        chosen.insert(0, ("cpu/float32", ("cpu", "float32", "auto")))
    for name, choice in chosen:
        for size in settings.sizes:
            yield f"{size}/{name}", lambda s=size, c=choice: _time(settings, s, c)


def _time(settings: Settings, size: int, chosen: tuple[str, str, str]) -> dict[str, Any]:
    """Milliseconds of a frame, its median and 99th percentile, and the memory of the device."""
    path = rgbd_model(settings.work, size)
    before = _used(chosen[0])
    try:
        inference = Inference.load(path, *chosen, threads=1)
    except DeviceError as error:
        return {"left_out": str(error)}
    inference.warm_up()
    frames = [frame(inference.modalities, number) for number in range(_FRAMES)]
    names = tuple(inference.modalities)
    figures: dict[str, Any] = {}
    work: dict[str, Callable[[dict[str, np.ndarray]], object]] = {
        "encode": inference.encode,
        "all": lambda sample: inference(sample, predict=names),
    }
    for name, function in work.items():
        times = _repeated(function, frames, settings.seconds / 2)
        figures[f"{name}_ms_p50"] = float(np.percentile(times, 50))
        figures[f"{name}_ms_p99"] = float(np.percentile(times, 99))
        figures[f"{name}_frames"] = len(times)
    if before is not None:
        figures["memory_mb"] = (_used(chosen[0]) or 0.0) - before
    return figures


def _repeated(
    function: Callable[[dict[str, np.ndarray]], object],
    frames: list[dict[str, np.ndarray]],
    seconds: float,
) -> np.ndarray:
    """Milliseconds of each call within so many seconds."""
    for sample in frames:
        function(sample)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        for sample in frames:
            begin = time.perf_counter()
            function(sample)
            times.append(1000 * (time.perf_counter() - begin))
    return np.array(times)


def _used(device: str) -> float | None:
    """Megabytes of a GPU that are in use, by whatever library."""
    if device == "cpu":
        return None
    free, total = torch.cuda.mem_get_info(device)
    return (total - free) / 2**20
