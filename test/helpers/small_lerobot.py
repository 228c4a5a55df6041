# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Small LeRobot data sets in the layouts that LeRobot itself writes, made without our writer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
from pyarrow import parquet

RATE = 10
PATHS = {
    "v2.1": (
        "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
    ),
    "v3.0": (
        "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
    ),
}
Episodes = Sequence[Mapping[str, np.ndarray]]


def pictures(steps: int, seed: int, size: tuple[int, int] = (24, 32)) -> np.ndarray:
    """(steps, *size, 3): smooth, so that videos keep them, and brighter from step to step."""
    small = np.random.default_rng(seed).integers(40, 160, (3, 4, 3), np.uint8)
    smooth = cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC).astype(int)
    return np.stack([(smooth + 5 * step).clip(0, 255) for step in range(steps)]).astype(np.uint8)


def write_dataset(
    folder: Path,
    episodes: Episodes,
    version: str = "v2.1",
    videos: Sequence[str] = (),
    depth: Mapping[str, str] | None = None,
    names: Mapping[str, Any] | None = None,
    per_file: int = 2,
    changed: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a data set; returns its folder.

    Args:
        episodes: key → (steps, ...) of each; uint8 arrays with four axes are pictures.
        videos: those of the pictures that become videos.
        depth: keys of depth images (steps, h, w), embedded, and their ``depth_unit``.
        names: of the components of keys.
        per_file: episodes in a file of v3.0.
        changed: entries of info.json that are otherwise.
    """
    depth = depth or {}
    table_path, video_path = PATHS[version]
    features = {
        key: _feature(key, values, key in videos, depth, (names or {}).get(key))
        for key, values in episodes[0].items()
    }
    features |= {
        key: {"dtype": "float32" if key == "timestamp" else "int64", "shape": [1], "names": None}
        for key in ("timestamp", "frame_index", "episode_index", "index", "task_index")
    }
    group = 1 if version == "v2.1" else per_file
    entries, first = [], 0
    for begin in range(0, len(episodes), group):
        members = list(enumerate(episodes))[begin : begin + group]
        place = {"chunk_index": 0, "file_index": begin // group}
        place |= {"episode_chunk": 0, "episode_index": begin}
        tables, seconds = [], 0.0
        for index, episode in members:
            steps = len(next(iter(episode.values())))
            columns = {key: _column(v) for key, v in episode.items() if key not in videos}
            columns |= {
                "timestamp": pa.array(np.arange(steps) / RATE, pa.float32()),
                "frame_index": pa.array(np.arange(steps)),
                "episode_index": pa.array(np.full(steps, index)),
                "index": pa.array(np.arange(first, first + steps)),
                "task_index": pa.array(np.zeros(steps, np.int64)),
            }
            tables.append(pa.table(columns))
            entry = {"episode_index": index, "tasks": ["try"], "length": steps}
            if version == "v3.0":
                entry |= {f"data/{end}": place[end] for end in ("chunk_index", "file_index")}
                entry |= {"dataset_from_index": first, "dataset_to_index": first + steps}
                for key in videos:
                    of = f"videos/{key}"
                    entry |= {f"{of}/{end}": place[end] for end in ("chunk_index", "file_index")}
                    entry |= {f"{of}/from_timestamp": seconds}
                    entry |= {f"{of}/to_timestamp": seconds + steps / RATE}
            entries.append(entry)
            first, seconds = first + steps, seconds + steps / RATE
        path = folder / table_path.format(**place)
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pa.concat_tables(tables), path)
        for key in videos:
            path = folder / video_path.format(**place, video_key=key)
            write_video(path, np.concatenate([episode[key] for _, episode in members]))
    info = {
        "codebase_version": version,
        "fps": RATE,
        "chunks_size": 1000,
        "data_path": table_path,
        "video_path": video_path,
        "features": features,
        **(changed or {}),
    }
    meta = folder / "meta"
    meta.mkdir(parents=True, exist_ok=True)
    (meta / "info.json").write_text(json.dumps(info))
    if version == "v2.1":
        (meta / "episodes.jsonl").write_text("".join(json.dumps(e) + "\n" for e in entries))
    else:
        (meta / "episodes/chunk-000").mkdir(parents=True)
        path = meta / "episodes/chunk-000/file-000.parquet"
        parquet.write_table(pa.Table.from_pylist(entries), path)
    return folder


def write_video(path: Path, frames: np.ndarray, codec: str = "libx264") -> None:
    """A video of frames (n, h, w, 3) uint8, or (n, h, w) uint16 of 12-bit depth."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p" if frames.ndim == 4 else "gray12le"
        stream.time_base = Fraction(1, RATE)
        lossless = {"x265-params": "lossless=1:log-level=none"}
        stream.options = {"crf": "5", "g": "4", "bf": "0"} if frames.ndim == 4 else lossless
        for number, picture in enumerate(frames):
            form = "rgb24" if frames.ndim == 4 else "gray12le"
            frame = av.VideoFrame.from_ndarray(picture, format=form)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def read_video(path: Path) -> list[np.ndarray]:
    """All frames, as RGB."""
    import av

    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def _feature(
    key: str, values: np.ndarray, video: bool, depth: Mapping[str, str], names: Any
) -> dict[str, Any]:
    shape = list(values.shape[1:]) or [1]
    if key in depth:
        info = {"is_depth_map": True} | ({"depth_unit": depth[key]} if depth[key] else {})
        return {"dtype": "image", "shape": [*shape, 1], "names": None, "info": info}
    if values.dtype == np.uint8 and values.ndim == 4:
        names = ["height", "width", "channels"]
        return {"dtype": "video" if video else "image", "shape": shape, "names": names}
    return {"dtype": str(values.dtype), "shape": shape, "names": names}


def _column(values: np.ndarray) -> pa.Array:
    is_depth = values.ndim == 3 and values.dtype in (np.uint16, np.float32) and values.shape[1] > 10
    if (values.dtype == np.uint8 and values.ndim == 4) or is_depth:
        suffix = ".tiff" if values.dtype == np.float32 else ".png"
        cells = []
        for picture in values:
            stored = picture if is_depth else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
            cells.append({"bytes": cv2.imencode(suffix, stored)[1].tobytes(), "path": None})
        return pa.array(cells, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    if values.ndim == 1:
        return pa.array(values)
    return pa.array(values.tolist(), _type_of(values))


def _type_of(values: np.ndarray) -> pa.DataType:
    kind = pa.from_numpy_dtype(values.dtype)
    for _ in values.shape[1:]:
        kind = pa.list_(kind)
    return kind
