# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Write trajectories of a cache as rosbag2 bags, so that any recording can be replayed.

    python -m training.export_bag CACHE BAGS --robot g1 --trajectories 70 71

Each trajectory becomes a bag BAGS/<number> with the topics and message types that the robot file
gives. Pictures have the size that they have in the cache. What is absent in a step is not sent.

BAGS is a new folder, or one that the same cache and robot file were exported to before: then bags
that are there stay, and the others are written.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from smvae_core.data.logs.cache_folder import MANIFEST_NAME
from smvae_core.data.logs.dataset import LogCache, open_cache
from smvae_core.files import OutputError, check_output, write_text
from smvae_core.modalities import Modality
from smvae_core.robot import Robot
from smvae_ros.bags import BagError, BagWriter
from smvae_ros.bags.files import PARTIAL
from smvae_ros.cli.programs import parser_of
from smvae_ros.messages import bag_types
from smvae_ros.messages.serialised import NANOSECONDS
from smvae_ros.parameters.configuration import make_topic_inputs
from smvae_ros.parameters.robot_values import load_robot, robot_values
from smvae_ros.sensors.topic_inputs import TopicInput
from training.programs import run_program

ORIGIN = ".exported.json"  # of what the bags of a folder are
START_NS = 1_704_067_200 * NANOSECONDS  # of every bag: caches do not keep when steps were


def export_trajectory(
    cache: LogCache, number: int, inputs: dict[str, TopicInput], path: Path
) -> int:
    """Writes one trajectory as a bag; returns the number of its messages.

    Args:
        cache: whose rows they are.
        number: of the trajectory.
        inputs: topic and message type of each modality.
        path: of the bag; it appears when it is whole, and not after an exception.

    Raises:
        ValueError: where the cache has no such trajectory.
        BagError: where a message cannot be written.
    """
    rows = np.flatnonzero(cache.arrays["trajectory"] == number)
    if not len(rows):
        raise ValueError(
            f"{cache.path} has no trajectory {number}; it has 0 to {len(cache.trajectories) - 1}"
        )
    try:
        with BagWriter(path) as bag:
            for row in tqdm(rows, path.name, unit="step", disable=None):
                now = START_NS + round(int(cache.arrays["step"][row]) * NANOSECONDS / cache.rate)
                for column, name in enumerate(cache.names):
                    if name not in inputs or not cache.present[row, column]:
                        continue
                    source = inputs[name]
                    for stamp, reading in _readings(
                        source.modality, cache.arrays[name][row], now, cache.rate
                    ):
                        message = source.encode(source.adapter, reading, bag_types, stamp_ns=stamp)
                        bag.write(source.topic, message, stamp)
    except BaseException:
        # The writer keeps what was recorded, but half a trajectory shall not look like a whole one.
        shutil.rmtree(path, ignore_errors=True)
        raise
    return sum(bag.counts.values())


def _readings(
    modality: Modality, array: np.ndarray, now_ns: int, rate: float
) -> Iterator[tuple[int, np.ndarray]]:
    """Stamp and array of each message that a step stands for: of a series as many as came since the
    step before."""
    if modality.kind != "series" or modality.rate is None:
        yield now_ns, array
        return
    new = min(len(array), max(1, round(modality.rate / rate)))
    for back in reversed(range(new)):
        yield now_ns - round(back * NANOSECONDS / modality.rate), array[len(array) - 1 - back][None]


def open_folder(folder: Path, cache: LogCache, robot: Robot) -> None:
    """Makes the folder for the bags, or goes on in one that was begun with the same.

    Raises:
        OutputError: where it holds other things, or cannot be written to.
    """
    manifest = (cache.path / MANIFEST_NAME).read_bytes()
    origin = {"cache": hashlib.sha256(manifest).hexdigest(), "robot": robot.parameters()}
    text = json.dumps(origin, indent=2) + "\n"
    mark = folder / ORIGIN
    if folder.is_dir() and any(folder.iterdir()) and not mark.exists():
        raise OutputError(f"{folder} holds other things; give a new or empty folder")
    check_output(folder, folder=True)
    if not mark.exists():
        write_text(mark, text)
    elif mark.read_text(encoding="utf-8") != text:
        raise OutputError(
            f"{folder} holds bags of another cache, or by another robot file; give a new folder"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = parser_of("training.export_bag", __doc__)
    add = parser.add_argument
    add("cache", metavar="CACHE", type=Path, help="made by training.convert")
    add("bags", metavar="BAGS", type=Path, help="folder for the bags")
    add("--robot", metavar="FILE", required=True, help="robot file, or its name")
    add("--trajectories", metavar="N", type=int, nargs="+", help="numbers (default: all)")
    options = parser.parse_args(arguments)

    def program() -> int:
        robot = load_robot(options.robot)
        cache = open_cache(options.cache, robot.modalities)
        inputs = make_topic_inputs({m.name: m for m in robot.modalities}, robot_values(robot))
        inputs = {name: source for name, source in inputs.items() if source.topic}
        count = len(cache.trajectories)
        for number in options.trajectories or ():
            if not 0 <= number < count:
                raise ValueError(f"{options.cache} has {count} trajectories, from 0; not {number}")
        open_folder(options.bags, cache, robot)
        for number in options.trajectories or range(len(cache.trajectories)):
            path = options.bags / str(number)
            if path.exists():
                print(f"{path} is there already, and stays as it is")
                continue
            shutil.rmtree(path.with_name(path.name + PARTIAL), ignore_errors=True)  # of a kill -9
            count = export_trajectory(cache, number, inputs, path)
            print(f"{path}: {count} messages of {cache.trajectories[number][0]}")
        return 0

    return run_program(
        "training.export_bag", program, "bags that were written are kept", (BagError,)
    )


if __name__ == "__main__":
    sys.exit(main())
