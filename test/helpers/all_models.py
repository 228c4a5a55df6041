# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A small model of every method, set encoder, network, kind and likelihood that there is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from other_robot import INFRARED, LIDAR, PAD
from small_baselines import small_baseline
from small_models import small_modalities
from smvae_core.modalities import Modality, Network
from smvae_core.models.multimodal_vae import MultimodalVAE
from smvae_core.models.registry import METHODS
from smvae_core.models.set_encoder import SET_ENCODERS
from smvae_core.models.smvae import SMVAE


def _robot(set_encoder: str = "attention", modalities: list[Modality] | None = None) -> SMVAE:
    return SMVAE(modalities or small_modalities(), 6, 16, heads=4, set_encoder=set_encoder)


def _other_kinds() -> list[Modality]:
    """A scan, a grey image, an image of forces, a binary image and a label."""
    binary = dataclasses.replace(INFRARED, name="mask", likelihood="bernoulli")
    return [LIDAR, INFRARED, PAD, binary, Modality("label", "categorical", (5,), "categorical")]


def _other_networks() -> list[Modality]:
    rgb, depth, force, action, proprio = small_modalities()
    networks = {
        "rgb": Network("mlp", ()),
        "depth": Network("residual_mlp", (8,)),
        "force": Network("principal", (5, 8)),
        "action": Network("principal", (4,)),
        "proprio": Network("residual_mlp", ()),
    }
    return [
        dataclasses.replace(m, embedding=networks[m.name], decoder=networks[m.name])
        for m in (rgb, depth, force, action, proprio)
    ]


MODELS: dict[str, Callable[[], MultimodalVAE]] = {
    **{kind: partial(small_baseline, kind) for kind in METHODS},
    "mmvae of a robot": partial(small_baseline, "mmvae", small_modalities()),
    "mopoe of a robot": partial(small_baseline, "mopoe", small_modalities()),
    **{name: partial(_robot, name) for name in SET_ENCODERS},
    "other kinds": partial(_robot, modalities=_other_kinds()),
    "other networks": partial(_robot, modalities=_other_networks()),
    "one modality": partial(_robot, modalities=small_modalities()[3:4]),
}


def any_model(name: str) -> MultimodalVAE:
    """One of `MODELS` with random weights, float32, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = MODELS[name]().float()
        for parameter in model.parameters():
            if parameter.ndim == 1:  # biases of zero would hide mistakes
                torch.nn.init.normal_(parameter, std=0.1)
        for modality in model.modalities.values():
            model.set_training_mean(modality.name, 0.1 * torch.randn(modality.shape))
    return model.eval()


def random_readings(model: MultimodalVAE, seed: int = 0) -> dict[str, np.ndarray]:
    """One prepared array of each modality, with holes where there can be some."""
    random = np.random.default_rng(seed)
    readings = {}
    for name, modality in model.modalities.items():
        shape = modality.raw_shape
        if modality.kind == "image":
            readings[name] = random.integers(0, 256, shape, dtype=np.uint8)
            continue
        mean, std = np.array(modality.mean), np.array(modality.std)
        array = (mean + std * random.standard_normal(shape)).astype(modality.raw_dtype)
        if modality.has_holes:
            array[2:5] = np.nan
        if modality.kind == "categorical":
            array = np.eye(shape[0], dtype=np.float32)[random.integers(shape[0])]
        readings[name] = array
    return readings
