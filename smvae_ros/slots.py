"""What is kept of one modality: its newest sample, or for a series a short history of readings.

Times are integer nanoseconds. A stamp is the time in a message's header and may be missing, jump or
run backwards; ``received_ns`` is the monotonic time of receipt.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from smvae_core.modalities import Modality
from smvae_ros.sensor_settings import SlotSettings

NANOSECONDS = 1_000_000_000
HISTORY_SECONDS = 1.0  # how far behind its newest reading a series' window may end
PERIODS = 8  # a median of so many ignores single lost samples and jumps


def nanoseconds(seconds: float) -> int:
    """Seconds, as they stand in settings, in integer nanoseconds."""
    return round(seconds * NANOSECONDS)


class NewestSlot:
    """The newest sample of a modality, which always replaces the one before.

    Args:
        settings: how it is judged; can be exchanged later with :meth:`configure`.

    Attributes:
        max_skew_ns: with a stamp further than this from the trigger's, it is left out of a frame.
        value: whatever was stored; None before anything was.
        stamp_ns: its stamp; None where it has none.
        received_ns: its monotonic time of receipt.
        unused: it has not been part of a frame yet.
    """

    def __init__(self, settings: SlotSettings | None = None) -> None:
        self.value: Any = None
        self.stamp_ns: int | None = None
        self.received_ns = 0
        self.unused = False
        self._distances: deque[int] = deque(maxlen=PERIODS)
        self.configure(settings or SlotSettings())

    def configure(self, settings: SlotSettings) -> None:
        """Exchanges the settings."""
        self._max_age_ns = nanoseconds(settings.max_age)
        self.max_skew_ns = nanoseconds(settings.max_skew)

    @property
    def complete(self) -> bool:
        """Whether there is something to give out."""
        return self.value is not None

    @property
    def live_until_ns(self) -> int:
        """The last moment at which what was received is fresh enough to be used."""
        return self.received_ns + self._max_age_ns

    def is_live(self, now: int) -> bool:
        """Whether there is something to give out that is fresh enough."""
        return self.complete and now <= self.live_until_ns

    @property
    def period_ns(self) -> int | None:
        """Median distance of the latest stamps; None until there are two of one epoch."""
        distances = sorted(self._distances)
        return distances[len(distances) // 2] if distances else None

    def nearest_ns(self, moment_ns: int) -> int | None:
        """The stamp nearest to a moment that this modality can offer; None without stamps."""
        return self.stamp_ns

    def skew_ns(self, moment_ns: int | None) -> int:
        """By how much the best that this modality can offer is behind a moment; 0 where one of the
        two has no stamp."""
        stamp = None if moment_ns is None else self.nearest_ns(moment_ns)
        return 0 if stamp is None or moment_ns is None else moment_ns - stamp

    def is_skewed(self, moment_ns: int | None) -> bool:
        """Whether that is more than a frame may mix."""
        return abs(self.skew_ns(moment_ns)) > self.max_skew_ns

    def store(self, value: Any, stamp_ns: int | None, received_ns: int) -> bool:
        """Keeps a sample. Returns whether another one, never used, was lost by it."""
        replaced = self.unused
        self._keep(value, stamp_ns, received_ns)
        return replaced

    def _keep(self, value: Any, stamp_ns: int | None, received_ns: int) -> None:
        before = self.stamp_ns
        if stamp_ns is not None and before is not None and stamp_ns > before:
            self._distances.append(stamp_ns - before)
        else:  # time runs backwards: what was known of the period is void
            self._distances.clear()
        self.value, self.stamp_ns, self.received_ns = value, stamp_ns, received_ns
        self.unused = True


class SeriesHistory(NewestSlot):
    """The readings of the last second, out of which a window on the model's grid is interpolated.

    The history never contains a gap: where stamps run backwards or are further apart than
    ``max_gap``, it starts anew. Readings without a stamp take their time of receipt instead.

    Args:
        modality: of kind series, (channels, samples) at ``rate`` Hz.
        settings: as of any slot.
    """

    def __init__(self, modality: Modality, settings: SlotSettings | None = None) -> None:
        super().__init__(settings)
        assert modality.rate is not None  # a series always has one
        channels, samples = modality.shape
        step = NANOSECONDS / modality.rate
        self._offsets = np.round(np.arange(1 - samples, 1) * step).astype(np.int64)
        self._length_ns = -int(self._offsets[0])  # from the first to the last of a window
        self._capacity = samples + int(np.ceil(HISTORY_SECONDS * modality.rate))
        # Twice as long as needed, so that the history lies in one piece: when the end is reached,
        # the newer half moves to the front.
        self._readings = np.empty((2 * self._capacity, channels), dtype=np.float32)
        self._times = np.empty(2 * self._capacity, dtype=np.int64)
        self._start = self._end = 0  # of the history
        self._newest_ns = 0

    def configure(self, settings: SlotSettings) -> None:
        super().configure(settings)
        self._max_gap_ns = nanoseconds(settings.max_gap)

    @property
    def complete(self) -> bool:
        """Whether the readings cover a whole window."""
        return self._start < self._end and self._first_end_ns <= self._newest_ns

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
        if abs(step) > self._max_gap_ns:
            self._start = self._end
        self._append(reading, time_ns)
        self._keep(reading, stamp_ns, received_ns)
        return False

    def _append(self, reading: np.ndarray, time_ns: int) -> None:
        if self._end == len(self._times):
            kept = slice(self._start, self._end)
            self._start, self._end = 0, self._end - self._start
            for array in (self._readings, self._times):
                array[: self._end] = array[kept]
        self._readings[self._end] = reading
        self._times[self._end] = self._newest_ns = time_ns
        self._end += 1
        self._start = max(self._start, self._end - self._capacity)

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
        times, readings = self._times[self._start : self._end], self._readings[self._start :]
        after = np.minimum(times.searchsorted(grid), len(times) - 1)
        before = np.maximum(after - 1, 0)
        distance = np.maximum(times[after] - times[before], 1)
        weight = np.minimum((grid - times[before]) / distance, 1.0)  # the newest holds its value
        weight = np.maximum(weight, 0.0)[:, None].astype(np.float32)
        values = readings[before] * (1.0 - weight) + readings[after] * weight
        stamp_ns = None if self.stamp_ns is None else min(end_ns, self._newest_ns)
        return values, stamp_ns
