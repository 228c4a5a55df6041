# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Rows of parquet files: an episode's in blocks, and columns as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from smvae_core.data.logs.recording import BLOCK, RecordingError


@contextmanager
def parquet_errors(path: Path) -> Iterator[None]:
    """Turns what a missing or damaged file raises into RecordingError with advice."""
    try:
        yield
    except FileNotFoundError:
        raise RecordingError(f"{path}: not there; the download is not complete") from None
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise RecordingError(
            f"{path}: truncated or damaged ({reason}); download it again"
        ) from error


def count_rows(path: Path) -> int:
    """Rows of a file, by its footer. Raises RecordingError where that cannot be read."""
    with parquet_errors(path):
        return int(parquet.read_metadata(path).num_rows)


def find_episodes(path: Path) -> dict[int, tuple[int, int]]:
    """Episode → its first row in a file and the number of its rows.

    Raises:
        RecordingError: where they cannot be read.
    """
    with parquet_errors(path), parquet.ParquetFile(path) as file:
        numbers = file.read(["episode_index"])["episode_index"].to_numpy()
    found, first, counts = np.unique(numbers, return_index=True, return_counts=True)
    return {int(e): (int(i), int(n)) for e, i, n in zip(found, first, counts, strict=True)}


class Rows:
    """Rows of some columns. Episodes that follow each other in a file are read in one pass."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = list(columns)
        self._path: Path | None = None
        self._row = 0  # of the next batch
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._rest: pa.RecordBatch | None = None  # of a batch in which another episode begins

    def read(self, path: Path, first: int, count: int) -> Iterator[pa.RecordBatch]:
        """Rows ``first`` to ``first + count`` of a file, at most `BLOCK` at a time.

        Raises:
            RecordingError: where they cannot be read.
        """
        if path != self._path or first < self._row:
            self._open(path)
        last = first + count
        while self._row < last:
            with parquet_errors(path):
                batch = self._rest or next(self._batches, None)
            if batch is None:
                raise RecordingError(f"{path}: ends at row {self._row}; download it again")
            begin, self._rest = self._row, None
            if begin + batch.num_rows > last:
                self._rest = batch.slice(last - begin)
                batch = batch.slice(0, last - begin)
            self._row += batch.num_rows
            if self._row > first:
                yield batch.slice(max(0, first - begin))

    def _open(self, path: Path) -> None:
        self._path, self._row, self._rest = None, 0, None
        with parquet_errors(path):
            file = parquet.ParquetFile(path)
            missing = sorted(set(self._columns) - set(file.schema_arrow.names))
            if missing:
                raise RecordingError(f"{path}: no column {', '.join(missing)}; download it again")
            self._batches = file.iter_batches(BLOCK, columns=self._columns)
        self._path = path


def numbers(column: pa.Array, shape: tuple[int, ...]) -> np.ndarray:
    """A column as an array (t, ``*shape``); NaN where it has no value.

    Raises:
        ValueError: where a row has another shape.
    """
    array = column.storage if isinstance(column, pa.ExtensionArray) else column
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    array = array.drop_null()
    lengths: list[int | None] = []  # of each dimension
    while _is_list(array.type):
        if pa.types.is_fixed_size_list(array.type):
            found = [array.type.list_size]
        else:
            found = pc.unique(pc.list_value_length(array)).to_pylist()
        if len(found) > 1:
            raise ValueError(f"rows of {' and of '.join(map(str, sorted(found, key=str)))} values")
        lengths += found
        array = array.flatten()
    if valid.any() and (tuple(lengths) or (1,)) != shape:  # (1,) is stored as a plain number
        raise ValueError(f"rows of shape {tuple(lengths) or (1,)}")
    values = array.to_numpy(zero_copy_only=False).reshape(-1, *shape)
    if valid.all():
        return values
    filled = np.full((len(valid), *shape), np.nan)
    filled[valid] = values
    return filled


def _is_list(type_: pa.DataType) -> bool:
    kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(is_kind(type_) for is_kind in kinds)
