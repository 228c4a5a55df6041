# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A sensor's raw readings in an episode, whatever the data set stores them as."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa

from smvae_core.data.logs.lerobot.metadata import Episode, Feature
from smvae_core.data.logs.lerobot.pictures import content_of
from smvae_core.data.logs.lerobot.tables import numbers
from smvae_core.data.logs.lerobot.video import Video
from smvae_core.data.logs.pictures import Format, decode
from smvae_core.data.logs.recording import Notes, Problem
from smvae_core.modalities import Modality
from smvae_core.robot import Sensor

_METRES = {"m": 1.0, "mm": 0.001}  # depth_unit of a feature
_LEVELS = 4095  # of a depth video


class Readings(ABC):
    """The readings of one sensor in one episode, from its first row on."""

    @abstractmethod
    def read(self, rows: pa.RecordBatch, times: np.ndarray) -> Iterable[np.ndarray | None]:
        """The readings of the next rows as :func:`smvae_core.preprocessing.prepare` takes them,
        None where there is none.

        Args:
            rows: (t,).
            times: (t,), seconds since the episode began.

        Raises:
            ValueError: where a row is not of the shape that the metadata say.
        """

    def close(self, rows: int, notes: Notes) -> None:  # noqa: B027 (numbers have nothing to say)
        """Ends the episode, of which ``rows`` were read, and says what was strange about it."""


def open_readings(
    folder: Path, sensor: Sensor, feature: Feature, episode: Episode, rate: float
) -> Readings:
    """The readings of a sensor, whose feature `check_feature` has found good."""
    if feature.dtype == "video":
        return _Frames(folder, sensor, feature, episode, rate)
    if feature.dtype == "image":
        return _Pictures(folder, sensor, feature)
    return _Numbers(sensor, feature, rate)


def check_feature(sensor: Sensor, feature: Feature, rate: float) -> None:
    """Raises ValueError where a feature cannot be what the sensor measures."""
    modality, shape = sensor.modality, feature.shape
    stored = f"{feature.key!r} holds {feature.dtype} {shape}"
    if feature.is_picture:
        if modality.kind not in ("image", "depth"):
            raise ValueError(f"{stored}, pictures: its kind must be image or depth")
        if modality.kind == "depth" and feature.dtype == "video" and not feature.is_depth:
            raise ValueError(f"{stored}, a colour video, which holds no depth")
        if modality.kind == "image" and feature.is_depth:
            raise ValueError(f"{stored}, depth images: its kind must be depth")
        if modality.kind == "image" and modality.shape[0] not in (1, 3):
            raise ValueError(f"pictures have 1 or 3 channels, its shape is {modality.shape}")
        return
    if modality.kind == "image" and not _is_map(modality):
        raise ValueError(
            f"{stored}, numbers: its kind cannot be image without minimum and maximum, between "
            "which they are black to white"
        )
    try:
        number = np.dtype(feature.dtype).kind in "fiub"
    except TypeError:
        number = False
    if not number:
        raise ValueError(f"{stored}: neither numbers nor pictures")
    if _is_map(modality):
        if len(shape) not in (2, 3) or (len(shape) == 3 and 1 not in (shape[0], shape[2])):
            raise ValueError(f"{stored}; expected (height, width) with or without one channel")
        return
    columns = _columns(sensor, feature)
    chosen = len(columns) if sensor.columns else shape[-1]
    expected = modality.raw_shape
    if modality.kind == "scan":
        fits = len(shape) == 1 and chosen > 1  # they are brought to the model's angles
    elif modality.kind == "series" and len(shape) == 1 and modality.rate == rate:
        fits = chosen == expected[1]  # one reading a step; the window is made of steps
    elif modality.kind == "series":
        fits = len(shape) == 2 and shape[0] >= expected[0] and chosen == expected[1]
    else:
        fits = len(shape) == 1 and (chosen,) == expected
    if not fits:
        of = f", of which {chosen} columns are used" if sensor.columns else ""
        raise ValueError(
            f"{stored}{of}; expected {expected}"
            + (" (samples, channels) or more samples" if modality.kind == "series" else "")
            + ": correct its shape, or choose columns"
        )


def _columns(sensor: Sensor, feature: Feature) -> list[int]:
    """Places of the sensor's columns. Raises ValueError for one that there is not, or twice."""
    places: list[int] = []
    for given in sensor.columns:
        column = given
        if isinstance(column, str):
            if column not in feature.names:
                names = ", ".join(feature.names) or "no names"
                raise ValueError(f"{feature.key!r} has no column {column!r}; it has {names}")
            column = feature.names.index(column)
        if not 0 <= column < feature.shape[-1]:
            raise ValueError(f"{feature.key!r} has no column {column}; it has {feature.shape[-1]}")
        if column in places:
            first = sensor.columns[places.index(column)]
            raise ValueError(f"columns {first!r} and {given!r} are the same value; name it once")
        places.append(column)
    return places


class _Numbers(Readings):
    """Vectors, windows of vectors, and depth as plain arrays."""

    def __init__(self, sensor: Sensor, feature: Feature, rate: float) -> None:
        self._sensor, self._feature = sensor, feature
        self._columns = _columns(sensor, feature)
        samples = sensor.modality.raw_shape[0]
        # A window over steps needs those before.
        self._is_step = sensor.modality.kind == "series" and len(feature.shape) == 1
        self._before = np.full((samples - 1, len(self._columns) or feature.shape[-1]), np.nan)

    def read(self, rows: pa.RecordBatch, times: np.ndarray) -> np.ndarray:
        kind, samples = self._sensor.modality.kind, self._sensor.modality.raw_shape[0]
        key, shape = self._feature.key, self._feature.shape
        try:
            values = numbers(rows[key], shape)
        except ValueError as error:
            raise ValueError(
                f"key {key!r}: expected {shape}, as meta/ says, found {error}"
            ) from None
        if self._columns:
            values = values[..., self._columns]
        if self._sensor.unit != 1:
            values = values * self._sensor.unit
        if _is_map(self._sensor.modality):
            if values.ndim == 4:
                values = values[:, 0] if values.shape[1] == 1 else values[..., 0]
            return values
        if self._is_step:
            values = np.concatenate([self._before, values])
            self._before = values[len(values) - samples + 1 :]
            return np.lib.stride_tricks.sliding_window_view(values, samples, 0).swapaxes(1, 2)
        return values[:, -samples:] if kind == "series" else values  # the newest of the step


class _Pictures(Readings):
    """Pictures embedded in rows."""

    def __init__(self, folder: Path, sensor: Sensor, feature: Feature) -> None:
        self._folder, self._sensor, self._feature = folder, sensor, feature
        self._damaged: list[str] = []

    def read(self, rows: pa.RecordBatch, times: np.ndarray) -> Iterable[np.ndarray | None]:
        # What is brought between black and white by a range may have more than 8 bits.
        wanted = "depth" if _is_map(self._sensor.modality) else _format(self._sensor)
        for cell in rows[self._feature.key]:
            try:
                content = content_of(cell.as_py(), self._folder)
                picture = None if content is None else decode(content, wanted)
            except ValueError as error:
                self._damaged.append(str(error))
                picture = None
            if picture is not None and self._sensor.modality.kind == "depth":
                picture = picture * np.float32(self._metres(picture.dtype))
            yield picture

    def _metres(self, dtype: np.dtype) -> float:
        """What its values are multiplied by: as the data set says, or the robot file; otherwise,
        as LeRobot has it, whole numbers are millimetres."""
        said = _METRES.get(self._feature.info.get("depth_unit", ""))
        if said is None and self._sensor.unit == 1 and dtype.kind in "iu":
            return _METRES["mm"]
        return self._sensor.unit if said is None else said

    def close(self, rows: int, notes: Notes) -> None:
        if self._damaged:
            notes.strange.append(
                Problem(
                    self._folder,
                    self._feature.key,
                    "pictures that can be decoded",
                    f"{len(self._damaged)} of {rows} in an episode that cannot, the first: "
                    f"{self._damaged[0]}",
                    "the sensor counts as absent in these steps; download the data again",
                    usable=True,
                )
            )


class _Frames(Readings):
    """Frames of a video."""

    def __init__(
        self, folder: Path, sensor: Sensor, feature: Feature, episode: Episode, rate: float
    ) -> None:
        file, begin, end = episode.videos[feature.key]
        self._path, self._sensor, self._feature = folder / file, sensor, feature
        self._missing = 0
        self._video = Video(self._path, begin, end, 0.5 / rate, _format(sensor))

    def read(self, rows: pa.RecordBatch, times: np.ndarray) -> Iterable[np.ndarray | None]:
        for frame in self._video.at(times):
            if frame is None:
                self._missing += 1
            elif self._sensor.modality.kind == "depth":
                frame = _depth(frame, self._feature)
            yield frame

    def close(self, rows: int, notes: Notes) -> None:
        self._video.close()
        if self._missing:
            damage = self._video.damage
            notes.strange.append(
                Problem(
                    self._path,
                    self._feature.key,
                    f"a frame for each of {rows} rows",
                    f"{rows - self._missing}" + (f"; the file {damage}" if damage else ""),
                    "the camera counts as absent in the other rows; download the video again",
                    usable=True,
                )
            )


def _is_map(modality: Modality) -> bool:
    """True where readings are one number for each pixel: depth, or an image with a range."""
    return modality.kind == "depth" or (
        modality.kind == "image" and modality.shape[0] == 1 and modality.minimum is not None
    )


def _format(sensor: Sensor) -> Format:
    if sensor.modality.kind == "depth":
        return "depth"
    return "rgb" if sensor.modality.shape[0] == 3 else "grey"


def _depth(levels: np.ndarray, feature: Feature) -> np.ndarray:
    """Metres float32 (H, W) of a depth video's levels, which LeRobot spaces evenly, or evenly in
    the logarithm; 0 where it has no reading."""
    info = feature.info
    low, high = (
        float(info.get(f"video.depth_{end}", d)) for end, d in (("min", 0.01), ("max", 10))
    )
    share = levels.astype(np.float32) / _LEVELS
    if info.get("video.use_log", True):
        shift = float(info.get("video.shift", 3.5))
        first, last = math.log(low + shift), math.log(high + shift)
        metres = np.exp(share * (last - first) + first) - shift
    else:
        metres = share * (high - low) + low
    return np.where(levels > 0, metres, 0)
