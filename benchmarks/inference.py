# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""One frame through the model: every way of running it on this machine, in turn.

    python -m benchmarks.inference

The bundled model, its live modalities being RGB, depth and force. ``encode`` is the posterior, as
~/latent needs it; ``all`` is the posterior and a prediction of every modality; ``leave_out`` is the
posterior without one of them, as sensor health needs it. The variants take turns frame by frame, so
that whatever else runs here slows them alike; a ratio above 1 is a median faster than ``eager``'s.
Each variant's results are compared with eager's first.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.results import publish, run_command
from smvae_core.inference.choices import PRECISIONS, RUNTIMES
from smvae_core.inference.devices import DeviceError, find_device
from smvae_core.inference.inference import Inference
from smvae_ros.bundled import model_path

LIVE = ("rgb", "depth", "force")
TOLERANCE = {"float32": 1e-3, "bfloat16": 0.2, "float16": 0.05}  # of the posterior's mean
WORK: dict[str, Callable[[Inference, dict[str, np.ndarray]], object]] = {
    "encode": lambda inference, sample: inference.encode(sample),
    "all": lambda inference, sample: inference(sample, predict=inference.modalities),
}


def load_variants(device: str) -> tuple[dict[str, Inference], dict[str, float]]:
    """Every variant that there is on the device, warmed up; and how many seconds that took."""
    variants: dict[str, Inference] = {}
    seconds: dict[str, float] = {}
    for runtime in RUNTIMES:
        for precision in PRECISIONS:
            name = runtime if precision == "float32" else f"{runtime}_{precision}"
            if precision != "float32" and find_device(device) == "cpu" and name != "eager_bfloat16":
                continue
            start = time.perf_counter()
            try:
                inference = Inference.load(model_path(), device, precision, runtime)
                inference.warm_up()
            except DeviceError as error:
                print(f"{name} is left out: {error}", file=sys.stderr)
                continue
            variants[name] = inference
            seconds[name] = time.perf_counter() - start
    return variants, seconds


def make_sample(inference: Inference) -> dict[str, np.ndarray]:
    """Random prepared arrays of the live modalities."""
    random = np.random.default_rng(0)
    sample = {}
    for name in LIVE:
        modality = inference.modalities[name]
        values = random.uniform(0.3, 1.2, modality.raw_shape) * (255 / 1.2 if name == "rgb" else 1)
        sample[name] = values.astype(modality.raw_dtype)
    return sample


def check(variants: dict[str, Inference], sample: dict[str, np.ndarray]) -> None:
    """Raises RuntimeError where a variant's posterior is not eager's."""
    expected = variants["eager"].encode(sample).mean
    for name, inference in variants.items():
        precision = name.partition("_")[2] if name.startswith("eager_") else "float32"
        difference = float(np.abs(inference.encode(sample).mean - expected).max())
        if not difference < TOLERANCE.get(precision, TOLERANCE["bfloat16"]):
            raise RuntimeError(f"{name} differs from eager by {difference}")


def measure(
    variants: dict[str, Inference], sample: dict[str, np.ndarray], frames: int
) -> dict[tuple[str, str], np.ndarray]:
    """(variant, work) → milliseconds of each frame."""
    encodings = {name: inference.encode(sample) for name, inference in variants.items()}
    times: dict[tuple[str, str], list[float]] = {}
    for _ in tqdm(range(frames), unit="frame", disable=None):
        for name, inference in variants.items():
            for work, function in WORK.items():
                start = time.perf_counter()
                function(inference, sample)
                times.setdefault((name, work), []).append(time.perf_counter() - start)
            start = time.perf_counter()
            inference.leave_out(encodings[name], "rgb")
            times.setdefault((name, "leave_out"), []).append(time.perf_counter() - start)
    return {key: 1000 * np.array(values) for key, values in times.items()}


def main(frames: int = 500, threads: int = 1, device: str = "auto") -> None:
    """Measures and prints.

    Args:
        frames: of each variant.
        threads: of a CPU; the node uses one.
        device: cpu, cuda or auto.
    """
    torch.set_num_threads(threads)
    variants, seconds = load_variants(device)
    sample = make_sample(variants["eager"])
    check(variants, sample)
    times = measure(variants, sample, frames)
    figures: dict[str, float] = {}
    for (name, work), values in times.items():
        baseline = np.median(times["eager", work])
        figures[f"{name}_{work}_ms_p50"] = float(np.percentile(values, 50))
        figures[f"{name}_{work}_ms_p99"] = float(np.percentile(values, 99))
        figures[f"{name}_{work}_vs_eager"] = float(baseline / np.median(values))
    figures |= {f"{name}_ready_s": value for name, value in seconds.items()}
    publish(
        "inference",
        figures,
        {
            "model": "bundled; live are rgb, depth and force",
            "device": str(variants["eager"].device),
            "threads": str(threads),
            "frames": str(frames),
        },
    )


if __name__ == "__main__":
    run_command(main)
