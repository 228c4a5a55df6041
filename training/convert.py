# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Convert recordings into memory-mapped arrays that training reads.

    python -m training.convert LOGS_DIR CACHE_DIR                     # Vision&Touch logs (*.h5)
    python -m training.convert BAG BAG CACHE_DIR --robot my_robot.yaml      # rosbag2 bags
    python -m training.convert DATASET CACHE_DIR --robot my_robot.yaml      # LeRobot, v2.1 or v3.0
    python -m training.convert FILE FOLDER CACHE_DIR --robot my_robot.yaml  # other HDF5 files

Interrupted, it continues where it stopped when run again.

Exit status: 0 everything was used; 1 a cache was made, but some of it was left out (with
--validate-only: some files have problems); 2 nothing usable, with the reason; 130 interrupted.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from smvae_core.data.logs.cache_folder import CacheError
from smvae_core.data.logs.conversion import ConversionReport, convert
from smvae_core.data.logs.recording import Problem
from smvae_core.data.logs.vision_touch.validation import validate_log
from smvae_ros.cli.programs import interruptible, number, parser_of
from smvae_ros.parameters.robot_values import load_robot
from training.recordings import open_recording

_LISTED = 10  # files named in the summary
_SAME = 3  # files that are named for a problem of the same kind


def validate(folder: Path) -> int:
    """Validate every log of a folder and print what is wrong. Returns the exit status."""
    paths = sorted(folder.glob("*.h5"))
    if not paths:
        print(f"{folder}: no *.h5 files in this folder", file=sys.stderr)
        return 2
    problems: dict[Path, list[Problem]] = {}
    usable: dict[tuple[str | None, str], list[Problem]] = {}  # kind -> those of all files
    for path in tqdm(paths, "validating", unit="file"):
        found = validate_log(path)
        if found:
            problems[path] = found
        for problem in found:
            same = usable.setdefault(problem.kind, []) if problem.usable else []
            same.append(problem)
            if len(same) <= _SAME:
                tqdm.write(str(problem))
    for same in usable.values():
        if len(same) > _SAME:
            key, advice = same[0].kind
            of = f" of {key!r}" if key else ""
            print(f"in {len(same) - _SAME} more files the same{of}: {advice}")
    unusable = sum(any(not problem.usable for problem in found) for found in problems.values())
    print_table(
        {
            "files": len(paths),
            "without any problem": len(paths) - len(problems),
            "usable, with problems": len(problems) - unusable,
            "with errors": unusable,
        }
    )
    return 2 if unusable == len(paths) else int(bool(problems))


def summarise(report: ConversionReport, cache_folder: Path, seconds: float) -> None:
    """Print what a conversion did."""
    size = sum(path.stat().st_size for path in cache_folder.glob("*.npy"))
    rows: dict[str, object] = {
        "used": report.files,
        "left out": len(report.left_out),
        "trajectories": report.trajectories,
        "steps": f"{report.steps} at {report.rate:g} Hz",
        "modalities": ", ".join(report.modalities),
        **{f"steps without {name}": count for name, count in report.absent.items()},
        "cache": f"{cache_folder} ({size / 1e6:.1f} MB)",
        "time": "already complete" if report.already_complete else f"{seconds:.1f} s",
    }
    print_table(rows)
    for text, count in report.strange.items():
        print(f"strange: {text}" + (f" (and the like in {count - 1} more)" if count > 1 else ""))
    for reason in list(report.left_out.values())[:_LISTED]:
        print(f"left out: {reason}")
    if len(report.left_out) > _LISTED:
        print(f"and {len(report.left_out) - _LISTED} more; see left_out in cache.yaml")


def print_table(rows: dict[str, object]) -> None:
    """Print names and values in two columns."""
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = parser_of("python -m training.convert", __doc__)
    add = parser.add_argument
    add(
        "paths",
        metavar="SOURCE... CACHE_DIR",
        type=Path,
        nargs="+",
        help="what to convert: a folder of Vision&Touch logs or of a LeRobot data set, rosbag2 "
        "bags, or HDF5 files and folders of them; last the folder for the arrays: new, empty, or "
        "of an earlier conversion of the same",
    )
    add(
        "--robot",
        metavar="FILE",
        default="vision_touch",
        help="robot file, which says what the sensors are and where their readings come from, or "
        "the name of one of config/robots (default: %(default)s)",
    )
    add(
        "--image-size",
        type=number(int, 8, 1024),
        metavar="PIXELS",
        help="height and width of pictures in the cache (default: as the robot file says)",
    )
    add(
        "--restart",
        action="store_true",
        help="throw away what CACHE_DIR holds from an earlier conversion",
    )
    add(
        "--validate-only",
        action="store_true",
        help="of Vision&Touch logs: read every value of every file, say what is wrong, and write "
        "nothing",
    )
    options = parser.parse_args(arguments)
    *sources, cache = options.paths
    if not sources and not options.validate_only:
        parser.error("CACHE_DIR is needed, except with --validate-only")
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    try:
        with interruptible(), logging_redirect_tqdm():
            if options.validate_only:
                return validate(options.paths[0])
            started = time.perf_counter()
            robot = load_robot(options.robot)
            if options.image_size is not None:
                robot = robot.with_image_size(options.image_size)
            recording = open_recording(sources, robot)
            report = convert(recording, cache, robot.modalities, restart=options.restart)
    except (CacheError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted; run the same command again to continue", file=sys.stderr)
        return 130
    summarise(report, cache, time.perf_counter() - started)
    return 1 if report.left_out else 0


if __name__ == "__main__":
    sys.exit(main())
