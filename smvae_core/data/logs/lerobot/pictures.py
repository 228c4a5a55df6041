# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Pictures embedded in a data set's rows: PNG, JPEG or, for depth, 16-bit PNG and TIFF."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any, Literal

import cv2
import numpy as np

Format = Literal["rgb", "grey", "depth"]

_FLAGS = {
    "rgb": cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION,
    "grey": cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION,
    "depth": cv2.IMREAD_UNCHANGED,
}


def decode(content: bytes, wanted: Format) -> np.ndarray:
    """A picture: uint8 (H, W, 3) or (H, W, 1), or for depth (H, W) of its own type.

    Raises:
        ValueError: where it is damaged, or a depth image has several channels.
    """
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), _FLAGS[wanted])
    except cv2.error as error:
        raise ValueError(f"cannot be decoded ({error.err})") from error
    if image is None:
        raise ValueError("no picture, or a damaged one")
    if wanted == "depth":
        if image.ndim != 2:
            raise ValueError(f"{image.shape[2]} channels in a depth image")
        return np.asarray(image)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if wanted == "rgb" else image[..., None]


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
