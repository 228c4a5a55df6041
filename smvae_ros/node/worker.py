# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The thread that owns the model: takes the newest snapshot, runs the model, publishes.

A slow model lowers the rate of snapshots, never their freshness: what arrives meanwhile replaces
what was there, and the next snapshot takes what is newest then. While nobody listens to any output,
there are only as many snapshots as keep /diagnostics true.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from smvae_core.health.monitor import HealthMonitor
from smvae_core.inference.inference import Inference
from smvae_ros.node.predictions import Predictions
from smvae_ros.node.publishers import Publishers
from smvae_ros.node.stage_times import StageTimes
from smvae_ros.node.waiting import SharedSensors
from smvae_ros.sensors.observations import observe
from smvae_ros.sensors.snapshot import Snapshot
from smvae_ros.sensors.topic_inputs import TopicInput

LISTENERS_PERIOD = 0.1  # seconds; how often it looks whether somebody listens


@dataclass(frozen=True)
class Progress:
    """What the worker has done so far.

    Attributes:
        snapshots: of which predictions were published since the start.
        failures: snapshots that were lost to an error.
        last_error: of the latest of these.
        subset: modalities of the latest snapshot.
        latency: seconds from the receipt of the latest snapshot's trigger until it was published.
        idle: whether there are fewer snapshots, since nobody listens.
    """

    snapshots: int = 0
    failures: int = 0
    last_error: str = ""
    subset: tuple[str, ...] = ()
    latency: float = 0.0
    idle: bool = False


class Worker:
    """Works from :meth:`start` to :meth:`stop`.

    Args:
        inference: a model that has been warmed up.
        inputs: by modality.
        sensors: where snapshots come from.
        publishers: where predictions go.
        health: given every snapshot after it has been published.
        warn: given a subject and a text.
        debug: given what makes a line of the log, which it calls only where somebody wants it.

    Attributes:
        model: the inference with the inputs of its modalities; can be exchanged as a whole between
            two snapshots.
        times: of the stages of snapshots.
        progress: what it has done so far; replaced as a whole after each snapshot.
        idle_rate: snapshots per second at most while nobody listens.
        awaits_sensors: tells whether snapshots shall wait for sensors that are yet to be received.
    """

    def __init__(
        self,
        inference: Inference,
        inputs: Mapping[str, TopicInput],
        sensors: SharedSensors,
        publishers: Publishers,
        health: HealthMonitor,
        warn: Callable[[str, str], None],
        debug: Callable[[Callable[[], str]], object],
    ) -> None:
        self.model = (inference, inputs)
        self.progress = Progress()
        self.times = StageTimes()
        self.idle_rate = 1.0
        self.awaits_sensors: Callable[[], bool] = lambda: False
        self._worked = 0.0  # when a snapshot was last begun, monotonic
        self._ask_at = 0.0  # when to look again whether somebody listens, monotonic
        self._sensors, self._publishers, self._health = sensors, publishers, health
        self._warn, self._debug = warn, debug
        self._running = False
        self._thread: threading.Thread | None = None

    @property
    def inference(self) -> Inference:
        """The model in use."""
        return self.model[0]

    def start(self) -> None:
        """Begins to work; counting starts anew."""
        self.progress = Progress()
        self.times.restart()
        with self._sensors as sensors:
            sensors.reset_counters()
        self._running = True
        self._thread = threading.Thread(target=self._run, name="perception worker", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Returns when the last snapshot has been published."""
        if self._thread is None:
            return
        self._running = False
        self._sensors.wake()
        self._thread.join()
        self._thread = None

    def _run(self) -> None:
        while self._running:
            try:
                snapshot = self._next_snapshot()
                if snapshot is not None:
                    self._work(snapshot)
            except Exception as error:  # one bad snapshot must not end the node
                text = f"{type(error).__name__}: {error}"
                failures = self.progress.failures + 1
                self.progress = dataclasses.replace(
                    self.progress, failures=failures, last_error=text
                )
                self._warn("worker", f"a snapshot failed: {text}")

    def _next_snapshot(self) -> Snapshot | None:
        """The next snapshot; None when the work is over."""
        with self._sensors as sensors:
            while self._running:
                rest = self._seconds_to_rest()
                if rest > 0:
                    self._sensors.rest(min(rest, LISTENERS_PERIOD))
                    continue
                now = time.monotonic_ns()
                snapshot = sensors.poll(now)
                if snapshot is not None:
                    self._worked = time.monotonic()
                    return snapshot
                self._sensors.wait(now)
        return None

    def _seconds_to_rest(self) -> float:
        """How long no snapshot is needed, since nobody would notice; 0 or less for not at all."""
        now = time.monotonic()
        if now >= self._ask_at:  # not whenever it wakes: that is when others need the processor
            self._ask_at = now + LISTENERS_PERIOD
            idle = not self._publishers.are_heard()
            if idle != self.progress.idle:
                self.progress = dataclasses.replace(self.progress, idle=idle)
                self._debug(lambda: "nobody listens to outputs" if idle else "somebody listens")
        if self.progress.idle:
            return self._worked + 1 / self.idle_rate - now
        return LISTENERS_PERIOD if self.awaits_sensors() else 0.0

    def _work(self, snapshot: Snapshot) -> None:
        (inference, inputs), publishers = self.model, self._publishers
        observations = observe(snapshot, inputs)
        timings = {"gather": snapshot.waited, **observations.timings}
        with _timed(timings, "encode"):
            posterior, broken = inference.encode_finite(observations.arrays)
        observations = observations.without_infinite(broken)
        snapshot = observations.snapshot
        if posterior is not None:
            with _timed(timings, "latent"):
                publishers.publish_latent(posterior, snapshot, inference.model_hash)
        with self._sensors as sensors:
            sensors.settle(snapshot, observations.unusable)
        for name, _, reason in observations.unusable:
            self._warn(name, f"unusable message on {inputs[name].topic}: {reason}")
        if posterior is None:
            return
        with _timed(timings, "decode"):
            arrays = inference.decode(posterior, publishers.wanted())
        predictions = Predictions(
            observations,
            posterior,
            arrays,
            inference.modalities,
            inference.model_hash,
            timings,
            self._health.judgements,
        )
        with _timed(timings, "publish"):
            publishers.publish(predictions)
        timings["total"] = snapshot.waited + (time.monotonic_ns() - snapshot.taken_ns) / 1e9
        with self._sensors as sensors:
            counters = sensors.counters()
        publishers.publish_status(predictions, counters)
        self.times.add(timings, time.monotonic())
        self._debug(lambda: _describe(predictions))
        self.progress = dataclasses.replace(
            self.progress,
            snapshots=self.progress.snapshots + 1,
            subset=tuple(observations.arrays),
            latency=timings["total"],
        )
        now = snapshot.taken_ns / 1e9
        self._health.check(inference, posterior, observations.arrays, snapshot.receipts, now)


def _describe(predictions: Predictions) -> str:
    """A snapshot in a line."""
    snapshot = predictions.snapshot
    ages = ", ".join(f"{name} {1000 * x.age:.1f} ms old" for name, x in snapshot.readings.items())
    stages = ", ".join(f"{stage} {1000 * s:.1f}" for stage, s in predictions.timings.items())
    absent = "".join(f"; without {name}: {why.text}" for name, why in snapshot.absent.items())
    predicted = "+".join(predictions.arrays) or "nothing"
    return (
        f"snapshot at {predictions.stamp_ns / 1e9:.3f} by {snapshot.trigger} of {ages}{absent}; "
        f"predicted {predicted}; ms: {stages}"
    )


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[stage] = time.perf_counter() - start
