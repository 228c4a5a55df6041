# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Arrays as columns of parquet files and as videos."""

from __future__ import annotations

import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import cv2
import numpy as np
import pyarrow as pa

_PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_CODEC = "libsvtav1"
# LeRobot's own choice: every second frame is decoded without the others.
_OPTIONS = {"g": "2", "crf": "30", "preset": "8"}


def column_type(feature: dict[str, Any]) -> tuple[pa.DataType, dict[str, Any]]:
    """How a feature of info.json is stored, for Arrow and as Hugging Face's `datasets` puts it.

    One number is a plain value, a vector a list of fixed length, a window a list of lists.
    """
    dtype, shape = feature["dtype"], feature["shape"]
    if dtype == "image":
        return _PICTURE, {"_type": "Image"}
    stored = pa.from_numpy_dtype(np.dtype(dtype))
    described = {"dtype": dtype, "_type": "Value"}
    if shape == [1]:
        return stored, described
    if len(shape) == 1:
        described = {"feature": described, "length": shape[0], "_type": "Sequence"}
        return pa.list_(stored, shape[0]), described
    for _ in shape:
        stored = pa.list_(stored)
    return stored, {"shape": shape, "dtype": dtype, "_type": f"Array{len(shape)}D"}


def column_of(values: np.ndarray, feature: dict[str, Any]) -> pa.Array:
    """A column of a feature's values (t, ...); depth is float32 (t, H, W)."""
    stored, _ = column_type(feature)
    if feature["dtype"] == "image":
        return pa.array([{"bytes": _encode(picture)} for picture in values], stored)
    column = pa.array(np.ascontiguousarray(values).reshape(-1))
    for length in reversed(values.shape[1:] if feature["shape"] != [1] else ()):
        column = pa.FixedSizeListArray.from_arrays(column, length)
    return column.cast(stored)


def _encode(picture: np.ndarray) -> bytes:
    """PNG of uint8 (H, W, 1 or 3), TIFF of float32 (H, W): both lose nothing."""
    if picture.ndim == 2:
        return cv2.imencode(".tiff", picture, [cv2.IMWRITE_TIFF_COMPRESSION, 1])[1].tobytes()
    if picture.shape[2] == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 3])[1].tobytes()


def video_info(shape: list[int], rate: float) -> dict[str, Any]:
    """What info.json says of a video of frames of this shape."""
    return {
        "video.height": shape[0],
        "video.width": shape[1],
        "video.channels": 3,
        "video.codec": "av1",
        "video.pix_fmt": "yuv420p",
        "video.is_depth_map": False,
        "video.fps": rate,
        "has_audio": False,
    }


def write_video(path: Path, frames: Iterable[np.ndarray], rate: float) -> None:
    """An AV1 video of frames uint8 (H, W, 3) of one size.

    Raises:
        ValueError: where PyAV has no encoder for it.
    """
    if _CODEC not in av.codecs_available:
        raise ValueError(f"this PyAV has no {_CODEC}, which AV1 videos need; leave out --video")
    os.environ.setdefault("SVT_LOG", "1")  # errors only
    per_second = Fraction(rate).limit_denominator(1000)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A file of Python's: PyAV leaves its own open where a full disk ends it.
    with open(path, "wb") as file, av.open(file, "w", format="mp4") as container:
        stream = cast(
            av.VideoStream, container.add_stream(_CODEC, rate=per_second, options=_OPTIONS)
        )
        stream.pix_fmt = "yuv420p"
        for number, picture in enumerate(frames):
            if number == 0:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, 1 / per_second
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
