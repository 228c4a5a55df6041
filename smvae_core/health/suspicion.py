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
        warn: score in decades from which on it is WARN.
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


class Suspicion:
    """Rises at once and falls only after a while, so that a score near a threshold does not make
    the level flicker.

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


def repeat_score(repeats: int, longest: int) -> float:
    """Decades for a reading that came ``repeats`` times in a row exactly as before, where healthy
    data have at most ``longest``. No rate can be measured of what never happened; this reaches
    WARN of :class:`Thresholds` at 2.5 times, and ERROR at 4 times (longest + 1) repetitions."""
    return 2.0 * repeats / (longest + 1)
