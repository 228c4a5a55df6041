# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Replays a rosbag2 bag into ROS 2 with its recorded timing, without rosbag2: the command.

``ros2 run smvae_ros replay BAG``; the work is done by :class:`smvae_ros.bags.replayer.Replayer`.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Sequence
from typing import Any

from smvae_core.words import counted
from smvae_ros.bags import BagError, BagReader
from smvae_ros.bags.replayer import Cut, Replayer
from smvae_ros.cli.programs import print_error, ros_program
from smvae_ros.messages.serialised import NANOSECONDS

__all__ = ["Cut", "Replayer", "main", "make_parser"]


def _remapping(text: str) -> tuple[str, str]:
    source, arrow, target = text.partition(":=")
    if not (source and arrow and target):
        raise argparse.ArgumentTypeError(f"{text!r}: write FROM:=TO")
    return source, target


def _cut(text: str) -> Cut:
    try:
        return Cut.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def make_parser() -> argparse.ArgumentParser:
    """The command line of ``ros2 run smvae_ros replay``."""
    parser = argparse.ArgumentParser(
        prog="replay",
        description="Replay a rosbag2 bag (mcap or sqlite3) with its recorded timing.",
        epilog="Topics may hold * and ?. Ctrl-C ends the replay. Arguments for ROS follow "
        "--ros-args.",
    )
    add = parser.add_argument
    add("bag", metavar="BAG", help="folder of the bag, or its .mcap or .db3 file")
    add("--rate", type=float, default=1.0, help="2 is twice as fast (default: 1)")
    add("--loop", action="store_true", help="begin again at the end")
    add("--clock", action="store_true", help="publish bag time on /clock")
    add("--topics", nargs="+", metavar="TOPIC", help="only these topics")
    add(
        "--cut",
        dest="cuts",
        nargs="+",
        type=_cut,
        default=[],
        metavar="TOPIC:FROM:TO",
        help="leave out a topic between two times, in seconds from the beginning of the bag",
    )
    add(
        "--remap",
        nargs="+",
        type=_remapping,
        default=[],
        metavar="FROM:=TO",
        help="publish on another topic",
    )
    add(
        "--start",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="begin so far into the bag (default: 0)",
    )
    add("--duration", type=float, metavar="SECONDS", help="end after so much of the bag")
    add(
        "--wait-for-subscribers",
        action="store_true",
        help="begin only when somebody has subscribed, and a second without another has passed",
    )
    add("--best-effort", action="store_true", help="publish best effort instead of reliable")
    add(
        "--restamp",
        action="store_true",
        help="move header stamps to the time of the replay (they are kept by default)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Console command; returns its exit code."""
    with ros_program("bag_replay", make_parser(), argv) as (node, arguments):
        return _replay(node, arguments)
    return 0  # interrupted


def _replay(node: Any, arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    options = vars(arguments)  # but for two those of the Replayer
    bag, wait = options.pop("bag"), options.pop("wait_for_subscribers")
    options["remap"] = dict(options["remap"])
    stop = threading.Event()  # never set here: Ctrl-C ends the replay with an exception
    try:
        with BagReader(bag) as reader:
            replayer = Replayer(node, reader, **options)
            if wait:
                print("waiting for subscribers", flush=True)
                replayer.wait_for_subscribers(stop)
            seconds = (replayer.end_ns - replayer.start_ns) / NANOSECONDS
            print(
                f"replaying {seconds:.1f} s of {counted(len(replayer.topics), 'topic')} from "
                f"{reader.path}",
                flush=True,
            )
            with tqdm(
                total=round(seconds, 1),
                unit="s",
                disable=None,  # where nobody looks at a terminal
                bar_format="{percentage:3.0f}%|{bar}| {n:.1f}/{total:.1f} s {postfix}",
            ) as progress:
                count = 0

                def show(topic: str, stamp: int, moment: int) -> None:
                    nonlocal count
                    count += 1
                    if count % 50 == 0:
                        progress.set_postfix_str(counted(count, "message"), refresh=False)
                        progress.update((stamp - replayer.start_ns) / NANOSECONDS - progress.n)

                try:
                    replayer.run(stop, show)
                finally:
                    progress.close()
                    print(f"published {counted(count, 'message')}", flush=True)
            return 0
    except (BagError, ValueError) as error:
        return print_error("replay", error)


if __name__ == "__main__":
    sys.exit(main())
