# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The metadata of a LeRobotDataset: features, and which files hold which episode.

v2.1 (and v2.0) keep an episode in a parquet file and a video for each camera of its own, v3.0 many
episodes in each, with their places in ``meta/episodes/*.parquet``. The layout is documented at
https://huggingface.co/docs/lerobot/lerobot-dataset-v3.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from smvae_core.data.logs.recording import RecordingError

INFO = "meta/info.json"
VERSIONS = ("v2.0", "v2.1", "v3.0")
PRESENT = "observation.present."  # before a sensor's name: whether it has a reading, see export


@dataclass(frozen=True)
class Feature:
    """One key of a data set.

    Attributes:
        dtype: of NumPy, or ``image`` or ``video``.
        shape: of a step; (height, width, channels) of pictures, in a few data sets channels first.
        names: of the components of a vector, empty where they have none.
        info: how pictures are stored.
    """

    key: str
    dtype: str
    shape: tuple[int, ...]
    names: tuple[str, ...] = ()
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_picture(self) -> bool:
        return self.dtype in ("image", "video")

    @property
    def is_depth(self) -> bool:
        return bool(self.info.get("is_depth_map") or self.info.get("video.is_depth_map"))


@dataclass(frozen=True)
class Episode:
    """Where an episode lies.

    Attributes:
        length: rows that it should have.
        table: parquet file, relative to the data set.
        videos: key → video file and the times in it, in seconds, from which and to which it goes.
    """

    index: int
    length: int
    table: str
    videos: Mapping[str, tuple[str, float, float]]


@dataclass(frozen=True)
class Metadata:
    """What ``meta/`` says.

    Attributes:
        rate: steps per second.
        episodes: by index.
    """

    version: str
    rate: float
    features: Mapping[str, Feature]
    episodes: Mapping[int, Episode]


def read_metadata(folder: Path) -> Metadata:
    """Reads ``meta/``.

    Raises:
        RecordingError: where it is missing, damaged or of a version that is not known.
    """
    path = folder / INFO
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecordingError(
            f"{folder}: no LeRobot data set (no {INFO}); give the folder that holds meta/ and data/"
        ) from None
    except (OSError, ValueError) as error:
        raise RecordingError(f"{path}: cannot be read ({error}); download it again") from error
    version = info.get("codebase_version") if isinstance(info, dict) else None
    if version not in VERSIONS:
        raise RecordingError(
            f"{path}: codebase_version is {version!r}; {', '.join(VERSIONS)} can be read. LeRobot "
            "has converters from older versions"
        )
    try:
        features = {key: _feature(key, entry) for key, entry in info["features"].items()}
        rate = float(info["fps"])
        if not 0 < rate < math.inf:
            raise ValueError(f"fps is {rate}")
        videos = [key for key, feature in features.items() if feature.dtype == "video"]
        find = _episodes_of_v3 if version == "v3.0" else _episodes_of_v2
        episodes = {episode.index: episode for episode in find(folder, info, videos)}
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        if isinstance(error, RecordingError):
            raise
        raise RecordingError(
            f"{path.parent}: damaged, or not of {version} ({type(error).__name__}: {error}); "
            "download the folder again"
        ) from error
    return Metadata(version, rate, features, dict(sorted(episodes.items())))


def _feature(key: str, entry: Mapping[str, Any]) -> Feature:
    info = {**(entry.get("video_info") or {}), **(entry.get("info") or {})}
    shape = tuple(int(n) for n in entry["shape"])
    return Feature(key, str(entry["dtype"]), shape, tuple(_names(entry.get("names"))), info)


def _names(names: Any) -> Iterator[str]:
    """Names come as a list, as a list in a list, as {group: [names]} or as {name: place}."""
    if isinstance(names, str):
        yield names
    elif isinstance(names, Mapping):
        if all(isinstance(place, int) for place in names.values()):
            yield from sorted(names, key=names.__getitem__)
        else:
            yield from _names(list(names.values()))
    elif isinstance(names, (list, tuple)):
        for part in names:
            yield from _names(part)


def _episodes_of_v2(folder: Path, info: dict[str, Any], videos: list[str]) -> Iterator[Episode]:
    path = folder / "meta/episodes.jsonl"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read ({error}); download it again") from error
    for line in filter(None, map(str.strip, lines)):
        entry = json.loads(line)
        index = int(entry["episode_index"])
        place = {"episode_chunk": index // int(info["chunks_size"]), "episode_index": index}
        yield Episode(
            index,
            int(entry["length"]),
            _inside(info["data_path"], place),
            {
                key: (_inside(info["video_path"], {**place, "video_key": key}), 0.0, math.inf)
                for key in videos
            },
        )


def _episodes_of_v3(folder: Path, info: dict[str, Any], videos: list[str]) -> Iterator[Episode]:
    paths = sorted((folder / "meta/episodes").glob("*/*.parquet"))
    if not paths:
        raise RecordingError(f"{folder}: no meta/episodes/*/*.parquet; download the folder again")
    ends = ("chunk_index", "file_index", "from_timestamp", "to_timestamp")
    columns = ["episode_index", "length", "data/chunk_index", "data/file_index"]
    columns += [f"videos/{key}/{end}" for key in videos for end in ends]
    for path in paths:
        try:
            entries = parquet.read_table(path, columns=columns, partitioning=None).to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise RecordingError(f"{path}: cannot be read ({error}); download it again") from error
        for entry in entries:
            place = {end: entry[f"data/{end}"] for end in ends[:2]}
            spans = {}
            for key in videos:
                file = {end: entry[f"videos/{key}/{end}"] for end in ends}
                begin, end = float(file["from_timestamp"]), float(file["to_timestamp"])
                spans[key] = (_inside(info["video_path"], {**file, "video_key": key}), begin, end)
            table = _inside(info["data_path"], place)
            yield Episode(int(entry["episode_index"]), int(entry["length"]), table, spans)


def _inside(template: str, place: Mapping[str, Any]) -> str:
    """The path of a template of info.json, relative to the data set; ValueError outside of it, and
    for a template of more than names and widths, which Python would follow anywhere."""
    if not re.fullmatch(r"([^{}]|\{\w+(:0?\dd)?\})*", template):
        raise ValueError(f"{template!r} is no template of a path")
    path = PurePosixPath(template.format(**place))
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"the path {path} leads out of the data set")
    return str(path)
