# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A disk that is full or fills is said in one message; what is finished stays, to be continued."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from hdf5_files import make_robot, write
from smvae_core.data.logs.cache_folder import CacheError
from smvae_core.data.logs.conversion import convert
from smvae_core.data.logs.dataset import open_cache
from smvae_core.data.logs.hdf5.recording import Hdf5Recording
from smvae_core.data.logs.recording import Recording
from smvae_core.robot import Robot

PARTS, STEPS = 100, 3  # finished parts are noted 16 at a time, and 100 of them take two pages
VALUES = np.random.default_rng(0).normal(size=(PARTS, STEPS, 3)).astype(np.float32)


def hdf5(folder: Path) -> tuple[Robot, Callable[[], Recording]]:
    """A file with the values, an episode each."""
    path = write(folder / "a.hdf5", {f"data/demo_{i}/s": values for i, values in enumerate(VALUES)})
    sensor = {"kind": "vector", "shape": [3], "key": "s"}
    robot = make_robot(folder, {"state": sensor}, episodes="data/demo_*")
    return robot, lambda: Hdf5Recording([path], robot)


def lerobot(folder: Path) -> tuple[Robot, Callable[[], Recording]]:
    """A data set with the same."""
    pytest.importorskip("pyarrow", reason="the extra lerobot is not installed (pyarrow)")
    pytest.importorskip("av", reason="the extra lerobot is not installed (PyAV)")
    from small_lerobot import write_dataset
    from smvae_core.data.logs.lerobot.recording import LeRobotRecording

    dataset = write_dataset(folder / "set", [{"s": values} for values in VALUES], "v3.0")
    robot = make_robot(folder, {"state": {"kind": "vector", "shape": [3], "key": "s"}})
    return robot, lambda: LeRobotRecording(dataset, robot.sensors)


def fill(disk: Path) -> None:
    with suppress(OSError), open(disk / "everything", "ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))


@pytest.mark.parametrize("kind", [hdf5, lerobot])
def test_a_disk_that_is_full_from_the_start(
    kind: Callable[[Path], tuple[Robot, Callable[[], Recording]]],
    tmp_path: Path,
    small_disk: Path,
) -> None:
    robot, recording = kind(tmp_path)
    fill(small_disk)
    with open(small_disk / "everything", "r+b") as file:
        file.truncate(file.seek(0, 2) - 3 * 4096)  # of which not all arrays fit
    cache = small_disk / "cache"
    with pytest.raises(CacheError, match=r"no space for the cache .*make room"):
        convert(recording(), cache, robot.modalities, progress=False)
    assert not list(cache.glob("*.npy"))
    (small_disk / "everything").unlink()
    assert (
        convert(recording(), cache, robot.modalities, progress=False).steps == VALUES[..., 0].size
    )


@pytest.mark.parametrize("kind", [hdf5, lerobot])
def test_a_disk_that_fills_on_the_way(
    kind: Callable[[Path], tuple[Robot, Callable[[], Recording]]],
    tmp_path: Path,
    small_disk: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    robot, recording = kind(tmp_path)
    filling, cache, done = recording(), small_disk / "cache", []
    read = filling.read

    def read_and_fill(part, *rest):
        done.append(part["name"])
        if len(done) == 40:
            fill(small_disk)
        return read(part, *rest)

    filling.read = read_and_fill
    with pytest.raises(CacheError, match=r"no space .*: what is already converted is kept"):
        convert(filling, cache, robot.modalities, progress=False)
    assert len(done) > 40
    with pytest.raises(CacheError, match="conversion has not finished"):
        open_cache(cache)
    (small_disk / "everything").unlink()
    caplog.set_level(logging.INFO)
    convert(recording(), cache, robot.modalities, progress=False)
    (said,) = (line for line in caplog.messages if line.startswith("continuing after"))
    assert int(said.split()[2]) >= 32
    np.testing.assert_array_equal(open_cache(cache).arrays["state"], VALUES.reshape(-1, 3))
