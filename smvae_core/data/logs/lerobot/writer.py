# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""LeRobotDataset v3.0, written episode by episode.

Images are embedded in the rows (PNG) or go to AV1 videos; depth is embedded as LeRobot keeps it,
metres in TIFF, of which half precision loses nothing. Where a sensor has no reading, its row holds
zeros, and ``observation.present.<sensor>`` says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from smvae_core.data.logs.lerobot.encoding import column_of, column_type, video_info, write_video
from smvae_core.data.logs.lerobot.metadata import INFO, PRESENT
from smvae_core.data.logs.lerobot.statistics import statistics_of

_FILES = 1000  # in a folder
_TABLE_SIZE = 100  # MB, from which on another file is begun
_ROWS = 256  # written at a time
_SMALLEST_VIDEO = 64  # pixels; on smaller ones SVT-AV1 of before version 4 hangs
_EPISODE_LIMIT, _LIMIT = 2**19, 2**23  # numbers that statistics look at
_CHUNK = "chunk-{chunk_index:03d}/file-{file_index:03d}"
_DATA = f"data/{_CHUNK}.parquet"
_VIDEO = f"videos/{{video_key}}/{_CHUNK}.mp4"
_EPISODES = "meta/episodes/chunk-000/file-000.parquet"
_COUNTERS = ("timestamp", "frame_index", "episode_index", "index", "task_index")


@dataclass(frozen=True)
class Column:
    """One sensor's rows.

    Attributes:
        name: of the sensor.
        key: of the feature that it becomes.
        values: (N, ...): images uint8 (N, H, W, 1 or 3), depth float16 (N, H, W) in metres, NaN
            where there is no reading, otherwise float32 (N, n) or (N, samples, channels).
        present: bool (N,); zeros are written where False.
    """

    name: str
    key: str
    values: np.ndarray
    present: np.ndarray

    def feature(self, video: bool, rate: float) -> dict[str, Any]:
        """Its entry in info.json, as a video where it can be one."""
        shape = list(self.values.shape[1:])
        if self.values.dtype == np.float16:
            depth = {"is_depth_map": True, "depth_unit": "m"}
            return {**_picture([*shape, 1]), "info": depth}
        if self.values.dtype != np.uint8:
            names = [f"{self.name}_{i}" for i in range(shape[0])] if len(shape) == 1 else None
            return {"dtype": "float32", "shape": shape, "names": names}
        if video and shape[2] == 3 and min(shape[:2]) >= _SMALLEST_VIDEO:
            return {**_picture(shape), "dtype": "video", "info": video_info(shape, rate)}
        return _picture(shape)

    def stored(self, rows: slice) -> np.ndarray:
        """Values as they are written."""
        values, present = self.values[rows], self.present[rows]
        if values.dtype != np.uint8:
            values = np.nan_to_num(np.asarray(values, np.float32), nan=0.0)
        absent = ~present.reshape(-1, *(1 for _ in values.shape[1:]))
        return np.where(absent, np.zeros((), values.dtype), values)

    def pictures(self, rows: slice) -> Iterator[np.ndarray]:
        """The same, one by one."""
        for block in _blocks(rows):
            yield from self.stored(block)


def _picture(shape: list[int]) -> dict[str, Any]:
    return {"dtype": "image", "shape": shape, "names": ["height", "width", "channels"]}


class DatasetWriter:
    """Writes a data set into a folder; it is one after :meth:`close`."""

    def __init__(
        self, folder: Path, columns: Sequence[Column], rate: float, task: str, video: bool
    ) -> None:
        """Writes nothing yet.

        Args:
            folder: empty.
            columns: all sensors.
            rate: steps per second.
            task: what the robot does, in words.
            video: whether colour images of 64 pixels and more become videos, which only keep them
                about.
        """
        self._folder, self._columns, self._rate, self._task = folder, columns, rate, task
        self._features = {column.key: column.feature(video, rate) for column in columns}
        for column in columns:
            self._features[PRESENT + column.name] = _number("bool")
        for name in _COUNTERS:
            self._features[name] = _number("float32" if name == "timestamp" else "int64")
        types = {
            key: column_type(feature)
            for key, feature in self._features.items()
            if feature["dtype"] != "video"
        }
        described = {"info": {"features": {key: as_hf for key, (_, as_hf) in types.items()}}}
        self._schema = pa.schema(
            [(key, stored) for key, (stored, _) in types.items()],
            {"huggingface": json.dumps(described)},
        )
        self._table: parquet.ParquetWriter | None = None
        self._written: BinaryIO | None = None  # by the table
        self._file = -1
        self._frames = 0
        self._episodes: list[dict[str, Any]] = []

    def add(self, rows: slice, on_rows: Callable[[int], object]) -> None:
        """Writes rows of the columns as the next episode.

        Args:
            rows: with start and stop.
            on_rows: is told how many more were written.
        """
        index, length = len(self._episodes), rows.stop - rows.start
        table = self._open_table()
        entry: dict[str, Any] = {
            "episode_index": index,
            "tasks": [self._task],
            "length": length,
            **{f"data/{name}": number for name, number in _place(self._file).items()},
            "dataset_from_index": self._frames,
            "dataset_to_index": self._frames + length,
        }
        for column in self._columns:
            if self._features[column.key]["dtype"] == "video":
                # A file of its own: its first frame is decoded without those of other episodes.
                path = _VIDEO.format(video_key=column.key, **_place(index))
                write_video(self._folder / path, column.pictures(rows), self._rate)
                entry |= {f"videos/{column.key}/{n}": number for n, number in _place(index).items()}
                entry[f"videos/{column.key}/from_timestamp"] = 0.0
                entry[f"videos/{column.key}/to_timestamp"] = length / self._rate
        for block in _blocks(rows):
            values = self._counters(index, block.start - rows.start, block)
            values |= {PRESENT + column.name: column.present[block] for column in self._columns}
            values |= {
                column.key: column.stored(block)
                for column in self._columns
                if column.key in self._schema.names
            }
            arrays = [column_of(values[key], self._features[key]) for key in self._schema.names]
            table.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
            on_rows(block.stop - block.start)
        statistics = self._statistics(rows, _EPISODE_LIMIT)
        for key, counter in self._counters(index, 0, rows).items():
            statistics[key] = statistics_of(counter, np.ones(length, bool), _EPISODE_LIMIT)
        for key, found in statistics.items():
            entry |= {f"stats/{key}/{name}": value for name, value in found.items()}
        self._episodes.append({**entry, **{f"meta/episodes/{n}": 0 for n in _place(0)}})
        self._frames += length

    def close(self) -> None:
        """Completes the data set."""
        self.abandon()
        info = {
            "codebase_version": "v3.0",
            "robot_type": None,
            "total_episodes": len(self._episodes),
            "total_frames": self._frames,
            "total_tasks": 1,
            "chunks_size": _FILES,
            "data_files_size_in_mb": _TABLE_SIZE,
            "video_files_size_in_mb": 2 * _TABLE_SIZE,
            "fps": int(self._rate) if self._rate == int(self._rate) else self._rate,
            "splits": {"train": f"0:{len(self._episodes)}"},
            "data_path": _DATA,
            "video_path": _VIDEO,
            "features": self._features,
        }
        (self._folder / _EPISODES).parent.mkdir(parents=True)
        for path, table in (
            (_EPISODES, pa.Table.from_pylist(self._episodes)),
            ("meta/tasks.parquet", _tasks(self._task)),
        ):
            with open(self._folder / path, "wb") as file:  # see `abandon`
                parquet.write_table(table, file)
        statistics = self._statistics(slice(0, self._frames), _LIMIT)
        (self._folder / "meta/stats.json").write_text(json.dumps(statistics, indent=2))
        (self._folder / INFO).write_text(json.dumps(info, indent=2))

    def abandon(self) -> None:
        """Closes what is open."""
        table, written = self._table, self._written
        self._table = self._written = None
        if table is not None and written is not None:
            with written:  # closed even where a full disk keeps the table from it
                table.close()

    def _open_table(self) -> parquet.ParquetWriter:
        """The file that the next episode goes to."""
        if self._written is not None and self._written.tell() > _TABLE_SIZE * 2**20:
            self.abandon()
        if self._table is None:
            self._file += 1
            path = self._folder / _DATA.format(**_place(self._file))
            path.parent.mkdir(parents=True, exist_ok=True)
            self._written = open(path, "wb")  # noqa: SIM115 (until the next one begins)
            self._table = parquet.ParquetWriter(self._written, self._schema, use_dictionary=False)
        return self._table

    def _counters(self, episode: int, first: int, rows: slice) -> dict[str, np.ndarray]:
        """The features that every data set has, of rows from step ``first`` on."""
        steps = np.arange(first, first + rows.stop - rows.start)
        return {
            "timestamp": (steps / self._rate).astype(np.float32),
            "frame_index": steps,
            "episode_index": np.full(len(steps), episode),
            "index": self._frames + steps,
            "task_index": np.zeros(len(steps), np.int64),
        }

    def _statistics(self, rows: slice, limit: int) -> dict[str, Any]:
        found = {}
        for column in self._columns:
            present = column.present[rows]
            found[column.key] = statistics_of(column.values[rows], present, limit)
            found[PRESENT + column.name] = statistics_of(present, np.ones_like(present), limit)
        return found


def _number(dtype: str) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [1], "names": None}


def _place(file: int) -> dict[str, int]:
    return {"chunk_index": file // _FILES, "file_index": file % _FILES}


def _blocks(rows: slice) -> Iterator[slice]:
    for start in range(rows.start, rows.stop, _ROWS):
        yield slice(start, min(start + _ROWS, rows.stop))


def _tasks(task: str) -> pa.Table:
    """The tasks' numbers, with their words as pandas' index."""
    columns = [
        {
            "name": name,
            "field_name": name,
            "pandas_type": kind,
            "numpy_type": numpy_kind,
            "metadata": None,
        }
        for name, kind, numpy_kind in (
            ("task_index", "int64", "int64"),
            ("task", "unicode", "object"),
        )
    ]
    described = {"index_columns": ["task"], "column_indexes": [], "columns": columns}
    table = pa.table({"task_index": pa.array([0]), "task": pa.array([task])})
    return table.replace_schema_metadata(
        {"pandas": json.dumps({**described, "pandas_version": "2"})}
    )
