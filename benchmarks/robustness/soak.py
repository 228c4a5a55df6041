# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The node at full rate for a long time: does its memory grow, does it lose anything?

    python -m benchmarks.robustness.soak --minutes 20

128x128 RGB-D at 30 Hz and force at 500 Hz, as in benchmarks.node_latency; latent, predictions and
overview are listened to. A sample is taken every SAMPLE_PERIOD and kept in
out/benchmarks/soak_samples.json at once. Ctrl-C ends the run early, and what was measured until
then counts. Ends with an error where a message was lost or memory grew by more than MOST_GROWTH.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.resources import resident_megabytes
from benchmarks.results import publish, run_command
from benchmarks.sensors import IMAGE_RATE, TOPICS, WRENCH_RATE, publish_sensors
from smvae_core.files import write_text
from smvae_ros.cli.node_process import start_node, stop_node
from smvae_ros.cli.programs import deferred_interrupts, ignore_interrupts, isolate
from smvae_ros.messages import installed_types, stamp_ns
from smvae_ros.parameters.configuration import NODE_NAME

SAMPLES = Path("out/benchmarks/soak_samples.json")
SAMPLE_PERIOD = 5.0  # seconds
WARM_UP = 60.0  # seconds until memory counts; less in runs of less than ten minutes
MOST_GROWTH = 2.0  # percent
AVERAGED = 12  # samples at either end whose median is compared
SIZE = 128  # of the images
HEARD = {
    "latent": "sensor_msgs/msg/Image",
    "overview": "sensor_msgs/msg/Image",
    "prediction/rgb": "sensor_msgs/msg/Image",
    "prediction/depth": "sensor_msgs/msg/Image",
    "prediction/force": "geometry_msgs/msg/WrenchStamped",
}


class Listener:
    """Hears what the node says.

    Attributes:
        stamps: of the latents, in nanoseconds.
        counters: ``lost``, ``dropped``, ``invalid`` of all modalities together, and ``failures`` of
            the worker, as /diagnostics last told them.
    """

    def __init__(self, node: Any) -> None:
        self.stamps: list[int] = []
        self.counters: dict[str, int] = {}
        for name, type_name in HEARD.items():
            keep = self._keep_stamp if name == "latent" else lambda _: None
            message_class = installed_types(type_name)
            node.create_subscription(message_class, f"/{NODE_NAME}/{name}", keep, 50)
        diagnostics = installed_types("diagnostic_msgs/msg/DiagnosticArray")
        node.create_subscription(diagnostics, "/diagnostics", self._keep_counters, 5)

    def _keep_stamp(self, message: Any) -> None:
        self.stamps.append(stamp_ns(message) or 0)

    def _keep_counters(self, message: Any) -> None:
        values = {
            status.name: {entry.key: entry.value for entry in status.values}
            for status in message.status
        }
        whole = values.get(f"{NODE_NAME}: perception", {})
        sensors = [values.get(f"{NODE_NAME}: {name}", {}) for name in TOPICS]
        self.counters = {
            key: sum(int(sensor.get(key, 0)) for sensor in sensors)
            for key in ("lost", "dropped", "invalid")
        }
        self.counters["failures"] = int(whole.get("failures", 0))


def _publish(seconds: float, results: Connection) -> None:
    ignore_interrupts()  # who measures decides when it is over
    publish_sensors(seconds, SIZE, results)


def measure(pid: int, seconds: float, interrupted: Callable[[], bool]) -> list[dict[str, float]]:
    """Samples of the node with that process id, until ``seconds`` after its first latent."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.signals import SignalHandlerOptions

    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("soak_listener")
    listener = Listener(node)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    samples: list[dict[str, float]] = []
    begin = next_sample = None
    try:
        with tqdm(total=round(seconds), unit=" s", disable=None) as progress:
            while not interrupted() and (begin is None or time.monotonic() < begin + seconds):
                executor.spin_once(timeout_sec=0.1)
                now = time.monotonic()
                if begin is None and listener.stamps and listener.counters:
                    begin = next_sample = now
                if next_sample is None or now < next_sample:
                    continue
                next_sample += SAMPLE_PERIOD
                samples.append(
                    {
                        "seconds": round(now - begin, 3),
                        "rss_mb": resident_megabytes(pid),
                        "frames": len(listener.stamps),
                        "newest_stamp_ns": listener.stamps[-1],
                        **listener.counters,
                    }
                )
                write_text(SAMPLES, json.dumps(samples))
                progress.update(round(now - begin) - progress.n)
                progress.set_postfix(rss_mb=f"{samples[-1]['rss_mb']:.1f}", **listener.counters)
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown()
    return samples


def summarise(samples: list[dict[str, float]]) -> dict[str, float]:
    """The figures; memory counts from WARM_UP on, or the first tenth of a short run."""
    last = samples[-1]
    warm_up = min(WARM_UP, last["seconds"] / 10)
    counted = [sample for sample in samples if sample["seconds"] >= warm_up]
    first = counted[0]
    memory = np.array([sample["rss_mb"] for sample in counted])
    ends = min(AVERAGED, (len(memory) + 1) // 2)
    before, after = np.median(memory[:ends]), np.median(memory[-ends:])
    stamps = (last["newest_stamp_ns"] - first["newest_stamp_ns"]) / 1e9
    frames = last["frames"] - first["frames"]
    return {
        "minutes": last["seconds"] / 60,
        "frames": frames,
        "frames_missing": round(stamps * IMAGE_RATE) - frames,
        **{key: last[key] - first[key] for key in ("lost", "dropped", "invalid", "failures")},
        "rss_mb_after_warm_up": before,
        "rss_mb_end": after,
        "rss_growth_percent": 100 * (after / before - 1),
    }


def main(minutes: float = 20.0) -> int:
    """Publishes and measures; returns the exit code.

    Args:
        minutes: that it lasts.
    """
    isolate()
    context = multiprocessing.get_context("spawn")
    _, there = context.Pipe(duplex=False)
    seconds = 60 * minutes
    publisher = context.Process(target=_publish, args=(seconds + 3600, there), daemon=True)
    with deferred_interrupts() as interrupted:
        node = start_node()
        try:
            publisher.start()
            samples = measure(node.pid, seconds, interrupted)
        finally:
            publisher.kill()
            stop_node(node)
    if len(samples) < 2:
        print("soak: interrupted before anything could be measured", file=sys.stderr)
        return 1
    figures = summarise(samples)
    publish(
        "robustness.soak",
        figures,
        {
            "images": f"{SIZE}x{SIZE} RGB and depth at {IMAGE_RATE} Hz",
            "force": f"{WRENCH_RATE} Hz",
            "listened to": ", ".join(HEARD),
            "samples": str(SAMPLES),
        },
    )
    if figures["lost"] or figures["rss_growth_percent"] > MOST_GROWTH:
        print(f"soak: lost messages, or grew by more than {MOST_GROWTH} %", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(run_command(main))
