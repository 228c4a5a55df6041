# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Converted logs to latents, as `training.encode` does it, in batches."""

from __future__ import annotations

import time
from typing import Any

import torch

from benchmarks.gpu.inputs import random_cache
from benchmarks.gpu.settings import Cases, Settings
from smvae_core.checkpoint import load_checkpoint
from smvae_core.data.logs.dataset import open_cache
from smvae_ros.bundled import model_path
from training.encode import encode_rows

_CPU_SHARE = 8  # of the steps, of which a CPU encodes one in so many


def cases(settings: Settings) -> Cases:
    """DEVICE."""
    yield settings.device, lambda: _rate(settings, settings.device, settings.steps)
    if settings.on_gpu:
        yield "cpu", lambda: _rate(settings, "cpu", settings.steps // _CPU_SHARE)


def _rate(settings: Settings, device: str, steps: int) -> dict[str, Any]:
    """Frames per second of the bundled model, reading included, in the second of two passes."""
    torch.set_num_threads(settings.threads)
    model = load_checkpoint(model_path()).model.to(device)
    modalities = list(model.modalities.values())
    cache = open_cache(random_cache(settings.work, "bundled", modalities, steps), modalities)
    seconds = 0.0
    for _ in range(2):
        begin = time.perf_counter()
        encode_rows(model, cache)
        seconds = time.perf_counter() - begin
    figures = {"frames_per_second": len(cache) / seconds, "frames": len(cache)}
    if device != "cpu":
        figures["memory_mb"] = torch.cuda.max_memory_allocated(device) / 2**20
    return figures
