"""Malformed and random messages over DDS on every topic of the node: does it stay alive and right?

    python -m benchmarks.fuzz --messages 20000 --seed 0

Two nodes one after the other, so that every message type is subscribed. After every CHECK_EVERY
messages well-formed readings of all sensors are published until a frame of all of them comes, whose
latent must be what the model computes from them offline. Ends with an error where the node does not
live, where a latent differs, or where memory grows by more than MOST_GROWTH.
"""

from __future__ import annotations

import argparse
import collections
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from tqdm import tqdm

from benchmarks.malformed import KINDS, make_malformed
from benchmarks.node_process import resident_megabytes, start_node, stop_node
from benchmarks.results import publish
from smvae_core.inference import Inference
from smvae_core.preprocessing import prepare
from smvae_ros.bundled import model_path, parameters_path
from smvae_ros.configuration import NODE_NAME, make_sources, read_values
from smvae_ros.messages import installed_types, make_camera_info, stamp_ns
from smvae_ros.messages.latent import latent_from_message
from smvae_ros.programs import deferred_interrupts, isolate, print_error

# Topic types that config/perception.yaml does not choose get a node of their own.
SETTINGS: tuple[dict[str, str], ...] = (
    {},
    {
        "rgb.type": "sensor_msgs/msg/CompressedImage",
        "depth.type": "sensor_msgs/msg/CompressedImage",
        "force.type": "geometry_msgs/msg/Wrench",
        "force.max_gap": "1.0",  # without stamps, readings that are sent at once are one
        "action.type": "geometry_msgs/msg/Twist",
        "proprio.type": "std_msgs/msg/Float64MultiArray",
    },
)
# Every moment is taken, whatever its rate, and nothing is waited for that never comes.
HASTE = {"max_rate": "10000.0", "gather_ms": "1.0"}
MOMENT = 0.01  # seconds: a message on each topic, colour images, which trigger, at its end
CHECK_EVERY = 500  # messages
MOST_GROWTH = 30.0  # MB; buffers grow with the largest message that came
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
LOG = Path("out/benchmarks/fuzz_node.log")  # complaints, mostly of the middleware


class Attacker:
    """The other end of one node.

    Args:
        settings: parameters that the node was started with.
        random: decides about readings and malformed messages.
    """

    def __init__(self, settings: Mapping[str, str], random: np.random.Generator) -> None:
        self._random = random
        self._inference = Inference.load(model_path())
        modalities = self._inference.modalities
        values = {**read_values(parameters_path(), modalities.values()), **settings}
        self._sources = make_sources(modalities, values)
        self.node = rclpy.create_node("attacker")
        self._latents: list[Any] = []
        self._statuses: dict[str, dict[str, str]] = {}
        self.node.create_subscription(
            installed_types("sensor_msgs/msg/Image"), f"/{NODE_NAME}/latent", self._keep_latent, 10
        )
        diagnostics = installed_types("diagnostic_msgs/msg/DiagnosticArray")
        self.node.create_subscription(diagnostics, "/diagnostics", self._keep_diagnostics, 5)
        self._types = {n: source.adapter.type_name for n, source in self._sources.items()}
        topics = {name: source.topic for name, source in self._sources.items()}
        self._types["camera_info"] = CAMERA_INFO
        topics["camera_info"] = values["camera_info_topic"]
        self._publishers = {
            name: self.node.create_publisher(installed_types(self._types[name]), topic, 100)
            for name, topic in topics.items()
        }
        self._readings = self._draw_readings()
        self._good = {name: self._message(name, 1) for name in self._publishers}
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()

    def wait_for_node(self, ended: Callable[[], bool]) -> None:
        """Until the node has subscribed to everything."""
        self._spin_until(
            lambda: all(p.get_subscription_count() for p in self._publishers.values()), 60, ended
        )

    def attack(self, kinds: collections.Counter[str]) -> None:
        """A malformed message on each topic; counts their kinds."""
        for name in reversed(self._publishers):  # colour images, which trigger, come last
            kind, data = make_malformed(self._random, self._types[name], self._good[name])
            try:
                self._publishers[name].publish(data)
            except RuntimeError:  # more than a message of fixed size can hold: nothing was sent
                continue
            kinds[kind] += 1
        end = time.monotonic() + MOMENT
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def check(self, ended: Callable[[], bool]) -> float:
        """Publishes well-formed moments until a latent of all sensors is right.

        Returns:
            The largest difference between it and the offline model's.

        Raises:
            RuntimeError: where none comes in time, or the node has ended.
        """
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
        self._spin_until(is_right, 20, ended)
        return best

    def counts(self, ended: Callable[[], bool]) -> dict[str, int]:
        """What /diagnostics says next: received, invalid and lost messages, failed frames."""
        self._statuses = {}
        self._spin_until(lambda: bool(self._statuses), 10, ended)
        sensors = [self._statuses[f"{NODE_NAME}: {name}"] for name in self._sources]
        counts = {
            key: sum(int(sensor[key]) for sensor in sensors)
            for key in ("received", "invalid", "lost")
        }
        counts["failures"] = int(self._statuses[f"{NODE_NAME}: perception"]["failures"])
        return counts

    def _spin_until(
        self, condition: Callable[[], bool], seconds: float, ended: Callable[[], bool]
    ) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if ended():
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
        if name == "camera_info":
            return make_camera_info(
                installed_types, 64, 64, np.eye(3), stamp_ns=stamp, frame_id="camera"
            )
        source = self._sources[name]
        return source.adapter.to_message(
            self._readings[name],
            source.modality,
            installed_types,
            stamp_ns=stamp,
            frame_id="camera",
            scale=source.scale,
            joint_names=source.joint_names,
        )

    def _publish_readings(self) -> None:
        now = time.time_ns()
        for name in reversed(self._publishers):
            series = name in self._sources and self._sources[name].modality.kind == "series"
            for delay in range(40 if series else 0, -1, -1):  # milliseconds: a whole window
                self._publishers[name].publish(self._message(name, now - delay * 1_000_000))

    def _keep_latent(self, message: Any) -> None:
        if stamp_ns(message):
            self._latents.append(message)

    def _keep_diagnostics(self, message: Any) -> None:
        self._statuses = {
            status.name: {entry.key: entry.value for entry in status.values}
            for status in message.status
        }


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
    attacker = Attacker(settings, random)
    kinds: collections.Counter[str] = collections.Counter(dict.fromkeys(KINDS, 0))
    differences: list[float] = []

    def ended() -> bool:
        return process.poll() is not None

    try:
        attacker.wait_for_node(ended)
        attacker.check(ended)
        before = resident_megabytes(process.pid)
        while kinds.total() < messages and not interrupted():
            sent = kinds.total()
            attacker.attack(kinds)
            progress.update(kinds.total() - sent)
            if kinds.total() >= CHECK_EVERY * (1 + len(differences)):
                differences.append(attacker.check(ended))
        differences.append(attacker.check(ended))
        return {
            **kinds,
            **attacker.counts(ended),
            "checks": len(differences),
            "latent_difference": max(differences),
            "growth_mb": resident_megabytes(process.pid) - before,
        }
    finally:
        attacker.close()
        if not ended():
            stop_node(process)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=20_000, help="default: 20000")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    options = parser.parse_args()
    print(f"seed {options.seed}; what the nodes say goes to {LOG}", flush=True)
    LOG.unlink(missing_ok=True)
    isolate()
    random = np.random.default_rng(options.seed)
    share = -(-options.messages // len(SETTINGS))
    results: list[dict[str, float]] = []
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    with (
        deferred_interrupts() as interrupted,
        tqdm(total=options.messages, unit=" messages", disable=None) as progress,
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
        "fuzz",
        {"messages": sum(figures[kind] for kind in KINDS), **figures},
        {
            "seed": str(options.seed),
            "check": f"latent of all sensors as offline, every {CHECK_EVERY} messages",
            "model": "bundled",
        },
    )
    if figures["growth_mb"] > MOST_GROWTH:
        error = MemoryError(f"the node grew by more than {MOST_GROWTH:.0f} MB")
        return print_error("fuzz", error)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
