# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Records live topics into a rosbag2 bag, without rosbag2: the command.

``ros2 run smvae_ros record OUTPUT TOPICS...``, or ``--robot`` for those of a robot file; the work
is done by :class:`smvae_ros.bags.recorder.Recorder`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from smvae_core.words import counted
from smvae_ros.bags import BagError, BagWriter
from smvae_ros.bags.recorder import Recorder
from smvae_ros.bags.writer import STORAGES
from smvae_ros.cli.programs import deferred_interrupts, print_error, ros_program
from smvae_ros.parameters.robot_values import add_robot_option, load_robot, topics_of

__all__ = ["Recorder", "main", "make_parser"]


def make_parser() -> argparse.ArgumentParser:
    """The command line of ``ros2 run smvae_ros record``."""
    parser = argparse.ArgumentParser(
        prog="record",
        description="Record topics into a rosbag2 bag as they appear. Bag times are times of "
        "receipt; header stamps are kept.",
        epilog="Ctrl-C ends the recording and closes the bag. Until then it is OUTPUT.partial; "
        "where the program was killed, `ros2 run smvae_ros recover` saves what was recorded. "
        "Arguments for ROS follow --ros-args.",
    )
    add = parser.add_argument
    add("output", metavar="OUTPUT", help="folder of the new bag")
    add("topics", nargs="*", metavar="TOPIC", help="what to record")
    add_robot_option(parser, "record its topics")
    add(
        "--all",
        action="store_true",
        help="record every topic but outputs: those of the perception node, /rosout, "
        "/parameter_events and hidden topics (/_name)",
    )
    add("--outputs", action="store_true", help="with --all, record outputs as well")
    add(
        "--storage",
        choices=STORAGES,
        default=STORAGES[0],
        help="format of the bag (default: %(default)s); sqlite3 for ROS 2 Humble without "
        "rosbag2_storage_mcap",
    )
    add("--duration", type=float, metavar="SECONDS", help="end after so long")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Console command; returns its exit code."""
    with ros_program("record", make_parser(), argv) as (node, arguments):
        return _record(node, arguments)
    return 0  # interrupted before anything was recorded


def _record(node: Any, arguments: argparse.Namespace) -> int:
    try:
        topics = _topics(arguments, node.get_namespace())
    except ValueError as error:
        return print_error("record", error)
    if arguments.outputs and not arguments.all:
        return print_error("record", ValueError("--outputs goes with --all; topics are named"))
    try:
        with (
            deferred_interrupts() as interrupted,
            BagWriter(arguments.output, arguments.storage) as writer,
        ):
            recorder = Recorder(node, writer, topics, _announce, arguments.outputs)
            _spin(node, recorder, writer, arguments.duration, interrupted)
            for topic in recorder.missing:
                print(f"nobody published {topic}", flush=True)
            if recorder.left_out:
                print(f"left out (see --outputs): {', '.join(sorted(recorder.left_out))}")
    except BagError as error:
        return print_error("record", error)
    for topic, count in sorted(writer.counts.items()):
        print(f"{count:8d}  {topic}")
    if writer.counts:
        print(f"kept {counted(recorder.count, 'message')} in {writer.path}", flush=True)
        return 0
    return 0 if interrupted() else 1  # that nothing was kept has been logged by the writer


def _topics(arguments: argparse.Namespace, namespace: str) -> list[str] | None:
    """Names of what to record; None for all."""
    topics = [*arguments.topics]
    if arguments.robot:
        topics += topics_of(load_robot(arguments.robot), namespace)
    if arguments.all == bool(topics):
        raise ValueError("name the topics to record, or give --robot or --all")
    return topics or None


def _announce(topic: str, type_name: str) -> None:
    from tqdm import tqdm

    tqdm.write(f"recording {topic} ({type_name})")
    sys.stdout.flush()


def _spin(
    node: Any,
    recorder: Recorder,
    writer: BagWriter,
    duration: float | None,
    interrupted: Callable[[], bool],
) -> None:
    """Until ``duration`` seconds are over or somebody interrupts.

    Raises:
        BagError: where the bag cannot be written any more, such as on a full disk.
    """
    from tqdm import tqdm

    from smvae_ros.node.spinning import Spinning

    spinning = Spinning(node)
    end = float("inf") if duration is None else time.monotonic() + duration
    try:
        with tqdm(unit=" messages", disable=None) as progress:

            def is_over() -> bool:
                writer.check()
                progress.update(recorder.count - progress.n)
                return interrupted() or time.monotonic() >= end

            spinning.run(is_over)
    finally:
        spinning.close()


if __name__ == "__main__":
    sys.exit(main())
