# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Runs :class:`smvae_ros.node.perception.PerceptionNode`; ``python -m`` works too."""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from smvae_ros.cli.programs import (
    deferred_interrupts,
    end_within,
    leave,
    parser_of,
    print_error,
    split_arguments,
)
from smvae_ros.parameters.parameters_file import read_parameters

if TYPE_CHECKING:
    from smvae_ros.node.perception import PerceptionNode

# For its end, in seconds: `ros2 launch` kills a process ten seconds after Ctrl-C without a word.
SHUTDOWN_SECONDS = 8
# After `shutdown`, so that who asked for it receives the answer and sees the state.
FAREWELL_SECONDS = 1.0


def make_parser() -> argparse.ArgumentParser:
    """The command line of ``ros2 run smvae_ros perception_node``."""
    return parser_of(
        "perception_node",
        "The perception node: encodes the sensors that are live into one latent, and\n"
        "predicts all of them from it. It loads its model and becomes active by itself.",
        usage="perception_node [-h] [--ros-args ARGUMENT ...]",
        epilog="Arguments for ROS follow --ros-args, such as\n"
        "  --params-file YAML  topics and all other parameters; without it, the node waits on\n"
        "                      ~/input/*. config/perception.yaml explains them.\n"
        "  -p robot:=FILE|NAME a robot file, which has topics, too, or one of config/robots\n"
        "  -p NAME:=VALUE      a single parameter, such as checkpoint:=DIRECTORY or device:=cuda\n"
        "  -r __ns:=/NAME      the namespace, also of topics without a leading slash\n"
        "  --log-level LEVEL   debug, info, warn, error or fatal\n\n"
        "Ctrl-C ends it.",
    )


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Runs the node (:func:`run`), and ends the process."""
    code = run(args)
    gc.collect()  # with the last reference to the node, the middleware gives its shared memory back
    leave(code)


def problems_of_files(args: Sequence[str], node: PerceptionNode) -> Iterator[str]:
    """Sentences about parameters files that have nothing for the node, of which ROS is silent."""
    for option, path in pairwise(args):
        if option == "--params-file":
            try:
                read_parameters([Path(path)], node.get_fully_qualified_name())
            except ValueError as error:
                yield str(error)


def run(args: Sequence[str] | None = None) -> int:
    """Runs the node until SIGINT, SIGTERM, until it is shut down or its context is; returns the
    exit code."""
    with deferred_interrupts() as interrupted:
        with interrupted.cause(lambda: leave(0)):  # importing torch takes seconds; nothing is open
            make_parser().parse_args(split_arguments(sys.argv[1:] if args is None else args)[0])

            import rclpy  # only now, so that --help and mistakes are answered at once
            from rclpy.signals import SignalHandlerOptions

            from smvae_ros.node.perception import PerceptionNode
            from smvae_ros.node.spinning import Spinning

        try:
            rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
            node = PerceptionNode(interrupted)
        except RuntimeError as error:  # a parameters file that is no YAML, keys that are missing
            rclpy.try_shutdown()
            return print_error("perception_node", error)
        spinning = Spinning(node)
        try:
            for problem in problems_of_files(sys.argv if args is None else args, node):
                node.get_logger().warning(problem)
            node.autostart()
            spinning.run(lambda: interrupted() or node.is_finalised, lambda: node.rests)
            if node.is_finalised:
                end = time.monotonic() + FAREWELL_SECONDS
                spinning.run(lambda: time.monotonic() >= end)
        finally:
            end_within(SHUTDOWN_SECONDS)
            spinning.close()
            node.destroy_node()
            rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    main()
