# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""HDF5 files and robot files that do not fit, are damaged, or hold what cannot be."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from hdf5_files import (
    RANDOM,
    ROBOMIMIC,
    SMALL,
    STEPS,
    converted,
    make_robot,
    numbers,
    padded,
    pictures,
    robomimic,
    rows,
    write,
)
from recorder import damage_first_chunk, writing
from smvae_core.data.logs.cache_folder import CacheError
from smvae_core.data.logs.conversion import convert
from smvae_core.data.logs.dataset import open_cache
from smvae_core.data.logs.hdf5.recording import Hdf5Recording


@pytest.mark.parametrize(
    ("scale", "unit", "said"),
    [(1000, 1.0, "write `unit: 0.001` into"), (1, 0.001, "leave `unit` out of the robot file")],
)
def test_depth_in_another_unit_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, scale: float, unit: float, said: str
) -> None:
    depth = {"depth": RANDOM.uniform(0.3, 1.5, (STEPS, 8, 8)) * scale}
    paths = [write(tmp_path / f"{i}.hdf5", depth) for i in range(3)]
    shape = {"kind": "depth", "shape": [1, 8, 8]}
    robot = make_robot(tmp_path, {"depth": {**shape, "key": "depth", "unit": unit}})
    with caplog.at_level(logging.WARNING):
        report = converted(robot, *paths)
    assert caplog.text.count(said) == 1
    assert list(report.strange.values()) == [3]


def test_nan_and_what_is_beyond_all_reason_is_absent(tmp_path: Path) -> None:
    values, images = numbers(60, 2), pictures(60)
    values[3, 1], values[5, 0], values[7, 1] = np.nan, np.inf, 1e30
    values[59] = 60_000  # raw counts of 16 bits can be that
    pieces = padded(images)
    pieces[4, 20:] = 7
    path = write(tmp_path / "a.hdf5", {"state": values, "camera": pieces})
    robot = make_robot(
        tmp_path,
        {
            "state": {"kind": "vector", "shape": [2], "key": "state"},
            "rgb": {**SMALL, "key": "camera"},
        },
    )
    report = converted(robot, path)
    assert report.absent == {"state": 3, "rgb": 1}
    absent = ~open_cache(tmp_path / "cache").present
    assert np.flatnonzero(absent[:, 0]).tolist() == [3, 5, 7]
    assert np.flatnonzero(absent[:, 1]).tolist() == [4]
    decoded, beyond = report.strange
    assert "key 'camera'" in decoded
    assert "1 of 60 that cannot be decoded" in decoded
    assert "key 'state'" in beyond
    assert "1 of 60 steps, the largest 1e+30 in step 7" in beyond


def test_no_rate_and_several_rates(tmp_path: Path) -> None:
    state = {"state": {"kind": "vector", "shape": [2], "key": "state"}}
    robot = make_robot(tmp_path, state, rate=None)
    paths = [write(tmp_path / f"{i}.hdf5", {"state": numbers(3, 2)}) for i in range(2)]
    with pytest.raises(CacheError, match=r"0\.hdf5: nothing says .* write `rate:`"):
        converted(robot, *paths)
    for path, fps in zip(paths, (10, 30), strict=True):
        write(path, {"state": numbers(3, 2)}, fps=fps)
    with pytest.raises(CacheError, match=r"10 Hz \(0\.hdf5\) and 30 Hz \(1\.hdf5\)"):
        converted(robot, *paths)


STATE = {"kind": "vector", "shape": [7], "key": "obs/state"}
IMU = {"kind": "series", "shape": [6, 4], "rate": 100.0}
GOOD = {"obs/state": numbers(STEPS, 7), "obs/camera_0": pictures(), "obs/imu": numbers(STEPS, 6)}


@pytest.mark.parametrize(
    ("sensor", "said"),
    [
        ({"key": "obs/stat"}, "no such key, did you mean 'obs/state'? there are obs/camera_0"),
        ({"key": "observation.state"}, "no such key, .* there are obs/camera_0, obs/imu and"),
        ({"key": "obs"}, "found a group of camera_0, imu and state; correct `key:`"),
        ({"shape": [6]}, "expected 6 values.*found shape (12, 7) of float32; there are 7: correct"),
        ({"columns": [0, 9], "shape": [2]}, "column 9.*numbered from 0 to 6"),
        ({"columns": [0, 1]}, "expected 7 columns.*chooses 2"),
        ({"columns": ["x"], "shape": [1]}, "HDF5 gives them none: write their numbers"),
        ({**SMALL, "key": "obs/imu"}, "it holds no pictures: correct `kind:` or `key:`"),
        ({**SMALL, "shape": [1, 8, 8], "key": "obs/camera_0"}, "`shape:`.* to [3, height, width]"),
        ({**IMU, "key": "obs/imu"}, "comes at 10 Hz, .* says `rate: 100`: record the readings"),
        ({"kind": "depth", "shape": [1, 8, 8]}, "it holds no depth"),
    ],
)
def test_what_does_not_fit_is_named_with_what_to_write(
    tmp_path: Path, sensor: dict[str, Any], said: str
) -> None:
    path = write(tmp_path / "a.hdf5", GOOD)
    entry = {**STATE, **sensor}
    if entry["kind"] == "image":
        entry["shape"] = sensor["shape"]
    other = {"kind": "vector", "shape": [7], "key": "obs/state"}
    robot = make_robot(tmp_path, {"sensor": entry, "other": other})
    with pytest.raises(CacheError) as caught:
        converted(robot, path)
    pieces = said.split(".*")
    message = str(caught.value)
    assert f"a.hdf5, key {entry['key']!r}: expected" in message
    assert all(piece in message for piece in pieces), message
    assert "\n" not in message


def test_float_pictures_and_bytes_that_are_none(tmp_path: Path) -> None:
    robot = make_robot(tmp_path, {"rgb": {**SMALL, "key": "camera"}})
    path = write(tmp_path / "a.hdf5", {"camera": numbers(STEPS, 8, 8, 3)})
    with pytest.raises(CacheError, match=r"of float32; values of 0\.\.1 have to be multiplied"):
        converted(robot, path)
    write(path, {"camera": pictures().reshape(STEPS, -1)})
    with pytest.raises(CacheError, match="begin neither as JPEG nor as PNG"):
        converted(robot, path)
    write(path, {"camera": np.array([b"file.png"] * STEPS, object)})
    with pytest.raises(CacheError, match="expected numbers, or compressed pictures"):
        converted(robot, path)


def test_a_pattern_that_no_group_fits(tmp_path: Path) -> None:
    path = tmp_path / "demos.hdf5"
    robomimic(path, demos=2)
    robot = make_robot(tmp_path, ROBOMIMIC, episodes="data/episode_*")
    with pytest.raises(CacheError, match=r"data/episode_\*, found none: data holds demo_0"):
        converted(robot, path)
    robot = make_robot(tmp_path, ROBOMIMIC, episodes="demos/*")
    with pytest.raises(CacheError, match="found none: the file holds data and mask"):
        converted(robot, path)
    robot = make_robot(tmp_path, ROBOMIMIC)
    with pytest.raises(CacheError, match=r"write `episodes: data/demo_\*` into the robot file"):
        converted(robot, path)


def test_a_key_that_some_episodes_lack_is_absent_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = [write(tmp_path / f"{i}.hdf5", GOOD) for i in range(2)]
    write(paths[1], {"obs/state": GOOD["obs/state"]})
    robot = make_robot(tmp_path, {"state": STATE, "rgb": {**SMALL, "key": "obs/camera_0"}})
    with caplog.at_level(logging.WARNING):
        report = converted(robot, *paths)
    assert report.absent == {"rgb": STEPS}
    assert "only 1 of 2 hold 'rgb'" in caplog.text


def spoiled(path: Path) -> None:
    """Files that cannot be used, one of each kind."""
    write(path / "a_good.hdf5", GOOD)
    write(path / "b_lengths.hdf5", {**GOOD, "obs/camera_0": pictures(STEPS - 1)})
    write(path / "c_empty.hdf5", {key: array[:0] for key, array in GOOD.items()})
    whole = write(path / "d_truncated.hdf5", GOOD).read_bytes()
    (path / "d_truncated.hdf5").write_bytes(whole[: len(whole) // 2])
    write(path / "e_damaged.hdf5", {key: (a, {"compression": "gzip"}) for key, a in GOOD.items()})
    damage_first_chunk(path / "e_damaged.hdf5", "obs/state")
    (path / "f_text.hdf5").write_text("not HDF5")
    with h5py.File(path / "g_external.hdf5", "w") as file:
        file["obs/state"] = GOOD["obs/state"]
        file["obs/camera_0"] = h5py.ExternalLink("a_good.hdf5", "obs/camera_0")
    with h5py.File(path / "h_broken.hdf5", "w") as file:
        file["obs/state"] = GOOD["obs/state"]
        file["obs/camera_0"] = h5py.SoftLink("/camera")
    write(path / "i_blank.hdf5", {key: np.zeros_like(array) for key, array in GOOD.items()})


def test_unusable_files_are_named_and_left_out(tmp_path: Path) -> None:
    spoiled(tmp_path)
    robot = make_robot(tmp_path, {"state": STATE, "rgb": {**SMALL, "key": "obs/camera_0"}})
    recording = Hdf5Recording([tmp_path], robot)
    report = convert(recording, tmp_path / "cache", robot.modalities, progress=False)
    assert (report.files, report.steps) == (1, STEPS)
    said = {
        "b_lengths.hdf5": "'obs/camera_0': expected 12 steps as in 'obs/state', found 11 steps",
        "c_empty.hdf5": "expected one step at least, found shape (0, 7)",
        "d_truncated.hdf5": "truncated",
        "e_damaged.hdf5": "truncated or damaged",
        "f_text.hdf5": "another format, which begins with b'not HDF5'",
        "g_external.hdf5": "an external link, to 'obs/camera_0' in a_good.hdf5; copy what it",
        "h_broken.hdf5": "a link to '/camera', which is not in this file",
        "i_blank.hdf5": "found 0; the others hold nothing but zeros in every key",
    }
    assert report.left_out.keys() == said.keys()
    for name, text in said.items():
        assert text in report.left_out[name], name


def test_the_other_episodes_of_a_damaged_file_are_used(tmp_path: Path) -> None:
    path = tmp_path / "demos.hdf5"
    robomimic(path, demos=3)
    damage_first_chunk(path, "data/demo_1/obs/agentview_image")
    report = converted(make_robot(tmp_path, ROBOMIMIC, episodes="data/demo_*"), path)
    assert (report.files, report.steps) == (2, 3 + 5)
    (reason,) = report.left_out.values()
    assert "key '/data/demo_1/obs/agentview_image'" in reason
    assert "it is truncated or damaged: copy it again" in reason


def test_what_a_killed_recorder_reserved_is_left_out(tmp_path: Path) -> None:
    images, state = np.zeros((130, 8, 8, 3), np.uint8), np.zeros((130, 7), np.float32)
    images[:70], state[:60] = pictures(70), numbers(60, 7)  # it stood still at the end
    path = write(tmp_path / "a.hdf5", {"obs/state": state, "camera": images})
    robot = make_robot(tmp_path, {"state": STATE, "rgb": {**SMALL, "key": "camera"}})
    report = converted(robot, path)
    assert report.steps == 70
    (text,) = report.strange
    assert "expected 130 recorded steps, found 70" in text
    # Zeros of vectors alone are a robot that stands still.
    robot = make_robot(tmp_path, {"state": STATE})
    assert converted(robot, path, cache="vectors").steps == 130


def test_what_has_been_written_of_a_growing_file_is_used(tmp_path: Path) -> None:
    path = tmp_path / "a.hdf5"
    action = {"kind": "vector", "shape": [4], "key": "action"}
    robot = make_robot(tmp_path, {"rgb": {**SMALL, "key": "image"}, "action": action})
    with writing(path, "swmr"):
        report = converted(robot, path)
    assert report.steps == 3
    assert any("open for SWMR writing" in text for text in report.strange)


def test_a_file_that_its_recorder_has_open_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "a.hdf5"
    robot = make_robot(tmp_path, {"rgb": {**SMALL, "key": "image"}})
    with (
        writing(path, "latest"),
        pytest.raises(CacheError, match=r"another process has open for writing"),
    ):
        converted(robot, path)


@pytest.mark.parametrize("link", [h5py.ExternalLink("b.hdf5", "data"), h5py.SoftLink("/far")])
def test_episodes_in_another_file_are_refused(tmp_path: Path, link: Any) -> None:
    robomimic(tmp_path / "b.hdf5", demos=2)
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        file["far"] = h5py.ExternalLink("b.hdf5", "data")
        file["data"] = link
    robot = make_robot(tmp_path, ROBOMIMIC, episodes="data/demo_*")
    with pytest.raises(CacheError, match=r"an external link, to '/?data.*copy what it leads to"):
        converted(robot, path)


def test_an_interrupted_conversion_goes_on_with_the_second_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [write(tmp_path / f"{i}.hdf5", {"state": numbers(900, 2)}) for i in range(2)]
    robot = make_robot(tmp_path, {"state": {"kind": "vector", "shape": [2], "key": "state"}})
    expected = converted(robot, *paths, cache="whole")
    read = Hdf5Recording.read

    def interrupted(self: Hdf5Recording, part: Any, *rest: Any) -> Any:
        if part["name"] == "1.hdf5":
            raise KeyboardInterrupt
        return read(self, part, *rest)

    monkeypatch.setattr(Hdf5Recording, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        converted(robot, *paths)
    seen = []
    monkeypatch.setattr(
        Hdf5Recording,
        "read",
        lambda self, part, *rest: seen.append(part["name"]) or read(self, part, *rest),
    )
    report = converted(robot, *paths)
    assert (report.steps, report.files) == (expected.steps, expected.files) == (1800, 2)
    assert seen[-1] == "1.hdf5"
    np.testing.assert_array_equal(rows(paths[0], "state"), rows(paths[0], "state", "whole"))


def test_a_cache_is_only_continued_with_the_same_keys(tmp_path: Path) -> None:
    path = write(tmp_path / "a.hdf5", {"state": numbers(3, 4)})
    state = {"kind": "vector", "shape": [2], "key": "state"}
    converted(make_robot(tmp_path, {"state": {**state, "columns": [0, 1]}}), path)
    for changed in (
        make_robot(tmp_path, {"state": {**state, "columns": [2, 3]}}),
        make_robot(tmp_path, {"state": {**state, "columns": [0, 1]}}, rate=20.0),
    ):
        with pytest.raises(CacheError, match=r"was converted with .* instead of"):
            converted(changed, path)


def test_a_robot_without_keys(tmp_path: Path) -> None:
    path = write(tmp_path / "a.hdf5", GOOD)
    robot = make_robot(tmp_path, {"rgb": SMALL})
    with pytest.raises(ValueError, match="names no `key:` of any sensor"):
        converted(robot, path)
