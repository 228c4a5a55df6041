# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The demo: a recorded insertion replayed into the live node, with the camera cut off for a while.

    python -m smvae_ros.cli.demo

Starts the perception node in a process of its own, replays a bag to it over DDS, prints what
happens while it happens, and leaves OUTPUT/report.html and OUTPUT/report.json behind. It talks to
nobody but its own node.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from smvae_core.files import check_output
from smvae_core.stored_model import CheckpointError
from smvae_ros.bags import BagError, BagReader
from smvae_ros.bags.replayer import Cut, Replayer
from smvae_ros.bundled import bag_path, model_path, parameters_path, yardstick_path
from smvae_ros.cli.node_process import start_node, stop_node
from smvae_ros.cli.programs import from_extra, isolate, parser_of, print_error, ros_program
from smvae_ros.parameters.names import NODE_NAME

CAMERA_TOPICS = "/camera/*"
STARTUP_TIMEOUT = 120.0  # seconds for the node to load and warm up its model
PRINT_EVERY = 1.0  # seconds


class DemoError(RuntimeError):
    """The demo cannot go on; the message says why."""


@contextmanager
def perception_node(options: argparse.Namespace) -> Iterator[subprocess.Popen[bytes]]:
    """The node in a process of its own; its output goes to OUTPUT/node.log."""
    log = options.output / "node.log"
    log.unlink(missing_ok=True)
    parameters = {"checkpoint": str(options.checkpoint), "device": options.device}
    process = start_node(parameters, log, options.params)
    try:
        yield process
    finally:
        with suppress(RuntimeError):
            stop_node(process)


def replay_to_node(options: argparse.Namespace, node: Any, process: subprocess.Popen[bytes]) -> Any:
    """Replays the bag with the camera cut off, and returns a recording of what the node made of it
    (:class:`smvae_ros.reports.demo_recording.DemoRecording`).

    Raises:
        BagError: where the bag cannot be read.
        DemoError: where the node does not start, or ends.
    """
    from rclpy.executors import SingleThreadedExecutor

    from smvae_ros.reports.demo_recording import DemoRecording

    executor = SingleThreadedExecutor()
    executor.add_node(node)
    with BagReader(options.bag) as reader:
        cut = Cut(CAMERA_TOPICS, *options.cut)
        replayer = Replayer(node, reader, rate=options.rate, cuts=[cut])
        recording = DemoRecording(node, f"/{NODE_NAME}", ("rgb", "depth"), replayer.topics)
        stop, begin = threading.Event(), []

        def replay() -> None:
            if replayer.wait_for_subscribers(stop):
                begin.append(time.monotonic())
                replayer.run(stop, recording.on_publish)

        thread = threading.Thread(target=replay, name="replay")
        thread.start()
        try:
            deadline = time.monotonic() + STARTUP_TIMEOUT
            events = list(zip(options.cut, ("cut off", "back"), strict=True))
            next_line = 0.0
            while thread.is_alive():
                executor.spin_once(timeout_sec=0.05)
                if process.poll() is not None or (not begin and time.monotonic() > deadline):
                    raise DemoError(f"the node did not start:\n{_tail(options.output)}")
                seconds = (time.monotonic() - begin[0]) * options.rate if begin else -1.0
                if events and seconds >= events[0][0]:
                    print(f"{seconds:6.1f} s   --- RGB and depth are {events.pop(0)[1]} ---")
                if seconds >= next_line:
                    next_line += PRINT_EVERY * options.rate
                    print(recording.line(seconds), flush=True)
            _drain(executor)
        finally:
            stop.set()
            thread.join()
            executor.shutdown()
    return recording


def _drain(executor: Any, quiet: float = 0.3) -> None:
    """Spins until nothing has arrived for a moment, so that the last outputs are in."""
    last = time.monotonic()
    while time.monotonic() - last < quiet:
        before = time.monotonic()
        executor.spin_once(timeout_sec=quiet)
        if time.monotonic() - before < quiet:
            last = time.monotonic()


def _tail(output: Path) -> str:
    lines = (output / "node.log").read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-15:])


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("demo", __doc__)
    add = parser.add_argument
    add("--bag", type=Path, default=bag_path(), help="bag to replay (default: the bundled one)")
    add("--checkpoint", type=Path, default=model_path(), help="model (default: the bundled one)")
    add(
        "--yardstick",
        type=Path,
        default=yardstick_path(),
        help="network trained only to predict depth from force and action, to compare with",
    )
    add("--params", type=Path, default=parameters_path(), help="the node's parameters file")
    add("--device", default="auto", help="cpu, cuda, cuda:N or auto (default)")
    add("--rate", type=float, default=1.0, help="replay this much faster (default: 1)")
    add(
        "--cut",
        type=float,
        nargs=2,
        default=(8.0, 20.0),
        metavar=("FROM", "TO"),
        help="seconds of the bag in which RGB and depth are cut off (default: 8 20)",
    )
    add("--output", type=Path, default=Path("out/demo"), help="folder for the report")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command `demo`; returns its exit code."""
    isolate()
    recording = None
    try:
        with ros_program("smvae_demo", _parser(), argv) as (node, options):
            with from_extra("report,torch", "the report needs PyTorch, jinja2 and matplotlib"):
                from smvae_ros.reports.demo_report import write_report
            check_output(options.output, folder=True)
            options.output.mkdir(parents=True, exist_ok=True)
            print(f"Replaying {options.bag.name} into {NODE_NAME} over DDS", flush=True)
            with perception_node(options) as process:
                recording = replay_to_node(options, node, process)
        if recording is None:
            return 130
        print("Writing the report …", flush=True)
        report = write_report(options, recording)
    except (BagError, CheckpointError, DemoError, ValueError, OSError) as error:
        return print_error("demo", error)
    for name, value in report.items():
        print(f"  {name}: {value}")
    print(f"Open {options.output / 'report.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
