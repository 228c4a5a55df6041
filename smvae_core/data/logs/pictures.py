# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Compressed pictures in recordings: PNG, JPEG or, for depth, 16-bit PNG and TIFF."""

from __future__ import annotations

from typing import Literal

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
