# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Checkpoints: models of PyTorch, written to a directory and made of one.

:mod:`smvae_core.stored_model` says what is in it, and reads it without PyTorch. A directory appears
whole or not at all. Whatever a description claims, no more memory is taken than its weights fill on
disk: the model is built without memory first, and compared with the weights.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.numpy
import torch

import smvae_core
from smvae_core.models.multimodal_vae import MultimodalVAE
from smvae_core.models.registry import find_method
from smvae_core.stored_model import (
    DESCRIPTION,
    FORMAT,
    WEIGHTS,
    CheckpointError,
    StoredModel,
    check_finite,
    read_model,
    write_description,
)


@dataclass(frozen=True)
class Checkpoint(StoredModel):
    """The content of a checkpoint directory, and the model that was made of it.

    Attributes:
        model: in evaluation mode, on the CPU.
    """

    model: MultimodalVAE


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Reads a checkpoint directory and checks it against its own description.

    Raises:
        CheckpointError: where it is missing, truncated, changed, absurdly large, of another format
            version, or where tensors do not have the shapes that the description implies.
    """
    stored = read_model(path)
    return Checkpoint(**vars(stored), model=build_model(stored))


def build_model(stored: StoredModel) -> MultimodalVAE:
    """The model in evaluation mode, on the CPU, in float32.

    Raises:
        CheckpointError: where tensors do not have the shapes that the description implies.
    """
    model = _describe_model(stored)
    stored.check_shapes({name: tuple(x.shape) for name, x in model.state_dict().items()})
    tensors = {name: torch.from_numpy(array) for name, array in stored.weights.items()}
    model.to_empty(device="cpu").load_state_dict(tensors)
    return model.eval()


def _describe_model(stored: StoredModel) -> MultimodalVAE:
    """The model with shapes but no memory (on torch's device "meta")."""
    file = stored.path / DESCRIPTION
    try:
        method = find_method(stored.kind)
        architecture = {key: stored.architecture[key] for key in method.options}
        with torch.device("meta"):
            return method.model(list(stored.modalities.values()), **architecture)
    except KeyError as error:
        raise CheckpointError(f"{file}: {error.args[0]!r} is missing") from error
    # torch raises RuntimeError and OverflowError for sizes beyond all numbers.
    except (ValueError, TypeError, AttributeError, RuntimeError, OverflowError) as error:
        raise CheckpointError(f"{file}: {error}") from error


def save_checkpoint(
    path: str | os.PathLike[str],
    model: MultimodalVAE,
    training: Mapping[str, Any] | None = None,
    half: bool = False,
) -> None:
    """Writes a checkpoint directory; one that stands there already is replaced as a whole.

    Args:
        path: the directory.
        model: on any device.
        training: how it was made; plain lists, mappings, numbers and strings.
        half: whether to round the weights to 16-bit floats, which halves the file. They are
            computed with as float32 all the same.

    Raises:
        CheckpointError: where a file stands at ``path``, where weights do not fit into 16 bits, or
            where loading would refuse the checkpoint.
    """
    path = Path(os.path.realpath(path))  # of a link, what it points to is replaced
    if path.exists() and not path.is_dir():
        raise CheckpointError(f"{path} is a file; a checkpoint is a directory: choose another name")
    state = {name: x.detach().cpu().contiguous() for name, x in model.state_dict().items()}
    arrays = {name: (x.half() if half else x).numpy() for name, x in state.items()}
    if half:
        check_finite(path, arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        weights = safetensors.numpy.save(arrays)
        description = {
            "format": FORMAT,
            "smvae_core": smvae_core.__version__,
            "weights_sha256": hashlib.sha256(weights).hexdigest(),
            "model": model.kind,
            "architecture": model.architecture,
            "modalities": [modality.to_dict() for modality in model.modalities.values()],
            "training": dict(training or {}),
        }
        (temporary / WEIGHTS).write_bytes(weights)
        write_description(temporary, description)
        try:
            load_checkpoint(temporary)
        except CheckpointError as error:
            reason = str(error).replace(str(temporary), str(path))
            raise CheckpointError(
                f"not written, since loading would refuse it: {reason}"
            ) from error
        _replace_directory(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _replace_directory(new: Path, path: Path) -> None:
    """Renames ``new`` to ``path``. A directory cannot be renamed over one that has files."""
    if not path.exists():
        new.rename(path)
        return
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    path.rename(old)
    try:
        new.rename(path)
    except OSError:
        old.rename(path)
        raise
    shutil.rmtree(old)
