# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""How long the stages of snapshots take, and how many in a row were late."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Times:
    """Of the snapshots since the last look.

    Attributes:
        mean: stage (:class:`smvae_ros.node.predictions.Predictions`) → seconds.
        longest: likewise, of the slowest.
        late: the most snapshots in a row that took longer than the deadline.
        latest: seconds that the latest snapshot took, also where it is an earlier look's; 0 before
            any.
        latest_is_late: whether that is longer than the deadline.
        delay: seconds from the first of a row of late snapshots to the latest, if that is late.
    """

    mean: Mapping[str, float] = field(default_factory=dict)
    longest: Mapping[str, float] = field(default_factory=dict)
    late: int = 0
    latest: float = 0.0
    latest_is_late: bool = False
    delay: float = 0.0


class StageTimes:
    """Written by the worker's thread, read by another.

    Attributes:
        deadline: seconds from the receipt of a snapshot's trigger until it should be published; 0
            for none.
    """

    def __init__(self) -> None:
        self.deadline = 0.0
        self._lock = threading.Lock()
        self.restart()

    def restart(self) -> None:
        """Forgets all that was."""
        with self._lock:
            self._in_a_row = self._late = 0
            self._latest = self._delay = self._first_late = 0.0
            self._clear()

    def add(self, timings: Mapping[str, float], now: float) -> None:
        """Takes a snapshot's timings, with ``total`` among them; ``now`` is monotonic, in s."""
        total = timings["total"]
        late = 0 < self.deadline < total
        with self._lock:
            self._count += 1
            for stage, seconds in timings.items():
                self._sums[stage] = self._sums.get(stage, 0.0) + seconds
                self._longest[stage] = max(self._longest.get(stage, 0.0), seconds)
            if not self._in_a_row:
                self._first_late = now
            self._in_a_row = self._in_a_row + 1 if late else 0
            self._latest, self._delay = total, now - self._first_late if late else 0.0
            self._late = max(self._late, self._in_a_row)

    def take(self) -> Times:
        """What came since the last call. A row of late snapshots goes on counting."""
        with self._lock:
            mean = {stage: total / self._count for stage, total in self._sums.items()}
            late = self._in_a_row > 0
            times = Times(mean, self._longest, self._late, self._latest, late, self._delay)
            self._clear()
        return times

    def _clear(self) -> None:
        self._count = self._late = 0
        self._sums: dict[str, float] = {}
        self._longest: dict[str, float] = {}
