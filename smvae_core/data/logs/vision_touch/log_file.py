# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Reading one Vision&Touch log: what its recorder wrote, in one layout whatever the file's."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from smvae_core.data.logs.hdf5.files import READ_ERRORS, Hdf5Error, open_hdf5, unreadable
from smvae_core.data.logs.hdf5.recorded_steps import blank_from, never_written, still_recorded
from smvae_core.data.logs.plausibility import Expected
from smvae_core.data.logs.recording import Problem
from smvae_core.data.logs.vision_touch.layout import (
    CONTROL_RATE,
    DATASETS,
    SQUARE,
    LogError,
    layout_problems,
)

_UNITS = "N, m and rad"
#: What the sensors of a log give.
EXPECTED = {
    "image": Expected("image"),
    "depth_data": Expected("depth"),
    "ee_forces_continuous": Expected("series", usual=10.0, units=_UNITS),
    "action": Expected("vector", usual=1.0, units=_UNITS),
    "proprio": Expected("vector", usual=10.0, units=_UNITS),
}


class LogFile:
    """An open log file whose layout was checked; see `open_log`.

    Attributes:
        reserved: T.
        steps: those of them that were recorded, from the first on: a recorder may reserve more.
        rate: steps per second; `CONTROL_RATE` where the file does not say.
        keys: those of the keys asked for that it holds.
        notes: what is worth knowing of it, though it can be used.
    """

    def __init__(self, path: Path, file: h5py.File, datasets: dict[str, h5py.Dataset]) -> None:
        self.path = path
        self.keys = tuple(datasets)
        self.rate = _rate(path, file.attrs)
        self.notes: list[Problem] = []
        self._datasets = datasets
        # They differ only in a file that is still growing.
        self.reserved: int = min(dataset.shape[0] for dataset in datasets.values())
        if file.swmr_mode:
            self.notes.append(still_recorded(path, self.reserved))
        self.steps = _recorded_steps(datasets, self.reserved)
        if self.steps < self.reserved:
            where = "images, forces and actions"
            self.notes.append(never_written(path, self.steps, self.reserved, where))
            if not self.steps:
                raise LogError(self.notes[-1])

    def read(self, key: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Steps [start, stop) of one key, in one layout whatever the file's.

        image (t, 128, 128, 3), depth_data float32 (t, 128, 128), others as in `DATASETS` and in the
        dtype of the file.

        Raises:
            LogError: when the data is damaged.
        """
        stop = self.steps if stop is None else min(stop, self.steps)
        try:
            array = np.asarray(self._datasets[key][start:stop])
        except READ_ERRORS as error:
            raise LogError(unreadable(self.path, error, key)) from error
        if key == "image" and array.shape[1:] == (3, *SQUARE):
            return array.transpose(0, 2, 3, 1)
        if key == "depth_data":
            with np.errstate(over="ignore"):
                return array.reshape(len(array), *SQUARE).astype(np.float32, copy=False)
        return array


@contextmanager
def open_log(
    path: str | os.PathLike[str], keys: Collection[str] = tuple(DATASETS)
) -> Iterator[LogFile]:
    """Open a log for reading and check its layout (keys, shapes, dtypes, lengths), hardly a value.

    Args:
        keys: the keys to check and to read; the required ones are always among them.

    Raises:
        LogError: where it is not that of the format; every problem is listed, one a line.
    """
    path = Path(path)
    try:
        file = open_hdf5(path)
    except Hdf5Error as error:
        raise LogError(unreadable(path, error)) from error
    with file:
        try:
            problems, datasets = layout_problems(path, file, keys)
            if problems:
                raise LogError(*problems)
            log_file = LogFile(path, file, datasets)
        except LogError:
            raise
        except READ_ERRORS as error:
            raise LogError(unreadable(path, error)) from error
        yield log_file


def _rate(path: Path, attributes: Mapping[str, Any]) -> float:
    """Steps per second of a file. Raises LogError where it says something impossible."""
    rate = attributes.get("rate", CONTROL_RATE)
    if not isinstance(rate, (int, float, np.number)) or not 0 < rate < np.inf:
        problem = Problem(
            path,
            None,
            "steps per second in the attribute 'rate', a number above 0",
            repr(rate),
            f"correct the attribute; a file without it has {CONTROL_RATE:g} Hz",
        )
        raise LogError(problem)
    return float(rate)


def _recorded_steps(datasets: Mapping[str, h5py.Dataset], steps: int) -> int:
    """Of these steps, how many a recorder wrote before it was killed.

    One that reserves its file leaves the rest of every key as HDF5 made it, all zeros. A real step
    has noise in its image and in its forces.
    """
    last = 0
    for key in ("ee_forces_continuous", "action", "depth_data", "image"):  # small ones first
        last = max(last, blank_from(datasets[key], steps, last))
        if last == steps:
            return steps
    # The last steps may lack one of them.
    noisy = [blank_from(datasets[key], last) for key in ("ee_forces_continuous", "image")]
    return min([end for end in noisy if end], default=last)
