"""Messages that arrive whenever they like → steps on an even grid of time, as logs hold them.

The colour image leads, since every step of a log must have one: a trajectory begins with an image,
its steps lie on a grid of the chosen rate counted from there, and it ends where the next image is
more than ``max_age`` away, be it a gap or a clock that jumped. So rows of one trajectory are always
evenly spaced.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from smvae_core.modalities import Modality
from smvae_ros.sensor_settings import SlotSettings
from smvae_ros.slots import NANOSECONDS, SeriesHistory, nanoseconds

LEADER = "rgb"
PATIENCE_NS = NANOSECONDS // 2  # how much later than the image the others may be recorded
KEPT_NS = 5 * NANOSECONDS  # for those whose clock is ahead of the image's


@dataclass(frozen=True)
class LogStep:
    """One step.

    Attributes:
        trajectory: counted from 0.
        stamp_ns: its moment.
        arrays: modality → array; the image is always among them, others where there are some.
    """

    trajectory: int
    stamp_ns: int
    arrays: dict[str, np.ndarray]


@dataclass(frozen=True)
class _Reading:
    stamp_ns: int
    received_ns: int
    value: np.ndarray | None  # None: unusable, so the step does without


class StepSampler:
    """See the module's description.

    A step takes the newest reading of each modality that is not later than its moment and not older
    than ``max_age``; of a series, the window that ends at its moment.

    Args:
        modalities: to expect; ``rgb`` must be among them.
        rate: steps per second.
        max_age: modality → seconds.
        max_gap: the widest gap in a series that is interpolated, in seconds.
    """

    def __init__(
        self,
        modalities: Collection[Modality],
        rate: float,
        max_age: Mapping[str, float],
        max_gap: float,
    ) -> None:
        self._period_ns = NANOSECONDS / rate
        self._max_age_ns = {name: nanoseconds(age) for name, age in max_age.items()}
        self._max_gap_ns = nanoseconds(max_gap)
        self._series = {
            modality.name: SeriesHistory(modality, SlotSettings(max_gap=max_gap))
            for modality in modalities
            if modality.kind == "series"
        }
        self._recent: dict[str, deque[_Reading]] = {
            modality.name: deque()
            for modality in modalities
            if modality.kind != "series" and modality.name != LEADER
        }
        self._pending: deque[tuple[_Reading, int]] = deque()  # moment with its image, trajectory
        self._image: _Reading | None = None
        self._trajectory = -1
        self._start_ns = 0
        self._index = 0  # of the next step in its trajectory

    def add(
        self, name: str, value: np.ndarray | None, stamp_ns: int, received_ns: int
    ) -> list[LogStep]:
        """Takes a reading, in order of receipt; returns the steps that are complete now.

        Args:
            name: modality.
            value: array in the log's shape, of a series one reading (channels,); None for a
                message that is unusable.
            stamp_ns: when it was measured.
            received_ns: when it was recorded.

        Raises:
            ValueError: for an unusable reading of a series, which is left out.
        """
        steps: list[LogStep] = []
        if name == LEADER:
            # Without a picture there is no step, so the one before bridges an unusable one.
            if value is not None:
                steps = self._add_image(_Reading(stamp_ns, received_ns, value))
        elif name in self._series:
            if value is not None:
                self._series[name].store(value, stamp_ns, received_ns)
        else:
            self._keep(name, _Reading(stamp_ns, received_ns, value))
        while self._pending and self._is_complete(self._pending[0][0], received_ns):
            steps.append(self._take())
        return steps

    def finish(self) -> list[LogStep]:
        """The steps that are left at the end."""
        return [self._take() for _ in range(len(self._pending))]

    def _add_image(self, image: _Reading) -> list[LogStep]:
        steps: list[LogStep] = []
        before, longest = self._image, self._max_age_ns[LEADER]
        if before is not None and -longest < image.stamp_ns - before.stamp_ns <= 0:
            return steps  # late or repeated
        if before is None or not 0 < image.stamp_ns - before.stamp_ns <= longest:
            steps = self.finish()
            self._trajectory += 1
            self._start_ns, self._index = image.stamp_ns, 0
        while (moment := self._start_ns + round(self._index * self._period_ns)) <= image.stamp_ns:
            shown = image if moment == image.stamp_ns or before is None else before
            entry = _Reading(moment, image.received_ns, shown.value)
            self._pending.append((entry, self._trajectory))
            self._index += 1
        self._image = image
        return steps

    def _keep(self, name: str, reading: _Reading) -> None:
        recent, age = self._recent[name], self._max_age_ns[name]
        if recent and reading.stamp_ns <= recent[-1].stamp_ns:
            if reading.stamp_ns > recent[-1].stamp_ns - age:
                return  # late or repeated
            recent.clear()  # time runs backwards
        recent.append(reading)
        while recent[0].received_ns < reading.received_ns - age - KEPT_NS:
            recent.popleft()

    def _is_complete(self, moment: _Reading, now_ns: int) -> bool:
        """Whether nothing that is still to come can be part of a step."""
        if now_ns >= moment.received_ns + PATIENCE_NS:
            return True
        newest = [history.stamp_ns for history in self._series.values()]
        newest += [recent[-1].stamp_ns if recent else None for recent in self._recent.values()]
        return all(stamp is not None and stamp >= moment.stamp_ns for stamp in newest)

    def _take(self) -> LogStep:
        entry, trajectory = self._pending.popleft()
        assert entry.value is not None  # only usable images make steps
        moment, arrays = entry.stamp_ns, {LEADER: entry.value}
        for name, recent in self._recent.items():
            chosen = next((r for r in reversed(recent) if r.stamp_ns <= moment), None)
            if chosen is None:
                continue
            while recent[0] is not chosen:
                recent.popleft()
            if chosen.value is not None and moment - chosen.stamp_ns <= self._max_age_ns[name]:
                arrays[name] = chosen.value
        for name, history in self._series.items():
            if not history.complete:
                continue
            nearest = history.nearest_ns(moment)
            if nearest is not None and 0 <= moment - nearest <= self._max_gap_ns:
                arrays[name] = history.window(moment)[0]
        return LogStep(trajectory, moment, arrays)
