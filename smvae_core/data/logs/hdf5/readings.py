# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A sensor's readings in a dataset of an HDF5 file, in whichever of the usual layouts it has."""

from __future__ import annotations

import math

import h5py
import numpy as np

from smvae_core.data.logs.pictures import Format, decode
from smvae_core.data.logs.plausibility import Expected
from smvae_core.robot import Sensor

_PICTURES = (b"\xff\xd8\xff", b"\x89PNG", b"II*\0", b"MM\0*")  # how JPEG, PNG and TIFF begin
_SHAPE = "correct `shape:` in the robot file"


def misfit(dataset: h5py.Dataset, sensor: Sensor, rate: float) -> tuple[str, str] | None:
    """What was expected, and advice, where a dataset cannot hold a sensor's readings.

    Args:
        rate: steps per second.
    """
    kind, dtype, shape = sensor.modality.kind, dataset.dtype, dataset.shape
    if _could_be_encoded(dataset, sensor):
        if _content(dataset[0]).startswith(_PICTURES):
            return None
        return "pictures", (
            "these bytes begin neither as JPEG nor as PNG: store pictures as "
            "(T, height, width, channels), or correct `kind:` in the robot file"
        )
    if dtype.kind not in "fiub":
        return "numbers" + ", or compressed pictures" * (kind in ("image", "depth")), (
            "choose another `key:` in the robot file, or store it as numbers"
        )
    if any(not isinstance(column, int) for column in sensor.columns):
        return "columns with names", "HDF5 gives them none: write their numbers, from 0 on"
    if sensor.columns and kind not in ("series", "vector", "categorical"):
        return "all of the picture", "leave `columns` out of the robot file"
    correct = "correct `kind:` or `key:` in the robot file"
    if kind == "image":
        return _image_misfit(sensor, shape, dtype)
    if kind == "series":
        return _series_misfit(sensor, shape, rate)
    if kind == "scan":
        return None if len(shape) == 2 else ("shape (T, angles)", f"it holds no scans: {correct}")
    if kind == "depth":
        if dtype.kind != "b" and (len(shape) == 3 or (len(shape) == 4 and 1 in shape[1::2])):
            return None
        shapes = "(T, height, width), (T, height, width, 1) or (T, 1, height, width)"
        return f"shape {shapes} of numbers", f"it holds no depth: {correct}"
    return _columns_misfit(sensor, math.prod(shape[1:]), sensor.modality.shape[0])


class Readings:
    """The readings of one sensor in one episode, of a dataset without :func:`misfit`.

    Attributes:
        dataset: (T, ...).
        undecoded: steps so far whose compressed picture cannot be decoded.
    """

    def __init__(self, dataset: h5py.Dataset, sensor: Sensor) -> None:
        self.dataset, self.undecoded = dataset, 0
        self._sensor = sensor
        self._is_encoded = _could_be_encoded(dataset, sensor)
        # ALOHA's recorder, which leaves this mark, hands RGB to OpenCV, which takes it for BGR.
        self._is_swapped = bool(dataset.file.attrs.get("compress", False))
        self._is_step = sensor.modality.kind == "series" and not _is_window(sensor, dataset.shape)

    def read(self, start: int, stop: int) -> np.ndarray | list[np.ndarray | None]:
        """Steps [start, stop), each as :func:`smvae_core.preprocessing.prepare` takes it. Where a
        window reaches back beyond the first step, it holds NaN.

        Raises:
            OSError: and others of :data:`smvae_core.data.logs.hdf5.files.READ_ERRORS`, for damaged
                data.
        """
        sensor, modality = self._sensor, self._sensor.modality
        if self._is_encoded:
            return [self._decoded(content) for content in self.dataset[start:stop]]
        if self._is_step:
            return self._windows(start, stop)
        values = self.dataset[start:stop]
        if modality.kind == "image":
            return _channels_last(values, modality.shape[0])
        if modality.kind == "depth" and values.ndim == 4:
            values = values[..., 0] if values.shape[-1] == 1 else values[:, 0]
        elif modality.kind == "series":
            values = _chosen(sensor, _samples_first(sensor, values))[:, -modality.shape[1] :]
        elif modality.kind in ("vector", "categorical"):
            values = _chosen(sensor, values.reshape(len(values), -1))
        return self._scaled(values)

    def _windows(self, start: int, stop: int) -> np.ndarray:
        """Windows (t, samples, channels) of a dataset that has one reading a step."""
        channels, samples = self._sensor.modality.shape
        first = max(0, start - samples + 1)
        values = self.dataset[first:stop].reshape(stop - first, -1)
        values = self._scaled(_chosen(self._sensor, values))
        missing = np.full((samples - 1 - (start - first), channels), np.nan)
        windows = np.lib.stride_tricks.sliding_window_view(
            np.concatenate([missing, values]), samples, axis=0
        )
        return windows.transpose(0, 2, 1)

    def _scaled(self, values: np.ndarray) -> np.ndarray:
        """In the robot file's unit, as floating-point numbers of 32 bits or more."""
        with np.errstate(over="ignore"):
            if self._sensor.modality.kind == "depth":
                values = values.astype(np.float32, copy=False)
            else:
                values = values.astype(np.result_type(values.dtype, np.float32), copy=False)
            return values if self._sensor.unit == 1.0 else values * self._sensor.unit

    def _decoded(self, content: np.ndarray | bytes) -> np.ndarray | None:
        """A picture; None for none, and for a damaged one."""
        data = _content(content)
        if not data.strip(b"\0"):
            return None
        modality = self._sensor.modality
        colours: Format = "rgb" if modality.shape[0] == 3 else "grey"
        try:
            picture = decode(data, "depth" if modality.kind == "depth" else colours)
        except ValueError:
            self.undecoded += 1
            return None
        if modality.kind == "depth":
            return self._scaled(picture)
        return picture[..., ::-1] if self._is_swapped else picture


def expected_of(sensor: Sensor) -> Expected:
    """The readings that can be believed of a sensor."""
    modality = sensor.modality
    kind = str(modality.kind)
    if kind == "image" and modality.shape[0] != 3:
        kind = "grey"  # a tactile pad at rest may well be of one colour
    if kind != "depth":
        return Expected(kind)
    return Expected(
        kind,
        limits=modality.limits,
        millimetres="write `unit: 0.001` into the robot file",
        metres=""
        if sensor.unit >= 1
        else "it is probably in metres already: leave `unit` out of the robot file",
    )


def _could_be_encoded(dataset: h5py.Dataset, sensor: Sensor) -> bool:
    """True where each step has bytes: padded with zeros, opaque, or of its own length."""
    if sensor.modality.kind not in ("image", "depth"):
        return False
    dtype = dataset.dtype
    if dataset.ndim == 2:
        return bool(dtype == np.uint8)
    of_bytes = dtype.kind == "S" or (dtype.kind == "V" and dtype.names is None)
    return dataset.ndim == 1 and (of_bytes or h5py.check_vlen_dtype(dtype) == np.uint8)


def _content(value: np.ndarray | bytes) -> bytes:
    return np.asarray(value).tobytes()


def _channels_last(values: np.ndarray, channels: int) -> np.ndarray:
    """(t, height, width, channels)."""
    if values.ndim == 3:
        return values[..., None]
    return values if values.shape[-1] == channels else values.transpose(0, 2, 3, 1)


def _samples_first(sensor: Sensor, values: np.ndarray) -> np.ndarray:
    """Windows (t, samples, channels)."""
    if values.ndim == 2:
        return values[..., None]
    return values.transpose(0, 2, 1) if _is_channels_first(sensor, values.shape) else values


def _is_channels_first(sensor: Sensor, shape: tuple[int, ...]) -> bool:
    channels = sensor.modality.shape[0]
    return not sensor.columns and shape[2] != channels and shape[1] == channels


def _is_window(sensor: Sensor, shape: tuple[int, ...]) -> bool:
    """True where each step of a series holds a window; (T, n) of one channel is such a one, too."""
    of_one = sensor.modality.shape[0] == 1 and not sensor.columns
    return len(shape) == 3 or (of_one and len(shape) == 2 and shape[1] > 1)


def _chosen(sensor: Sensor, values: np.ndarray) -> np.ndarray:
    return values[..., np.array(sensor.columns, int)] if sensor.columns else values


def _image_misfit(
    sensor: Sensor, shape: tuple[int, ...], dtype: np.dtype
) -> tuple[str, str] | None:
    channels = sensor.modality.shape[0]
    axes = f"(T, height, width, {channels}) or (T, {channels}, height, width)"
    expected = f"shape {axes} of uint8"
    if not (len(shape) == 4 and channels in (shape[3], shape[1])) and not (
        len(shape) == 3 and channels == 1
    ):
        if len(shape) not in (3, 4):
            return expected, "it holds no pictures: correct `kind:` or `key:` in the robot file"
        stored = 1 if len(shape) == 3 else shape[3]
        if stored in (1, 3):
            return expected, f"{_SHAPE} to [{stored}, height, width], as it is stored"
        return expected, "pictures have one channel or three (RGB): store them so"
    if dtype != np.uint8 and not (channels == 1 and sensor.modality.minimum is not None):
        return expected, (
            "values of 0..1 have to be multiplied by 255 and stored as uint8; pictures of one "
            "channel and other values need `minimum:` and `maximum:` in the robot file"
        )
    return None


def _series_misfit(sensor: Sensor, shape: tuple[int, ...], rate: float) -> tuple[str, str] | None:
    channels, samples = sensor.modality.shape
    own_rate = sensor.modality.rate or 0.0
    windows = f"shape (T, {samples} or more readings, {channels} channels)"
    if len(shape) > 3:
        return windows, "it holds no series: correct `kind:` or `key:` in the robot file"
    if _is_window(sensor, shape):
        if len(shape) == 3 and _is_channels_first(sensor, shape):
            shape = (shape[0], shape[2], shape[1])
        stored = shape[2] if len(shape) == 3 else 1
        if misfit := _columns_misfit(sensor, stored, channels):
            return misfit
        if shape[1] < samples:
            return windows, f"{_SHAPE} to [{channels}, {shape[1]}], the readings that are stored"
        return None
    if misfit := _columns_misfit(sensor, math.prod(shape[1:]), channels):
        return misfit
    if math.isclose(own_rate, rate, rel_tol=1e-3):
        return None
    return windows, (
        f"one reading a step comes at {rate:g} Hz, and the robot file says `rate: {own_rate:g}`: "
        f"record the readings between steps, too, or write `rate: {rate:g}`, and windows are made "
        "of steps"
    )


def _columns_misfit(sensor: Sensor, stored: int, wanted: int) -> tuple[str, str] | None:
    """Of so many values that are stored, those wanted must be chosen."""
    if sensor.columns:
        wrong = [column for column in sensor.columns if not 0 <= int(column) < stored]
        if wrong:
            return f"a column {wrong[0]}", f"columns are numbered from 0 to {stored - 1}"
        if len(sensor.columns) != wanted:
            return f"{wanted} columns", f"the robot file chooses {len(sensor.columns)}; {_SHAPE}"
    elif stored != wanted:
        return f"{wanted} values in a reading", (
            f"there are {stored}: {_SHAPE}, or choose among them by `columns: [0, ...]`"
        )
    return None
