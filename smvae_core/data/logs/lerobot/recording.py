# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A LeRobot data set as a recording: each episode a trajectory of its own."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from smvae_core.data.logs.cache_folder import source
from smvae_core.data.logs.lerobot.metadata import (
    INFO,
    PRESENT,
    Episode,
    Feature,
    Metadata,
    read_metadata,
)
from smvae_core.data.logs.lerobot.readings import check_feature, open_readings
from smvae_core.data.logs.lerobot.tables import Rows, count_rows, find_episodes, numbers
from smvae_core.data.logs.recording import (
    Block,
    Layout,
    Notes,
    Part,
    Problem,
    Recording,
    RecordingError,
    prepare_rows,
)
from smvae_core.modalities import Modality
from smvae_core.robot import Sensor

log = logging.getLogger(__name__)

_TIME = "timestamp"
_TOLERANCE = 0.05  # of the time between steps; clocks and dropped frames differ by less


class LeRobotRecording(Recording):
    """A data set of version 2.1 or 3.0 in its folder."""

    kind = "episodes"

    def __init__(self, folder: Path, sensors: Mapping[str, Sensor]) -> None:
        """Reads nothing yet.

        Args:
            folder: that holds ``meta`` and ``data``.
            sensors: of the robot file; those without a key are not looked for.
        """
        self.folder = folder
        self._sensors = {name: sensor for name, sensor in sensors.items() if sensor.key}
        self._rows: Rows | None = None

    @cached_property
    def _metadata(self) -> Metadata:
        return read_metadata(self.folder)

    def files(self) -> list[list[Any]]:
        if not (self.folder / INFO).is_file():
            read_metadata(self.folder)  # says so
        patterns = (
            INFO,
            "meta/episodes*",
            "meta/episodes/**/*.parquet",
            "data/**/*",
            "videos/**/*",
        )
        paths = {path for pattern in patterns for path in self.folder.glob(pattern)}
        names = {p.relative_to(self.folder).as_posix() for p in paths if p.is_file()}
        return [source(self.folder, name) for name in sorted(names)]

    def describe(self, name: str) -> dict[str, Any]:
        sensor = self._sensors.get(name)
        return {} if sensor is None else sensor.describe()

    def check(self, modalities: Sequence[Modality]) -> None:
        if not self._sensors:
            raise RecordingError(
                f"{self.folder}: the robot file names no `key:` of any sensor, by which readings "
                f"are found; the data set has {', '.join(self._metadata.features)}"
            )
        rate, problems = self._metadata.rate, []
        for modality in modalities:
            sensor = self._sensors.get(modality.name)
            if sensor is None:
                continue
            try:
                check_feature(sensor, self._feature(sensor), rate)
            except ValueError as error:
                problems.append(f"{self.folder}: modality {modality.name!r}: {error}")
        if problems:
            raise RecordingError("\n".join(problems))

    def _feature(self, sensor: Sensor) -> Feature:
        features = self._metadata.features
        if sensor.key not in features:
            raise ValueError(f"no key {sensor.key!r}; the data set has {', '.join(features)}")
        return features[sensor.key]

    def layout(self, modalities: Sequence[Modality], progress: bool) -> Layout:
        parts: list[dict[str, Any]] = []
        left_out: dict[str, str] = {}
        found: dict[str, dict[int, tuple[int, int]] | RecordingError] = {}
        episodes = self._metadata.episodes.values()
        for episode in tqdm(episodes, "checking episodes", unit="episode", disable=not progress):
            name = f"episode_{episode.index:06d}"
            if episode.table not in found:
                found[episode.table] = self._episodes_in(episode)
            rows = found[episode.table]
            if isinstance(rows, RecordingError):
                left_out[name] = str(rows)
            elif episode.index not in rows:
                left_out[name] = f"{self.folder / episode.table}: has no rows of it"
            else:
                first, steps = rows[episode.index]
                part = {"name": name, "steps": steps, "first": first, "episode": episode.index}
                parts.append({**part, "trajectory": len(parts)})
        if left_out:
            log.warning(
                "%d of %d episodes are left out; the first: %s",
                *(len(left_out), len(episodes), next(iter(left_out.values()))),
            )
        held = {
            modality.name: len(parts) * (modality.name in self._sensors) for modality in modalities
        }
        trajectories = [("episode", part["episode"]) for part in parts]
        return Layout(parts, self._metadata.rate, held, trajectories, left_out=left_out)

    def _episodes_in(self, episode: Episode) -> dict[int, tuple[int, int]] | RecordingError:
        """Episode → first row and number of rows in the file of this one, or why it has none."""
        path = self.folder / episode.table
        try:
            if self._metadata.version == "v3.0":
                return find_episodes(path)
            return {episode.index: (0, count_rows(path))}
        except RecordingError as error:
            return error

    def read(
        self, part: Part, modalities: Sequence[Modality], labels: Sequence[str], notes: Notes
    ) -> Iterator[Block]:
        metadata, episode = self._metadata, self._metadata.episodes[part["episode"]]
        if self._rows is None:
            self._rows = Rows(self._columns(modalities))
        path = self.folder / episode.table
        if part["steps"] != episode.length:
            notes.strange.append(
                Problem(
                    path,
                    None,
                    f"{episode.length} rows, as meta/ says",
                    str(part["steps"]),
                    "those that are there are used; download the data set again",
                    usable=True,
                )
            )
        done = 0
        all_times = []
        readings = {
            m.name: open_readings(
                self.folder,
                self._sensors[m.name],
                self._feature(self._sensors[m.name]),
                episode,
                metadata.rate,
            )
            for m in modalities
        }
        try:
            for batch in self._rows.read(path, part["first"], part["steps"]):
                count = batch.num_rows
                times = self._times(batch, done)
                all_times.append(times)
                rows, present = {}, {}
                for modality in modalities:
                    name = modality.name
                    raw, usable = readings[name].read(batch, times), self._usable(name, batch)
                    rows[name], present[name] = prepare_rows(modality, raw, usable)
                yield Block(rows, present, np.arange(done, done + count))
                done += count
            self._check_rate(path, np.concatenate([*all_times, ()]), notes)
        except ValueError as error:
            if isinstance(error, RecordingError):
                raise
            raise RecordingError(f"{path}: {error}") from error
        finally:
            for reading in readings.values():
                reading.close(done, notes)

    def _columns(self, modalities: Sequence[Modality]) -> list[str]:
        """Those of the parquet files that are read."""
        features = self._metadata.features
        keys = [self._sensors[modality.name].key for modality in modalities]
        keys += [f"{PRESENT}{modality.name}" for modality in modalities] + [_TIME]
        stored = {key for key, feature in features.items() if feature.dtype != "video"}
        return [key for key in dict.fromkeys(keys) if key in stored]

    def _times(self, rows: pa.RecordBatch, done: int) -> np.ndarray:
        """Seconds since the episode began, of the rows behind those that are done."""
        if _TIME in rows.schema.names:
            return numbers(rows[_TIME], (1,))[:, 0]
        return np.arange(done, done + rows.num_rows) / self._metadata.rate

    def _check_rate(self, path: Path, times: np.ndarray, notes: Notes) -> None:
        """Says where the rows of an episode are not as far apart as ``fps`` has it."""
        rate = self._metadata.rate
        if len(times) < 2:
            return
        apart = float(np.median(np.diff(times)))
        if abs(apart * rate - 1) > _TOLERANCE:
            notes.strange.append(
                Problem(
                    path,
                    _TIME,
                    f"a row every {1 / rate:.4g} s, as fps {rate:g} of {INFO} says",
                    f"one every {apart:.4g} s",
                    "the cache has the rate of fps, and what depends on time is wrong where that "
                    "is: correct whichever is wrong and convert again",
                    usable=True,
                )
            )

    def _usable(self, name: str, rows: pa.RecordBatch) -> np.ndarray:
        """False where the data set itself says that a sensor has no reading."""
        if PRESENT + name in rows.schema.names:
            return numbers(rows[PRESENT + name], (1,))[:, 0] == 1
        return np.ones(rows.num_rows, bool)
