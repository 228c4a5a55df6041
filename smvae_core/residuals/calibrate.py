# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A model and healthy recordings → its :class:`~smvae_core.residuals.calibration.Calibration`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from smvae_core.data.logs.dataset import LogCache
from smvae_core.models.multimodal_vae import MultimodalVAE
from smvae_core.residuals.calibration import Calibration, calibrated_sets
from smvae_core.residuals.features import (
    Features,
    divergence,
    likelihood_scales,
    measure,
    small_others,
)
from smvae_core.residuals.reference import TIME_CONSTANT, Reference
from smvae_core.tensors import to_raw, to_tensor

_BATCH = 250
#: Seconds of a run that is used: averages begin at zero, and are no averages until they forget it.
SHORTEST = 5 * TIME_CONSTANT


def healthy_runs(
    cache: LogCache, rows: np.ndarray, names: Sequence[str], shortest: float
) -> list[np.ndarray]:
    """Rows of consecutive steps of one trajectory in which every modality is present.

    Args:
        cache: an open cache.
        rows: (N,) ascending, such as the validation split.
        names: the modalities that are needed.
        shortest: steps that a run must have.
    """
    columns = [cache.names.index(name) for name in names]
    rows = rows[cache.present[rows[:, None], columns].all(axis=1)]
    trajectory, step = cache.arrays["trajectory"][rows], cache.arrays["step"][rows]
    cuts = np.flatnonzero((np.diff(rows) != 1) | (np.diff(trajectory) != 0) | (np.diff(step) != 1))
    return [run for run in np.split(rows, cuts + 1) if len(run) >= shortest]


def calibrate(
    model: MultimodalVAE,
    cache: LogCache,
    rows: np.ndarray,
    rate: float | None = None,
    progress: bool = True,
    missing: int | None = None,
) -> Calibration:
    """Measures what is normal.

    Args:
        model: in evaluation mode; on its device.
        cache: holds the model's modalities.
        rows: (N,) of data that the model was not trained on and that no result is shown on.
        rate: steps per second of the logs; by default what their cache says.
        progress: whether to show a bar.
        missing: others, see :func:`~smvae_core.residuals.calibration.calibrated_sets`.

    Raises:
        ValueError: for a model of one modality, and for fewer than two runs of :data:`SHORTEST`.
    """
    rate = cache.rate if rate is None else rate
    names = model.names
    if len(names) < 2:
        raise ValueError("a model of one modality has no others that could tell of its health")
    runs = healthy_runs(cache, rows, names, SHORTEST * rate)
    if len(runs) < 2:
        raise ValueError(
            f"{cache.path}: {len(runs)} runs of {SHORTEST:g} s or more with all of "
            f"{', '.join(names)}; two or more are needed to calibrate sensor health: convert more "
            "or longer trajectories, and run training.calibrate on them"
        )
    features: dict[tuple[str, tuple[str, ...]], list[Features]] = {}
    repeats = dict.fromkeys(names, 0)
    sets = calibrated_sets(names, missing)
    with tqdm(
        total=sum(map(len, runs)), desc="calibrating", unit="step", disable=not progress
    ) as bar:
        for run in runs:
            arrays = {name: x.numpy() for name, x in cache.read(run, names).prepared.items()}
            for place, found in _run_features(model, arrays, sets):
                features.setdefault(place, []).append(found)
            for name in names:
                repeats[name] = max(repeats[name], longest_repeat(arrays[name]))
            bar.update(len(run))
    period = 1 / rate
    references = {place: Reference.fit(found, period) for place, found in features.items()}
    source = {
        "cache": cache.path.name,
        "steps": int(sum(map(len, runs))),
        "runs": len(runs),
    }
    return Calibration(period, references, repeats, source)


def longest_repeat(arrays: np.ndarray) -> int:
    """The most readings (T, ...) in a row that equal the one before."""
    flat = arrays.reshape(len(arrays), -1)
    same = ((flat[1:] == flat[:-1]) | ((flat[1:] != flat[1:]) & (flat[:-1] != flat[:-1]))).all(1)
    longest = current = 0
    for value in same:
        current = current + 1 if value else 0
        longest = max(longest, current)
    return longest


@torch.inference_mode()
def _run_features(
    model: MultimodalVAE, arrays: Mapping[str, np.ndarray], sets: Sequence[tuple[str, ...]]
) -> Iterator[tuple[tuple[str, tuple[str, ...]], Features]]:
    """Of one run and these sets of others: (modality, others) and its features."""
    modalities = model.modalities
    log_scales = {name: x.flatten().cpu().numpy() for name, x in model.log_scales.items()}
    scales = likelihood_scales(modalities, log_scales)
    device = next(model.parameters()).device
    steps = len(next(iter(arrays.values())))
    parts = [slice(k, k + _BATCH) for k in range(0, steps, _BATCH)]
    embeddings = _join(
        model.embed(
            {
                name: to_tensor(modalities[name], rows[part]).to(device)
                for name, rows in arrays.items()
            }
        )
        for part in parts
    )
    posterior = {}

    def encode(names: tuple[str, ...]) -> tuple[Tensor, np.ndarray, np.ndarray]:
        if names not in posterior:
            q = model.encode_embeddings({name: embeddings[name] for name in names})
            posterior[names] = (q.mean, q.mean.cpu().numpy(), q.log_variance.cpu().numpy())
        return posterior[names]

    for others in sets:
        checked = [name for name in model.names if name not in others]
        z, *belief = encode(others)
        wanted = [*checked, *small_others("", others, modalities)]
        predicted = {name: _decode(model, z, name, parts) for name in dict.fromkeys(wanted)}
        for name in checked:
            whole = tuple(n for n in model.names if n == name or n in others)
            change = divergence(*encode(whole)[1:], *belief)
            present = {n: arrays[n] for n in whole}
            yield (name, others), measure(name, modalities, scales, present, predicted, change)


def _decode(model: MultimodalVAE, z: Tensor, name: str, parts: Sequence[slice]) -> np.ndarray:
    modality = model.modalities[name]
    return np.concatenate(
        [to_raw(modality, model.decode(z[part], [name])[name].mean).cpu().numpy() for part in parts]
    )


def _join(batches: Iterator[dict[str, Tensor]]) -> dict[str, Tensor]:
    first, *rest = batches
    return {name: torch.cat([first[name], *(batch[name] for batch in rest)]) for name in first}
