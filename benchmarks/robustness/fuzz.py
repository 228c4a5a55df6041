# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Malformed and random messages, requests and events over DDS: does the node stay alive and right?

    python -m benchmarks.robustness.fuzz --messages 20000 --seed 0

Two nodes one after the other, so that every message type is subscribed. Beside messages on every
topic there are such on ``/clock``, requests to all services
(:mod:`benchmarks.robustness.malformed_requests`), and publishers and listeners whose quality of
service or type does not fit. After every CHECK_EVERY of them all requests must have been answered;
the parameters are set right, the node is made active, and well-formed readings of all sensors are
published until a frame of all of them comes, whose latent must be what the model computes from them
offline. Ends with an error where the node does not live or an exception reaches its executor, where
a request has no answer or a latent differs, where anything that is not finite is published, or
where memory grows by more than MOST_GROWTH.
"""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.context import Context
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from tqdm import tqdm

from benchmarks.resources import resident_megabytes
from benchmarks.results import publish, run_command
from benchmarks.robustness.malformed import KINDS, make_malformed
from benchmarks.robustness.malformed_requests import Requests
from smvae_core.inference.inference import Inference
from smvae_core.preprocessing import prepare
from smvae_ros.bundled import model_path, parameters_path
from smvae_ros.cli.node_process import start_node, stop_node
from smvae_ros.cli.programs import deferred_interrupts, isolate, print_error
from smvae_ros.messages import installed_types, make_camera_info, stamp_ns
from smvae_ros.messages.latent import latent_from_message
from smvae_ros.parameters.configuration import NODE_NAME, make_topic_inputs, read_values

# Topic types that config/perception.yaml does not choose get a node of their own.
SETTINGS: tuple[dict[str, object], ...] = (
    {},
    {
        "rgb.type": "sensor_msgs/msg/CompressedImage",
        "depth.type": "sensor_msgs/msg/CompressedImage",
        "force.type": "geometry_msgs/msg/Wrench",
        "force.max_gap": 1.0,  # without stamps, readings that are sent at once are one
        "action.type": "geometry_msgs/msg/Twist",
        "proprio.type": "std_msgs/msg/Float64MultiArray",
    },
)
# Every moment is taken, whatever its rate, and nothing is waited for that never comes.
HASTE = {"max_rate": 10000.0, "gather_ms": 1.0}
MOMENT = 0.01  # seconds: a message on each topic, colour images, which trigger, at its end
CHECK_EVERY = 500  # messages
# Before memory is measured: a second model, and what it was loaded with, stay with the process.
RELOADS = 8
MOST_GROWTH = 60.0  # MB; buffers grow with the largest message, and a little with each reload
ALL_KINDS = (*KINDS, "requests", "strangers")
STRANGERS = 8  # publishers and listeners that do not fit, at a time
CLOCK = "rosgraph_msgs/msg/Clock"
IMAGE = "sensor_msgs/msg/Image"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
# In the log, what reached rclpy's executor, or would have ended the node.
ESCAPED = (b"[FATAL]", b"rclpy failed", b"Traceback")
LOG = Path("out/benchmarks/fuzz_node.log")  # complaints, mostly of the middleware


class Attacker:
    """The other end of one node.

    Args:
        settings: parameters that the node was started with.
        random: decides about readings and malformed messages.
        ended: tells whether the node has.
    """

    def __init__(
        self,
        settings: Mapping[str, str],
        random: np.random.Generator,
        ended: Callable[[], bool],
    ) -> None:
        self._random, self._ended = random, ended
        self._inference = Inference.load(model_path())
        modalities = self._inference.modalities
        values = {**read_values(parameters_path(), modalities.values()), **settings}
        self._sources = make_topic_inputs(modalities, values)
        self.node = rclpy.create_node("attacker")
        self._latents: list[Any] = []
        self._statuses: dict[str, dict[str, str]] = {}
        self._not_finite = 0
        self.node.create_subscription(
            installed_types(IMAGE), f"/{NODE_NAME}/latent", self._keep_latent, 10
        )
        diagnostics = installed_types("diagnostic_msgs/msg/DiagnosticArray")
        self.node.create_subscription(diagnostics, "/diagnostics", self._keep_diagnostics, 5)
        self._types = {n: source.adapter.type_name for n, source in self._sources.items()}
        topics = {name: source.topic for name, source in self._sources.items()}
        self._types["camera_info"] = CAMERA_INFO
        topics["camera_info"] = values["camera_info_topic"]
        self._sensors = tuple(topics)
        self._types["clock"], topics["clock"] = CLOCK, "/clock"
        self._topics = topics
        self._publishers = {
            name: self.node.create_publisher(installed_types(self._types[name]), topic, 100)
            for name, topic in topics.items()
        }
        for name, source in self._sources.items():
            if source.modality.kind != "image":  # whose colours are whole numbers
                depth = source.modality.kind == "depth"
                kind = installed_types(IMAGE if depth else source.adapter.type_name)
                topic = f"/{NODE_NAME}/prediction/{name}"
                self.node.create_subscription(kind, topic, self._check_finite, 10)
        self._context = Context()  # one participant has one type for each topic
        rclpy.init(context=self._context)
        self._stranger = Node("stranger", context=self._context, start_parameter_services=False)
        self._strangers: collections.deque[Any] = collections.deque()
        self._readings = self._draw_readings()
        self._good = {name: self._message(name, 1) for name in self._publishers}
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._requests = Requests(self.node, f"/{NODE_NAME}", random, self._spin_until)

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        self._stranger.destroy_node()
        self._context.shutdown()

    def wait_for_node(self) -> None:
        """Until the node has subscribed to everything."""
        sensors = [self._publishers[name] for name in self._sensors]
        self._spin_until(lambda: all(p.get_subscription_count() for p in sensors), 60)
        self._requests.remember()
        for _ in range(RELOADS):
            self._requests.reload()

    def attack(self, kinds: collections.Counter[str]) -> None:
        """A malformed message on each topic, and perhaps a request and a stranger; counts them."""
        for name in reversed(self._publishers):  # colour images, which trigger, come last
            kind, data = make_malformed(self._random, self._types[name], self._good[name])
            try:
                self._publishers[name].publish(data)
            except RuntimeError:  # more than a message of fixed size can hold: nothing was sent
                continue
            kinds[kind] += 1
        if self._random.random() < 0.5:
            self._requests.send()
            kinds["requests"] += 1
        if self._random.random() < 0.05:
            self._send_stranger()
            kinds["strangers"] += 1
        end = time.monotonic() + MOMENT
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def check(self) -> float:
        """Sets the node right, and publishes well-formed moments until a latent of all sensors is
        right.

        Returns:
            The largest difference between it and the offline model's.

        Raises:
            RuntimeError: where none comes in time, a request has no answer, something that is not
                finite was published, or the node has ended.
        """
        while self._strangers:
            self._dismiss_stranger()
        self._requests.restore()
        if self._not_finite:
            raise RuntimeError(f"{self._not_finite} messages that are not finite were published")
        expected = self._expected()
        best = float("inf")

        def is_right() -> bool:
            nonlocal best
            self._publish_readings()
            while self._latents:
                mean, log_variance = latent_from_message(self._latents.pop())
                found = np.concatenate((mean, log_variance))
                best = min(best, float(np.abs(found - expected).max()))
            return best < 1e-3

        self._latents.clear()
        self._spin_until(is_right, 60)
        return best

    def counts(self) -> dict[str, int]:
        """What /diagnostics says next of the time since the node became active for the last time:
        received, invalid and lost messages, failed frames."""
        self._statuses = {}
        self._spin_until(lambda: bool(self._statuses), 60)
        sensors = [self._statuses[f"{NODE_NAME}: {name}"] for name in self._sources]
        counts = {
            key: sum(int(sensor[key]) for sensor in sensors)
            for key in ("received", "invalid", "foreign", "lost")
        }
        counts["failures"] = int(self._statuses[f"{NODE_NAME}: perception"]["failures"])
        return counts

    def _send_stranger(self) -> None:
        """A publisher or a listener on a topic of the node, with a quality of service or a type
        that does not fit; the oldest one goes."""
        random = self._random
        name = str(random.choice(list(self._topics)))
        topic = str(random.choice([self._topics[name], "/diagnostics", f"/{NODE_NAME}/latent"]))
        profile = QoSProfile(
            depth=1,
            reliability=ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy(int(random.integers(1, 3))),
            deadline=Duration(nanoseconds=int(random.choice([0, 10**6, 10**9]))),
        )
        kind = installed_types(str(random.choice(list(self._types.values()))))
        node = self._stranger
        try:
            if random.random() < 0.5:
                stranger = node.create_publisher(kind, topic, profile)
            else:
                stranger = node.create_subscription(kind, topic, lambda _: None, profile)
        except RuntimeError:  # it has another one of another type there
            return
        self._strangers.append(stranger)
        if len(self._strangers) > STRANGERS:
            self._dismiss_stranger()

    def _dismiss_stranger(self) -> None:
        stranger = self._strangers.popleft()
        node = self._stranger
        node.destroy_publisher(stranger) or node.destroy_subscription(stranger)

    def _spin_until(self, condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if self._ended():
                raise RuntimeError("the node has ended")
            if time.monotonic() > deadline:
                raise RuntimeError(f"the node did not recover within {seconds} s")
            self._executor.spin_once(timeout_sec=0.03)

    def _draw_readings(self) -> dict[str, np.ndarray]:
        """One reading of each sensor in raw units, at the model's size."""
        readings = {}
        for name, modality in self._inference.modalities.items():
            if modality.kind == "image":
                # Even, so that JPEG does not change it.
                readings[name] = np.full(modality.raw_shape, 120, np.uint8)
            elif modality.kind == "depth":
                depth = self._random.uniform(0.4, 1.2, modality.raw_shape)
                readings[name] = np.round(depth, 3).astype(np.float32)
            else:
                mean = np.broadcast_to(modality.mean, modality.shape[0])
                readings[name] = mean.astype(np.float32)
        return readings

    def _expected(self) -> np.ndarray:
        arrays = {}
        for name, modality in self._inference.modalities.items():
            reading = self._readings[name]
            if modality.kind == "series":
                reading = np.tile(reading, (modality.shape[1], 1))
            arrays[name] = prepare(modality, reading)
        prediction = self._inference(arrays)
        return np.concatenate((prediction.mean, prediction.log_variance))

    def _message(self, name: str, stamp: int) -> Any:
        if name == "clock":
            return installed_types(CLOCK)()
        if name == "camera_info":
            return make_camera_info(
                installed_types, 64, 64, np.eye(3), stamp_ns=stamp, frame_id="camera"
            )
        source = self._sources[name]
        header = {"stamp_ns": stamp, "frame_id": "camera"}
        return source.encode(source.adapter, self._readings[name], installed_types, **header)

    def _publish_readings(self) -> None:
        now = time.time_ns()
        for name in reversed(self._sensors):
            series = name in self._sources and self._sources[name].modality.kind == "series"
            for delay in range(40 if series else 0, -1, -1):  # milliseconds: a whole window
                self._publishers[name].publish(self._message(name, now - delay * 1_000_000))

    def _check_finite(self, message: Any) -> None:
        self._not_finite += not is_finite(message)

    def _keep_latent(self, message: Any) -> None:
        self._check_finite(message)
        if stamp_ns(message):
            self._latents.append(message)

    def _keep_diagnostics(self, message: Any) -> None:
        self._statuses = {
            status.name: {entry.key: entry.value for entry in status.values}
            for status in message.status
        }


def is_finite(message: Any) -> bool:
    """Whether all numbers of a message are, those in a picture of floats among them."""
    if hasattr(message, "encoding"):
        return bool(np.isfinite(np.frombuffer(message.data, np.float32)).all())
    for field in message.get_fields_and_field_types():
        value = getattr(message, field)
        if hasattr(value, "get_fields_and_field_types"):
            if not is_finite(value):
                return False
            continue
        floats = isinstance(value, float) or getattr(value, "typecode", "") in ("f", "d")
        if floats and not np.isfinite(value).all():
            return False
    return True


def fuzz(
    settings: Mapping[str, str],
    messages: int,
    random: np.random.Generator,
    interrupted: Callable[[], bool],
    progress: tqdm,
) -> dict[str, float]:
    """Attacks one node with so many messages.

    Returns:
        Messages of each kind, what the node counted, ``checks`` passed, ``latent_difference`` at
        most, and ``growth_mb`` of the node's memory.

    Raises:
        RuntimeError: where the node has ended, or gives out no right latent any more.
    """
    process = start_node({**settings, **HASTE}, LOG)

    def ended() -> bool:
        return process.poll() is not None

    attacker = Attacker(settings, random, ended)
    kinds: collections.Counter[str] = collections.Counter(dict.fromkeys(ALL_KINDS, 0))
    differences: list[float] = []
    try:
        attacker.wait_for_node()
        attacker.check()
        before = resident_megabytes(process.pid)
        while kinds.total() < messages and not interrupted():
            sent = kinds.total()
            attacker.attack(kinds)
            progress.update(kinds.total() - sent)
            if kinds.total() >= CHECK_EVERY * (1 + len(differences)):
                differences.append(attacker.check())
        differences.append(attacker.check())
        if escaped := [word for word in ESCAPED if word in LOG.read_bytes()]:
            raise RuntimeError(
                f"an exception reached the executor: {LOG} has {escaped[0].decode()}"
            )
        return {
            **kinds,
            **attacker.counts(),
            "checks": len(differences),
            "latent_difference": max(differences),
            "growth_mb": resident_megabytes(process.pid) - before,
        }
    finally:
        attacker.close()
        if not ended():
            stop_node(process)


def main(messages: int = 20_000, seed: int = 0) -> int:
    """Sends, checks and counts; returns the exit code.

    Args:
        messages: of all kinds together.
        seed: of what is sent.
    """
    print(f"seed {seed}; what the nodes say goes to {LOG}", flush=True)
    LOG.unlink(missing_ok=True)
    isolate()
    random = np.random.default_rng(seed)
    share = -(-messages // len(SETTINGS))
    results: list[dict[str, float]] = []
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    with (
        deferred_interrupts() as interrupted,
        tqdm(total=messages, unit=" messages", disable=None) as progress,
    ):
        try:
            for settings in SETTINGS:
                if not interrupted():
                    results.append(fuzz(settings, share, random, interrupted, progress))
        except RuntimeError as error:
            return print_error("fuzz", error)
        finally:
            rclpy.try_shutdown()
    figures = {key: sum(result[key] for result in results) for key in results[0]}
    for key in ("latent_difference", "growth_mb"):
        figures[key] = max(result[key] for result in results)
    publish(
        "robustness.fuzz",
        {"messages": sum(figures[kind] for kind in ALL_KINDS), **figures},
        {
            "seed": str(seed),
            "check": f"every {CHECK_EVERY} messages: all requests answered, nothing published that "
            "is not finite, latent of all sensors as offline",
            "counts": "received, invalid, lost and failures since the node was last made active",
            "model": "bundled",
        },
    )
    if figures["growth_mb"] > MOST_GROWTH:
        error = MemoryError(f"the node grew by more than {MOST_GROWTH:.0f} MB")
        return print_error("fuzz", error)
    return 0


if __name__ == "__main__":
    raise SystemExit(run_command(main))
