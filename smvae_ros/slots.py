"""What is kept of one modality: its newest sample, or for a series a short history of readings.

Times are integer nanoseconds. A stamp is the time in a message's header and may be missing, jump or
run backwards; ``received_ns`` is the monotonic time of receipt.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import Any

import numpy as np

from smvae_core.modalities import Modality

NANOSECONDS = 1_000_000_000
HISTORY_SECONDS = 1.0  # how far behind its newest reading a series' window may end
PERIODS = 8  # a median of so many ignores single lost samples and jumps


def nanoseconds(seconds: float) -> int:
    """Seconds, as they stand in settings, in integer nanoseconds."""
    return round(seconds * NANOSECONDS)


class NewestSlot:
    """The newest sample of a modality, which always replaces the one before.

    Attributes:
        value: whatever was stored; None before anything was.
        stamp_ns: its stamp; None where it has none.
        received_ns: its monotonic time of receipt.
        unused: it has not been part of a frame yet.
    """

    def __init__(self) -> None:
        self.value: Any = None
        self.stamp_ns: int | None = None
        self.received_ns = 0
        self.unused = False
        self._stamps: deque[int] = deque(maxlen=PERIODS + 1)

    @property
    def complete(self) -> bool:
        """Whether there is something to give out."""
        return self.value is not None

    @property
    def period_ns(self) -> int | None:
        """Median distance of the latest stamps; None until there are two of one epoch."""
        distances = sorted(later - earlier for earlier, later in pairwise(self._stamps))
        return distances[len(distances) // 2] if distances else None

    def nearest_ns(self, moment_ns: int) -> int | None:
        """The stamp nearest to a moment that this modality can offer; None without stamps."""
        return self.stamp_ns

    def store(self, value: Any, stamp_ns: int | None, received_ns: int) -> bool:
        """Keeps a sample. Returns whether another one, never used, was lost by it."""
        replaced = self.unused
        self._keep(value, stamp_ns, received_ns)
        return replaced

    def _keep(self, value: Any, stamp_ns: int | None, received_ns: int) -> None:
        self.value, self.stamp_ns, self.received_ns = value, stamp_ns, received_ns
        self.unused = True
        if stamp_ns is None or (self._stamps and stamp_ns <= self._stamps[-1]):
            self._stamps.clear()  # time runs backwards: what was known of the period is void
        if stamp_ns is not None:
            self._stamps.append(stamp_ns)


class SeriesHistory(NewestSlot):
    """The readings of the last second, out of which a window on the model's grid is interpolated.

    The history never contains a gap: where stamps run backwards or are further apart than
    ``max_gap``, it starts anew. Readings without a stamp take their time of receipt instead.

    Args:
        modality: of kind series, (channels, samples) at ``rate`` Hz.
        max_gap_ns: the widest gap that is interpolated.
    """

    def __init__(self, modality: Modality, max_gap_ns: int) -> None:
        super().__init__()
        assert modality.rate is not None  # a series always has one
        channels, samples = modality.shape
        step = NANOSECONDS / modality.rate
        self.max_gap_ns = max_gap_ns
        self._offsets = np.round(np.arange(1 - samples, 1) * step).astype(np.int64)
        capacity = samples + int(np.ceil(HISTORY_SECONDS * modality.rate))
        self._readings = np.empty((capacity, channels), dtype=np.float32)
        self._times = np.empty(capacity, dtype=np.int64)
        self._count = 0  # of readings in the ring
        self._next = 0  # where the next one goes
        self._newest_ns = 0

    @property
    def complete(self) -> bool:
        """Whether the readings cover a whole window."""
        return self._count > 0 and self._oldest_ns <= self._newest_ns + int(self._offsets[0])

    @property
    def _oldest_ns(self) -> int:
        return int(self._times[(self._next - self._count) % len(self._times)])

    def nearest_ns(self, moment_ns: int) -> int | None:
        if self.stamp_ns is None:
            return None
        return min(max(moment_ns, self._oldest_ns - int(self._offsets[0])), self._newest_ns)

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
        if self._count and -self.max_gap_ns < step <= 0:
            return True
        if abs(step) > self.max_gap_ns:
            self._count = 0
        self._readings[self._next] = reading
        self._times[self._next] = self._newest_ns = time_ns
        self._next = (self._next + 1) % len(self._times)
        self._count = min(self._count + 1, len(self._times))
        self._keep(reading, stamp_ns, received_ns)
        return False

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
        end_ns = max(end_ns, self._oldest_ns - int(self._offsets[0]))
        end_ns = min(end_ns, self._newest_ns + self.max_gap_ns)
        grid = end_ns + self._offsets
        order = np.arange(self._next - self._count, self._next)  # negative ones wrap around
        times = self._times[order]
        after = np.minimum(np.searchsorted(times, grid), self._count - 1)
        before = np.maximum(after - 1, 0)
        distance = np.maximum(times[after] - times[before], 1)
        weight = np.clip((grid - times[before]) / distance, 0.0, 1.0)[:, None]
        readings = self._readings
        values = readings[order[before]] * (1.0 - weight) + readings[order[after]] * weight
        stamp_ns = None if self.stamp_ns is None else min(end_ns, self._newest_ns)
        return values.astype(np.float32), stamp_ns
