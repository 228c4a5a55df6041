# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A model's graphs as files beside its weights, for other tools.

Nothing here opens such a file to do what it says: one is compared with the bytes that the model's
description gives, which are always the same. The node, too, makes its graphs from the description
and opens none of the files.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from smvae_core.files import whole_file
from smvae_core.graphs.build import build_graphs
from smvae_core.stored_model import WEIGHTS, CheckpointError, check_file, read_model


def write_graphs(path: str | os.PathLike[str]) -> list[Path]:
    """Writes all graphs of a checkpoint directory into it; returns the files.

    Raises:
        CheckpointError: where the checkpoint cannot be used.
        OutputError: where a file cannot be written.
    """
    contents = _contents(Path(path))
    for file, content in contents.items():
        if file.is_symlink():  # somebody else's model could point anywhere
            file.unlink()
        with whole_file(file) as partial:
            partial.write_bytes(content)
    return list(contents)


def check_graphs(path: str | os.PathLike[str]) -> list[Path]:
    """Compares the graphs in a checkpoint directory with those of its model; returns the files.

    Raises:
        CheckpointError: where one is missing, truncated, changed, or of another model; and where
            the checkpoint cannot be used.
    """
    contents = _contents(Path(path))
    for file, content in contents.items():
        try:
            check_file(file, len(content))
            same = file.read_bytes() == content
        except (OSError, CheckpointError) as error:
            reason = str(error)
        else:
            reason = "it was changed, or another version or another model made it"
            if same:
                continue
        raise CheckpointError(
            f"{file} is not the graph of this model: {reason}; `python -m training.export {path}` "
            "writes it anew"
        )
    return list(contents)


def _contents(path: Path) -> dict[Path, bytes]:
    """File → content."""
    stored = read_model(path)
    offsets = _offsets(path / WEIGHTS)
    try:
        graphs = build_graphs(
            stored.kind, stored.modalities, stored.architecture, stored.weights, offsets
        )
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    properties = {"weights": stored.weights_hash, "modalities": ",".join(stored.modalities)}
    return {path / f"{name}.onnx": graph.to_bytes(properties) for name, graph in graphs.items()}


def _offsets(file: Path) -> dict[str, int]:
    """Where each tensor begins in a safetensors file whose header was checked."""
    with file.open("rb") as content:
        length = int.from_bytes(content.read(8), "little")
        header = json.loads(content.read(length))
    header.pop("__metadata__", None)
    return {name: 8 + length + entry["data_offsets"][0] for name, entry in header.items()}
