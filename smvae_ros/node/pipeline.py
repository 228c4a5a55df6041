"""From topics to outputs: what there is of the node only while it is configured."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from rclpy.lifecycle import LifecycleNode

from smvae_core.health.monitor import HealthMonitor
from smvae_core.inference.inference import Inference
from smvae_ros.node.diagnostics import PipelineHealth, SensorHealth
from smvae_ros.node.publishers import Outputs
from smvae_ros.node.subscriptions import Inputs, make_profile
from smvae_ros.node.waiting import SharedSensors
from smvae_ros.node.worker import Worker
from smvae_ros.parameters.configuration import health_settings, make_sources, sensor_settings
from smvae_ros.sensors.evidence import Connection
from smvae_ros.sensors.sensor_set import SensorSet


class Pipeline:
    """Sensors, subscriptions, publishers, worker and health of one set of modalities.

    It subscribes at once, and from then on as :meth:`attend` is told; it works between
    :meth:`start` and :meth:`stop`.

    Args:
        node: whose subscriptions and publishers these are.
        inference: a model that has been warmed up.
        values: of the node's parameters; topics among them are absolute.
        warn: given a subject and a text.
        debug: given what makes a line of the log.

    Raises:
        ValueError: where the values do not fit the model or each other, saying why.
    """

    def __init__(
        self,
        node: LifecycleNode,
        inference: Inference,
        values: Mapping[str, Any],
        warn: Callable[[str, str], None],
        debug: Callable[[Callable[[], str]], object],
    ) -> None:
        modalities = inference.modalities
        sources = make_sources(modalities, values)
        if not any(source.topic for source in sources.values()):
            names = ", ".join(modalities)
            raise ValueError(f"no modality has a topic: set the topic of one of {names}")
        connections = {name: Connection(source.topic) for name, source in sources.items()}
        settings = sensor_settings(modalities, values)
        self._sensors = SharedSensors(SensorSet(modalities, settings, connections))
        self._health = HealthMonitor(health_settings(values))
        self._outputs = Outputs(node, sources, warn)
        profiles = {
            name: make_profile(values[f"{name}.reliability"], values[f"{name}.queue_size"])
            for name in sources
        }
        topic = values["camera_info_topic"]
        try:
            self._inputs = Inputs(node, sources, profiles, self._sensors, topic, warn)
        except ValueError:
            self._outputs.destroy()
            raise
        self._worker = Worker(
            inference, sources, self._sensors, self._outputs, self._health, warn, debug
        )
        self._worker.awaits_sensors = self._inputs.are_awaited
        self.configure(values)

    @property
    def inference(self) -> Inference:
        """The model in use."""
        return self._worker.model[0]

    @property
    def topics(self) -> dict[str, str]:
        """Modality → the topic that is subscribed for it, with remappings applied."""
        return self._inputs.topics

    @property
    def subscribed_since(self) -> float:
        """Monotonic time in seconds; infinite while nothing is subscribed."""
        return self._inputs.subscribed_since

    @property
    def rests(self) -> bool:
        """Whether there are fewer frames than messages arrive, since nobody listens."""
        return self._worker.progress.idle and self._inputs.subscribed_since < math.inf

    def configure(self, values: Mapping[str, Any]) -> None:
        """New values of the parameters that are not structural.

        Raises:
            ValueError: where they do not fit each other; nothing is changed then.
        """
        health = health_settings(values)
        self._sensors.configure(sensor_settings(self.inference.modalities, values))
        self._health.settings = health
        self._outputs.frame_id = values["frame_id"]
        self._outputs.camera_frame = values["camera_frame"]
        self._worker.times.deadline = values["deadline_ms"] / 1000
        self._worker.idle_rate = values["idle_rate"]

    def exchange(self, inference: Inference) -> None:
        """Takes another model of the same modalities from the next frame on. Readings are judged by
        its statistics at once."""
        sources = {
            name: dataclasses.replace(source, modality=inference.modalities[name])
            for name, source in self._inputs.sources.items()
        }
        self._inputs.sources = sources
        self._worker.model = (inference, sources)

    def start(self) -> None:
        """Begins to work; counting starts anew."""
        self._worker.start()

    def stop(self) -> None:
        """Returns when the last frame has been published."""
        self._worker.stop()

    def attend(self, heard: bool) -> None:
        """To be called a few times a second: subscribes while somebody listens.

        Args:
            heard: whether anybody listens to what the node publishes beside these outputs.
        """
        self._inputs.attend(heard or self._outputs.are_heard())
        self._inputs.poll_events()

    def health(self, now: int) -> PipelineHealth:
        """What is known at one time, in monotonic nanoseconds; times are since the last call."""
        judgements = self._health.judgements
        with self._sensors as sensors:
            counters, evidence = sensors.counters(), sensors.evidence(now)
        return PipelineHealth(
            self._worker.progress,
            self.inference.model_hash,
            str(self.inference.device),
            self._worker.times.take(),
            self.inference.calibration is not None,
            self._health.seconds,
            {
                name: SensorHealth(
                    self._inputs.connection(name, examined=not known.live),
                    known,
                    counters[name],
                    judgements.get(name),
                )
                for name, known in evidence.items()
            },
        )

    def destroy(self) -> None:
        """Ends the work, all subscriptions and all publishers."""
        self._worker.stop()
        self._inputs.destroy()
        self._outputs.destroy()
