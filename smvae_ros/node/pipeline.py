# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""From topics to outputs: what there is of the node only while it is configured."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from typing import Any

from rclpy.lifecycle import LifecycleNode

from smvae_core.health.monitor import HealthMonitor
from smvae_core.inference.inference import Inference
from smvae_ros.node.diagnostics import PipelineHealth, SensorHealth
from smvae_ros.node.publishers import Publishers
from smvae_ros.node.subscriptions import Subscriptions, make_profile
from smvae_ros.node.waiting import SharedSensors
from smvae_ros.node.worker import Worker
from smvae_ros.parameters.configuration import health_settings, make_topic_inputs, sensor_settings
from smvae_ros.sensors.evidence import Connection
from smvae_ros.sensors.sensor_set import SensorSet
from smvae_ros.sensors.topic_inputs import TopicInput
from smvae_ros.sensors.trained_frames import describe_other_frame

Inputs = dict[str, TopicInput]


class Pipeline:
    """The parts of one set of modalities. They subscribe at once, and from then on as
    :meth:`attend` is told; the worker is to be started.

    Args:
        node: whose subscriptions and publishers these are.
        inference: a model that has been warmed up.
        values: of the node's parameters; topics among them are absolute.
        warn: given a subject and a text.
        debug: given what makes a line of the log.

    Attributes:
        sensors: what was received.
        subscriptions: which fill the sensors.
        worker: which waits for them.
        publishers: of what the worker makes.
        health: of the sensors, by what the worker makes.

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
        inputs = self._make_inputs(inference, values)
        if not any(topic_input.topic for topic_input in inputs.values()):
            names = ", ".join(modalities)
            raise ValueError(f"no modality has a topic: set the topic of one of {names}")
        connections = {name: Connection(topic_input.topic) for name, topic_input in inputs.items()}
        settings = sensor_settings(modalities, values)
        self.sensors = SharedSensors(SensorSet(modalities, settings, connections))
        self.health = HealthMonitor(health_settings(values))
        self.publishers = Publishers(node, inputs, warn)
        profiles = {
            name: make_profile(values[f"{name}.reliability"], values[f"{name}.queue_size"])
            for name in inputs
        }
        topic = values["camera_info_topic"]
        try:
            self.subscriptions = Subscriptions(node, inputs, profiles, self.sensors, topic, warn)
        except ValueError:
            self.publishers.destroy()
            raise
        self.worker = Worker(
            inference, inputs, self.sensors, self.publishers, self.health, warn, debug
        )
        self.worker.awaits_sensors = self.subscriptions.are_awaited
        self._warn = warn
        self._told: dict[str, str] = {}  # modality → what was said of its frame_id
        self._lock = threading.Lock()  # values and models come in different threads
        self.configure(values)

    @property
    def rests(self) -> bool:
        """Whether there are fewer snapshots than messages arrive, since nobody listens."""
        return self.worker.progress.idle and self.subscriptions.since < math.inf

    def configure(self, values: Mapping[str, Any]) -> None:
        """New values of the parameters that are not structural.

        Raises:
            ValueError: where they do not fit each other or the model; nothing is changed then.
        """
        health = health_settings(values)
        with self._lock:
            inputs = self._make_inputs(self.worker.inference, values)
            self.sensors.configure(sensor_settings(inputs, values))
            self._take(self.worker.inference, inputs)
            self._values = values
        self.health.settings = health
        self.publishers.frame_id = values["frame_id"]
        self.publishers.camera_frame = values["camera_frame"]
        self.publishers.jpeg_quality = values["jpeg_quality"]
        self.worker.times.deadline = values["deadline_ms"] / 1000
        self.worker.idle_rate = values["idle_rate"]

    def exchange(self, inference: Inference) -> None:
        """Takes another model of the same modalities from the next snapshot on. Readings are judged
        by its statistics at once."""
        with self._lock:
            self._take(inference, self._make_inputs(inference, self._values))

    def _make_inputs(self, inference: Inference, values: Mapping[str, Any]) -> Inputs:
        return make_topic_inputs(inference.modalities, values, inference.frame_ids)

    def _take(self, inference: Inference, inputs: Inputs) -> None:
        """Works with them from now on."""
        with self.sensors as sensors:
            for name, before in self.subscriptions.inputs.items():
                if inputs[name].zero != before.zero:
                    sensors.forget(name)  # or a window would begin at one zero and end at another
            self.subscriptions.inputs = self.publishers.inputs = inputs
        self.worker.model = (inference, inputs)

    def attend(self, heard: bool) -> None:
        """To be called a few times a second: subscribes while somebody listens.

        Args:
            heard: whether anybody listens to what the node publishes beside these outputs.
        """
        self.subscriptions.attend(heard or self.publishers.are_heard())
        self.subscriptions.poll_events()

    def report(self, now: int) -> PipelineHealth:
        """What is known at one time, in monotonic nanoseconds; times are since the last call."""
        inference, judgements = self.worker.inference, self.health.judgements
        with self.sensors as sensors:
            counters, evidence = sensors.counters(), sensors.evidence(now)
            frame_ids = sensors.frame_ids()
        inputs = self.subscriptions.inputs
        others = {
            name: describe_other_frame(name, frame_id, inputs[name].frame_id)
            for name, frame_id in frame_ids.items()
        }
        self._tell(others)
        return PipelineHealth(
            self.worker.progress,
            inference.model_hash,
            str(inference.device),
            self.worker.times.take(),
            inference.calibration is not None,
            self.health.seconds,
            {
                name: SensorHealth(
                    self.subscriptions.connection(name, examined=not known.live),
                    known,
                    counters[name],
                    judgements.get(name),
                    frame_ids[name],
                    others[name],
                    inputs[name].zero,
                )
                for name, known in evidence.items()
            },
        )

    def _tell(self, other_frames: Mapping[str, str]) -> None:
        """Warns of readings in other axes than the training's, once each."""
        for name, text in other_frames.items():
            if text and text != self._told.get(name):
                self._warn(f"{name} frame_id", f"{name}: {text}")
            self._told[name] = text

    def destroy(self) -> None:
        """Ends the work, all subscriptions and all publishers."""
        self.worker.stop()
        self.subscriptions.destroy()
        self.publishers.destroy()
