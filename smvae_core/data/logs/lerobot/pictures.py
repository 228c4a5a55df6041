# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Pictures embedded in a data set's rows, or in files that rows name."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any


def content_of(cell: Any, folder: Path) -> bytes | None:
    """The bytes of a cell, which holds them or the path of a file in the data set.

    Raises:
        ValueError: where there is no such file.
    """
    if isinstance(cell, bytes) or cell is None:
        return cell
    if not isinstance(cell, dict):
        raise ValueError(f"a {type(cell).__name__} instead of a picture")
    if cell.get("bytes") is not None:
        return bytes(cell["bytes"])
    if cell.get("path") is None:
        return None
    path = PurePosixPath(cell["path"])
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"the path {path} leads out of the data set")
    try:
        return (folder / path).read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
