# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""One snapshot through the model: every way of running it on this machine, in turn.

    python -m benchmarks.inference

The bundled model, all its sensors being live. ``encode`` is the posterior, as ~/latent needs it;
``decode`` a prediction of every modality; ``leave_out`` the posterior without one of them, as
sensor health needs it; ``mixture`` the predictions of an untrained MoPoE of the same sensors, which
are averaged over the components of its posterior. The variants take turns snapshot by snapshot, so
that whatever else runs here slows them alike; a ratio above 1 is a median faster than ``eager``'s.
Each variant's results are compared with eager's first.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.results import publish, run_command
from smvae_core.checkpoint import save_checkpoint
from smvae_core.inference.choices import PRECISIONS, RUNTIMES
from smvae_core.inference.devices import DeviceError, find_device
from smvae_core.inference.inference import Inference
from smvae_core.models.mopoe import MoPoE
from smvae_core.stored_model import read_model
from smvae_ros.bundled import model_path

TOLERANCE = {"float32": 1e-3, "bfloat16": 0.2, "float16": 0.05}  # of the posterior's mean
Sample = dict[str, np.ndarray]


def load_variants(
    path: Path, device: str, threads: int, precisions: Sequence[str] = PRECISIONS
) -> dict[str, Inference]:
    """Every variant of a model that there is on the device, warmed up."""
    variants: dict[str, Inference] = {}
    for runtime in RUNTIMES:
        for precision in precisions:
            if precision != "float32" and find_device(device) == "cpu" and runtime != "eager":
                continue
            name = runtime if precision == "float32" else f"{runtime}_{precision}"
            try:
                variants[name] = Inference.load(path, device, precision, runtime, threads)
                variants[name].warm_up()
            except DeviceError as error:
                print(f"{name} is left out: {error}", file=sys.stderr)
    return variants


def save_mixture(path: Path) -> Path:
    """An untrained MoPoE of the bundled model's sensors, with networks as large."""
    bundled = read_model(model_path())
    sizes = {key: bundled.architecture[key] for key in ("latent_size", "embedding_size")}
    save_checkpoint(path, MoPoE(list(bundled.modalities.values()), **sizes))
    return path


def make_sample(inference: Inference) -> Sample:
    """Random prepared arrays of all modalities, spread as in training."""
    random = np.random.default_rng(0)
    sample = {}
    for name, modality in inference.modalities.items():
        mean, std = np.array(modality.mean), np.array(modality.std)
        values = mean + std * random.standard_normal(modality.raw_shape)
        if modality.kind == "image":
            values = (255 * values).clip(0, 255)
        sample[name] = values.astype(modality.raw_dtype)
    return sample


def check(variants: Mapping[str, Inference], sample: Sample) -> None:
    """Raises RuntimeError where a variant's posterior is not eager's."""
    expected = variants["eager"].encode(sample).mean
    for name, inference in variants.items():
        precision = name.partition("_")[2] if name.startswith("eager_") else "float32"
        difference = float(np.abs(inference.encode(sample).mean - expected).max())
        if not difference < TOLERANCE.get(precision, TOLERANCE["bfloat16"]):
            raise RuntimeError(f"{name} differs from eager by {difference}")


def works(inference: Inference, sample: Sample) -> dict[str, Callable[[], object]]:
    """What is measured of a model, by name."""
    encoding = inference.encode(sample)
    return {
        "encode": lambda: inference.encode(sample),
        "decode": lambda: inference.decode(encoding, inference.modalities),
        "leave_out": lambda: inference.leave_out(encoding, "rgb"),
    }


def measure(
    tasks: Mapping[tuple[str, str], Callable[[], object]], rounds: int
) -> dict[tuple[str, str], np.ndarray]:
    """(variant, work) → milliseconds of each round."""
    times: dict[tuple[str, str], list[float]] = {key: [] for key in tasks}
    for _ in tqdm(range(rounds), unit="round", disable=None):
        for key, task in tasks.items():
            start = time.perf_counter()
            task()
            times[key].append(time.perf_counter() - start)
    return {key: 1000 * np.array(values) for key, values in times.items()}


def summarise(times: Mapping[tuple[str, str], np.ndarray]) -> dict[str, float]:
    """Median, 99th percentile, and the ratio to eager's median."""
    figures = {}
    for (name, work), values in times.items():
        median = float(np.median(values))
        figures[f"{name}_{work}_ms_p50"] = median
        figures[f"{name}_{work}_ms_p99"] = float(np.percentile(values, 99))
        figures[f"{name}_{work}_vs_eager"] = float(np.median(times["eager", work])) / median
    return figures


def main(frames: int = 500, threads: int = 1, device: str = "auto") -> None:
    """Measures and prints.

    Args:
        frames: of each variant.
        threads: of a CPU; the node uses one.
        device: cpu, cuda or auto.
    """
    variants = load_variants(model_path(), device, threads)
    sample = make_sample(variants["eager"])
    check(variants, sample)
    tasks = {
        (name, work): task
        for name, inference in variants.items()
        for work, task in works(inference, sample).items()
    }
    with tempfile.TemporaryDirectory() as folder:
        mixture = save_mixture(Path(folder) / "model")
        mixtures = load_variants(mixture, device, threads, ["float32"])
    for name, inference in mixtures.items():
        tasks[name, "mixture"] = works(inference, sample)["decode"]
    publish(
        "inference",
        summarise(measure(tasks, frames)),
        {
            "model": f"bundled; live are {', '.join(sample)}",
            "device": variants["eager"].device,
            "threads": str(threads),
            "frames": str(frames),
        },
    )


if __name__ == "__main__":
    run_command(main)
