# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Messages that arrive whenever they like → steps on an even grid of time.

One modality leads and lays the :mod:`grid <smvae_ros.offline.grid>`, so rows of one trajectory are
always evenly spaced.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from smvae_core.modalities import Modality
from smvae_ros.messages.serialised import NANOSECONDS
from smvae_ros.offline.grid import Grid
from smvae_ros.sensors.absence import STUCK, Absence, describe_stuck, explain
from smvae_ros.sensors.arrivals import Arrivals, Counters
from smvae_ros.sensors.buffers import nanoseconds
from smvae_ros.sensors.evidence import Apart
from smvae_ros.sensors.parts import NewestParts, Part
from smvae_ros.sensors.series_history import SeriesHistory
from smvae_ros.sensors.settings import BufferSettings

PATIENCE_NS = NANOSECONDS // 2  # how much later than the leader the others may be recorded
KEPT_NS = 5 * NANOSECONDS  # for those whose clock is ahead of the leader's


@dataclass(frozen=True)
class LogStep:
    """One step.

    Attributes:
        trajectory: counted from 0.
        stamp_ns: its moment.
        arrays: modality → array, of those that there are; the leader is always among them, but for
            a series, whose first window takes a while.
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


class _Moment(NamedTuple):
    """Of a step: when it is, when the reading was recorded that ended the wait for it."""

    stamp_ns: int
    received_ns: int
    trajectory: int


class StepSampler:
    """See the module's description.

    A step takes the newest usable reading of each modality that is not later than its moment and
    not older than ``max_age``; of a series, the window that ends at its moment.

    Args:
        modalities: to expect.
        leader: the one among them that leads.
        rate: steps per second.
        max_age: modality → seconds.
        max_gap: series → the widest gap in it that is interpolated, in seconds.
    """

    def __init__(
        self,
        modalities: Collection[Modality],
        leader: str,
        rate: float,
        max_age: Mapping[str, float],
        max_gap: Mapping[str, float],
    ) -> None:
        self._leader = leader
        self._max_age_ns = {name: nanoseconds(age) for name, age in max_age.items()}
        self._max_gap_ns = {name: nanoseconds(gap) for name, gap in max_gap.items()}
        self._series = {
            modality.name: SeriesHistory(modality, BufferSettings(max_gap=max_gap[modality.name]))
            for modality in modalities
            if modality.kind == "series"
        }
        self._recent: dict[str, deque[_Reading]] = {
            modality.name: deque() for modality in modalities if modality.kind != "series"
        }
        self._arrivals = {modality.name: Arrivals() for modality in modalities}
        self._parts = {modality.name: NewestParts() for modality in modalities}
        self._pending: deque[_Moment] = deque()
        self._grid = Grid(rate, self._max_age_ns[leader])

    def add(
        self,
        name: str,
        value: np.ndarray | Part,
        stamp_ns: int,
        received_ns: int,
        frame_id: str = "",
    ) -> list[LogStep]:
        """Takes a usable reading, in order of receipt; returns the steps that are complete now.

        Args:
            name: modality.
            value: array in the log's shape, of a series one reading (channels,); of either the
                part that a message has.
            stamp_ns: when it was measured.
            received_ns: when it was recorded.
            frame_id: of the message's header.

        Raises:
            ForeignMessage: for a reading of another frame than those before it.
            PartialMessage: while parts of the reading are missing.
            ValueError: for an unusable reading of a series, which is left out.
        """
        arrivals = self._arrivals[name]
        if isinstance(value, Part) and arrivals.frame_id is not None:
            frame_id = arrivals.frame_id  # joints are told apart by their names
        arrivals.check_frame(frame_id, received_ns)
        parts, max_age_ns = self._parts[name], self._max_age_ns[name]
        whole = parts.whole(value, stamp_ns, received_ns, max_age_ns)
        if whole is None:
            return []
        steps: list[LogStep] = []
        reading = _Reading(stamp_ns, received_ns, whole)
        if name == self._leader:
            steps, ignored = self._lead(reading)
        elif name in self._series:
            ignored = self._series[name].store(whole, stamp_ns, received_ns)
        else:
            ignored = not self._keep(name, reading)
        arrivals.store(
            stamp_ns, received_ns, frame_id, dropped=ignored, ignored=ignored, usable=True
        )
        while self._pending and self._is_complete(self._pending[0], received_ns):
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
        """The fault of the leader's stamps at the end, in words, or empty."""
        repeated = self._arrivals[self._leader].repeated
        return describe_stuck(repeated) if repeated >= STUCK else ""

    def finish(self) -> list[LogStep]:
        """The steps that are left at the end."""
        return [self._take() for _ in range(len(self._pending))]

    def _lead(self, reading: _Reading) -> tuple[list[LogStep], bool]:
        """The steps that a reading of the leader completes, and whether it was ignored, being late
        or repeated."""
        steps: list[LogStep] = []
        if self._grid.is_late(reading.stamp_ns):
            return steps, True
        if self._grid.begins(reading.stamp_ns):
            steps = self.finish()
        if self._leader in self._series:
            self._series[self._leader].store(reading.value, reading.stamp_ns, reading.received_ns)
        else:
            self._keep(self._leader, reading)
        self._pending += [
            _Moment(moment, reading.received_ns, self._grid.trajectory)
            for moment in self._grid.add(reading.stamp_ns)
        ]
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

    def _is_complete(self, moment: _Moment, now_ns: int) -> bool:
        """True once nothing that is still to come can be part of a step."""
        if now_ns >= moment.received_ns + PATIENCE_NS:
            return True
        newest = [history.stamp_ns for history in self._series.values()]
        newest += [recent[-1].stamp_ns if recent else None for recent in self._recent.values()]
        return all(stamp is not None and stamp >= moment.stamp_ns for stamp in newest)

    def _take(self) -> LogStep:
        entry = self._pending.popleft()
        moment = entry.stamp_ns
        arrays: dict[str, np.ndarray] = {}
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
            if nearest is not None and 0 <= moment - nearest <= self._max_gap_ns[name]:
                arrays[name] = history.window(moment)[0]
            else:
                stamp = history.stamp_ns
                newest = [_Reading(stamp, history.received_ns, history.value)] if stamp else []
                absent[name] = self._explain(name, entry, newest)
        return LogStep(entry.trajectory, moment, arrays, absent)

    def _explain(self, name: str, leading: _Moment, readings: Sequence[_Reading]) -> Absence:
        """The reason why none of the readings, in order of receipt, is part of the step."""
        arrivals, most = self._arrivals[name], self._max_age_ns[name]
        arrivals.apart = None
        before = [r for r in readings if r.received_ns <= leading.received_ns] or readings[:1]
        nearest = before[-1] if before else None
        fresh = nearest is not None and abs(leading.received_ns - nearest.received_ns) <= most
        if nearest is not None and fresh:
            behind = leading.stamp_ns - nearest.stamp_ns
            if abs(behind - (leading.received_ns - nearest.received_ns)) > most:
                arrivals.apart = Apart(
                    self._leader,
                    behind / NANOSECONDS,
                    most / NANOSECONDS,
                    "max_age",
                    nearest.stamp_ns,
                    leading.stamp_ns,
                    self._arrivals[self._leader].repeated,
                )
        fresh_series = fresh and name in self._series
        came = nearest is not None and nearest.received_ns <= leading.received_ns
        return explain(
            arrivals.evidence(
                name,
                leading.received_ns,
                nearest.received_ns if nearest is not None and came else None,
                live=arrivals.apart is not None,
                window=self._series[name].missing_at(leading.stamp_ns) if fresh_series else None,
            )
        )
