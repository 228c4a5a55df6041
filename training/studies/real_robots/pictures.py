# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Truth beside prediction for moments of kept-out episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure

from smvae_core.data.logs.dataset import LogCache
from smvae_core.metrics.subset_choice import Subset
from smvae_core.models.multimodal_vae import MultimodalVAE
from smvae_core.tensors import to_raw, to_tensor
from training.studies.pictures import panels, show_mosaic

MOMENTS = 6


def moments(cache: LogCache, rows: np.ndarray) -> np.ndarray:
    """The middle step of episodes evenly spread among those of the rows; no choice by how well they
    turn out."""
    trajectory = cache.arrays["trajectory"][rows]
    episodes = np.unique(trajectory)
    places = np.linspace(0, len(episodes) - 1, min(MOMENTS, len(episodes))).round().astype(int)
    return np.array([int(np.median(rows[trajectory == e])) for e in episodes[places]])


@torch.inference_mode()
def pictures_of(
    model: MultimodalVAE, cache: LogCache, rows: np.ndarray, name: str, subsets: Sequence[Subset]
) -> dict[str, np.ndarray]:
    """Row of the figure → pictures of these steps, uint8 (N, h, w, 3)."""
    prepared = cache.read(rows, model.names).prepared
    modality = model.modalities[name]
    observed = {n: to_tensor(model.modalities[n], x) for n, x in prepared.items()}
    pictures = {"truth": prepared[name].numpy()}
    for subset in subsets:
        posterior = model.encode({n: observed[n] for n in subset})
        predicted = model.predict(posterior, [name])[name]
        pictures[f"from {', '.join(subset)}"] = to_raw(modality, predicted).numpy()
    mean = to_raw(modality, model.training_mean(name)[None]).numpy()
    return {**pictures, "training mean": np.repeat(mean, len(rows), 0)}


def pictures_figure(
    robot: str, pictures: Mapping[str, Mapping[str, np.ndarray]], moments: Sequence[str]
) -> Figure:
    """A figure with a panel for each camera.

    Args:
        robot: its name.
        pictures: camera → what :func:`pictures_of` returned.
        moments: names of the columns.
    """
    height = 0.6 + 0.75 * max(map(len, pictures.values()))
    width = 1.5 + 0.75 * len(moments)
    title = f"{robot}: episodes that training has not seen"
    figure, axes = panels(len(pictures), len(pictures), (width * len(pictures), height), title)
    for axis, (camera, rows) in zip(axes, pictures.items(), strict=True):
        show_mosaic(axis, np.stack(list(rows.values())), camera, list(rows), moments)
    return figure
