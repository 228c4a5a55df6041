# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The latest readings of a series, out of which windows on the model's grid are made.

Times are those of :mod:`smvae_ros.sensors.buffers`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from smvae_core.modalities import Modality
from smvae_ros.messages.serialised import NANOSECONDS
from smvae_ros.sensors.buffers import NewestBuffer, Received, nanoseconds
from smvae_ros.sensors.evidence import Window
from smvae_ros.sensors.settings import BufferSettings

HISTORY_SECONDS = 1.0  # a window may end so far behind its newest reading; more while there is room
# Readings of each step of the model's grid that there is room for: 16 kHz for a grid of 1 kHz. What
# happens between faster ones the grid cannot show.
DENSITY = 16


class SeriesHistory(NewestBuffer):
    """See the module's description.

    The history never contains a gap: where stamps run backwards or are further apart than
    ``max_gap``, it starts anew. Readings without a stamp take their time of receipt instead. It is
    a length of time, whatever the rate: where more readings come than there is room for, they are
    thinned evenly.

    Args:
        modality: of kind series, (channels, samples) at ``rate`` Hz.
        settings: as of any buffer.
    """

    def __init__(self, modality: Modality, settings: BufferSettings | None = None) -> None:
        super().__init__(settings)
        assert modality.rate is not None  # a series always has one
        channels, samples = modality.shape
        step = NANOSECONDS / modality.rate
        self._offsets = np.round(np.arange(1 - samples, 1) * step).astype(np.int64)
        self._length_ns = -int(self._offsets[0])  # from the first to the last of a window
        self._span_ns = self._length_ns + nanoseconds(HISTORY_SECONDS)
        self._capacity = DENSITY * (samples + int(np.ceil(HISTORY_SECONDS * modality.rate)))
        # Twice as long as needed, so that the history lies in one piece: when the end is reached,
        # what is still needed moves to the front.
        self._readings = np.empty((2 * self._capacity, channels), dtype=np.float32)
        self._times = np.empty(2 * self._capacity, dtype=np.int64)
        self._start = self._end = 0  # of the history
        self._newest_ns = 0
        self._jump_ns = 0  # between the stamps where it started anew last

    def configure(self, settings: BufferSettings) -> None:
        super().configure(settings)
        self._max_gap_ns = nanoseconds(settings.max_gap)

    @property
    def complete(self) -> bool:
        """Whether the readings cover a whole window."""
        return self._start < self._end and self._first_end_ns <= self._newest_ns

    @property
    def missing(self) -> Window | None:
        return self.missing_at(self._newest_ns)

    def missing_at(self, end_ns: int) -> Window | None:
        """What there is of a window that shall end at a moment; None where that is all of it, and
        before anything was stored."""
        if self._start == self._end:
            return None
        covered = min(end_ns, self._newest_ns) - int(self._times[self._start])
        if covered >= self._length_ns:
            return None
        times = (max(0, covered), self._length_ns, self._jump_ns, self._max_gap_ns)
        return Window(*(time / NANOSECONDS for time in times))

    @property
    def _first_end_ns(self) -> int:
        """The earliest moment at which a window can end."""
        return int(self._times[self._start]) + self._length_ns

    def nearest_ns(self, moment_ns: int) -> int | None:
        if self.stamp_ns is None:
            return None
        return min(max(moment_ns, self._first_end_ns), self._newest_ns)

    def store(self, value: Any, stamp_ns: int | None, received_ns: int) -> bool:
        """Appends a reading (channels,). Returns whether it was ignored, being late by less than
        ``max_gap`` or a repetition.

        Raises:
            ValueError: for another shape, NaN and infinite values.
        """
        reading = np.asarray(value)
        if reading.shape != self._readings.shape[1:]:
            raise ValueError(
                f"expected a reading of {self._readings.shape[1]} values, got shape {reading.shape}"
            )
        if not np.isfinite(reading).all():
            raise ValueError(
                "the reading has NaN or infinite values; check the sensor or its driver"
            )
        time_ns = received_ns if stamp_ns is None else stamp_ns
        step = time_ns - self._newest_ns
        if self._start < self._end and -self._max_gap_ns < step <= 0:
            return True
        if self._start < self._end and abs(step) > self._max_gap_ns:
            self._start, self._jump_ns = self._end, step
        self._append(reading, time_ns)
        self._measure(stamp_ns)
        self._show(Received(reading, stamp_ns, received_ns))
        self.unused = True
        return False

    def forget(self) -> None:
        super().forget()
        self._start, self._jump_ns = self._end, 0

    def _append(self, reading: np.ndarray, time_ns: int) -> None:
        if self._end == len(self._times):
            self._make_room()
        self._readings[self._end] = reading
        self._times[self._end] = self._newest_ns = time_ns
        self._end += 1

    def _make_room(self) -> None:
        """Moves what is needed of the history to the front, thinned if it is half of the memory."""
        times = self._times[self._start : self._end]
        # From the last reading before the second on: what lies between two is interpolated.
        first = max(0, int(times.searchsorted(self._newest_ns - self._span_ns, "right")) - 1)
        kept = np.arange(self._start + first, self._end)
        if len(kept) > self._capacity:
            cells = (times[first:] - times[first]) // (self._span_ns // (self._capacity - 1))
            kept = kept[np.diff(cells, prepend=-1) > 0]  # the first of each cell
        for array in (self._readings, self._times):
            array[: len(kept)] = array[kept]
        self._start, self._end = 0, len(kept)

    def window(self, end_ns: int | None) -> tuple[np.ndarray, int | None]:
        """Readings on the model's grid, as if the last one had been taken at ``end_ns``.

        Between readings the values are interpolated linearly. The newest reading holds its value
        for ``max_gap`` at most: where ``end_ns`` is later, or too early for the history, the window
        ends as near to it as it can.

        Args:
            end_ns: a stamp; None ends the window with the newest reading.

        Returns:
            float32 (samples, channels), oldest first, and the stamp of the newest reading that
            went in; None without stamps. Only what is ``complete`` has a window.
        """
        if end_ns is None or self.stamp_ns is None:
            end_ns = self._newest_ns
        end_ns = min(max(end_ns, self._first_end_ns), self._newest_ns + self._max_gap_ns)
        grid = end_ns + self._offsets
        history = slice(self._start, self._end)
        times, readings = self._times[history], self._readings[history]
        before = times[1:-1].searchsorted(grid)
        after = np.minimum(before + 1, len(times) - 1)  # where there is only one, that is both
        start = times.take(before)
        weight = (grid - start) / np.maximum(times.take(after) - start, 1)
        weight = np.minimum(weight, 1.0).astype(np.float32)[:, None]  # the newest holds its value
        values = readings.take(before, 0) * (1.0 - weight) + readings.take(after, 0) * weight
        stamp_ns = None if self.stamp_ns is None else min(end_ns, self._newest_ns)
        return values, stamp_ns
