# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What a path holds, and the recording that reads it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from smvae_core.data.logs.hdf5.recording import SUFFIXES, Hdf5Recording
from smvae_core.data.logs.recording import Recording, RecordingError
from smvae_core.data.logs.vision_touch.recording import SOURCES, VisionTouchRecording
from smvae_core.robot import Robot

BAG_RATE = 20.0  # steps per second of bags whose robot file does not say


def open_recording(sources: Sequence[Path], robot: Robot) -> Recording:
    """The recording that these paths are.

    Args:
        sources: a folder of Vision&Touch logs or of a LeRobot data set, or any number of HDF5
            files and their folders, or of bags.
        robot: whose recording it is.

    Raises:
        RecordingError: for paths that are of no known kind, or of several, or where what reads them
            is not installed.
        ValueError: where the robot file does not fit them.
    """
    first = sources[0]
    if is_bag(first):
        from smvae_ros.offline.bag_recording import BagRecording
        from smvae_ros.parameters.robot_values import robot_values

        return BagRecording(sources, robot.modalities, robot_values(robot), robot.rate or BAG_RATE)
    if is_hdf5(first):
        if len(sources) == 1 and any(first.glob("*.h5")) and is_vision_touch(robot):
            return VisionTouchRecording(first)
        return Hdf5Recording(sources, robot)
    if not first.exists():
        raise RecordingError(f"{first}: no such file or folder")
    if len(sources) > 1:
        raise RecordingError(
            f"{first} is neither a bag nor HDF5; several sources at once can only be those, not "
            f"{', '.join(map(str, sources))}"
        )
    if (first / "meta" / "info.json").is_file():
        return _lerobot(first, robot)
    names = [first.name] if first.is_file() else sorted(path.name for path in first.iterdir())
    raise RecordingError(
        f"{first}: neither HDF5 files (*{', *'.join(SUFFIXES)}), nor a rosbag2 bag, nor a LeRobot "
        f"data set (meta/info.json); it holds {', '.join(names[:5]) or 'nothing'}"
    )


def is_hdf5(path: Path) -> bool:
    """True for an HDF5 file by its name, and for a folder that holds some."""
    found = path.iterdir() if path.is_dir() else [path]
    return any(file.suffix.lower() in SUFFIXES for file in found)


def is_vision_touch(robot: Robot) -> bool:
    """True where the robot's keys are those of Vision&Touch logs, whose parts and names a
    recording of its own knows."""
    keys = {name: sensor.key for name, sensor in robot.sensors.items() if sensor.key}
    return not robot.episodes and all(
        name in SOURCES and SOURCES[name][0] == key for name, key in keys.items()
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
