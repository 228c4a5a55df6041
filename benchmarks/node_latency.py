# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Latency of the live node over DDS, beside a node as it is often written.

    python -m benchmarks.node_latency

Publisher, node and this receiver are processes of their own. RGB and depth come at 30 Hz, force at
500 Hz. One run measures, one after the other:

node        128x128: from publishing the last message of a moment to receiving the latent here, as
            bytes: what it costs to make a message of them is the receiver's. The bare model time
            is what the node measured around the model for the same frame, before the latent; the
            overhead is the difference
naive       the same for benchmarks.naive_node. For both, the depth camera stops at the end
relay       the same for benchmarks.relay_node, which computes nothing: the floor of the overhead
model       the model alone, called in this process as often as in the node: the floor of its time
large       640x480 with Fast DDS' transport for large data on both ends
slow        a model that takes SLOW times the images' period: how old is the data behind an output?
idle        the node's share of one core while nobody subscribes to anything of it
diagnosed   the same while somebody subscribes to /diagnostics, and to nothing else
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from benchmarks.resources import cpu_seconds, scheduling
from benchmarks.results import publish, run_command
from benchmarks.sensors import IMAGE_RATE, TOPICS, WRENCH_RATE, Published, publish_sensors
from benchmarks.slow_model import save_slow_model
from smvae_core.inference.inference import Inference
from smvae_ros.bundled import model_path
from smvae_ros.cli.node_process import start_node, stop_node
from smvae_ros.cli.programs import isolate
from smvae_ros.node.transport import LARGE_DATA, VARIABLE
from smvae_ros.parameters.configuration import NODE_NAME

Part = Literal["node", "naive", "relay", "model", "large", "slow", "idle", "diagnosed"]
STAGES = ("gather", "convert", "prepare", "encode", "latent", "decode", "publish")
WARM_UP = 3.0  # seconds that are not counted: readers are still being matched
WITHOUT_DEPTH = 2.0  # seconds at the end
SLOW = 3  # times the period of images that the slow model takes
Start = Callable[[], subprocess.Popen]


@dataclass
class Run:
    """What was measured of one node.

    Attributes:
        published: by the publisher.
        received: stamp → monotonic time when the latent arrived, in nanoseconds.
        frames: stamp → what ~/status said: milliseconds of each stage, and messages ``lost`` and
            ``dropped`` so far; empty for a node without.
        cpu_percent: of one core, while it was counted.
    """

    published: Published = field(default_factory=lambda: Published({}, set()))
    received: dict[int, int] = field(default_factory=dict)
    frames: dict[int, dict[str, float]] = field(default_factory=dict)
    cpu_percent: float = 0.0

    @property
    def counted(self) -> dict[int, int]:
        """Stamp → time of publication of the moments after the warm-up."""
        moments = self.published.moments
        begin = min(moments.values()) + WARM_UP * 1e9
        return {stamp: moment for stamp, moment in moments.items() if moment >= begin}

    def end_to_end(self, complete: bool = True) -> dict[int, float]:
        """Stamp → milliseconds of the counted moments that came back; of those with or without
        depth."""
        return {
            stamp: (self.received[stamp] - moment) / 1e6
            for stamp, moment in self.counted.items()
            if stamp in self.received and (stamp in self.published.with_depth) == complete
        }

    def answered_ratio(self, complete: bool) -> float:
        """Share of the counted moments, with or without depth, that an output came of."""
        asked = sum((stamp in self.published.with_depth) == complete for stamp in self.counted)
        return len(self.end_to_end(complete)) / asked


def run(
    start: Start,
    name: str,
    seconds: float,
    size: int = 128,
    outputs: Collection[str] = ("latent", "status"),
) -> Run:
    """Starts a node, publishes to it, and listens to its outputs.

    Args:
        start: starts the node's process.
        name: of the node.
        seconds: how long is counted; without depth for another WITHOUT_DEPTH.
        size: of the images.
        outputs: what to subscribe to, of ``latent``, ``status`` and ``/diagnostics``.
    """
    import rclpy
    from diagnostic_msgs.msg import DiagnosticArray
    from rclpy.serialization import deserialize_message
    from sensor_msgs.msg import Image

    from smvae_ros.messages import stamp_ns
    from smvae_ros.node.spinning import make_executor

    result = Run()

    arrived: list[tuple[bytes, int]] = []

    def on_latent(data: bytes) -> None:
        arrived.append((data, time.monotonic_ns()))

    def on_status(message: DiagnosticArray) -> None:
        values = {v.key: v.value for v in message.status[0].values}
        entry = {stage: float(values[f"{stage}_ms"]) for stage in STAGES}
        counters = {
            status.name.split(": ")[1]: {v.key: v.value for v in status.values}
            for status in message.status[1:]
        }
        entry["lost"] = sum(int(counters[name]["lost"]) for name in TOPICS)
        entry["dropped"] = sum(int(counters[name]["dropped"]) for name in ("rgb", "depth"))
        result.frames[stamp_ns(message) or 0] = entry

    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    total = WARM_UP + seconds
    publisher = context.Process(
        target=publish_sensors, args=(total + WITHOUT_DEPTH, size, there, total)
    )
    rclpy.init()
    listener = rclpy.create_node("benchmark_receiver")
    if "latent" in outputs:
        listener.create_subscription(Image, f"/{name}/latent", on_latent, 50, raw=True)
    if "status" in outputs:
        listener.create_subscription(DiagnosticArray, f"/{name}/status", on_status, 50)
    if "/diagnostics" in outputs:
        listener.create_subscription(DiagnosticArray, "/diagnostics", lambda _: None, 1)
    executor = make_executor()
    executor.add_node(listener)
    node = start()
    try:
        publisher.start()
        while listener.count_subscribers(TOPICS["force"]) == 0:
            if node.poll() is not None or not publisher.is_alive():
                raise RuntimeError(f"{name} or the publisher ended early")
            executor.spin_once(timeout_sec=0.05)
        begin = time.monotonic()
        before = None
        while not here.poll():
            executor.spin_once(timeout_sec=0.05)
            now = time.monotonic()
            if before is None and now > begin + WARM_UP:
                before = now, cpu_seconds(node.pid)
            if before is not None and now < begin + total:
                used = cpu_seconds(node.pid) - before[1]
                result.cpu_percent = 100 * used / max(1e-3, now - before[0])
            if not publisher.is_alive():
                raise RuntimeError("the publisher ended early")
        result.published = here.recv()
        publisher.join()
    finally:
        stop_node(node)
        executor.shutdown()
        listener.destroy_node()
        rclpy.shutdown()
    result.received = {stamp_ns(deserialize_message(data, Image)) or 0: t for data, t in arrived}
    return result


def start_peer(module: str) -> subprocess.Popen:
    """Starts another node of this package in a process of its own."""
    return subprocess.Popen([sys.executable, "-m", f"benchmarks.{module}"], start_new_session=True)


@contextlib.contextmanager
def large_data() -> Iterator[None]:
    """Fast DDS' transport for large data in this process and those it starts.

    With the discovery range LOCALHOST it would not be used (:mod:`smvae_ros.node.transport`); from
    others on the network they stay apart by their ROS_DOMAIN_ID.
    """
    before = dict(os.environ)
    os.environ |= {VARIABLE: LARGE_DATA, "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}
    try:
        yield
    finally:
        del os.environ[VARIABLE]
        os.environ |= before


def percentiles(name: str, values: list[float] | np.ndarray) -> dict[str, float]:
    """Median and 99th percentile as figures."""
    return {f"{name}_p{p}": float(np.percentile(values, p)) for p in (50, 99)}


def node_figures(result: Run) -> dict[str, float]:
    """What is to be told of a run of our node."""
    times = {s: t for s, t in result.end_to_end().items() if s in result.frames}
    end_to_end = np.array(list(times.values()))
    stages = {
        stage: np.array([result.frames[s][stage] for s in times])
        for stage in ("gather", "convert", "prepare", "encode", "latent")
    }
    first, last = result.frames[next(iter(times))], result.frames[list(times)[-1]]
    return {
        **percentiles("end_to_end_ms", end_to_end),
        **percentiles("model_ms", stages["encode"]),
        **percentiles("overhead_ms", end_to_end - stages["encode"]),
        **{
            f"{stage}_ms_p50": float(np.median(stages[stage]))
            for stage in ("gather", "convert", "prepare", "latent")
        },
        "moments": sum(stamp in result.published.with_depth for stamp in result.counted),
        "frames": len(times),
        "lost": last["lost"] - first["lost"],
        "dropped": last["dropped"] - first["dropped"],
        "cpu_percent": result.cpu_percent,
        "answered_without_depth_ratio": result.answered_ratio(complete=False),
    }


def naive_figures(result: Run) -> dict[str, float]:
    """What is to be told of a run of the naive node."""
    return {
        **percentiles("naive_end_to_end_ms", list(result.end_to_end().values())),
        "naive_answered_ratio": result.answered_ratio(complete=True),
        "naive_cpu_percent": result.cpu_percent,
        "naive_answered_without_depth_ratio": result.answered_ratio(complete=False),
    }


def model_times(seconds: float) -> list[float]:
    """Milliseconds that encoding RGB, depth and force takes, at the rate of the images: called
    without pause it would find the processor's caches warm."""
    inference = Inference.load(model_path())
    inference.warm_up()
    sample = {
        name: np.ones(modality.raw_shape, modality.raw_dtype)
        for name, modality in inference.modalities.items()
        if name in TOPICS
    }
    times = []
    for _ in range(round(seconds * IMAGE_RATE)):
        time.sleep(1 / IMAGE_RATE)
        start = time.perf_counter()
        inference.encode(sample)
        times.append(1000 * (time.perf_counter() - start))
    return times


def ratios(figures: Mapping[str, float]) -> dict[str, float]:
    """What there is of our node's figures beside those of the others in the same run, which hosts
    change less than milliseconds."""
    pairs = {
        "end_to_end_over_naive_p50": ("end_to_end_ms_p50", "naive_end_to_end_ms_p50"),
        "end_to_end_over_naive_p99": ("end_to_end_ms_p99", "naive_end_to_end_ms_p99"),
        "overhead_over_relay_p50": ("overhead_ms_p50", "relay_ms_p50"),
        "model_over_model_alone_p50": ("model_ms_p50", "model_alone_ms_p50"),
    }
    return {
        f"{name}_ratio": figures[ours] / figures[theirs]
        for name, (ours, theirs) in pairs.items()
        if ours in figures and theirs in figures
    }


def slow_figures(result: Run) -> dict[str, float]:
    """The age of an output's data is the time since the newest moment in it was published."""
    ages = {s: t for s, t in result.end_to_end().items() if s in result.frames}
    model = {s: result.frames[s]["encode"] for s in ages}
    period = 1000 / IMAGE_RATE
    excess = np.array([ages[s] - model[s] - period for s in ages])
    return {
        **percentiles("slow_model_ms", list(model.values())),
        **percentiles("slow_age_ms", list(ages.values())),
        "slow_age_ms_max": max(ages.values()),
        "slow_age_over_model_and_period_ms_max": float(excess.max()),
        "slow_age_within_ratio": float((excess < 0).mean()),
        "slow_frames": len(ages),
    }


def main(seconds: float = 20.0, size: int = 128, only: tuple[Part, ...] = get_args(Part)) -> None:
    """Measures and prints.

    Args:
        seconds: measured of each part.
        size: of the small images, in pixels.
        only: parts to run.
    """
    isolate()
    figures: dict[str, float] = {}

    def ours(parameters: Mapping[str, object] | None = None) -> Start:
        return lambda: start_node(parameters)

    for part in only:
        print(f"{part} ...", file=sys.stderr, flush=True)
        if part == "node":
            figures |= node_figures(run(ours(), NODE_NAME, seconds, size))
        elif part == "naive":
            naive = run(lambda: start_peer("naive_node"), "naive_perception", seconds, size)
            figures |= naive_figures(naive)
        elif part == "relay":
            relay = run(lambda: start_peer("relay_node"), "relay", seconds, size)
            figures |= percentiles("relay_ms", list(relay.end_to_end().values()))
        elif part == "model":
            figures |= percentiles("model_alone_ms", model_times(seconds))
        elif part == "large":
            with large_data():
                large = node_figures(run(ours(), NODE_NAME, seconds, 480))
            figures |= {f"large_{name}": value for name, value in large.items()}
            if "overhead_ms_p50" in figures:
                figures["large_added_ms_p50"] = (
                    large["overhead_ms_p50"] - figures["overhead_ms_p50"]
                )
        elif part == "slow":
            with tempfile.TemporaryDirectory() as folder:
                path = save_slow_model(Path(folder, "model"), SLOW / IMAGE_RATE)
                slow = run(ours({"checkpoint": str(path)}), NODE_NAME, seconds)
            figures |= slow_figures(slow)
        else:
            outputs = ("/diagnostics",) if part == "diagnosed" else ()
            idle = run(ours(), NODE_NAME, seconds, size, outputs)
            share = "idle_cpu_percent" if part == "idle" else "diagnosed_idle_cpu_percent"
            figures[share] = idle.cpu_percent
    publish(
        "node_latency",
        figures | ratios(figures),
        {
            "images": f"{size}x{size} RGB and depth at {IMAGE_RATE} Hz",
            "force": f"{WRENCH_RATE} Hz",
            "model": "bundled",
            "load": f"{os.getloadavg()[0]:.1f} processes wanted a core when it ended",
            "scheduling": scheduling(),
        },
    )


if __name__ == "__main__":
    run_command(main)
