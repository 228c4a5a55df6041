# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Writes logs of the simulated insertion robot in the Vision&Touch format, and bags of it.

    python -m training.simulate --output data/simulated --trajectories 40

Each trajectory has its own box position, colours and light. With --realistic, it has its own
textures on table, wall and box, too, and the depth is that of a stereo camera, with a strength of
noise of its own.

Trajectory k has the seed SEED + k, after which its files are named, and is the same however many
others are made, by however many workers, in one go or in several. A part file that is already there
is not made again. The files say in their attributes that they are simulated, by which generator,
from which seed and settings.

Optical flow, optional in the format and over half of its bytes, is not written.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from smvae_core.data.logs.hdf5.files import READ_ERRORS, Hdf5Error, open_hdf5
from smvae_core.data.logs.vision_touch.layout import STEPS_PER_FILE, log_file_name, write_log
from smvae_core.files import check_output
from smvae_ros.bags import BagError, BagWriter
from smvae_ros.cli.programs import number, parser_of, run_command
from smvae_ros.messages import bag_types
from smvae_ros.simulation.graphics import SimulationUnavailable, find_mujoco
from smvae_ros.simulation.insertion import GENERATOR_VERSION, InsertionRobot, Step
from smvae_ros.simulation.topics import step_messages
from training.workers import CONTEXT, worker_pool

# Begins the names of all logs. The trajectory's number is its seed: no two scenes share a name.
STAMP = "simulated"
# Stamps in a bag count from a fixed moment (1 January 2024), so that it is reproducible too.
BAG_START = 1_704_067_200 * 10**9


@dataclass(frozen=True)
class Settings:
    """What a set of logs is made from; together with a seed it fixes every byte of their arrays.

    Attributes:
        camera_noise: noise of the camera as a multiple of the default; 0 is none, but depth is
            rounded all the same.
        realistic: textures and a stereo camera, as in :class:`InsertionRobot`.
        part_steps: steps in a part file.
    """

    camera_noise: float = 1.0
    realistic: bool = False
    part_steps: int = STEPS_PER_FILE

    def robot(self, seed: int) -> InsertionRobot:
        return InsertionRobot(seed, camera_noise=self.camera_noise, realistic=self.realistic)

    def attributes(self, seed: int) -> dict[str, Any]:
        """The attributes of a log of the trajectory with this seed."""
        return {
            "simulated": True,
            "generator": "smvae_ros.simulation",
            "generator_version": GENERATOR_VERSION,
            "mujoco_version": find_mujoco().__version__,  # its physics change now and then
            "seed": seed,
            "camera_noise": self.camera_noise,
            "realistic": self.realistic,
            "part_steps": self.part_steps,
        }


def log_arrays(steps: Sequence[Step]) -> dict[str, np.ndarray]:
    """The datasets of a Vision&Touch log of T rendered steps, in the format's shapes and dtypes."""
    names = ["action", "proprio", "ee_pos", "ee_ori", "ee_vel", "ee_vel_ori"]
    names += ["ee_yaw", "ee_yaw_delta", "joint_pos", "joint_vel"]
    depth = np.stack([step.depth for step in steps if step.depth is not None])
    return {
        "image": np.stack([step.image for step in steps if step.image is not None]),
        "depth_data": depth[..., None],
        "ee_forces_continuous": np.stack([step.forces for step in steps]),
        "contact": np.stack([step.contact for step in steps]).astype(np.uint8),
        **{name: np.stack([getattr(step, name) for step in steps]) for name in names},
    }


def write_trajectory(
    folder: Path, seed: int, count: int, one_part: bool, settings: Settings
) -> Iterator[int]:
    """Writes the missing part files of one trajectory of ``count`` steps; with ``one_part`` only
    one of them, so that consecutive seeds take all parts in turn.

    Yields the number of steps done after every step, so that the caller may stop there: a part file
    is on the disk either whole or not at all.

    Raises:
        ValueError: a part file is there that was made from another seed or settings.
        SimulationUnavailable: MuJoCo or graphics are missing.
        OSError: a file cannot be written.
    """
    attributes = settings.attributes(seed)
    parts = range(count // settings.part_steps)
    paths = {
        part: folder / log_file_name(STAMP, seed, part)
        for part in ([seed % len(parts)] if one_part else parts)
    }
    missing = [part for part, path in paths.items() if not _is_written(path, attributes)]
    if missing:
        with settings.robot(seed) as robot:
            for part in range(missing[-1] + 1):
                # Others are passed through without pictures, only to reach the next.
                wanted = part in missing
                steps: list[Step] = []
                for step in robot.steps(settings.part_steps, render=wanted):
                    steps.append(step)
                    yield step.index + 1
                if wanted:
                    write_log(paths[part], log_arrays(steps), attributes)
    yield count


def _is_written(path: Path, attributes: Mapping[str, Any]) -> bool:
    """Whether this part is there already; a damaged file counts as missing.

    Raises:
        ValueError: the file was made otherwise, so that mixing it with new ones would be wrong, or
            cannot be looked at.
    """
    if not path.exists():
        return False
    try:
        with open_hdf5(path) as file:
            # Files made before there was a choice do not name it.
            found = {"realistic": False, "part_steps": STEPS_PER_FILE, **file.attrs}
    except Hdf5Error as error:
        if error.damaged:
            return False
        raise
    except READ_ERRORS:
        return False
    for name, expected in attributes.items():
        if found.get(name) != expected:
            raise ValueError(
                f"{path} was made with {name} = {found.get(name)}, now it is {expected}. "
                "Use another --output."
            )
    return True


def write_bag(path: Path, seed: int, count: int, settings: Settings) -> None:
    """Records ``count`` steps of the trajectory with this seed as a rosbag2 (mcap, zstd).

    Interrupted, it leaves a bag of the steps until then.

    Raises:
        BagError: the bag exists already or cannot be written.
        SimulationUnavailable: MuJoCo or graphics are missing.
    """
    with settings.robot(seed) as robot:
        path.parent.mkdir(parents=True, exist_ok=True)
        with BagWriter(path) as bag:
            for step in tqdm(robot.steps(count), total=count, unit="step", desc=path.name):
                for topic, message, stamp in step_messages(step, bag_types, BAG_START):
                    bag.write(topic, message, stamp)


# In a worker process: how many steps all of them have done, and whether to stop.
_done: Any = None
_stop: Any = None


def _start_worker(done: Any, stop: Any) -> None:
    global _done, _stop
    _done, _stop = done, stop


def _run_worker(*arguments: Any) -> None:
    before = 0
    for steps in write_trajectory(*arguments):
        with _done.get_lock():
            _done.value += steps - before
        before = steps
        if _stop.is_set():
            return
        parent = multiprocessing.parent_process()
        if parent is not None and not parent.is_alive():
            os._exit(1)  # the parent was killed and nobody is left to say stop


def write_logs(options: argparse.Namespace, settings: Settings) -> None:
    """Writes all part files of several trajectories with several processes and a progress bar.

    Raises:
        KeyboardInterrupt: interrupted; what is written is whole, and the rest can be made later.
        ValueError, SimulationUnavailable, OSError: as :func:`write_trajectory`.
    """
    folder, trajectories, count = options.output, options.trajectories, options.steps
    folder.mkdir(parents=True, exist_ok=True)
    find_mujoco()  # chooses the graphics once for all workers, or says what is missing
    done, stop = CONTEXT.Value("q", 0), CONTEXT.Event()
    with (
        worker_pool(min(options.workers, trajectories), _start_worker, done, stop) as pool,
        ExitStack() as end,
        tqdm(total=trajectories * count, unit="step", smoothing=0.05) as bar,
    ):
        end.callback(stop.set)
        pending = {
            pool.submit(_run_worker, folder, options.seed + k, count, options.one_part, settings)
            for k in range(trajectories)
        }
        while pending:
            finished, pending = wait(pending, timeout=0.5, return_when=FIRST_EXCEPTION)
            bar.update(done.value - bar.n)
            for future in finished:
                future.result()


def main(arguments: Sequence[str] | None = None) -> int:
    """Records as the command line says; returns the exit code."""
    parser = parser_of("python -m training.simulate", __doc__)
    add = parser.add_argument
    count = number(int, 1)
    add("--output", type=Path, metavar="DIR", help="folder for the HDF5 part files")
    add(
        "--bag",
        type=Path,
        metavar="DIR",
        help="record the first trajectory as a new rosbag2 too, or alone without --output",
    )
    add("--trajectories", type=count, default=40, metavar="N", help="how many (%(default)s)")
    add(
        "--steps",
        type=count,
        default=1000,
        metavar="N",
        help="in each, 20 a second, a multiple of --part-steps (%(default)s)",
    )
    add(
        "--part-steps",
        type=count,
        default=STEPS_PER_FILE,
        metavar="N",
        help="with --one-part: steps in a part file (%(default)s, as original ones have)",
    )
    add(
        "--one-part",
        action="store_true",
        help="of each trajectory write one part only, of the first its first, of the second its "
        "second, and so on: many more scenes in as many steps",
    )
    seed = number(int, 0)
    add("--seed", type=seed, default=0, metavar="S", help="of the first trajectory (%(default)s)")
    cores = os.cpu_count()
    add("--workers", type=count, default=cores, metavar="N", help="processes (%(default)s)")
    add(
        "--camera-noise",
        type=number(float, 0),
        default=1.0,
        metavar="FACTOR",
        help="multiple of the camera's noise; 0 is none, but depth is still rounded, and a stereo "
        "camera's still has shadows (%(default)s)",
    )
    add(
        "--realistic",
        action="store_true",
        help="textures, and a stereo camera's depth: noise and steps grow with the distance, with "
        "shadows and patches without readings; otherwise colours are plain and the noise is mild",
    )
    options = parser.parse_args(arguments)
    if options.output is None and options.bag is None:
        parser.error("say where to write: --output DIR for logs, --bag DIR for a bag, or both")
    if options.output is not None and options.steps % options.part_steps:
        parser.error(
            f"--steps must be a multiple of {options.part_steps}, the length of a part file"
        )
    if options.part_steps != STEPS_PER_FILE and not options.one_part:
        # Readers number the steps of a trajectory by the original length of its parts.
        parser.error("--part-steps is for --one-part only")
    return run_command(
        "simulate",
        lambda: _simulate(options),
        SimulationUnavailable,
        BagError,
        interrupted="every log written is whole; the same command makes the rest",
    )


def _simulate(options: argparse.Namespace) -> int:
    fields = (field.name for field in dataclasses.fields(Settings))
    settings = Settings(**{name: getattr(options, name) for name in fields})
    for path in filter(None, (options.output, options.bag)):
        check_output(path, folder=True)
    try:
        if options.output is not None:
            write_logs(options, settings)
    except BrokenProcessPool:
        raise ValueError(
            "a worker process was killed, perhaps for want of memory. Every log written is whole; "
            "the same command makes the rest, with --workers 1 in less memory."
        ) from None
    if options.bag is not None:
        write_bag(options.bag, options.seed, options.steps, settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
