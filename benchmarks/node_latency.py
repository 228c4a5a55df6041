"""Latency of the live node: 128x128 RGB-D at 30 Hz and force at 500 Hz, over DDS.

    python -m benchmarks.node_latency

Three processes: a publisher, the node, and this one, which receives. End to end counts from
publishing the last message of a moment to receiving the latent here. The bare model time is what
the node measured around the model for the same frame; the overhead is the difference.
"""

from __future__ import annotations

import argparse
import multiprocessing
import signal
import subprocess
import sys
import time
from multiprocessing.connection import Connection

import numpy as np

from benchmarks.results import publish
from smvae_core.modalities import Modality
from smvae_ros.bundled import parameters_path
from smvae_ros.configuration import NODE_NAME
from smvae_ros.messages import adapter, installed_types
from smvae_ros.programs import isolate

IMAGE_RATE, WRENCH_RATE = 30, 500  # Hz
STAGES = ("gather", "convert", "prepare", "encode", "decode", "publish")
WARM_UP = 3.0  # seconds that are not counted
TOPICS = {
    "rgb": "/camera/color/image_raw",
    "depth": "/camera/depth/image_raw",
    "force": "/wrench",
}
RGB = Modality("rgb", "image", (3, 128, 128))
DEPTH = Modality("depth", "depth", (1, 128, 128))
FORCE = Modality("force", "vector", (6,))


def publish_sensors(seconds: float, size: int, results: Connection) -> None:
    """Publishes for some time, then sends stamp → monotonic time of the moment's last message."""
    import rclpy
    from rclpy.qos import QoSProfile, ReliabilityPolicy

    rclpy.init()
    node = rclpy.create_node("benchmark_publisher")
    image, wrench = adapter("sensor_msgs/msg/Image"), adapter("geometry_msgs/msg/WrenchStamped")
    best_effort = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    types = {
        "rgb": image.type_name,
        "depth": image.type_name,
        "force": wrench.type_name,
    }
    publishers = {
        name: node.create_publisher(
            installed_types(types[name]), topic, 50 if name == "force" else best_effort
        )
        for name, topic in TOPICS.items()
    }
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (8, size, size, 3), dtype=np.uint8)
    depths = random.uniform(0.3, 1.2, (8, size, size)).astype(np.float32)
    forces = random.normal(0, 5, (500, 6)).astype(np.float32)
    while not all(publisher.get_subscription_count() for publisher in publishers.values()):
        time.sleep(0.01)
    published: dict[int, int] = {}
    begin = time.monotonic()
    next_image = 0
    for tick in range(round(seconds * WRENCH_RATE)):
        due = begin + tick / WRENCH_RATE
        time.sleep(max(0.0, due - time.monotonic()))
        stamp = time.time_ns()
        moment = tick * IMAGE_RATE >= next_image * WRENCH_RATE
        if moment:
            number, next_image = next_image % 8, next_image + 1
            where = {"stamp_ns": stamp, "frame_id": "camera"}
            rgb = image.to_message(pictures[number], RGB, installed_types, **where)
            depth = image.to_message(depths[number], DEPTH, installed_types, **where)
            publishers["rgb"].publish(rgb)
            publishers["depth"].publish(depth)
        message = wrench.to_message(forces[tick % 500], FORCE, installed_types, stamp_ns=stamp)
        if moment:
            published[stamp] = time.monotonic_ns()
        publishers["force"].publish(message)
    time.sleep(0.5)  # the last ones are on their way
    results.send(published)
    node.destroy_node()
    rclpy.shutdown()


def receive(process: multiprocessing.Process, results: Connection) -> tuple[dict, dict, dict]:
    """Spins while the publisher runs. Returns stamp → time published, stamp → time received,
    stamp → what ~/status said: milliseconds of each stage, messages lost and dropped so far."""
    import rclpy
    from diagnostic_msgs.msg import DiagnosticArray
    from rclpy.executors import SingleThreadedExecutor
    from sensor_msgs.msg import Image

    from smvae_ros.messages import stamp_ns

    received: dict[int, int] = {}
    frames: dict[int, dict[str, float]] = {}

    def on_latent(message: Image) -> None:
        received[stamp_ns(message)] = time.monotonic_ns()

    def on_status(message: DiagnosticArray) -> None:
        values = {v.key: v.value for v in message.status[0].values}
        entry = {stage: float(values[f"{stage}_ms"]) for stage in STAGES}
        counters = {
            status.name.split(": ")[1]: {v.key: v.value for v in status.values}
            for status in message.status[1:]
        }
        entry["lost"] = sum(int(counters[name]["lost"]) for name in TOPICS)
        entry["dropped"] = sum(int(counters[name]["dropped"]) for name in ("rgb", "depth"))
        frames[stamp_ns(message)] = entry

    rclpy.init()
    node = rclpy.create_node("benchmark_receiver")
    node.create_subscription(Image, f"/{NODE_NAME}/latent", on_latent, 50)
    node.create_subscription(DiagnosticArray, f"/{NODE_NAME}/status", on_status, 50)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    process.start()
    published = None
    while published is None:
        executor.spin_once(timeout_sec=0.05)
        if results.poll():
            published = results.recv()
        elif not process.is_alive():
            raise RuntimeError("the publisher ended early")
    process.join()
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown()
    return published, received, frames


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="measured (default: 20)")
    parser.add_argument("--size", type=int, default=128, help="of the images (default: 128)")
    options = parser.parse_args()
    isolate()
    command = [sys.executable, "-m", "smvae_ros.perception_node", "--ros-args"]
    command += ["--params-file", str(parameters_path())]
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    publisher = context.Process(
        target=publish_sensors, args=(WARM_UP + options.seconds, options.size, there)
    )
    node = subprocess.Popen(command, start_new_session=True)
    try:
        published, received, frames = receive(publisher, here)
    finally:
        node.send_signal(signal.SIGINT)
        node.wait(10)
    begin = min(published.values()) + WARM_UP * 1e9
    counted = {stamp: moment for stamp, moment in published.items() if moment >= begin}
    both = [stamp for stamp in counted if stamp in received and stamp in frames]
    end_to_end = np.array([(received[s] - counted[s]) / 1e6 for s in both])
    spent = {stage: np.array([frames[s][stage] for s in both]) for stage in STAGES}
    model = spent["encode"] + spent["decode"]
    overhead = end_to_end - model
    publish(
        "node_latency",
        {
            "end_to_end_ms_p50": np.percentile(end_to_end, 50),
            "end_to_end_ms_p99": np.percentile(end_to_end, 99),
            "model_ms_p50": np.percentile(model, 50),
            "model_ms_p99": np.percentile(model, 99),
            "overhead_ms_p50": np.percentile(overhead, 50),
            "overhead_ms_p99": np.percentile(overhead, 99),
            **{
                f"{stage}_ms_p50": np.percentile(spent[stage], 50)
                for stage in ("gather", "convert", "prepare", "publish")
            },
            "moments": len(counted),
            "frames": len(both),
            # From the first counted frame on: before it, readers are still being matched.
            "lost": frames[both[-1]]["lost"] - frames[both[0]]["lost"],
            "dropped": frames[both[-1]]["dropped"] - frames[both[0]]["dropped"],
        },
        {
            "images": f"{options.size}x{options.size} RGB and depth at {IMAGE_RATE} Hz",
            "force": f"{WRENCH_RATE} Hz",
            "model": "bundled",
        },
    )


if __name__ == "__main__":
    main()
