# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The moments of steps: an even grid of time, laid by the readings of one modality."""

from __future__ import annotations

from smvae_ros.messages.serialised import NANOSECONDS


class Grid:
    """Trajectories of evenly spaced moments.

    A trajectory begins with a reading of the modality that leads, its moments are counted from
    there, and it ends where the next reading is more than ``max_age`` away, be it a gap or a clock
    that jumped.

    Args:
        rate: moments per second.
        max_age_ns: see above.

    Attributes:
        trajectory: number of the present one, counted from 0; -1 before the first reading.
    """

    def __init__(self, rate: float, max_age_ns: int) -> None:
        self.trajectory = -1
        self._period_ns = NANOSECONDS / rate
        self._max_age_ns = max_age_ns
        self._newest_ns: int | None = None
        self._start_ns = 0
        self._index = 0  # of the next moment in its trajectory

    def is_late(self, stamp_ns: int) -> bool:
        """True for a reading that comes after a newer one, or again: it is of no use."""
        newest = self._newest_ns
        return newest is not None and -self._max_age_ns < stamp_ns - newest <= 0

    def begins(self, stamp_ns: int) -> bool:
        """True for a reading with which another trajectory begins."""
        newest = self._newest_ns
        return newest is None or not 0 < stamp_ns - newest <= self._max_age_ns

    def add(self, stamp_ns: int) -> list[int]:
        """The moments, in nanoseconds, up to a reading that is not late."""
        if self.begins(stamp_ns):
            self.trajectory += 1
            self._start_ns, self._index = stamp_ns, 0
        self._newest_ns = stamp_ns
        moments = []
        while (moment := self._start_ns + round(self._index * self._period_ns)) <= stamp_ns:
            moments.append(moment)
            self._index += 1
        return moments
