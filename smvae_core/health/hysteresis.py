# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Scores over time → OK, WARN or ERROR, of one sensor."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """As in diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class Thresholds:
    """When a sensor's level changes.

    Attributes:
        warn: score, −log10 p, from which on it is WARN.
        error: likewise ERROR.
        clear: seconds for which scores must be lower before the level falls.

    Raises:
        ValueError: where error is below warn.
    """

    warn: float = 5.0
    error: float = 8.0
    clear: float = 2.0

    def __post_init__(self) -> None:
        if self.error < self.warn:
            raise ValueError(f"error ({self.error}) must not be below warn ({self.warn})")

    def level(self, score: float) -> Level:
        """The level of a score alone."""
        if score >= self.error:
            return Level.ERROR
        return Level.WARN if score >= self.warn else Level.OK


class Hysteresis:
    """A level that rises at once and falls only after a while, so that it does not flicker where a
    score is near a threshold.

    Attributes:
        level: the present one.
    """

    def __init__(self) -> None:
        self.level = Level.OK
        self._lower_since: float | None = None
        self._highest = Level.OK  # of the scores since then

    def update(self, score: float, now: float, thresholds: Thresholds) -> Level:
        """Takes a new score at ``now`` (seconds, monotonic) and returns the level."""
        wanted = thresholds.level(score)
        if wanted >= self.level:
            self.level, self._lower_since = wanted, None
        elif self._lower_since is None:
            self._lower_since, self._highest = now, wanted
        else:
            self._highest = max(self._highest, wanted)
            if now - self._lower_since >= thresholds.clear:
                self.level, self._lower_since = self._highest, None
        return self.level
