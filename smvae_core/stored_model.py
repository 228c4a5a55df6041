# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A model on disk, read without PyTorch: what it is, and its weights as arrays.

It is a directory with ``model.safetensors`` (weights) and ``model.yaml`` (all else). A third file,
``health.safetensors``, is there once the model's sensor health was calibrated.
:mod:`smvae_core.checkpoint` writes the directory, and makes networks of it.

Nothing is ever unpickled or evaluated: weights are plain tensors, the YAML plain values. A file
that changed after it was written is noticed by its SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
import yaml

from smvae_core.files import whole_file, write_text
from smvae_core.modalities import MAXIMUM_MODALITIES, Modality, check_names
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
class StoredModel:
    """The content of a checkpoint directory.

    Attributes:
        path: the directory.
        kind: the model's name, see :data:`smvae_core.models.registry.METHODS`.
        modalities: by name, in the model's order.
        architecture: the other arguments of the model's constructor, as they stand in the file.
        weights: by name, float32 or float16.
        training: how it was made: command, data, metrics; free-form.
        weights_hash: first 12 hexadecimal digits of the weights' SHA-256, to tell models apart.
        calibration: of sensor health; None where `python -m training.calibrate` was not run.
    """

    path: Path
    kind: str
    modalities: dict[str, Modality]
    architecture: dict[str, Any]
    weights: dict[str, np.ndarray]
    training: dict[str, Any]
    weights_hash: str
    calibration: Calibration | None

    @property
    def frame_ids(self) -> dict[str, str]:
        """Modality → frame_id of the messages that it was trained on, where its data knew it:
        ``data.frame_ids`` of :attr:`training`."""
        found: Any = self.training
        for key in ("data", "frame_ids"):
            found = found.get(key) if isinstance(found, dict) else None
        known = found.items() if isinstance(found, dict) else ()
        return {name: frame for name, frame in known if isinstance(frame, str)}

    @property
    def log_scales(self) -> dict[str, np.ndarray]:
        """Modality → (C,) logarithm of its likelihood's scale, in normalised units.

        Raises:
            CheckpointError: where the weights have none, or of another shape.
        """
        shapes = {n: (m.shape[0], *[1] * (len(m.shape) - 1)) for n, m in self.modalities.items()}
        found = {f"log_scales.{name}": shape for name, shape in shapes.items()}
        self.check_shapes(found, only_these=True)
        return {n: self.weights[f"log_scales.{n}"].astype(np.float32).ravel() for n in shapes}

    def training_mean(self, name: str) -> np.ndarray:
        """Mean of the training split in normalised units, float32 of the modality's shape.

        Raises:
            CheckpointError: where the weights have none, or of another shape.
        """
        key = f"training_mean_{name}"
        self.check_shapes({key: self.modalities[name].shape}, only_these=True)
        return self.weights[key].astype(np.float32)

    def check_shapes(
        self, expected: Mapping[str, tuple[int, ...]], only_these: bool = False
    ) -> None:
        """Compares the weights with shapes that they shall have.

        Args:
            expected: tensor → shape.
            only_these: whether there may be others.

        Raises:
            CheckpointError: where they differ.
        """
        found = {name: value.shape for name, value in self.weights.items()}
        unknown = () if only_these else sorted(set(found) - set(expected))
        problems = [f"tensor {name} is missing" for name in sorted(set(expected) - set(found))]
        problems += [f"tensor {name} is unknown" for name in unknown]
        problems += [
            f"tensor {name} has shape {found[name]}, expected {expected[name]}"
            for name in sorted(set(expected) & set(found))
            if expected[name] != found[name]
        ]
        _complain(self.path / WEIGHTS, problems)


def read_model(path: str | os.PathLike[str]) -> StoredModel:
    """Reads a checkpoint directory.

    Raises:
        CheckpointError: where it is missing, truncated, changed, absurdly large, or of another
            format version.
    """
    path = Path(path)
    description = read_description(path)
    kind, modalities, architecture = _parse(path / DESCRIPTION, description)
    file = path / WEIGHTS
    content = _read(file)
    digest = hashlib.sha256(content).hexdigest()
    if digest != description.get("weights_sha256"):
        raise CheckpointError(
            f"{file}: {len(content)} bytes that are not the weights {DESCRIPTION} "
            "describes (SHA-256 differs); the file is truncated or belongs to another model: copy "
            "the whole checkpoint directory again"
        )
    return StoredModel(
        path,
        kind,
        modalities,
        architecture,
        _parse_weights(file, content),
        description.get("training") or {},
        digest[:12],
        _load_calibration(path / HEALTH, digest),
    )


def read_description(path: Path) -> dict[str, Any]:
    """The plain values of a checkpoint directory's ``model.yaml``.

    Raises:
        CheckpointError: where it cannot be read, or is of another format version.
    """
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


def write_description(path: Path, description: Mapping[str, Any]) -> None:
    """Writes ``model.yaml`` into a directory."""
    text = yaml.dump(description, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    write_text(path / DESCRIPTION, text)


def _parse(
    file: Path, description: Mapping[str, Any]
) -> tuple[str, dict[str, Modality], dict[str, Any]]:
    """Kind, modalities and architecture that are described."""
    try:
        entries = description["modalities"]
        if len(entries) > MAXIMUM_MODALITIES:
            raise ValueError(f"{len(entries)} modalities, more than {MAXIMUM_MODALITIES}")
        modalities = [Modality.from_dict(entry) for entry in entries]
        check_names(modalities)
        architecture = dict(description["architecture"])
        truths = [key for key, value in architecture.items() if isinstance(value, bool)]
        if truths:  # to Python True is 1
            raise ValueError(f"architecture: {truths[0]} must not be true or false")
    except KeyError as error:
        raise CheckpointError(f"{file}: {error.args[0]!r} is missing") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{file}: {error}") from error
    # The first checkpoints, all of SMVAE, do not name their model.
    kind = str(description.get("model", "smvae"))
    return kind, {modality.name: modality for modality in modalities}, architecture


def save_calibration(path: str | os.PathLike[str], calibration: Calibration) -> None:
    """Adds the calibration of its sensor health to a checkpoint; one that is there is replaced.

    Raises:
        CheckpointError: where ``path`` is no usable checkpoint, or loading would refuse the file.
        OutputError: where it cannot be written.
    """
    path = Path(os.path.realpath(path))
    digest = read_description(path).get("weights_sha256")
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
        check_file(file, MAXIMUM_BYTES[HEALTH])
        with safetensors.safe_open(file, framework="numpy") as content:
            texts = content.metadata() or {}
            arrays = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError, CheckpointError) as error:
        raise ValueError(str(error)) from error
    if texts.get("weights_sha256") != weights_sha256:
        raise ValueError("it was made for other weights")
    return Calibration.from_tensors(arrays, texts)


def check_file(path: Path, most: int) -> None:
    """Refuses what is no regular file, or larger than ``most`` bytes.

    Raises:
        CheckpointError: says which.
        OSError: where there is none.
    """
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
        check_file(path, MAXIMUM_BYTES[path.name])
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


def _parse_weights(file: Path, content: bytes) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file, by name."""
    _check_header(file, content)
    try:
        weights = safetensors.numpy.load(content)
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{file}: not a safetensors file of numbers: {error}") from error
    others = [name for name, x in weights.items() if x.dtype not in (np.float32, np.float16)]
    _complain(file, [f"tensor {name} is of type {weights[name].dtype}" for name in others])
    check_finite(file, weights)
    return weights


def _check_header(file: Path, weights: bytes) -> None:
    """The header of a safetensors file is its length in 8 bytes, then JSON with shapes."""
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
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise CheckpointError(f"{file}: not a safetensors file: {error}") from error


def check_finite(file: Path, weights: Mapping[str, np.ndarray]) -> None:
    """Raises CheckpointError where weights are infinite or no numbers; ``file`` is named."""
    problems = [
        f"tensor {name} holds NaN or infinite values"
        for name, value in weights.items()
        if not np.isfinite(value).all()
    ]
    _complain(file, problems)


def _complain(file: Path, problems: list[str]) -> None:
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise CheckpointError(f"{file}: {'; '.join(problems[:3])}{more}")
