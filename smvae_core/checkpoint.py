"""A model on disk: a directory with ``model.safetensors`` (weights) and ``model.yaml`` (all else).

A third file, ``health.safetensors``, is there once the model's sensor health was calibrated.

Nothing is ever unpickled or evaluated: weights are plain tensors, the YAML plain values. A
directory appears whole or not at all, and a file that changed afterwards is noticed by its SHA-256.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.numpy
import safetensors.torch
import torch
import yaml

import smvae_core
from smvae_core.health.calibration import Calibration
from smvae_core.methods import find_method
from smvae_core.modalities import Modality
from smvae_core.multimodal_vae import MultimodalVAE

FORMAT = 1
WEIGHTS = "model.safetensors"
DESCRIPTION = "model.yaml"
HEALTH = "health.safetensors"


class CheckpointError(RuntimeError):
    """A checkpoint cannot be used; the message says which file, why, and what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """What was read from a checkpoint directory.

    Attributes:
        model: in evaluation mode, on the CPU.
        training: how it was made: command, data, metrics; free-form.
        weights_hash: first 12 hexadecimal digits of the weights' SHA-256, to tell models apart.
        calibration: of sensor health; None where `python -m training.calibrate` was not run.
    """

    model: MultimodalVAE
    training: dict[str, Any]
    weights_hash: str
    calibration: Calibration | None = None


def save_checkpoint(
    path: str | os.PathLike[str],
    model: MultimodalVAE,
    training: Mapping[str, Any] | None = None,
) -> None:
    """Writes a checkpoint directory; one that stands there already is replaced as a whole.

    Args:
        path: the directory.
        model: on any device.
        training: how it was made; plain lists, mappings, numbers and strings.

    Raises:
        CheckpointError: where a file stands at ``path``.
    """
    path = Path(os.path.realpath(path))  # of a link, what it points to is replaced
    if path.exists() and not path.is_dir():
        raise CheckpointError(f"{path} is a file; a checkpoint is a directory: choose another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        weights = safetensors.torch.save(
            {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
        )
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
        (temporary / DESCRIPTION).write_text(
            yaml.safe_dump(description, sort_keys=False, allow_unicode=True), encoding="utf-8"
        )
        _replace_directory(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def save_calibration(path: str | os.PathLike[str], calibration: Calibration) -> None:
    """Adds the calibration of its sensor health to a checkpoint; one that is there is replaced.

    Raises:
        CheckpointError: where ``path`` is no usable checkpoint.
    """
    path = Path(os.path.realpath(path))
    digest = _read_description(path).get("weights_sha256")
    arrays, texts = calibration.to_tensors()
    content = safetensors.numpy.save(arrays, {**texts, "weights_sha256": str(digest)})
    temporary = path / f".{HEALTH}.{os.getpid()}.new"
    try:
        temporary.write_bytes(content)
        temporary.replace(path / HEALTH)
    finally:
        temporary.unlink(missing_ok=True)


def _load_calibration(file: Path, weights_sha256: str) -> Calibration | None:
    if not file.exists():
        return None
    try:
        with safetensors.safe_open(file, framework="numpy") as content:
            texts = content.metadata() or {}
            arrays = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
        if texts.get("weights_sha256") != weights_sha256:
            raise ValueError("it was made for other weights")
        return Calibration.from_tensors(arrays, texts)
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise CheckpointError(
            f"{file}: {error}; delete the file (the model then works without sensor health), or "
            "make it anew with `python -m training.calibrate`"
        ) from error


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


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Reads a checkpoint directory and checks it against its own description.

    Raises:
        CheckpointError: where it is missing, truncated, changed, of another format version, or
            where tensors do not have the shapes that the description implies.
    """
    path = Path(path)
    description = _read_description(path)
    model = _build_model(path / DESCRIPTION, description)
    weights = _read(path / WEIGHTS)
    digest = hashlib.sha256(weights).hexdigest()
    if digest != description.get("weights_sha256"):
        raise CheckpointError(
            f"{path / WEIGHTS}: {len(weights)} bytes that are not the weights {DESCRIPTION} "
            "describes (SHA-256 differs); the file is truncated or belongs to another model: copy "
            "the whole checkpoint directory again"
        )
    try:
        tensors = safetensors.torch.load(weights)
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{path / WEIGHTS}: not a safetensors file: {error}") from error
    _check_tensors(path / WEIGHTS, tensors, model)
    model.load_state_dict(tensors)
    calibration = _load_calibration(path / HEALTH, digest)
    return Checkpoint(model.eval(), description.get("training") or {}, digest[:12], calibration)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(
            f"{path}: no such file; a checkpoint is a directory with {WEIGHTS} and {DESCRIPTION}, "
            "as `python -m training.train` exports it"
        ) from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error


def _read_description(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        what = "is not a directory" if path.exists() else "does not exist"
        raise CheckpointError(
            f"checkpoint {path} {what}; give the directory that holds {WEIGHTS} and {DESCRIPTION}"
        )
    file = path / DESCRIPTION
    try:
        description = yaml.safe_load(_read(file))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{file}: not readable as YAML: {error}") from error
    if not isinstance(description, dict) or "format" not in description:
        raise CheckpointError(f"{file}: not the description of a model (it has no `format`)")
    if description["format"] != FORMAT:
        raise CheckpointError(
            f"{file}: format {description['format']!r}, but this version reads format {FORMAT}; "
            "use the smvae_ros version that wrote it, or export the model again"
        )
    return description


def _build_model(file: Path, description: Mapping[str, Any]) -> MultimodalVAE:
    try:
        # The first checkpoints, all of SMVAE, do not name their model.
        method = find_method(description.get("model", "smvae"))
        entries = description["modalities"]
        architecture = {key: description["architecture"][key] for key in method.options}
        return method.model([Modality.from_dict(entry) for entry in entries], **architecture)
    except KeyError as error:
        raise CheckpointError(f"{file}: {error.args[0]!r} is missing") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{file}: {error}") from error


def _check_tensors(file: Path, tensors: Mapping[str, torch.Tensor], model: MultimodalVAE) -> None:
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    problems = [f"tensor {name} is missing" for name in sorted(set(expected) - set(found))]
    problems += [f"tensor {name} is unknown" for name in sorted(set(found) - set(expected))]
    problems += [
        f"tensor {name} has shape {found[name]}, expected {expected[name]}"
        for name in sorted(set(expected) & set(found))
        if expected[name] != found[name]
    ]
    problems += [
        f"tensor {name} holds NaN or infinite values"
        for name, value in tensors.items()
        if not torch.isfinite(value).all()
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise CheckpointError(f"{file}: {'; '.join(problems[:3])}{more}")
