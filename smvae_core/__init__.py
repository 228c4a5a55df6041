# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Set multimodal variational autoencoder: the model, its mathematics and its data. No ROS here.

    modalities, preprocessing:  what sensors give, and how it is brought to the model's size
    tensors:                    prepared arrays ↔ what networks see
    distributions, models:      posteriors and likelihoods; SMVAE and its baselines
    data, fit:                  logs and image data sets; training on them
    stored_model, checkpoint:   a model on disk, without PyTorch and with it
    inference:                  a model at work
    metrics:                    errors by subset, and log-likelihoods
    residuals, health:          what is normal of a sensor; which sensor is not

The names below can be imported from here.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smvae_core.checkpoint import load_checkpoint, save_checkpoint
    from smvae_core.inference.inference import Inference
    from smvae_core.modalities import Modality, Network
    from smvae_core.models.smvae import SMVAE

__all__ = ["SMVAE", "Inference", "Modality", "Network", "load_checkpoint", "save_checkpoint"]
__version__ = "0.1.0"

# Since 1.29 ONNX Runtime tells its makers over the network what it runs, and keeps a number of the
# machine at home, unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Imported when they are first asked for: programs that only need a file of this package start
# without PyTorch.
_MODULES = {
    "SMVAE": "models.smvae",
    "Inference": "inference.inference",
    "Modality": "modalities",
    "Network": "modalities",
    "load_checkpoint": "checkpoint",
    "save_checkpoint": "checkpoint",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
