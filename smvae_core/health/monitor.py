# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The health of every live sensor over time: each is predicted from the others, and what differs
too much is isolated.

The node calls it after the outputs of a snapshot have been published; checks take at most a share
of the time, and modalities take turns. Offline studies run the very same.

A faulty sensor raises the statistics of the others, too, since it is among what they are predicted
from. So of several candidates only the one without which the rest agree best is isolated. From then
on it is no evidence about the others, and their statistics begin anew, so that one that was
isolated wrongly is soon clear again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from smvae_core.health.hysteresis import Hysteresis, Level, Thresholds
from smvae_core.health.leave_one_out import LeaveOneOut
from smvae_core.inference.inference import Encoding, Inference
from smvae_core.residuals.reference import TIME_CONSTANT, weight
from smvae_core.words import counted, listed

#: After so many seconds without a check, what was averaged before counts no more.
FORGET = 2.0
#: From this score on, which one of ten healthy checks reaches, a sensor is a candidate where
#: another one exceeds a threshold.
CANDIDATE = 1.0
#: Seconds for which isolation waits for the score of a candidate to exceed a threshold itself.
HOLD = TIME_CONSTANT
_REPEATS = "repeats"
_EXCLUSION = "exclusion"
_WORDS = {
    "surprise": "differs from what {others} predict{s}",
    "bias": "differs from what {others} predict{s}, always in the same direction",
    "disagreement": "contradicts {others}",
    _EXCLUSION: "does not fit {others}, which agree{s} without it",
    _REPEATS: "gave exactly the same reading {repeats} in a row",
}


@dataclass(frozen=True)
class HealthSettings:
    """The share of time for checks, and when a level changes.

    Attributes:
        share: of the time that checks may take; 0 for no checks, 1 for one of every sensor in every
            snapshot, whatever it takes.
        thresholds: when a sensor's level changes.
    """

    share: float = 0.1
    thresholds: Thresholds = field(default_factory=Thresholds)


@dataclass(frozen=True)
class Judgement:
    """The latest about one sensor.

    Attributes:
        level: with hysteresis.
        score: −log10 p: a healthy sensor reaches it in one of 10^score checks.
        statistic: what it is of, one of surprise, bias, disagreement, repeats, or exclusion, of
            which the score is that of the sensor whose threshold was exceeded.
        others: the sensors that the reading was compared with.
        repeats: how often in a row exactly the same reading came.
        at: when it was checked, in seconds of the clock of :meth:`HealthMonitor.check`.
    """

    level: Level
    score: float
    statistic: str
    others: tuple[str, ...]
    repeats: int
    at: float

    @property
    def reason(self) -> str:
        """In words what is unusual, to follow the sensor's name."""
        if self.statistic == _REPEATS and not self.repeats:
            return "was faulty before, and now there is no trusted sensor to compare it with"
        text = _WORDS[self.statistic].format(
            others=listed(self.others),
            s="s" if len(self.others) == 1 else "",
            repeats=counted(self.repeats, "time"),
        )
        return f"{text} (score {self.score:.1f})"


@dataclass
class _Sensor:
    """The state of one sensor between checks."""

    hysteresis: Hysteresis = field(default_factory=Hysteresis)
    averaged: np.ndarray | None = None
    score: float = 0.0
    exceeded_since: float | None = None
    checked: float | None = None
    received: object = None
    reading: np.ndarray | None = None
    repeats: int = 0

    def forget(self) -> None:
        """Its statistics begin anew."""
        self.averaged, self.score, self.exceeded_since = None, 0.0, None


class HealthMonitor:
    """Call it with the observations of every snapshot.

    Args:
        settings: can be replaced at any time.
        clock: seconds, to measure what checks take.

    Attributes:
        judgements: modality → the latest; replaced as a whole, so that other threads may read it.
            Empty without calibration.
        checks: done so far.
        seconds: that they took.
    """

    def __init__(
        self,
        settings: HealthSettings | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.settings = HealthSettings() if settings is None else settings
        self.judgements: Mapping[str, Judgement] = {}
        self.checks = 0
        self.seconds = 0.0
        self._clock = clock
        self._inference: Inference | None = None
        self._sensors: dict[str, _Sensor] = {}
        self._turn = 0
        self._credit = 0.0
        self._now: float | None = None

    def check(
        self,
        inference: Inference,
        encoding: Encoding,
        arrays: Mapping[str, np.ndarray],
        received: Mapping[str, object],
        now: float,
    ) -> None:
        """Checks as many sensors as the time allows.

        Args:
            inference: with its calibration; without one nothing is done.
            encoding: of ``arrays``.
            arrays: modality → prepared array; not changed afterwards.
            received: modality → what tells one of its messages from the next, so that a message
                that several snapshots use is no repeated reading.
            now: seconds, monotonic.
        """
        if inference is not self._inference:
            self._begin(inference)
        if inference.calibration is None or not self.settings.share:
            self.judgements = {}
            return
        self._note_repeats(arrays, received)
        self._earn(now)
        moment = LeaveOneOut(inference, encoding, arrays)
        found: dict[str, Judgement] = {}
        names, following = list(arrays), self._turn
        for k in range(len(names)):
            if self._credit <= 0 and self.settings.share < 1:
                break
            name = names[(self._turn + k) % len(names)]
            start = self._clock()
            judgement = self._judge(name, moment, now)
            if judgement is not None:
                found[name] = judgement
                self.checks += 1
            self._spend(start)
            following = self._turn + k + 1
        self._turn = following
        self._decide(found, moment, now)

    # -- one snapshot ------------------------------------------------------------------------------

    def _begin(self, inference: Inference) -> None:
        self._inference = inference
        self._sensors = {name: _Sensor() for name in inference.modalities}
        self.judgements = {}

    def _earn(self, now: float) -> None:
        """Time for checks; at most what a second gives is saved."""
        share = self.settings.share
        before = now if self._now is None else self._now
        self._credit = min(share, self._credit + share * max(0.0, now - before))
        self._now = now

    def _spend(self, start: float) -> None:
        """Counts the time since ``start``."""
        cost = self._clock() - start
        self.seconds += cost
        if self.settings.share < 1:
            self._credit -= cost

    def _note_repeats(
        self, arrays: Mapping[str, np.ndarray], received: Mapping[str, object]
    ) -> None:
        for name, array in arrays.items():
            sensor = self._sensors[name]
            if sensor.received == received[name]:
                continue
            same = sensor.reading is not None and _equal(sensor.reading, array)
            sensor.repeats = sensor.repeats + 1 if same else 0
            sensor.received, sensor.reading = received[name], array

    def _judge(self, name: str, moment: LeaveOneOut, now: float) -> Judgement | None:
        """A judgement with the level of its score alone; None where there is nothing to compare
        with."""
        calibration, sensor = self._inference.calibration, self._sensors[name]
        others = tuple(n for n in moment.names if n != name and not self._is_isolated(n))
        reference = calibration.reference(name, others)
        scores = {_REPEATS: repeat_score(sensor.repeats, calibration.repeats.get(name, 0))}
        standard = reference and moment.standardised(name, others, reference)
        if standard is not None:
            seconds = np.inf if sensor.checked is None else now - sensor.checked
            if sensor.averaged is None or seconds > FORGET:
                sensor.averaged = np.zeros_like(standard)
            share = weight(seconds, calibration.period)
            sensor.averaged = sensor.averaged + share * (standard - sensor.averaged)
            sensor.checked = now
            scores |= reference.scores(sensor.averaged)
        elif not sensor.repeats and not self._is_isolated(name):
            return None
        statistic = max(scores, key=scores.__getitem__)
        sensor.score = scores[statistic]
        level = self.settings.thresholds.level(sensor.score)
        if level == Level.OK:
            sensor.exceeded_since = None
        elif sensor.exceeded_since is None:
            sensor.exceeded_since = now
        return Judgement(level, sensor.score, statistic, others, sensor.repeats, now)

    def _is_isolated(self, name: str) -> bool:
        return self._sensors[name].hysteresis.level > Level.OK

    def _decide(self, found: Mapping[str, Judgement], moment: LeaveOneOut, now: float) -> None:
        """Levels with hysteresis. Of several sensors that newly exceed a threshold, only one is
        isolated."""
        exceeding = {
            name: judgement
            for name, judgement in found.items()
            if judgement.level > Level.OK and not self._is_isolated(name)
        }
        isolated = self._isolate(exceeding, moment, now)
        judgements = dict(self.judgements)
        for name, judgement in {**found, **isolated}.items():
            if name in exceeding and name not in isolated:
                continue
            level = self._sensors[name].hysteresis.update(
                judgement.score, now, self.settings.thresholds
            )
            judgements[name] = replace(judgement, level=level, at=now)
        if isolated:
            for name, sensor in self._sensors.items():
                if name not in isolated:
                    sensor.forget()
        self.judgements = judgements

    def _isolate(
        self, exceeding: Mapping[str, Judgement], moment: LeaveOneOut, now: float
    ) -> dict[str, Judgement]:
        """The sensor to isolate, with the judgement that says why. None yet where it may be another
        one, whose own score is still rising."""
        highest = max(exceeding, key=lambda name: exceeding[name].score, default=None)
        if highest is None:
            return {}
        trusted = [name for name in moment.names if not self._is_isolated(name)]
        candidates = [
            name for name in trusted if name in exceeding or self._sensors[name].score >= CANDIDATE
        ]
        start = self._clock()
        certain = exceeding[highest].statistic == _REPEATS
        faulty = highest if certain else moment.isolate(candidates, trusted) or highest
        self._spend(start)
        if faulty in exceeding:
            return {faulty: exceeding[faulty]}
        if now - self._sensors[highest].exceeded_since < HOLD:
            return {}
        others = tuple(name for name in trusted if name != faulty)
        repeats = self._sensors[faulty].repeats
        return {
            faulty: replace(
                exceeding[highest], statistic=_EXCLUSION, others=others, repeats=repeats
            )
        }


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    """True if two readings are the same to the last bit, NaN included."""
    return one.shape == other.shape and one.tobytes() == other.tobytes()


def repeat_score(repeats: int, longest: int) -> float:
    """The score of a reading that came ``repeats`` times in a row exactly as before, where healthy
    data have at most ``longest``. No rate can be measured of what never happened; this reaches
    WARN of :class:`~smvae_core.health.hysteresis.Thresholds` at 2.5 times, and ERROR at 4 times
    (longest + 1) repetitions."""
    return 2.0 * repeats / (longest + 1)
