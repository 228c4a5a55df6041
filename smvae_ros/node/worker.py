"""The thread that owns the model: takes the newest frame, runs the model, publishes.

A slow model lowers the rate of frames, never their freshness: what arrives meanwhile replaces what
was there, and the next frame takes what is newest then. While nobody listens to any output, there
are only as many frames as keep /diagnostics true.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from smvae_core.health.monitor import HealthMonitor
from smvae_core.inference.inference import Inference, Prediction
from smvae_ros.node.frame import Frame
from smvae_ros.node.frame_times import FrameTimes
from smvae_ros.node.publishers import Outputs
from smvae_ros.node.waiting import SharedSensors
from smvae_ros.sensors.observations import observe
from smvae_ros.sensors.snapshot import SensorSample
from smvae_ros.sensors.topic_inputs import Source

LISTENERS_PERIOD = 0.1  # seconds; how often it looks whether somebody listens


@dataclass(frozen=True)
class Progress:
    """What the worker has done so far.

    Attributes:
        frames: published since the start.
        failures: frames that were lost to an error.
        last_error: of the latest of these.
        subset: modalities of the latest frame.
        latency: seconds from the receipt of the latest frame's trigger until it was published.
        idle: whether there are fewer frames, since nobody listens.
    """

    frames: int = 0
    failures: int = 0
    last_error: str = ""
    subset: tuple[str, ...] = ()
    latency: float = 0.0
    idle: bool = False


class Worker:
    """Works from :meth:`start` to :meth:`stop`.

    Args:
        inference: a model that has been warmed up.
        sources: by modality.
        sensors: where frames come from.
        outputs: where predictions go.
        health: given every frame after it has been published.
        warn: given a subject and a text.
        debug: given what makes a line of the log, which it calls only where somebody wants it.

    Attributes:
        model: the inference with the sources of its modalities; can be exchanged as a whole between
            two frames.
        times: of the stages of frames.
        progress: what it has done so far; replaced as a whole after each frame.
        idle_rate: frames per second at most while nobody listens.
        awaits_sensors: tells whether frames shall wait for sensors that are yet to be received.
    """

    def __init__(
        self,
        inference: Inference,
        sources: Mapping[str, Source],
        sensors: SharedSensors,
        outputs: Outputs,
        health: HealthMonitor,
        warn: Callable[[str, str], None],
        debug: Callable[[Callable[[], str]], object],
    ) -> None:
        self.model = (inference, sources)
        self.progress = Progress()
        self.times = FrameTimes()
        self.idle_rate = 1.0
        self.awaits_sensors: Callable[[], bool] = lambda: False
        self._worked = 0.0  # when a frame was last begun, monotonic
        self._ask_at = 0.0  # when to look again whether somebody listens, monotonic
        self._sensors, self._outputs, self._health = sensors, outputs, health
        self._warn, self._debug = warn, debug
        self._running = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to work; counting starts anew."""
        self.progress = Progress()
        with self._sensors as sensors:
            sensors.reset_counters()
        self._running = True
        self._thread = threading.Thread(target=self._run, name="perception worker", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Returns when the last frame has been published."""
        if self._thread is None:
            return
        self._running = False
        self._sensors.wake()
        self._thread.join()
        self._thread = None

    def _run(self) -> None:
        while self._running:
            try:
                sample = self._next_sample()
                if sample is not None:
                    self._work(sample)
            except Exception as error:  # one bad frame must not end the node
                text = f"{type(error).__name__}: {error}"
                failures = self.progress.failures + 1
                self.progress = dataclasses.replace(
                    self.progress, failures=failures, last_error=text
                )
                self._warn("worker", f"a frame failed: {text}")

    def _next_sample(self) -> SensorSample | None:
        """The next frame; None when the work is over."""
        with self._sensors as sensors:
            while self._running:
                rest = self._seconds_to_rest()
                if rest > 0:
                    self._sensors.rest(min(rest, LISTENERS_PERIOD))
                    continue
                now = time.monotonic_ns()
                sample = sensors.poll(now)
                if sample is not None:
                    self._worked = time.monotonic()
                    return sample
                self._sensors.wait(now)
        return None

    def _seconds_to_rest(self) -> float:
        """How long no frame is needed, since nobody would notice; 0 or less for not at all."""
        now = time.monotonic()
        if now >= self._ask_at:  # not whenever it wakes: that is when others need the processor
            self._ask_at = now + LISTENERS_PERIOD
            idle = not self._outputs.are_heard()
            if idle != self.progress.idle:
                self.progress = dataclasses.replace(self.progress, idle=idle)
                self._debug(lambda: "nobody listens to frames" if idle else "somebody listens")
        if self.progress.idle:
            return self._worked + 1 / self.idle_rate - now
        return LISTENERS_PERIOD if self.awaits_sensors() else 0.0

    def _work(self, sample: SensorSample) -> None:
        (inference, sources), outputs = self.model, self._outputs
        observations = observe(sample, sources)
        timings = {"gather": sample.waited, **observations.timings}
        with _timed(timings, "encode"):
            encoding, broken = inference.encode_finite(observations.arrays)
        observations = observations.without_infinite(broken)
        with self._sensors as sensors:
            sensors.settle(observations.sample, observations.unusable)
        for name, _, reason in observations.unusable:
            self._warn(name, f"unusable message on {sources[name].topic}: {reason}")
        if encoding is None:
            return
        sample = observations.sample
        with _timed(timings, "latent"):
            outputs.publish_latent(encoding, sample.stamp_ns or 0)
        with _timed(timings, "decode"):
            predicted = inference.decode(encoding, outputs.wanted())
        prediction = Prediction(encoding.mean, encoding.log_variance, predicted, timings)
        frame = Frame(
            sample,
            observations.arrays,
            prediction,
            inference.modalities,
            inference.model_hash,
            timings,
            self._health.judgements,
        )
        with _timed(timings, "publish"):
            outputs.publish(frame)
        timings["total"] = sample.waited + (time.monotonic_ns() - sample.taken_ns) / 1e9
        with self._sensors as sensors:
            counters = sensors.counters()
        outputs.publish_status(frame, counters)
        self.times.add(timings)
        self._debug(lambda: _describe(frame))
        self.progress = dataclasses.replace(
            self.progress,
            frames=self.progress.frames + 1,
            subset=tuple(observations.arrays),
            latency=timings["total"],
        )
        now = sample.taken_ns / 1e9
        self._health.check(inference, encoding, observations.arrays, sample.receipts, now)


def _describe(frame: Frame) -> str:
    """A frame in a line."""
    sample = frame.sample
    ages = ", ".join(f"{name} {1000 * x.age:.1f} ms old" for name, x in sample.inputs.items())
    stages = ", ".join(f"{stage} {1000 * s:.1f}" for stage, s in frame.timings.items())
    absent = "".join(f"; without {name}: {why.text}" for name, why in sample.absent.items())
    predicted = "+".join(frame.prediction.observations) or "nothing"
    return (
        f"frame at {frame.stamp_ns / 1e9:.3f} by {sample.trigger} of {ages}{absent}; predicted "
        f"{predicted}; ms: {stages}"
    )


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[stage] = time.perf_counter() - start
