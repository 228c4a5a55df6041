# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Vision&Touch HDF5 logs (Lee et al., IEEE T-RO 2020): names, layout, writing.

A log file holds one part of a trajectory: T steps, one HDF5 dataset for each key, time along the
first axis. Steps come at 20 Hz, or at what the attribute `rate` of the file says. Original files
have T = 50; any T >= 1 is read. A trajectory is identified by (stamp, trajectory), since one
recording run shares its stamp among many trajectories.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from smvae_core.data.logs.hdf5.files import broken_link, missing_data
from smvae_core.data.logs.recording import Problem, RecordingError
from smvae_core.files import whole_file

STEPS_PER_FILE = 50
CONTROL_RATE = 20.0  # Hz, steps
FORCE_RATE = 1000.0  # Hz, the 50 wrenches of a step
IMAGE_SIZE = 128  # pixels, height and width of image, depth and flow

SQUARE = (IMAGE_SIZE, IMAGE_SIZE)


@dataclass(frozen=True)
class DatasetFormat:
    """One key of a log file.

    Attributes:
        shapes: accepted shapes of one step, the one that `write_log` documents first.
        dtype: what `write_log` writes.
        kinds: NumPy dtype kinds that are accepted ("f" float, "iu" integer, "b" bool).
        must_be_finite: whether NaN and infinite values are a problem (in depth they mean no
            reading).
    """

    shapes: tuple[tuple[int, ...], ...]
    dtype: np.dtype[Any]
    kinds: str = "fiu"
    required: bool = False
    must_be_finite: bool = True


def _vector(length: int, required: bool = False) -> DatasetFormat:
    return DatasetFormat(((length,),), np.dtype(np.float64), required=required)


DATASETS: dict[str, DatasetFormat] = {
    "image": DatasetFormat(
        ((*SQUARE, 3), (3, *SQUARE)), np.dtype(np.uint8), kinds="u", required=True
    ),
    "depth_data": DatasetFormat(
        ((*SQUARE, 1), SQUARE, (1, *SQUARE)),
        np.dtype(np.float32),
        kinds="f",
        required=True,
        must_be_finite=False,
    ),
    "ee_forces_continuous": DatasetFormat(((50, 6),), np.dtype(np.float64), required=True),
    "action": _vector(4, required=True),
    "contact": DatasetFormat(((50,),), np.dtype(np.uint8), kinds="fiub"),
    "proprio": _vector(8),
    "optical_flow": DatasetFormat(((*SQUARE, 2),), np.dtype(np.float32)),
    "ee_pos": _vector(3),
    "ee_ori": _vector(4),
    "ee_vel": _vector(3),
    "ee_vel_ori": _vector(3),
    "ee_yaw": _vector(4),
    "ee_yaw_delta": _vector(4),
    "joint_pos": _vector(7),
    "joint_vel": _vector(7),
}

# Key and dtype kind that are refused -> what its values probably are.
_OTHER_UNITS = {
    ("image", "f"): "; values of 0..1 have to be multiplied by 255",
    ("depth_data", "u"): "; whole millimetres have to be divided by 1000",
    ("depth_data", "i"): "; whole millimetres have to be divided by 1000",
}

REQUIRED_KEYS = tuple(key for key, dataset in DATASETS.items() if dataset.required)


class LogError(RecordingError):
    """A log file that cannot be used; the message says why and what to do, a line for each of its
    `problems`."""

    def __init__(self, *reasons: str | Problem) -> None:
        super().__init__("\n".join(map(str, reasons)))
        self.problems = [reason for reason in reasons if isinstance(reason, Problem)]


class LogName(NamedTuple):
    """The parts of the name of a log file. (stamp, trajectory) identifies a trajectory."""

    stamp: str
    trajectory: int
    part: int


_NAME = re.compile(
    r"(?P<stamp>[A-Za-z0-9_-]+?)_triangle_0_journal_(?P<trajectory>[0-9]+)_(?P<part>[0-9]+)"
    r"_1000\.h5"
)


def log_file_name(stamp: str, trajectory: int, part: int) -> str:
    """Name of one part file, for example 20190408_183047_triangle_0_journal_0_1_1000.h5.

    Raises:
        LogError: when the stamp holds anything but letters, digits, "_" and "-", or a number is
            negative.
    """
    name = f"{stamp}_triangle_0_journal_{trajectory}_{part}_1000.h5"
    if not _NAME.fullmatch(name):
        raise LogError(
            f"cannot name a log after stamp {stamp!r}, trajectory {trajectory}, part {part}: the "
            "stamp is made of letters, digits, '_' and '-', the numbers are 0 or more"
        )
    return name


def parse_log_name(path: str | os.PathLike[str]) -> LogName:
    """The inverse of `log_file_name`; folders in front are ignored. Raises LogError."""
    match = _NAME.fullmatch(Path(path).name)
    if match is None:
        raise LogError(name_problem(Path(path)))
    return LogName(match["stamp"], int(match["trajectory"]), int(match["part"]))


def write_log(
    path: str | os.PathLike[str],
    arrays: Mapping[str, np.ndarray],
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Write one part file atomically: it appears under its name only when it is complete.

    Args:
        arrays: key -> (T, ...) as `DATASETS` lists them, at least `REQUIRED_KEYS`, T equal in all.
        attributes: attributes of the file, for example {"simulated": True}.

    Raises:
        LogError: before anything is written, when a key is unknown or missing, or shape, dtype or
            length are wrong.
        OSError: when the file cannot be written.
    """
    path = Path(path)
    arrays = {key: np.asarray(array) for key, array in arrays.items()}
    problems, _ = layout_problems(path, arrays)
    unknown = sorted(set(arrays) - set(DATASETS))
    if unknown:
        known = ", ".join(DATASETS)
        problems.append(Problem(path, unknown[0], f"one of {known}", "that key", "leave it out"))
    if problems:
        raise LogError(*problems)
    # The temporary name doesn't end in .h5, so no reader takes it for a log.
    with whole_file(path) as partial:
        partial.write_bytes(_file_image(arrays, attributes or {}))


def _file_image(arrays: Mapping[str, np.ndarray], attributes: Mapping[str, Any]) -> bytes:
    """The bytes of a file. HDF5 itself never meets a full disk, which would end the process."""
    size = 2**20 + sum(array.nbytes for array in arrays.values())  # by which memory is taken
    with h5py.File("memory", "w", driver="core", backing_store=False, block_size=size) as file:
        for key, array in arrays.items():
            file.create_dataset(key, data=array.astype(DATASETS[key].dtype, copy=False))
        file.attrs.update(attributes)
        file.flush()
        return file.id.get_file_image()


def _shape_text(shapes: tuple[tuple[int, ...], ...]) -> str:
    return " or ".join("(" + ", ".join(["T", *map(str, shape)]) + ")" for shape in shapes)


def layout_problems(
    path: Path, arrays: Mapping[str, Any], keys: Collection[str] = tuple(DATASETS)
) -> tuple[list[Problem], dict[str, Any]]:
    """Check `keys` and the required ones: presence, shape, dtype, length; no value is read.

    Returns the problems, and key -> array for those without one of shape or dtype.
    """
    problems: list[Problem] = []
    good: dict[str, Any] = {}
    unreadable: dict[tuple[str, str], list[str]] = {}  # what is found and advice -> keys

    def add(key: str, expected: str, found: str, advice: str) -> None:
        problems.append(Problem(path, key, expected, found, advice))

    for key, expected in DATASETS.items():
        if key not in keys and not expected.required:
            continue
        shapes = _shape_text(expected.shapes)
        array = arrays.get(key)  # None also for a link that leads nowhere
        if array is None:
            if broken := isinstance(arrays, h5py.Group) and broken_link(arrays, key):
                add(key, f"a dataset of shape {shapes}", *broken)
            elif expected.required:
                others = ", ".join(sorted(set(arrays) - {key})) or "nothing"
                found = f"no such key (the file holds {others})"
                add(key, f"a dataset of shape {shapes}", found, "record again with this key")
            continue
        advice = "store the data in this layout"
        if not expected.required:
            advice += " or leave the key out, which is optional"
        if not isinstance(array, (np.ndarray, h5py.Dataset)) or array.shape is None:
            kind = "a group" if isinstance(array, h5py.Group) else "no array"
            add(key, f"a dataset of shape {shapes}", kind, advice)
        elif array.shape[1:] not in expected.shapes or len(array.shape) == 0:
            add(key, f"shape {shapes}", f"shape {array.shape}", advice)
        elif array.dtype.kind not in expected.kinds or (
            expected.kinds == "u" and array.dtype != expected.dtype
        ):
            advice += _OTHER_UNITS.get((key, array.dtype.kind), "")
            add(key, f"dtype like {expected.dtype}", f"{array.dtype}", advice)
        elif array.shape[0] == 0:
            add(key, f"shape {shapes} with T >= 1", f"shape {array.shape}", advice)
        elif missing := isinstance(array, h5py.Dataset) and missing_data(array):
            unreadable.setdefault(missing, []).append(key)
        else:
            good[key] = array
    for (found, advice), keys in unreadable.items():
        first, *rest = keys
        also = f" (and so are {', '.join(rest)})" if rest else ""
        add(first, "values that can be read", found + also, advice)
    lengths = [array.shape[0] for array in good.values()]
    growing = isinstance(arrays, h5py.File) and arrays.swmr_mode
    # The most frequent length is right; ties go to the first key of the table.
    usual = max(lengths, key=lengths.count, default=0)
    for key, array in good.items():
        if array.shape[0] != usual and not growing:
            shape = (usual, *array.shape[1:])
            wanted = f"{usual} steps as in the other keys: shape {shape}"
            advice = "record the file again, or cut all keys to the shortest"
            add(key, wanted, f"shape {array.shape}", advice)
    return problems, good


def name_problem(path: Path) -> Problem:
    """A file whose name says neither trajectory nor part."""
    return Problem(
        path,
        None,
        "a name like <stamp>_triangle_0_journal_<trajectory>_<part>_1000.h5",
        repr(path.name),
        "rename the file: its name says which part of which trajectory it holds",
    )
