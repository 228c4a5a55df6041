"""Watches the health of every live sensor: predicts it from the others and tells how unusual the
reading is.

Runs in the worker's thread, after a frame's outputs have been published, for at most a share of the
time: modalities take turns. No ROS import, so that an offline study runs the very same.

A faulty sensor makes the others look strange, too, since it is among what they are predicted from.
So of several only the one without which the rest agree best becomes a suspect; from then on it is
no evidence about the others, and what was held against them is forgotten, so that one that was
suspected wrongly is soon acquitted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from smvae_core.health.features import model_scales
from smvae_core.health.leave_one_out import LeaveOneOut
from smvae_core.health.reference import TIME_CONSTANT, weight
from smvae_core.health.suspicion import Level, Suspicion, Thresholds, repeat_score
from smvae_core.inference.inference import Encoding, Inference
from smvae_ros.sensors.snapshot import SensorSample

#: After so many seconds without a check, what was averaged before counts no more.
FORGET = 2.0
#: From this score on, which one of ten healthy checks reaches, a sensor may be the one that makes
#: another look strange.
RIVAL = 1.0
#: Seconds after which a sensor is suspected though only others look strange, and these only because
#: of it.
PATIENCE = TIME_CONSTANT
_REPEATS = "repeats"
_EXCLUSION = "exclusion"
_WORDS = {
    "surprise": "differs from what {others} let expect",
    "bias": "differs from what {others} let expect, always in the same direction",
    "disagreement": "contradicts {others}",
    _EXCLUSION: "does not fit {others}, which agree without it",
    _REPEATS: "gave exactly the same reading {repeats} times in a row",
}


@dataclass(frozen=True)
class HealthSettings:
    """The node's parameters about it.

    Attributes:
        share: of the time that checks may take; 0 for no checks, 1 for one of every sensor in every
            frame, whatever it takes.
        thresholds: when a sensor's level changes.
    """

    share: float = 0.1
    thresholds: Thresholds = field(default_factory=Thresholds)


@dataclass(frozen=True)
class Judgement:
    """The latest about one sensor.

    Attributes:
        level: with hysteresis.
        score: decades: a healthy sensor reaches it in one of 10^score checks.
        statistic: what it is of, one of surprise, bias, disagreement, repeats, or exclusion, of
            which the score is that of the sensor that it makes look strange.
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
            return "was suspected before, and now there is no trusted sensor to compare it with"
        text = _WORDS[self.statistic].format(others=", ".join(self.others), repeats=self.repeats)
        return f"{text} (score {self.score:.1f})"


@dataclass
class _Sensor:
    """What is kept of one sensor between checks."""

    suspicion: Suspicion = field(default_factory=Suspicion)
    averaged: np.ndarray | None = None
    score: float = 0.0
    strange_since: float | None = None
    checked: float | None = None
    received: object = None
    reading: np.ndarray | None = None
    repeats: int = 0

    def forget(self) -> None:
        """What was held against it."""
        self.averaged, self.score, self.strange_since = None, 0.0, None


class HealthMonitor:
    """Call it with every frame.

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

    def __call__(
        self,
        inference: Inference,
        encoding: Encoding,
        sample: SensorSample,
        arrays: Mapping[str, np.ndarray],
    ) -> None:
        """Takes a frame as the worker has it: the sample, its prepared arrays and its encoding."""
        received = {
            name: (entry.stamp_ns, sample.taken_ns - round(entry.age * 1e9))
            for name, entry in sample.inputs.items()
        }
        self.check(inference, encoding, arrays, received, sample.taken_ns / 1e9)

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
                that several frames use is no repeated reading.
            now: seconds, monotonic.
        """
        if inference is not self._inference:
            self._begin(inference)
        if inference.calibration is None or not self.settings.share:
            self.judgements = {}
            return
        self._note_repeats(arrays, received)
        self._earn(now)
        frame = LeaveOneOut(inference, self._scales, encoding, arrays)
        found: dict[str, Judgement] = {}
        names, following = list(arrays), self._turn
        for k in range(len(names)):
            if self._credit <= 0 and self.settings.share < 1:
                break
            name = names[(self._turn + k) % len(names)]
            start = self._clock()
            judgement = self._judge(name, frame, now)
            if judgement is not None:
                found[name] = judgement
                self.checks += 1
            self._spend(start)
            following = self._turn + k + 1
        self._turn = following
        self._decide(found, frame, now)

    # -- one frame ---------------------------------------------------------------------------------

    def _begin(self, inference: Inference) -> None:
        self._inference = inference
        self._scales = model_scales(inference.model)
        self._sensors = {name: _Sensor() for name in inference.modalities}
        self.judgements = {}

    def _earn(self, now: float) -> None:
        """Time for checks; at most what a second gives is saved."""
        share = self.settings.share
        before = now if self._now is None else self._now
        self._credit = min(share, self._credit + share * max(0.0, now - before))
        self._now = now

    def _spend(self, start: float) -> None:
        """What has been done since ``start``."""
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

    def _judge(self, name: str, frame: LeaveOneOut, now: float) -> Judgement | None:
        """A judgement with the level of its score alone; None where there is nothing to compare
        with."""
        calibration, sensor = self._inference.calibration, self._sensors[name]
        others = tuple(n for n in frame.names if n != name and not self._is_suspect(n))
        reference = calibration.reference(name, others)
        scores = {_REPEATS: repeat_score(sensor.repeats, calibration.repeats.get(name, 0))}
        standard = reference and frame.standardised(name, others, reference)
        if standard is not None:
            seconds = np.inf if sensor.checked is None else now - sensor.checked
            if sensor.averaged is None or seconds > FORGET:
                sensor.averaged = np.zeros_like(standard)
            share = weight(seconds, calibration.period)
            sensor.averaged = sensor.averaged + share * (standard - sensor.averaged)
            sensor.checked = now
            scores |= reference.scores(sensor.averaged)
        elif not sensor.repeats and not self._is_suspect(name):
            return None
        statistic = max(scores, key=scores.__getitem__)
        sensor.score = scores[statistic]
        level = self.settings.thresholds.level(sensor.score)
        if level == Level.OK:
            sensor.strange_since = None
        elif sensor.strange_since is None:
            sensor.strange_since = now
        return Judgement(level, sensor.score, statistic, others, sensor.repeats, now)

    def _is_suspect(self, name: str) -> bool:
        return self._sensors[name].suspicion.level > Level.OK

    def _decide(self, found: Mapping[str, Judgement], frame: LeaveOneOut, now: float) -> None:
        """Levels with hysteresis. Of several sensors that look strange for the first time, only one
        is suspected."""
        fresh = {
            name: judgement
            for name, judgement in found.items()
            if judgement.level > Level.OK and not self._is_suspect(name)
        }
        suspected = self._suspect(fresh, frame, now)
        judgements = dict(self.judgements)
        for name, judgement in {**found, **suspected}.items():
            if name in fresh and name not in suspected:
                continue
            level = self._sensors[name].suspicion.update(
                judgement.score, now, self.settings.thresholds
            )
            judgements[name] = replace(judgement, level=level, at=now)
        if suspected:
            for name, sensor in self._sensors.items():
                if name not in suspected:
                    sensor.forget()
        self.judgements = judgements

    def _suspect(
        self, fresh: Mapping[str, Judgement], frame: LeaveOneOut, now: float
    ) -> dict[str, Judgement]:
        """The one to suspect, with the judgement that says why. None yet where it may be another
        one, whose own score is still rising."""
        strangest = max(fresh, key=lambda name: fresh[name].score, default=None)
        if strangest is None:
            return {}
        clear = [name for name in frame.names if not self._is_suspect(name)]
        rivals = [name for name in clear if name in fresh or self._sensors[name].score >= RIVAL]
        start = self._clock()
        certain = fresh[strangest].statistic == _REPEATS
        culprit = strangest if certain else frame.culprit(rivals, clear) or strangest
        self._spend(start)
        if culprit in fresh:
            return {culprit: fresh[culprit]}
        if now - self._sensors[strangest].strange_since < PATIENCE:
            return {}
        others = tuple(name for name in clear if name != culprit)
        repeats = self._sensors[culprit].repeats
        return {
            culprit: replace(fresh[strangest], statistic=_EXCLUSION, others=others, repeats=repeats)
        }


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two readings are the same to the last bit, NaN included."""
    return one.shape == other.shape and one.tobytes() == other.tobytes()
