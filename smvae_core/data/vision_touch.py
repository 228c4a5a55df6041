"""Vision&Touch HDF5 logs (Lee et al., IEEE T-RO 2020): names, layout, validation, writing.

A log file holds one part of a trajectory: T steps at 20 Hz, one HDF5 dataset for each key, time
along the first axis. Original files have T = 50; any T >= 1 is read. A trajectory is identified by
(stamp, trajectory), since one recording run shares its stamp among many trajectories.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from smvae_core.files import whole_file

STEPS_PER_FILE = 50
CONTROL_RATE = 20.0  # Hz, steps
FORCE_RATE = 1000.0  # Hz, the 50 wrenches of a step
IMAGE_SIZE = 128  # pixels, height and width of image, depth and flow

_SQUARE = (IMAGE_SIZE, IMAGE_SIZE)


@dataclass(frozen=True)
class DatasetFormat:
    """One key of a log file.

    shapes: accepted shapes of one step, the one that `write_log` documents first.
    dtype: what `write_log` writes.
    kinds: NumPy dtype kinds that are accepted ("f" float, "iu" integer, "b" bool).
    must_be_finite: whether NaN and infinite values are a problem (in depth they mean no reading).
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
        ((*_SQUARE, 3), (3, *_SQUARE)), np.dtype(np.uint8), kinds="u", required=True
    ),
    "depth_data": DatasetFormat(
        ((*_SQUARE, 1), _SQUARE, (1, *_SQUARE)),
        np.dtype(np.float32),
        kinds="f",
        required=True,
        must_be_finite=False,
    ),
    "ee_forces_continuous": DatasetFormat(((50, 6),), np.dtype(np.float64), required=True),
    "action": _vector(4, required=True),
    "contact": DatasetFormat(((50,),), np.dtype(np.uint8), kinds="fiub"),
    "proprio": _vector(8),
    "optical_flow": DatasetFormat(((*_SQUARE, 2),), np.dtype(np.float32)),
    "ee_pos": _vector(3),
    "ee_ori": _vector(4),
    "ee_vel": _vector(3),
    "ee_vel_ori": _vector(3),
    "ee_yaw": _vector(4),
    "ee_yaw_delta": _vector(4),
    "joint_pos": _vector(7),
    "joint_vel": _vector(7),
}

REQUIRED_KEYS = tuple(key for key, dataset in DATASETS.items() if dataset.required)


class LogError(ValueError):
    """A log file that cannot be used; the message says why and what to do."""


class LogName(NamedTuple):
    """What the name of a log file says. (stamp, trajectory) identifies a trajectory."""

    stamp: str
    trajectory: int
    part: int


_NAME = re.compile(
    r"(?P<stamp>[A-Za-z0-9_-]+?)_triangle_0_journal_(?P<trajectory>[0-9]+)_(?P<part>[0-9]+)"
    r"_1000\.h5"
)


def log_file_name(stamp: str, trajectory: int, part: int) -> str:
    """Name of one part file, for example 20190408_183047_triangle_0_journal_0_1_1000.h5.

    Raises LogError when the stamp holds anything but letters, digits, "_" and "-", or a number is
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
        raise LogError(str(_name_problem(Path(path))))
    return LogName(match["stamp"], int(match["trajectory"]), int(match["part"]))


@dataclass(frozen=True)
class Problem:
    """Something wrong with one log file. `usable` tells whether its other content can be used."""

    path: Path
    key: str | None
    expected: str
    found: str
    advice: str
    usable: bool = False

    def __str__(self) -> str:
        key = f", key {self.key!r}" if self.key else ""
        return f"{self.path}{key}: expected {self.expected}, found {self.found}; {self.advice}"


def write_log(
    path: str | os.PathLike[str],
    arrays: Mapping[str, np.ndarray],
    attributes: Mapping[str, Any] | None = None,
    compression: str | None = None,
) -> None:
    """Write one part file atomically: it appears under its name only when it is complete.

    arrays: key -> (T, ...) as `DATASETS` lists them, at least `REQUIRED_KEYS`, T equal in all.
    attributes: attributes of the file, for example {"simulated": True}.
    compression: None stores each dataset contiguously, which reads fastest; "gzip" compresses
        frame by frame.
    Raises LogError, before anything is written, when a key is unknown or missing, or shape, dtype
    or length are wrong; OSError when the file cannot be written.
    """
    path = Path(path)
    arrays = {key: np.asarray(array) for key, array in arrays.items()}
    problems, _ = _layout_problems(path, arrays)
    unknown = sorted(set(arrays) - set(DATASETS))
    if unknown:
        known = ", ".join(DATASETS)
        problems.append(Problem(path, unknown[0], f"one of {known}", "that key", "leave it out"))
    if problems:
        raise LogError("\n".join(map(str, problems)))
    # The temporary name doesn't end in .h5, so no reader takes it for a log.
    with whole_file(path) as partial:
        try:
            with h5py.File(partial, "w") as file:
                for key, array in arrays.items():
                    options: dict[str, Any] = {}
                    if compression is not None:
                        options = {"compression": compression, "chunks": (1, *array.shape[1:])}
                    data = array.astype(DATASETS[key].dtype, copy=False)
                    file.create_dataset(key, data=data, **options)
                file.attrs.update(attributes or {})
        except RuntimeError as error:  # what HDF5 says when closing meets a full disk
            raise OSError(f"{error}; is the disk full?") from error


def _shape_text(shapes: tuple[tuple[int, ...], ...]) -> str:
    return " or ".join("(" + ", ".join(["T", *map(str, shape)]) + ")" for shape in shapes)


def _layout_problems(
    path: Path, arrays: Mapping[str, Any], keys: Collection[str] = tuple(DATASETS)
) -> tuple[list[Problem], dict[str, Any]]:
    """Check `keys` and the required ones: presence, shape, dtype, length; no value is read.

    Returns the problems, and key -> array for those without one of shape or dtype.
    """
    problems = []
    good: dict[str, Any] = {}
    for key, expected in DATASETS.items():
        if key not in keys and not expected.required:
            continue
        array = arrays.get(key)  # None also for a link that leads nowhere
        if array is None:
            if expected.required:
                others = ", ".join(sorted(set(arrays) - {key})) or "nothing"
                problems.append(
                    Problem(
                        path,
                        key,
                        f"a dataset of shape {_shape_text(expected.shapes)}",
                        f"no such key (the file holds {others})",
                        "record the file again with this key or remove the file",
                    )
                )
            continue
        advice = (
            "store the data in this layout or remove the file"
            if expected.required
            else "store the data in this layout or remove the key, which is optional"
        )
        shapes = _shape_text(expected.shapes)
        if not isinstance(array, (np.ndarray, h5py.Dataset)) or array.shape is None:
            kind = "a group" if isinstance(array, h5py.Group) else "no array"
            problems.append(Problem(path, key, f"a dataset of shape {shapes}", kind, advice))
        elif array.shape[1:] not in expected.shapes or len(array.shape) == 0:
            problems.append(Problem(path, key, f"shape {shapes}", f"shape {array.shape}", advice))
        elif array.dtype.kind not in expected.kinds or (
            expected.kinds == "u" and array.dtype != expected.dtype
        ):
            problems.append(
                Problem(path, key, f"dtype like {expected.dtype}", f"{array.dtype}", advice)
            )
        elif array.shape[0] == 0:
            problems.append(
                Problem(path, key, f"shape {shapes} with T >= 1", f"shape {array.shape}", advice)
            )
        else:
            good[key] = array
    lengths = {key: array.shape[0] for key, array in good.items()}
    if len(set(lengths.values())) > 1:
        # The most frequent length is right; ties go to the first key of the table.
        counts = list(lengths.values())
        usual = max(counts, key=counts.count)
        for key, length in lengths.items():
            if length != usual:
                problems.append(
                    Problem(
                        path,
                        key,
                        f"{usual} steps as in the other keys: shape "
                        f"{(usual, *good[key].shape[1:])}",
                        f"shape {good[key].shape}",
                        "record the file again or remove it",
                    )
                )
    return problems, good


# h5py reports damage inside a file through all of these.
READ_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError)


def _unreadable(path: Path, error: BaseException) -> Problem:
    reason = " ".join(str(error).split()) or type(error).__name__
    if not path.is_file():
        found = "no file" if not path.exists() else "something that is not a file"
    elif path.stat().st_size == 0:
        found = "an empty file"
    else:
        found = f"a file that cannot be read ({reason})"
    return Problem(
        path,
        None,
        "a readable HDF5 file",
        found,
        "it is truncated, damaged or not HDF5: copy or download it again, or remove it",
    )


def _name_problem(path: Path) -> Problem:
    return Problem(
        path,
        None,
        "a name like <stamp>_triangle_0_journal_<trajectory>_<part>_1000.h5",
        repr(path.name),
        "rename the file: its name says which part of which trajectory it holds",
    )


class LogFile:
    """An open log file whose layout was checked; see `open_log`.

    steps: T. keys: those of the keys asked for that it holds.
    """

    def __init__(self, path: Path, datasets: dict[str, h5py.Dataset]) -> None:
        self.path = path
        self._datasets = datasets
        self.keys = tuple(datasets)
        self.steps: int = datasets[REQUIRED_KEYS[0]].shape[0]

    def read(self, key: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Steps [start, stop) of one key, in one layout whatever the file's.

        image (t, 128, 128, 3), depth_data float32 (t, 128, 128), others as in `DATASETS` and in the
        dtype of the file.
        Raises LogError when the data is damaged.
        """
        try:
            array = np.asarray(self._datasets[key][start:stop])
        except READ_ERRORS as error:
            raise LogError(str(_unreadable(self.path, error))) from error
        if key == "image" and array.shape[1:] == (3, *_SQUARE):
            return array.transpose(0, 2, 3, 1)
        if key == "depth_data":
            with np.errstate(over="ignore"):
                return array.reshape(len(array), *_SQUARE).astype(np.float32, copy=False)
        return array


@contextmanager
def open_log(
    path: str | os.PathLike[str], keys: Collection[str] = tuple(DATASETS)
) -> Iterator[LogFile]:
    """Open a log for reading and check its layout (keys, shapes, dtypes, lengths), no values.

    keys: the keys to check and to read; the required ones are always among them.
    Raises LogError, which lists every problem of the layout, one a line.
    """
    path = Path(path)
    try:
        file = h5py.File(path, "r")
    except READ_ERRORS as error:
        raise LogError(str(_unreadable(path, error))) from error
    with file:
        try:
            problems, datasets = _layout_problems(path, file, keys)
        except READ_ERRORS as error:
            raise LogError(str(_unreadable(path, error))) from error
        if problems:
            raise LogError("\n".join(map(str, problems)))
        yield LogFile(path, datasets)


def finite_steps(array: np.ndarray) -> np.ndarray:
    """(t, ...) -> bool (t,): whether a step holds no NaN, no infinity, nothing beyond float32."""
    values = array.reshape(len(array), -1)
    if array.dtype.kind != "f":
        return np.ones(len(array), bool)
    # NaN compares as False, so one comparison finds NaN, infinity and overflow alike.
    return (np.abs(values) <= np.finfo(np.float32).max).all(axis=1)


def validate_log(path: str | os.PathLike[str]) -> list[Problem]:
    """Everything that is wrong with one log file; an empty list means that it is good.

    Checks the name, that it is HDF5, keys, shapes, dtypes, lengths, that every known key can be
    read to its end, and NaN and infinite values (except in depth, where they mean no reading).
    Problems with `usable` set don't stop a conversion. Never raises for what a file holds.
    """
    path = Path(path)
    problems = []
    if _NAME.fullmatch(path.name) is None:
        problems.append(_name_problem(path))
    try:
        file = h5py.File(path, "r")
    except READ_ERRORS as error:
        return [*problems, _unreadable(path, error)]
    with file:
        try:
            layout, datasets = _layout_problems(path, file)
        except READ_ERRORS as error:
            return [*problems, _unreadable(path, error)]
        problems += layout
        for key, dataset in datasets.items():
            try:
                problems += _value_problems(path, key, dataset)
            except READ_ERRORS as error:
                problems.append(replace(_unreadable(path, error), key=key))
    return problems


def _value_problems(path: Path, key: str, dataset: h5py.Dataset) -> list[Problem]:
    steps = dataset.shape[0]
    # One block at a time: the whole is read, since damage shows only then, but never held.
    blocks = (dataset[i : i + STEPS_PER_FILE] for i in range(0, steps, STEPS_PER_FILE))
    finite = np.concatenate([finite_steps(block) for block in blocks])
    if not DATASETS[key].must_be_finite or finite.all():
        return []
    bad = np.flatnonzero(~finite)
    return [
        Problem(
            path,
            key,
            f"finite values in shape {dataset.shape}",
            f"NaN or infinite values in {len(bad)} of {steps} steps, the first in step {bad[0]}",
            "the steps are kept and this key counts as missing in them; check the sensor",
            usable=True,
        )
    ]
