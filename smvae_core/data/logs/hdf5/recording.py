# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""HDF5 files of any layout as a recording: keys and episodes are those of the robot file.

robomimic's files hold their episodes in groups (``episodes: data/demo_*``), ALOHA's are an episode
each. Vision&Touch logs have a recording of their own, which knows their names and parts.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from smvae_core.data.logs.cache_folder import read_ahead, source
from smvae_core.data.logs.hdf5.episode import (
    Episode,
    NoRateError,
    find_episodes,
    natural,
    open_file,
)
from smvae_core.data.logs.hdf5.readings import expected_of
from smvae_core.data.logs.plausibility import PartCheck
from smvae_core.data.logs.recording import (
    BLOCK,
    Block,
    Layout,
    Notes,
    Part,
    Problem,
    Recording,
    RecordingError,
    absent_rows,
    prepare_rows,
)
from smvae_core.modalities import Modality
from smvae_core.robot import Robot

log = logging.getLogger(__name__)

_BLOCK_BYTES = 2**28  # of one key, at most, are read at a time
SUFFIXES = (".hdf5", ".h5", ".hdf")


class Hdf5Recording(Recording):
    """HDF5 files; each group that the robot file calls an episode is a part, or each file."""

    kind = "episodes"

    def __init__(self, paths: Sequence[Path], robot: Robot) -> None:
        """Reads nothing yet.

        Args:
            paths: files, and folders that hold them.
            robot: whose sensors they are of; those without a key are not looked for.
        """
        self._paths, self._robot = paths, robot
        self._sensors = {name: sensor for name, sensor in robot.sensors.items() if sensor.key}
        folders = [path if path.is_dir() else path.parent for path in paths]
        self.folder = Path(os.path.commonpath([folder.absolute() for folder in folders]))
        keys = Counter(sensor.key for sensor in self._sensors.values())
        # What people read: two sensors may take other columns of one key.
        self._labels = {
            name: sensor.key if keys[sensor.key] == 1 else f"{sensor.key} ({name})"
            for name, sensor in self._sensors.items()
        }

    def files(self) -> list[list[Any]]:
        names: list[str] = []
        for path in self._paths:
            if not path.exists() and not path.is_symlink():
                raise RecordingError(f"{path}: no such file or folder")
            found = [path.absolute()]
            if path.is_dir():
                found = [f for f in path.absolute().iterdir() if f.suffix.lower() in SUFFIXES]
                if not found:
                    raise RecordingError(f"{path}: no HDF5 files (*{', *'.join(SUFFIXES)}) in it")
            names += [file.relative_to(self.folder).as_posix() for file in found]
        return [source(self.folder, name) for name in sorted(set(names), key=natural)]

    def describe(self, name: str) -> dict[str, Any]:
        if name not in self._sensors:
            return {}
        of_files = {"episodes": self._robot.episodes, "steps_per_second": self._robot.rate}
        said = {field: value for field, value in of_files.items() if value}
        return {**self._sensors[name].describe(), **said}

    def check(self, modalities: Sequence[Modality]) -> None:
        if not any(modality.name in self._sensors for modality in modalities):
            raise RecordingError(
                f"robot {self._robot.name} names no `key:` of any sensor, by which its readings "
                "could be found in HDF5 files"
            )

    def layout(self, modalities: Sequence[Modality], progress: bool) -> Layout:
        wanted = [modality.name for modality in modalities]
        parts: list[dict[str, Any]] = []
        left_out: dict[str, str] = {}
        held: Counter[str] = Counter()
        missing: dict[str, Problem] = {}
        rates: dict[float, str] = {}  # and the first episode of each
        files = [name for name, *_ in self.files()]
        with tqdm(unit="episode", desc="checking episodes", disable=not progress) as bar:
            for file in files:
                for name, episode in self._look(file, wanted):
                    bar.update()
                    if isinstance(episode, RecordingError):
                        left_out[name] = str(episode)
                        continue
                    group = name[len(file) + 1 :]
                    part = {"name": name, "steps": episode.steps, "file": file, "group": group}
                    parts.append(part)
                    held.update(list(episode.readings))
                    rates.setdefault(episode.rate, name)
                    missing = episode.missing | missing
        if parts and left_out:
            log.warning(
                "%d of %d episodes are left out; the first: %s",
                *(len(left_out), len(left_out) + len(parts), next(iter(left_out.values()))),
            )
        never = [problem for name, problem in missing.items() if not held[name]]
        if parts and never:
            raise RecordingError("\n".join(map(str, never)))
        if len(rates) > 1:
            found = " and ".join(f"{rate:g} Hz ({name})" for rate, name in rates.items())
            raise RecordingError(
                f"{self.folder}: episodes of several rates, {found}: a model and its sensor health "
                "are for one rate; convert them into caches of their own"
            )
        return Layout(
            parts,
            rate=next(iter(rates), 0.0),
            held={modality.name: held[modality.name] for modality in modalities},
            left_out=left_out,
        )

    def read_ahead(self, part: Part) -> None:
        if not part["group"]:  # a file of many episodes may be larger than the memory
            read_ahead(self.folder / part["file"])

    def read(
        self, part: Part, modalities: Sequence[Modality], labels: Sequence[str], notes: Notes
    ) -> Iterator[Block]:
        path = self.folder / part["file"]
        with open_file(path) as file:
            episode = self._episode(file, path, part["group"], [m.name for m in modalities])
            if episode.steps != part["steps"]:
                raise RecordingError(f"{episode.place}: changed while it was converted")
            expected = {self._labels[name]: expected_of(s) for name, s in self._sensors.items()}
            check = PartCheck(episode.place, episode.steps, expected)
            block = max(1, min(BLOCK, _BLOCK_BYTES // max(1, episode.step_bytes)))
            for start in range(0, episode.steps, block):
                stop = min(start + block, episode.steps)
                rows, present = {}, {}
                for modality in modalities:
                    rows[modality.name], present[modality.name] = self._prepared(
                        modality, episode, start, stop, check
                    )
                yield Block(rows, present, np.arange(start, stop))
            notes.strange += [*episode.notes, *self._undecoded(episode), *check.problems()]

    def _prepared(
        self, modality: Modality, episode: Episode, start: int, stop: int, check: PartCheck
    ) -> tuple[np.ndarray, np.ndarray]:
        """Prepared rows and present; absent is also what is beyond all reason."""
        usable = np.ones(stop - start, bool)
        if modality.name not in episode.readings:
            return absent_rows(modality, stop - start), ~usable
        raw = episode.read(modality.name, start, stop)
        label = self._labels[modality.name]
        if isinstance(raw, np.ndarray):
            usable = check.add(label, start, raw)
        else:
            pictures = [picture for picture in raw if picture is not None]
            if len({picture.shape for picture in pictures}) == 1:
                check.add(label, start, np.stack(pictures))
        return prepare_rows(modality, raw, usable)

    def _look(
        self, file: str, wanted: Sequence[str]
    ) -> Iterator[tuple[str, Episode | RecordingError]]:
        """Name and episode of each in a file, or why it cannot be used.

        Raises:
            NoRateError: where nothing says how fast steps came.
        """
        path = self.folder / file
        try:
            with open_file(path) as opened:
                for group in find_episodes(path, opened, self._robot.episodes):
                    name = f"{file}/{group}" if group else file
                    try:
                        yield name, self._episode(opened, path, group, wanted)
                    except NoRateError:
                        raise
                    except RecordingError as error:
                        yield name, error
        except NoRateError:
            raise
        except RecordingError as error:
            yield file, error

    def _episode(self, file: Any, path: Path, group: str, wanted: Sequence[str]) -> Episode:
        sensors = {name: self._sensors[name] for name in wanted if name in self._sensors}
        return Episode(path, file, group, sensors, self._robot.rate)

    def _undecoded(self, episode: Episode) -> list[Problem]:
        return [
            Problem(
                episode.place,
                self._labels[name],
                "JPEG or PNG pictures",
                f"{readings.undecoded} of {episode.steps} that cannot be decoded",
                "this key counts as missing there; copy the file again from where it was recorded",
                usable=True,
            )
            for name, readings in episode.readings.items()
            if readings.undecoded
        ]
