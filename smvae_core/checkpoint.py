# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A model on disk: a directory with ``model.safetensors`` (weights) and ``model.yaml`` (all else).

A third file, ``health.safetensors``, is there once the model's sensor health was calibrated.

Nothing is ever unpickled or evaluated: weights are plain tensors, the YAML plain values. A
directory appears whole or not at all, and a file that changed afterwards is noticed by its SHA-256.
Whatever a description claims, no more memory is taken than its weights fill on disk: the model is
built without memory first, and compared with the header of the weights.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import stat
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
from smvae_core.files import whole_file
from smvae_core.modalities import MAXIMUM_MODALITIES, Modality
from smvae_core.models.multimodal_vae import MultimodalVAE
from smvae_core.models.registry import find_method
from smvae_core.residuals.calibration import Calibration

FORMAT = 1
WEIGHTS = "model.safetensors"
DESCRIPTION = "model.yaml"
HEALTH = "health.safetensors"
MAXIMUM_BYTES = {DESCRIPTION: 2**20, WEIGHTS: 2**32, HEALTH: 2**26}
MAXIMUM_HEADER = 2**20  # bytes of names and shapes before the weights; ours take a few kilobytes


class CheckpointError(RuntimeError):
    """A checkpoint cannot be used; the message says which file, why, and what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint directory.

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

    @property
    def frame_ids(self) -> dict[str, str]:
        """Modality → frame_id of the messages that it was trained on, where its data knew it:
        ``data.frame_ids`` of :attr:`training`."""
        found: Any = self.training
        for key in ("data", "frame_ids"):
            found = found.get(key) if isinstance(found, dict) else None
        known = found.items() if isinstance(found, dict) else ()
        return {name: frame for name, frame in known if isinstance(frame, str)}


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
    tensors = {name: x.detach().cpu().contiguous() for name, x in model.state_dict().items()}
    if half:
        tensors = {name: x.half() for name, x in tensors.items()}
        _check_finite(path, tensors)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        weights = safetensors.torch.save(tensors)
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
            yaml.dump(description, Dumper=_Dumper, sort_keys=False, allow_unicode=True),
            encoding="utf-8",
        )
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


def save_calibration(path: str | os.PathLike[str], calibration: Calibration) -> None:
    """Adds the calibration of its sensor health to a checkpoint; one that is there is replaced.

    Raises:
        CheckpointError: where ``path`` is no usable checkpoint, or loading would refuse the file.
        OutputError: where it cannot be written.
    """
    path = Path(os.path.realpath(path))
    digest = _read_description(path).get("weights_sha256")
    arrays, texts = calibration.to_tensors()
    content = safetensors.numpy.save(arrays, {**texts, "weights_sha256": str(digest)})
    with whole_file(path / HEALTH) as partial:
        partial.write_bytes(content)
        try:
            _read_calibration(partial, str(digest))
        except ValueError as error:
            spaces = {name: r.whitening.size for (name, _), r in calibration.references.items()}
            raise CheckpointError(
                f"{path / HEALTH}: this calibration is not kept, since loading would refuse it: "
                f"{str(error).replace(str(partial), 'the file')}. The model is as it was. Most "
                f"space is taken by {max(spaces, key=spaces.__getitem__, default='none')}; fewer "
                "combinations (`training.calibrate --missing 0`) take less"
            ) from error


def _load_calibration(file: Path, weights_sha256: str) -> Calibration | None:
    if not file.exists():
        return None
    try:
        return _read_calibration(file, weights_sha256)
    except ValueError as error:
        raise CheckpointError(
            f"{file}: {error}; delete the file (the model then works without sensor health), or "
            "make it anew with `python -m training.calibrate`"
        ) from error


def _read_calibration(file: Path, weights_sha256: str) -> Calibration:
    """Raises ValueError for whatever is wrong with it."""
    try:
        _check_file(file, MAXIMUM_BYTES[HEALTH])
        with safetensors.safe_open(file, framework="numpy") as content:
            texts = content.metadata() or {}
            arrays = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError, CheckpointError) as error:
        raise ValueError(str(error)) from error
    if texts.get("weights_sha256") != weights_sha256:
        raise ValueError("it was made for other weights")
    return Calibration.from_tensors(arrays, texts)


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
        CheckpointError: where it is missing, truncated, changed, absurdly large, of another format
            version, or where tensors do not have the shapes that the description implies.
    """
    path = Path(path)
    file = path / WEIGHTS
    description = _read_description(path)
    model = _build_model(path / DESCRIPTION, description)
    weights = _read(file)
    digest = hashlib.sha256(weights).hexdigest()
    if digest != description.get("weights_sha256"):
        raise CheckpointError(
            f"{file}: {len(weights)} bytes that are not the weights {DESCRIPTION} "
            "describes (SHA-256 differs); the file is truncated or belongs to another model: copy "
            "the whole checkpoint directory again"
        )
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    _check_shapes(file, _read_shapes(file, weights), expected)
    try:
        tensors = safetensors.torch.load(weights)
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{file}: not a safetensors file: {error}") from error
    _check_finite(file, tensors)
    model.to_empty(device="cpu").load_state_dict(tensors)
    calibration = _load_calibration(path / HEALTH, digest)
    return Checkpoint(model.eval(), description.get("training") or {}, digest[:12], calibration)


def _check_file(path: Path, most: int) -> None:
    """Refuses what is no regular file, or absurdly large."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise CheckpointError(f"{path}: cannot be read: it is no regular file")
    if status.st_size > most:
        raise CheckpointError(
            f"{path}: {status.st_size} bytes, more than {most}, the most that is read"
        )


def _read(path: Path) -> bytes:
    """A file as a whole."""
    try:
        _check_file(path, MAXIMUM_BYTES[path.name])
        return path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(
            f"{path}: no such file; a checkpoint is a directory with {WEIGHTS} and {DESCRIPTION}, "
            "as `python -m training.train` exports it"
        ) from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error


class _Loader(yaml.SafeLoader):
    """Plain values only, and each only once: a few nested references are gigabytes when shown."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it refers back to another part of itself (an alias, *name)")
        return super().compose_node(parent, index)


class _Dumper(yaml.SafeDumper):
    """Writes what is referred to twice two times, since :class:`_Loader` accepts no references."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _read_description(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        what = "is not a directory" if path.exists() else "does not exist"
        raise CheckpointError(
            f"checkpoint {path} {what}; give the directory that holds {WEIGHTS} and {DESCRIPTION}"
        )
    file = path / DESCRIPTION
    try:
        description = yaml.load(_read(file), _Loader)  # a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
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
    """The model that is described, with shapes but no memory (on torch's device "meta")."""
    try:
        # The first checkpoints, all of SMVAE, do not name their model.
        method = find_method(description.get("model", "smvae"))
        entries = description["modalities"]
        if len(entries) > MAXIMUM_MODALITIES:
            raise ValueError(f"{len(entries)} modalities, more than {MAXIMUM_MODALITIES}")
        architecture = {key: description["architecture"][key] for key in method.options}
        with torch.device("meta"):
            return method.model([Modality.from_dict(entry) for entry in entries], **architecture)
    except KeyError as error:
        raise CheckpointError(f"{file}: {error.args[0]!r} is missing") from error
    # torch raises RuntimeError and OverflowError for sizes beyond all numbers.
    except (ValueError, TypeError, AttributeError, RuntimeError, OverflowError) as error:
        raise CheckpointError(f"{file}: {error}") from error


def _read_shapes(file: Path, weights: bytes) -> dict[str, tuple[int, ...]]:
    """Shapes by the header of a safetensors file: its length in 8 bytes, then JSON."""
    length = int.from_bytes(weights[:8], "little")
    if not 2 <= length <= min(MAXIMUM_HEADER, len(weights) - 8):
        raise CheckpointError(f"{file}: not a safetensors file: a header of {length} bytes")
    try:
        header = json.loads(weights[8 : 8 + length])
        header.pop("__metadata__", None)
        shapes = {name: tuple(entry["shape"]) for name, entry in header.items()}
        sizes = [math.prod(shape) for shape in shapes.values()]
        if not all(isinstance(size, int) and size >= 0 for size in sizes):
            raise ValueError("a shape is none")
        return shapes
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise CheckpointError(f"{file}: not a safetensors file: {error}") from error


def _check_shapes(
    file: Path, found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]
) -> None:
    problems = [f"tensor {name} is missing" for name in sorted(set(expected) - set(found))]
    problems += [f"tensor {name} is unknown" for name in sorted(set(found) - set(expected))]
    problems += [
        f"tensor {name} has shape {found[name]}, expected {expected[name]}"
        for name in sorted(set(expected) & set(found))
        if expected[name] != found[name]
    ]
    _complain(file, problems)


def _check_finite(file: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    problems = [
        f"tensor {name} holds NaN or infinite values"
        for name, value in tensors.items()
        if not torch.isfinite(value).all()
    ]
    _complain(file, problems)


def _complain(file: Path, problems: list[str]) -> None:
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise CheckpointError(f"{file}: {'; '.join(problems[:3])}{more}")
