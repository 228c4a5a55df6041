# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A model's graphs as files beside its weights, for other tools.

Nothing here opens what such a file says: it is compared with what the model's description gives.
The node, too, makes its graphs from the description, so that whatever stands in these files cannot
reach it.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from smvae_core.files import whole_file
from smvae_core.graphs.build import build_graphs
from smvae_core.stored_model import (
    DESCRIPTION,
    WEIGHTS,
    CheckpointError,
    StoredModel,
    check_file,
    read_description,
    read_model,
    write_description,
)

GRAPHS = "graphs"  # key of the description: file → SHA-256
SUFFIX = ".onnx"


def write_graphs(path: str | os.PathLike[str]) -> list[Path]:
    """Writes all graphs of a checkpoint directory into it, and their hashes into its description.

    Returns:
        The files.

    Raises:
        CheckpointError: where the checkpoint cannot be used.
        OutputError: where a file cannot be written.
    """
    path = Path(path)
    contents = _contents(read_model(path))
    for name, content in contents.items():
        with whole_file(path / name) as partial:
            partial.write_bytes(content)
    hashes = {name: _hash(content) for name, content in contents.items()}
    write_description(path, {**read_description(path), GRAPHS: hashes})
    return [path / name for name in contents]


def remove_graphs(path: str | os.PathLike[str]) -> None:
    """Takes the graphs that a checkpoint directory names out of it."""
    path = Path(path)
    description = read_description(path)
    hashes = _hashes(path, description)
    del description[GRAPHS]
    write_description(path, description)
    for name in hashes:
        if Path(name).name == name and name.endswith(SUFFIX):
            (path / name).unlink(missing_ok=True)


def check_graphs(path: str | os.PathLike[str]) -> list[Path]:
    """Compares the graphs of a checkpoint directory with what its description gives.

    Returns:
        The files, for other tools to open.

    Raises:
        CheckpointError: where there are none, or where one is missing, truncated, changed, or of
            another model; and where the checkpoint cannot be used.
    """
    path = Path(path)
    hashes = _hashes(path, read_description(path))
    contents = _contents(read_model(path))
    for name, content in contents.items():
        try:
            check_file(path / name, len(content))
            found = _hash((path / name).read_bytes())
        except (OSError, CheckpointError) as error:
            raise CheckpointError(
                f"{path / name} is of no use ({error}): {_advice(path)}"
            ) from error
        if found != hashes.get(name):
            raise CheckpointError(
                f"{path / name} is not the graph that {DESCRIPTION} names (SHA-256 differs): "
                f"{_advice(path)}"
            )
        if found != _hash(content):
            raise CheckpointError(
                f"{path / name} is not the graph of this model, or another version made it: "
                f"{_advice(path)}"
            )
    return [path / name for name in contents]


def _contents(stored: StoredModel) -> dict[str, bytes]:
    """File → content."""
    try:
        graphs = build_graphs(
            stored.kind,
            stored.modalities,
            stored.architecture,
            stored.weights,
            _offsets(stored.path / WEIGHTS),
        )
    except ValueError as error:
        raise CheckpointError(f"{stored.path}: {error}") from error
    properties = {"weights": stored.weights_hash}
    return {f"{name}{SUFFIX}": graph.to_bytes(properties) for name, graph in graphs.items()}


def _offsets(file: Path) -> dict[str, int]:
    """Where each tensor of a safetensors file begins, whose header was checked."""
    with file.open("rb") as content:
        length = int.from_bytes(content.read(8), "little")
        header = json.loads(content.read(length))
    header.pop("__metadata__", None)
    return {name: 8 + length + entry["data_offsets"][0] for name, entry in header.items()}


def _hashes(path: Path, description: dict[str, Any]) -> dict[str, str]:
    hashes = description.get(GRAPHS)
    if not isinstance(hashes, dict) or not all(isinstance(name, str) for name in hashes):
        raise CheckpointError(f"{path} has no graphs: {_advice(path)}")
    return hashes


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _advice(path: Path) -> str:
    return f"`python -m training.export {path}` writes them"
