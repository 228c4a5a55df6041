# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Converts a recorded bag into Vision&Touch logs.

    ros2 run smvae_ros bag_to_log BAG OUTPUT --params my_perception.yaml

These hold the sensors of that robot's kind: a camera, depth, force, commands of four numbers, joint
states of eight. To train a model on bags of any robot, no logs are needed:

    python -m training.convert BAG CACHE --robot my_robot.yaml

Topics, types, scales and ages are those of the node's parameters file, so that training sees what
the node will see. Each step takes the newest usable image, depth, command and joint state that are
not later than its moment and not older than max_age, and 50 force readings at 1 kHz, interpolated
by time. Every step has a colour image: where none comes for longer than max_age, or the clock
jumps, another trajectory begins. Depth, force, action or joint states that are missing in a step
are NaN, which the conversion for training counts as absent while it keeps the others; why a sensor
is in no step is said at the end.

Commands keep their unit: with another rate than the recording's control, set action.scale so that
it gives metres per step.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from smvae_core.data.logs.vision_touch.layout import CONTROL_RATE
from smvae_ros.bags import BagError
from smvae_ros.cli.programs import number, parser_of, run_command
from smvae_ros.offline.absences import describe_strayed, describe_unusable
from smvae_ros.offline.log_writer import MODALITIES, BagConversion, convert_bag
from smvae_ros.parameters.configuration import add_parameters_options, read_values


def make_parser() -> argparse.ArgumentParser:
    """The command line of ``ros2 run smvae_ros bag_to_log``."""
    parser = parser_of("bag_to_log", __doc__)
    add = parser.add_argument
    add("bag", type=Path, metavar="BAG", help="rosbag2 bag: folder, .mcap or .db3 file")
    add("output", type=Path, metavar="OUTPUT", help="folder for the HDF5 files")
    add_parameters_options(parser)
    rate, count = number(float, 0.1, 1000), number(int, 0)
    add("--rate", type=rate, default=CONTROL_RATE, metavar="HZ", help="steps a second (20)")
    add("--trajectory", type=count, default=0, metavar="N", help="number of the first one (0)")
    add("--stamp", metavar="NAME", help="begin of the file names (default: when the bag begins)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command `bag_to_log`; returns its exit code."""
    options = make_parser().parse_args(argv)
    report = BagConversion()

    def convert() -> int:
        values = read_values(options.params, MODALITIES.values(), options.namespace)
        folder, rate, first = options.output, options.rate, options.trajectory
        convert_bag(options.bag, folder, values, rate, first, options.stamp, report)
        _print_report(report)
        return 0

    code = run_command("bag_to_log", convert, BagError)
    if code and report.files:
        print(
            f"{len(report.files)} whole files are in {options.output}; the same command makes all",
            file=sys.stderr,
        )
    return code


def _print_report(report: BagConversion) -> None:
    rows: dict[str, object] = {
        "trajectories": report.trajectories,
        "steps": report.steps,
        "files": len(report.files),
        **{f"steps without {name}": count for name, count in report.absent.items()},
    }
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value}")
    for name, count in report.invalid.items():
        print(describe_unusable(name, count, report.reasons[name]))
    for name, (count, why) in report.strays.items():
        print(describe_strayed(name, count, why))


if __name__ == "__main__":
    sys.exit(main())
