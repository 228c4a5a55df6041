# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Messages that arrive whenever they like → steps on an even grid of time, as logs hold them.

The colour image leads, since every step of a log must have one: a trajectory begins with an image,
its steps lie on a grid of the chosen rate counted from there, and it ends where the next image is
more than ``max_age`` away, be it a gap or a clock that jumped. So rows of one trajectory are always
evenly spaced.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from smvae_core.modalities import Modality
from smvae_ros.messages.serialised import NANOSECONDS
from smvae_ros.sensors.absence import STUCK, Absence, describe_stuck, explain
from smvae_ros.sensors.arrivals import Arrivals, Counters
from smvae_ros.sensors.buffers import nanoseconds
from smvae_ros.sensors.evidence import Apart
from smvae_ros.sensors.series_history import SeriesHistory
from smvae_ros.sensors.settings import BufferSettings

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
        absent: the others, with the reason.
    """

    trajectory: int
    stamp_ns: int
    arrays: dict[str, np.ndarray]
    absent: dict[str, Absence]


@dataclass(frozen=True)
class _Reading:
    stamp_ns: int
    received_ns: int
    value: np.ndarray


class StepSampler:
    """See the module's description.

    A step takes the newest usable reading of each modality that is not later than its moment and
    not older than ``max_age``; of a series, the window that ends at its moment.

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
            modality.name: SeriesHistory(modality, BufferSettings(max_gap=max_gap))
            for modality in modalities
            if modality.kind == "series"
        }
        self._recent: dict[str, deque[_Reading]] = {
            modality.name: deque()
            for modality in modalities
            if modality.kind != "series" and modality.name != LEADER
        }
        self._arrivals = {modality.name: Arrivals() for modality in modalities}
        self._pending: deque[tuple[_Reading, int]] = deque()  # moment with its image, trajectory
        self._image: _Reading | None = None
        self._trajectory = -1
        self._start_ns = 0
        self._index = 0  # of the next step in its trajectory

    def add(
        self, name: str, value: np.ndarray, stamp_ns: int, received_ns: int, frame_id: str = ""
    ) -> list[LogStep]:
        """Takes a usable reading, in order of receipt; returns the steps that are complete now.

        Args:
            name: modality.
            value: array in the log's shape, of a series one reading (channels,).
            stamp_ns: when it was measured.
            received_ns: when it was recorded.
            frame_id: of the message's header.

        Raises:
            ForeignMessage: for a reading of another frame than those before it.
            ValueError: for an unusable reading of a series, which is left out.
        """
        self._arrivals[name].check_frame(frame_id, received_ns)
        steps: list[LogStep] = []
        reading = _Reading(stamp_ns, received_ns, value)
        if name == LEADER:
            steps, ignored = self._add_image(reading)
        elif name in self._series:
            ignored = self._series[name].store(value, stamp_ns, received_ns)
        else:
            ignored = not self._keep(name, reading)
        self._arrivals[name].store(
            stamp_ns, received_ns, frame_id, dropped=ignored, ignored=ignored, usable=True
        )
        while self._pending and self._is_complete(self._pending[0][0], received_ns):
            steps.append(self._take())
        return steps

    def refuse(self, name: str, error: ValueError, received_ns: int) -> None:
        """Takes note of a message that is unusable or somebody else's: the one before it counts."""
        self._arrivals[name].refuse(error, received_ns)

    @property
    def counters(self) -> dict[str, Counters]:
        """Counts of each modality's messages: used, dropped, unusable."""
        return {name: arrivals.copy_counters() for name, arrivals in self._arrivals.items()}

    @property
    def problem(self) -> str:
        """The fault of the images' stamps at the end, in words, or empty."""
        repeated = self._arrivals[LEADER].repeated
        return describe_stuck(repeated) if repeated >= STUCK else ""

    def finish(self) -> list[LogStep]:
        """The steps that are left at the end."""
        return [self._take() for _ in range(len(self._pending))]

    def _add_image(self, image: _Reading) -> tuple[list[LogStep], bool]:
        """The steps that it completes, and whether it was ignored, being late or repeated."""
        steps: list[LogStep] = []
        before, longest = self._image, self._max_age_ns[LEADER]
        if before is not None and -longest < image.stamp_ns - before.stamp_ns <= 0:
            return steps, True
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
        return steps, False

    def _keep(self, name: str, reading: _Reading) -> bool:
        """Keeps a reading; False where it is late or repeated."""
        recent, age = self._recent[name], self._max_age_ns[name]
        if recent and reading.stamp_ns <= recent[-1].stamp_ns:
            if reading.stamp_ns > recent[-1].stamp_ns - age:
                return False
            recent.clear()  # time runs backwards
        recent.append(reading)
        while recent[0].received_ns < reading.received_ns - age - KEPT_NS:
            recent.popleft()
        return True

    def _is_complete(self, moment: _Reading, now_ns: int) -> bool:
        """True once nothing that is still to come can be part of a step."""
        if now_ns >= moment.received_ns + PATIENCE_NS:
            return True
        newest = [history.stamp_ns for history in self._series.values()]
        newest += [recent[-1].stamp_ns if recent else None for recent in self._recent.values()]
        return all(stamp is not None and stamp >= moment.stamp_ns for stamp in newest)

    def _take(self) -> LogStep:
        entry, trajectory = self._pending.popleft()
        moment, arrays = entry.stamp_ns, {LEADER: entry.value}
        absent: dict[str, Absence] = {}
        for name, recent in self._recent.items():
            chosen = next((r for r in reversed(recent) if r.stamp_ns <= moment), None)
            if chosen is None or moment - chosen.stamp_ns > self._max_age_ns[name]:
                absent[name] = self._explain(name, entry, list(recent))
                continue
            arrays[name] = chosen.value
            while recent[0] is not chosen:
                recent.popleft()
        for name, history in self._series.items():
            nearest = history.nearest_ns(moment) if history.complete else None
            if nearest is not None and 0 <= moment - nearest <= self._max_gap_ns:
                arrays[name] = history.window(moment)[0]
            else:
                stamp = history.stamp_ns
                newest = [_Reading(stamp, history.received_ns, history.value)] if stamp else []
                absent[name] = self._explain(name, entry, newest)
        return LogStep(trajectory, moment, arrays, absent)

    def _explain(self, name: str, image: _Reading, readings: Sequence[_Reading]) -> Absence:
        """The reason why none of the readings, in order of receipt, is part of the step."""
        arrivals, most = self._arrivals[name], self._max_age_ns[name]
        arrivals.apart = None
        before = [r for r in readings if r.received_ns <= image.received_ns] or readings[:1]
        nearest = before[-1] if before else None
        fresh = nearest is not None and abs(image.received_ns - nearest.received_ns) <= most
        if nearest is not None and fresh:
            behind = image.stamp_ns - nearest.stamp_ns
            if abs(behind - (image.received_ns - nearest.received_ns)) > most:
                arrivals.apart = Apart(
                    LEADER,
                    behind / NANOSECONDS,
                    most / NANOSECONDS,
                    "max_age",
                    nearest.stamp_ns,
                    image.stamp_ns,
                    self._arrivals[LEADER].repeated,
                )
        fresh_series = fresh and name in self._series
        came = nearest is not None and nearest.received_ns <= image.received_ns
        return explain(
            arrivals.evidence(
                name,
                image.received_ns,
                nearest.received_ns if nearest is not None and came else None,
                live=arrivals.apart is not None,
                window=self._series[name].missing_at(image.stamp_ns) if fresh_series else None,
            )
        )
