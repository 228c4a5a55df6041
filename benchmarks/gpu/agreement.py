# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Every runtime and precision beside the numbers of `eager` on a CPU in float32.

The bundled model, some random frames, and subsets of its sensors: all, each alone, all but each.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from benchmarks.gpu.inputs import frame
from benchmarks.gpu.settings import ORDER, Cases, Settings
from smvae_core.inference.choices import PRECISIONS
from smvae_core.inference.devices import DeviceError
from smvae_core.inference.inference import Inference, Prediction
from smvae_ros.bundled import model_path

_FRAMES = 4


def cases(settings: Settings) -> Cases:
    """RUNTIME/PRECISION."""
    for runtime in ORDER:
        for precision in PRECISIONS:
            yield f"{runtime}/{precision}", lambda r=runtime, p=precision: _agree(settings, r, p)


def _agree(settings: Settings, runtime: str, precision: str) -> dict[str, Any]:
    """Largest differences: of the mean in standard deviations of the posterior, of its
    log-variance, and, root mean square over a modality, of predictions in scales of their
    likelihood."""
    try:
        inference = Inference.load(model_path(), settings.device, precision, runtime)
    except DeviceError as error:
        return {"left_out": str(error)}
    inference.warm_up()
    latent = variance = predicted = 0.0
    for (number, names), expected in _expected().items():
        sample = frame(inference.modalities, number)
        found = inference({n: sample[n] for n in names}, predict=inference.modalities)
        sigma = np.exp(0.5 * expected.log_variance)
        latent = max(latent, float((np.abs(found.mean - expected.mean) / sigma).max()))
        change = np.abs(found.log_variance - expected.log_variance)
        variance = max(variance, float(change.max()))
        for name, array in found.arrays.items():
            difference = array.astype(np.float64) - expected.arrays[name]
            scale = float(np.mean(inference.scales[name]))
            predicted = max(predicted, float(np.sqrt(np.mean(difference**2))) / scale)
    return {"mean_sigmas": latent, "log_variance": variance, "prediction_scales": predicted}


@cache
def _expected() -> dict[tuple[int, tuple[str, ...]], Prediction]:
    """(frame, subset) → the CPU's prediction."""
    inference = Inference.load(model_path(), "cpu", runtime="eager")
    names = tuple(inference.modalities)
    subsets = {names, *((name,) for name in names)}
    subsets |= {tuple(n for n in names if n != name) for name in names}
    found = {}
    for number in range(_FRAMES):
        sample = frame(inference.modalities, number)
        for subset in sorted(subsets):
            part = {name: sample[name] for name in subset}
            found[number, subset] = inference(part, predict=names)
    return found
