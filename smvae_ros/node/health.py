"""Watches the health of every live sensor: predicts it from the others and tells how unusual the
reading is.

Runs in the worker's thread, after a frame's outputs have been published, for at most a share of the
time: modalities take turns. No ROS import, so that an offline study runs the very same.

A faulty sensor makes the others look strange, too, since it is among what they are predicted from.
So only the most unusual one becomes a suspect; from then on it is no evidence about the others, and
what was held against them is forgotten, so that one that was suspected wrongly is soon acquitted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from smvae_core.health.features import divergence, measure, model_scales, small_others
from smvae_core.health.reference import weight
from smvae_core.health.suspicion import Level, Suspicion, Thresholds, repeat_score
from smvae_core.inference import Encoding, Inference
from smvae_ros.sensor_sample import SensorSample

#: After so many seconds without a check, what was averaged before counts no more.
FORGET = 2.0
_REPEATS = "repeats"
_WORDS = {
    "surprise": "differs from what {others} let expect",
    "bias": "differs from what {others} let expect, always in the same direction",
    "disagreement": "contradicts {others}",
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
        statistic: what it is of, one of surprise, bias, disagreement, repeats.
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
        text = _WORDS[self.statistic].format(others=", ".join(self.others), repeats=self.repeats)
        return f"{text} (score {self.score:.1f})"


@dataclass
class _Sensor:
    """What is kept of one sensor between checks."""

    suspicion: Suspicion = field(default_factory=Suspicion)
    averaged: np.ndarray | None = None
    checked: float | None = None
    received: object = None
    reading: np.ndarray | None = None
    repeats: int = 0


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
        posteriors = {tuple(arrays): encoding}
        found: dict[str, Judgement] = {}
        names, following = list(arrays), self._turn
        for k in range(len(names)):
            if self._credit <= 0 and self.settings.share < 1:
                break
            name = names[(self._turn + k) % len(names)]
            start = self._clock()
            judgement = self._judge(name, posteriors, arrays, now)
            if judgement is not None:
                found[name] = judgement
                self.checks += 1
            cost = self._clock() - start
            self.seconds += cost
            if self.settings.share < 1:
                self._credit -= cost
            following = self._turn + k + 1
        self._turn = following
        self._decide(found, now)

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

    def _judge(
        self,
        name: str,
        posteriors: dict[tuple[str, ...], Encoding],
        arrays: Mapping[str, np.ndarray],
        now: float,
    ) -> Judgement | None:
        """A judgement with the level of its score alone; None where there is nothing to compare
        with."""
        inference, sensor = self._inference, self._sensors[name]
        calibration = inference.calibration
        others = tuple(n for n in arrays if n != name and not self._is_suspect(n))
        reference = calibration.reference(name, others)
        scores = {_REPEATS: repeat_score(sensor.repeats, calibration.repeats.get(name, 0))}
        if reference is not None:
            used = {n: arrays[n] for n in arrays if n == name or n in others}
            whole = _posterior(inference, posteriors, tuple(used))
            rest = _posterior(inference, posteriors, others)
            wanted = [name, *small_others(name, used, inference.modalities)]
            predicted = inference.decode(rest, wanted)
            features = measure(
                name,
                inference.modalities,
                self._scales,
                {n: used[n][None] for n in wanted},
                {n: predicted[n][None] for n in wanted},
                divergence(
                    *(part.astype(np.float64)[None] for part in _belief(whole)),
                    *(part.astype(np.float64)[None] for part in _belief(rest)),
                ),
            )
            standard = reference.standardise(features)[0]
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
        score = scores[statistic]
        level = self.settings.thresholds.level(score)
        return Judgement(level, score, statistic, others, sensor.repeats, now)

    def _is_suspect(self, name: str) -> bool:
        return self._sensors[name].suspicion.level > Level.OK

    def _decide(self, found: Mapping[str, Judgement], now: float) -> None:
        """Levels with hysteresis. Of several sensors that look strange for the first time, only the
        strangest is suspected."""
        fresh = {
            name: judgement
            for name, judgement in found.items()
            if judgement.level > Level.OK and not self._is_suspect(name)
        }
        strangest = max(fresh, key=lambda name: fresh[name].score, default=None)
        judgements = dict(self.judgements)
        for name, judgement in found.items():
            if name in fresh and name != strangest:
                continue
            level = self._sensors[name].suspicion.update(
                judgement.score, now, self.settings.thresholds
            )
            judgements[name] = Judgement(
                level,
                judgement.score,
                judgement.statistic,
                judgement.others,
                judgement.repeats,
                now,
            )
        if strangest is not None:
            for name, sensor in self._sensors.items():
                if name != strangest:
                    sensor.averaged = None
        self.judgements = judgements


def _posterior(
    inference: Inference, posteriors: dict[tuple[str, ...], Encoding], names: tuple[str, ...]
) -> Encoding:
    """Of these sensors of the frame; each is computed once."""
    if names not in posteriors:
        encoding = next(iter(posteriors.values()))
        for name in list(encoding.embeddings):
            if name not in names:
                encoding = inference.leave_out(encoding, name)
        posteriors[names] = encoding
    return posteriors[names]


def _belief(encoding: Encoding) -> tuple[np.ndarray, np.ndarray]:
    return encoding.mean, encoding.log_variance


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two readings are the same to the last bit, NaN included."""
    return one.shape == other.shape and one.tobytes() == other.tobytes()
