# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What a path holds, and the recording that reads it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from smvae_core.data.logs.recording import Recording, RecordingError
from smvae_core.data.logs.vision_touch_recording import VisionTouchRecording
from smvae_core.robot import Robot

BAG_RATE = 20.0  # steps per second of bags whose robot file does not say


def open_recording(sources: Sequence[Path], robot: Robot) -> Recording:
    """The recording that these paths are.

    Args:
        sources: a folder of Vision&Touch logs or of a LeRobot data set, or bags.
        robot: whose recording it is.

    Raises:
        RecordingError: for paths that are of no known kind, or of several, or where what reads them
            is not installed.
        ValueError: where the robot file does not fit them.
    """
    first = sources[0]
    if is_bag(first):
        from smvae_ros.offline.bag_recording import BagRecording
        from smvae_ros.parameters.configuration import robot_values

        return BagRecording(sources, robot.modalities, robot_values(robot), robot.rate or BAG_RATE)
    if len(sources) > 1:
        raise RecordingError(
            f"{first} is no bag; several sources at once can only be bags, not "
            f"{', '.join(map(str, sources))}"
        )
    if (first / "meta" / "info.json").is_file():
        return _lerobot(first, robot)
    if not first.is_dir() or any(first.glob("*.h5")):
        return VisionTouchRecording(first)
    raise RecordingError(
        f"{first}: neither logs (*.h5), nor a rosbag2 bag, nor a LeRobot data set "
        "(meta/info.json); it holds "
        f"{', '.join(sorted(path.name for path in first.iterdir())[:5]) or 'nothing'}"
    )


def is_bag(path: Path) -> bool:
    """True for a rosbag2 bag, closed or not: a folder with its files, or one of them."""
    from smvae_ros.bags.files import METADATA, is_storage_file, storage_files

    if path.is_dir():
        return (path / METADATA).exists() or bool(storage_files(path))
    return is_storage_file(path)


def _lerobot(folder: Path, robot: Robot) -> Recording:
    try:
        from smvae_core.data.logs.lerobot.recording import LeRobotRecording
    except ModuleNotFoundError as error:
        raise RecordingError(
            f"{folder}: a LeRobot data set, which needs pyarrow and PyAV ({error}): pip install "
            "'smvae_ros[lerobot]'"
        ) from error
    return LeRobotRecording(folder, robot.sensors)
