# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Episodes in HDF5 files: which groups they are, what they hold, how fast their steps came."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from smvae_core.data.logs.hdf5.files import (
    READ_ERRORS,
    broken_link,
    missing_data,
    open_hdf5,
    unreadable,
)
from smvae_core.data.logs.hdf5.readings import Readings, misfit
from smvae_core.data.logs.hdf5.recorded_steps import blank_from, never_written, still_recorded
from smvae_core.data.logs.recording import Problem, RecordingError
from smvae_core.robot import Sensor
from smvae_core.words import listed

_RATES = ("rate", "fps")  # attributes that say how many steps there are in a second
_LISTED = 8  # names in a message
_SEARCHED = 10_000  # names of a file among which a misspelt one is looked for


class Episode:
    """An open episode whose layout was checked; hardly a value was read.

    Attributes:
        place: of it, for people: the file's path, and the group's behind it.
        reserved: steps that its datasets have.
        steps: those of them that were recorded, from the first on.
        rate: steps per second.
        readings: modality → readings, of those that it holds.
        missing: modality → why it does not hold it.
        notes: what is worth knowing of it, though it can be used.
    """

    def __init__(
        self,
        path: Path,
        file: h5py.File,
        name: str,
        sensors: Mapping[str, Sensor],
        rate: float | None,
    ) -> None:
        """Looks at the episode.

        Args:
            path: of the file.
            name: of the group; empty for the whole file.
            sensors: by modality, those with a key.
            rate: of the robot file.

        Raises:
            RecordingError: where it cannot be used; every problem is listed, one a line.
        """
        self._path = path
        self.place = path / name if name else path
        self.notes: list[Problem] = []
        self.missing: dict[str, Problem] = {}
        self.readings: dict[str, Readings] = {}
        try:
            self._look(file, name, sensors, rate)
        except RecordingError:
            raise
        except READ_ERRORS as error:
            raise RecordingError(str(unreadable(path, error, name or None))) from error

    @property
    def step_bytes(self) -> int:
        """The largest size of a step of one key."""
        return max(r.dataset.nbytes // self.reserved for r in self.readings.values())

    def read(self, modality: str, start: int, stop: int) -> np.ndarray | list[np.ndarray | None]:
        """Steps [start, stop) of one modality, see :meth:`Readings.read`.

        Raises:
            RecordingError: where the data is damaged.
        """
        readings = self.readings[modality]
        try:
            return readings.read(start, stop)
        except (*READ_ERRORS, MemoryError) as error:  # the size of a step is the file's to say
            key = str(readings.dataset.name)
            raise RecordingError(str(unreadable(self._path, error, key))) from error

    def _look(
        self, file: h5py.File, name: str, sensors: Mapping[str, Sensor], rate: float | None
    ) -> None:
        group = _find(self.place, file, name)
        if not isinstance(group, h5py.Group):
            raise RecordingError(f"{self.place}: there is no such group any more")
        self.rate = self._rate(file, name, rate)
        problems = []
        for modality, sensor in sensors.items():
            dataset = _find(self.place, group, sensor.key)
            if dataset is None:
                self.missing[modality] = self._missing(group, sensor.key, is_file=not name)
            elif problem := self._problem(sensor, dataset):
                problems.append(problem)
            else:
                self.readings[modality] = Readings(dataset, sensor)
        if not self.readings and not problems:
            problems = list(self.missing.values())[:1]
        problems += self._of_lengths(sensors, growing=file.swmr_mode)
        if problems:
            raise RecordingError("\n".join(map(str, problems)))
        self.reserved = min(len(readings.dataset) for readings in self.readings.values())
        if file.swmr_mode:
            self.notes.append(still_recorded(self.place, self.reserved))
        self.steps = self._recorded(sensors)
        if self.steps < self.reserved:
            self.notes.append(never_written(self.place, self.steps, self.reserved, "every key"))
            if not self.steps:
                raise RecordingError(str(self.notes[-1]))

    def _missing(self, group: h5py.Group, key: str, is_file: bool) -> Problem:
        names: list[str] = []

        def note(name: str, found: Any) -> bool | None:
            if isinstance(found, h5py.Dataset):
                names.append(name)
            return True if len(names) == _SEARCHED else None

        group.visititems(note)
        nearest = get_close_matches(key, names, 1)
        hint = f", did you mean {nearest[0]!r}?" if nearest else ","
        found = f"no such key{hint} there are {_few(names)}"
        advice = (
            "correct `key:` in the robot file, or leave it out where the sensor was not recorded"
        )
        below = next((name for name in names if name.endswith("/" + key)), None)
        if is_file and below is not None:
            pattern = re.sub(r"[0-9]+", "*", below[: -len(key) - 1])
            advice = f"write `episodes: {pattern}` into the robot file: its groups are episodes"
        return Problem(self.place, key, "a dataset", found, advice)

    def _problem(self, sensor: Sensor, dataset: Any) -> Problem | None:
        """The reason why an object cannot be read as a sensor's readings."""
        key = sensor.key
        if not isinstance(dataset, h5py.Dataset) or not dataset.shape:
            found = f"a group of {_few(list(dataset))}"
            if isinstance(dataset, h5py.Dataset):
                found = "a single value, which has no steps"
            advice = "correct `key:` in the robot file"
            return Problem(self.place, key, "a dataset (T, ...)", found, advice)
        found = f"shape {dataset.shape} of {dataset.dtype}"
        if not len(dataset):
            return Problem(self.place, key, "one step at least", found, "there is nothing to use")
        if absent := missing_data(dataset):
            return Problem(self.place, key, "values that can be read", *absent)
        unfit = misfit(dataset, sensor, self.rate)
        return None if unfit is None else Problem(self.place, key, unfit[0], found, unfit[1])

    def _of_lengths(self, sensors: Mapping[str, Sensor], growing: bool) -> list[Problem]:
        lengths = {sensors[m].key: len(readings.dataset) for m, readings in self.readings.items()}
        if growing or len(set(lengths.values())) < 2:
            return []
        # The most frequent length is right; ties go to the first key.
        counts = list(lengths.values())
        usual = max(counts, key=counts.count)
        right = next(key for key, length in lengths.items() if length == usual)
        return [
            Problem(
                self.place,
                key,
                f"{usual} steps as in {right!r}",
                f"{length} steps",
                "record the episode again, or cut all keys to the shortest",
            )
            for key, length in lengths.items()
            if length != usual
        ]

    def _rate(self, file: h5py.File, name: str, rate: float | None) -> float:
        """Steps per second: as the robot file says, else the episode, its groups or the file."""
        parts = name.split("/") if name else []
        groups = ["/".join(parts[:depth]) for depth in range(len(parts), -1, -1)]
        said = next((r for group in groups if (r := _said_rate(file[group or "/"]))), None)
        if rate is None and said is None:
            raise NoRateError(
                f"{self.place}: nothing says how many steps there are in a second; write `rate:` "
                "into the robot file, such as `rate: 20.0`"
            )
        if rate is None or said is None:
            return float(rate or said or 0.0)
        if not math.isclose(rate, said, rel_tol=1e-3):
            self.notes.append(
                Problem(
                    self.place,
                    None,
                    f"{rate:g} steps per second, as the robot file says",
                    f"an attribute that says {said:g}",
                    "the robot file counts; leave `rate:` out of it if it is wrong",
                    usable=True,
                )
            )
        return rate

    def _recorded(self, sensors: Mapping[str, Sensor]) -> int:
        """Of the reserved steps, how many were recorded: behind them all keys are blank.

        Vectors alone tell nothing: a robot that stands still has zeros.
        """
        kinds = {sensors[modality].modality.kind for modality in self.readings}
        datasets = [readings.dataset for readings in self.readings.values()]
        if kinds <= {"vector", "categorical"} or any(d.dtype.kind not in "fiub" for d in datasets):
            return self.reserved
        last = 0
        for dataset in sorted(datasets, key=lambda dataset: int(dataset.nbytes)):
            last = max(last, blank_from(dataset, self.reserved, last))
            if last == self.reserved:
                break
        return last


class NoRateError(RecordingError):
    """Neither the robot file nor the recording says how fast steps came."""


@contextmanager
def open_file(path: Path) -> Iterator[h5py.File]:
    """An open file. Raises RecordingError where it cannot be opened."""
    try:
        file = open_hdf5(path)
    except READ_ERRORS as error:
        raise RecordingError(str(unreadable(path, error))) from error
    with file:
        yield file


def find_episodes(path: Path, file: h5py.File, pattern: str) -> list[str]:
    """Names of the groups that are episodes, by number; one empty name for the whole file.

    Args:
        pattern: such as ``data/demo_*``; ``*`` does not reach across groups.

    Raises:
        RecordingError: where there is none.
    """
    found = [""]
    for depth, part in enumerate(filter(None, pattern.split("/"))):
        try:
            groups = [(name, _find(path, file, name)) for name in found]
            below = [_below(name, group, part) for name, group in groups]
        except RecordingError:
            raise
        except READ_ERRORS as error:
            raise RecordingError(str(unreadable(path, error))) from error
        if not any(below):
            names = sorted({name for _, group in groups for name in group or ()}, key=natural)
            place = "/".join(pattern.strip("/").split("/")[:depth]) or "the file"
            problem = Problem(
                path,
                None,
                f"episodes in groups {pattern}",
                f"none: {place} holds {_few(names)}",
                "correct `episodes:` in the robot file",
            )
            raise RecordingError(str(problem))
        found = [name for names in below for name in names]
    return sorted(found, key=natural)


def _find(place: Path, group: h5py.Group, key: str) -> h5py.Group | h5py.Dataset | None:
    """What stands at a key, which may lead through groups; None where there is nothing.

    Raises:
        RecordingError: for a link to nothing, or into another file, of which a cache would not
            notice that it changed.
    """
    found: Any = group
    for name in filter(None, key.split("/")):
        if not isinstance(found, h5py.Group):
            return None
        link = found.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            raise RecordingError(str(_external(place, key, link.filename, link.path)))
        below = found.get(name)
        if below is None and (broken := broken_link(found, name)):
            raise RecordingError(str(Problem(place, key, "a dataset", *broken)))
        found = below
    if found is not None and found.file.filename != group.file.filename:  # by a soft link
        raise RecordingError(str(_external(place, key, found.file.filename, found.name)))
    return found


def _external(place: Path, key: str, file: str, name: str) -> Problem:
    return Problem(
        place,
        key,
        "values in this file",
        f"an external link, to {name!r} in {file}",
        "copy what it leads to into this file (h5copy), or give the other file",
    )


def _below(name: str, group: Any, pattern: str) -> list[str]:
    """Groups in a group that fit a pattern, and external links, which are refused later on."""
    return [
        f"{name}/{below}".lstrip("/")
        for below in group
        if fnmatchcase(below, pattern)
        and (
            isinstance(group.get(below, getlink=True), h5py.ExternalLink)
            or group.get(below, getclass=True) is h5py.Group
        )
    ]


def _said_rate(group: h5py.Group) -> float | None:
    """Steps per second by the attributes of a group, also as robomimic writes it."""
    values = [group.attrs[name] for name in _RATES if name in group.attrs]
    if "env_args" in group.attrs:
        with suppress(ValueError, TypeError, KeyError):
            values.append(json.loads(group.attrs["env_args"])["env_kwargs"]["control_freq"])
    for value in values:
        if isinstance(value, (int, float, np.number)) and 0 < value < math.inf:
            return float(value)
    return None


def _few(names: list[str]) -> str:
    if not names:
        return "nothing"
    more = [f"{len(names) - _LISTED} more"] if len(names) > _LISTED else []
    return listed([*names[:_LISTED], *more])


def natural(name: str) -> list[tuple[int, str]]:
    """demo_2 comes before demo_10."""
    parts = re.split(r"([0-9]+)", name)  # every second one is a number
    return [(int(part), "") if i % 2 else (-1, part) for i, part in enumerate(parts)]
