# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""HDF5 files of any layout, by the keys and the episode pattern of a robot file."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest

from hdf5_files import (
    RANDOM,
    ROBOMIMIC,
    SMALL,
    STEPS,
    converted,
    encoded,
    make_robot,
    numbers,
    padded,
    pictures,
    robomimic,
    rows,
    write,
)
from smvae_core.data.logs.conversion import convert
from smvae_core.data.logs.dataset import open_cache
from smvae_core.data.logs.hdf5.recording import Hdf5Recording
from training.convert import main


def test_groups_are_episodes_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "demos.hdf5"
    content = robomimic(path)
    robot = make_robot(tmp_path, ROBOMIMIC, episodes="data/demo_*")
    report = converted(robot, path)
    assert (report.files, report.trajectories, report.rate) == (11, 11, 10.0)
    cache = open_cache(tmp_path / "cache")
    assert cache.trajectories[:3] == tuple((f"demos.hdf5/data/demo_{i}", 0) for i in range(3))
    assert cache.trajectories[10] == ("demos.hdf5/data/demo_10", 0)
    assert cache.present.all()
    for name, key in [("view", "obs/agentview_image"), ("action", "actions")]:
        stored = np.concatenate([content[f"data/demo_{i}/{key}"] for i in range(11)])
        np.testing.assert_array_equal(cache.arrays[name], stored)
    np.testing.assert_array_equal(cache.arrays["step"][:7], [0, 1, 2, 0, 1, 2, 3])


def test_the_command_converts_a_file_for_a_robot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "demos.hdf5"
    robomimic(path, demos=2)
    make_robot(tmp_path, ROBOMIMIC, episodes="data/demo_*")
    arguments = [str(path), str(tmp_path / "cache"), "--robot", str(tmp_path / "robot.yaml")]
    assert main(arguments) == 0
    assert "7 at 10 Hz" in capsys.readouterr().out
    assert main(arguments) == 0
    assert "already complete" in capsys.readouterr().out
    arguments[0] = str(tmp_path / "demo.hdf5")
    assert main(arguments) == 2
    assert "demo.hdf5: no such file or folder" in capsys.readouterr().err


def test_a_folder_of_files_with_two_arms_in_one_vector(tmp_path: Path) -> None:
    """As ALOHA records."""
    content = []
    for episode in (0, 2, 10):
        content.append(
            {
                "observations/images/cam_high": (pictures(4, (12, 16)), {"chunks": (1, 12, 16, 3)}),
                "observations/qpos": numbers(4, 14).astype(float),
                "action": numbers(4, 14),
            }
        )
        write(tmp_path / f"episode_{episode}.hdf5", content[-1], sim=False)
    position = {"kind": "vector", "shape": [3], "key": "/observations/qpos"}
    robot = make_robot(
        tmp_path,
        {
            "cam_high": {**SMALL, "key": "observations/images/cam_high"},
            "left": {**position, "columns": [0, 1, 2]},
            "right": {**position, "columns": [9, 8, 7], "unit": 0.5},
        },
    )
    report = convert(Hdf5Recording([tmp_path], robot), tmp_path / "cache", robot.modalities)
    assert (report.steps, report.trajectories, report.left_out) == (12, 3, {})
    cache = open_cache(tmp_path / "cache")
    assert [name for name, _ in cache.trajectories] == [f"episode_{i}.hdf5" for i in (0, 2, 10)]
    positions = np.concatenate([entry["observations/qpos"] for entry in content])
    np.testing.assert_allclose(cache.arrays["left"], positions[:, :3], rtol=1e-6)
    np.testing.assert_allclose(cache.arrays["right"], positions[:, [9, 8, 7]] / 2, rtol=1e-6)
    wide = content[0]["observations/images/cam_high"][0][0]
    expected = cv2.resize(wide, (8, 8), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(cache.arrays["cam_high"][0], expected)


@pytest.mark.parametrize("compressed", [False, True])
def test_aloha_s_files_with_its_robot_file(tmp_path: Path, compressed: bool) -> None:
    folder = tmp_path / "episodes"
    folder.mkdir()
    written = []
    for episode in range(2):
        content = {
            f"observations/images/cam_{name}": np.full((4, 48, 64, 3), 20 * i, np.uint8)
            + RANDOM.integers(0, 20, (4, 48, 64, 3), np.uint8)
            for i, name in enumerate(("high", "low", "left_wrist", "right_wrist"))
        }
        if compressed:
            content = {key: padded(images) for key, images in content.items()}
            content["compress_len"] = np.ones((4, 4))
        content |= {
            "observations/qpos": numbers(4, 14),
            "observations/qvel": numbers(4, 14),
            "action": numbers(4, 14),
        }
        written.append(content)
        write(folder / f"episode_{episode}.hdf5", content, sim=False, compress=compressed)
    assert main([str(folder), str(tmp_path / "cache"), "--robot", "aloha"]) == 0
    cache = open_cache(tmp_path / "cache")
    assert cache.present.all()
    assert (len(cache), len(cache.names)) == (8, 8)
    action = np.concatenate([content["action"] for content in written])
    np.testing.assert_array_equal(cache.arrays["left_action"], action[:, :6])
    np.testing.assert_array_equal(cache.arrays["right_action"], action[:, 7:13])


def test_bridgedata_s_layout_with_its_robot_file(tmp_path: Path) -> None:
    content = {}
    for demo in range(2):
        for camera in range(3):
            images = (pictures(5, (64, 64)), {"compression": "gzip"})
            content[f"data/demo_{demo}/obs/camera_{camera}"] = images
        content[f"data/demo_{demo}/obs/state"] = numbers(5, 7)
        content[f"data/demo_{demo}/actions"] = numbers(5, 7)
    path = write(tmp_path / "bridge.hdf5", content)
    assert main([str(path), str(tmp_path / "cache"), "--robot", "widowx"]) == 0
    cache = open_cache(tmp_path / "cache")
    assert cache.present.all()
    assert cache.names == ("camera_0", "camera_1", "camera_2", "proprio", "action")
    np.testing.assert_array_equal(
        cache.arrays["camera_2"][5:], content["data/demo_1/obs/camera_2"][0]
    )


def of_any_length(images: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    pieces = np.empty(len(images), object)
    pieces[:] = encoded(images)
    return pieces, {"dtype": h5py.vlen_dtype(np.uint8)}


@pytest.mark.parametrize(
    "store",
    [
        pytest.param(lambda images: images, id="last"),
        pytest.param(lambda images: images.transpose(0, 3, 1, 2), id="first"),
        pytest.param(lambda images: (images, {"compression": "lzf"}), id="lzf"),
        pytest.param(
            lambda images: (images, {"compression": "gzip", "chunks": (5, 8, 4, 1)}), id="gzip"
        ),
        pytest.param(padded, id="padded"),
        pytest.param(of_any_length, id="of-any-length"),
        pytest.param(lambda images: np.array([p.tobytes() for p in encoded(images)]), id="bytes"),
    ],
)
def test_pictures_are_the_same_however_they_are_stored(tmp_path: Path, store: Callable) -> None:
    images = pictures(70)
    path = write(tmp_path / "a.hdf5", {"camera": store(images)})
    robot = make_robot(tmp_path, {"rgb": {**SMALL, "key": "camera"}})
    assert converted(robot, path).absent == {}
    np.testing.assert_array_equal(rows(path, "rgb"), images)


@pytest.mark.parametrize("by_aloha", [False, True])
def test_colours_of_compressed_pictures(tmp_path: Path, by_aloha: bool) -> None:
    images = np.zeros((STEPS, 8, 8, 3), np.uint8)
    images[..., 0] = 200
    # What ALOHA's recorder marks was RGB when OpenCV took it for BGR.
    written = images[..., ::-1] if by_aloha else images
    content = np.stack(encoded(written, ".jpg"))
    path = write(tmp_path / "a.hdf5", {"camera": content}, **{"compress": True} if by_aloha else {})
    robot = make_robot(tmp_path, {"rgb": {**SMALL, "key": "camera"}})
    assert converted(robot, path).absent == {}
    np.testing.assert_allclose(rows(path, "rgb").astype(int), images, atol=8)


@pytest.mark.parametrize(
    "store",
    [
        pytest.param(lambda grey: grey, id="flat"),
        pytest.param(lambda grey: grey[..., None], id="last"),
        pytest.param(lambda grey: grey[:, None], id="first"),
        pytest.param(lambda grey: padded(np.repeat(grey[..., None], 3, axis=3)), id="padded"),
    ],
)
def test_grey_pictures(tmp_path: Path, store: Callable) -> None:
    grey = pictures()[..., 0]
    path = write(tmp_path / "a.hdf5", {"pad": store(grey)})
    robot = make_robot(tmp_path, {"pad": {"kind": "image", "shape": [1, 8, 8], "key": "pad"}})
    assert converted(robot, path).absent == {}
    np.testing.assert_array_equal(rows(path, "pad")[..., 0], grey)


def test_pads_of_any_numbers_and_scans(tmp_path: Path) -> None:
    pads = RANDOM.uniform(-1, 3, (STEPS, 6, 4)).astype(np.float32)
    ranges = RANDOM.integers(200, 5000, (STEPS, 9)).astype(np.uint16)
    ranges[:, 2] = 0
    path = write(tmp_path / "a.hdf5", {"pad": pads, "ranges": ranges})
    pad = {"kind": "image", "shape": [1, 6, 4], "minimum": -1.0, "maximum": 3.0}
    scan = {"kind": "scan", "shape": [1, 9], "angles": [-1.0, 1.0], "unit": 0.001}
    robot = make_robot(tmp_path, {"pad": {**pad, "key": "pad"}, "scan": {**scan, "key": "ranges"}})
    report = converted(robot, path)
    assert (report.absent, report.strange) == ({}, {})
    np.testing.assert_allclose(rows(path, "pad")[..., 0], (pads + 1) * 255 / 4, atol=0.51)
    expected = np.where(ranges > 0, ranges / 1000, np.nan)
    np.testing.assert_allclose(rows(path, "scan"), expected, atol=1e-2)


def test_depth_in_millimetres_and_in_metres(tmp_path: Path) -> None:
    metres = RANDOM.uniform(0.3, 1.5, (STEPS, 8, 8))
    millimetres = np.round(metres * 1000).astype(np.uint16)
    millimetres[:, 0] = 0
    millimetres[:, 1] = 65535
    content = {"near": millimetres, "far": metres[:, None], "flat": metres.astype(np.float16)}
    path = write(tmp_path / "a.hdf5", content)
    depth = {"kind": "depth", "shape": [1, 8, 8]}
    robot = make_robot(
        tmp_path,
        {
            "near": {**depth, "key": "near", "unit": 0.001},
            "far": {**depth, "key": "far"},
            "flat": {**depth, "key": "flat"},
        },
    )
    report = converted(robot, path)
    assert (report.absent, report.strange) == ({}, {})
    for name in ("near", "far", "flat"):
        np.testing.assert_allclose(rows(path, name)[:, 2:], metres[:, 2:], atol=2e-3)
    assert np.isnan(rows(path, "near")[:, :2]).all()


def test_compressed_depth(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    millimetres = RANDOM.integers(300, 1500, (STEPS, 8, 8)).astype(np.uint16)
    pieces = np.array([cv2.imencode(".png", image)[1].tobytes() for image in millimetres])
    path = write(tmp_path / "a.hdf5", {"depth": pieces})
    depth = {"kind": "depth", "shape": [1, 8, 8], "key": "depth"}
    assert converted(make_robot(tmp_path, {"depth": {**depth, "unit": 0.001}}), path).absent == {}
    np.testing.assert_allclose(rows(path, "depth"), millimetres / 1000, atol=1e-3)
    with caplog.at_level(logging.WARNING):
        report = converted(make_robot(tmp_path, {"depth": depth}), path, cache="wrong")
    assert report.absent == {"depth": STEPS}
    assert "write `unit: 0.001` into the robot file" in caplog.text


def test_series_are_windows_or_made_of_steps(tmp_path: Path) -> None:
    windows, one, steps = numbers(STEPS, 10, 6), numbers(STEPS, 5), numbers(STEPS, 6)
    content = {"wrench": windows, "first": windows.transpose(0, 2, 1), "sound": one, "imu": steps}
    path = write(tmp_path / "a.hdf5", content)
    series = {"kind": "series", "rate": 100.0}
    robot = make_robot(
        tmp_path,
        {
            "wrench": {**series, "shape": [6, 4], "key": "wrench"},
            "first": {**series, "shape": [6, 4], "key": "first"},
            "torque": {**series, "shape": [3, 4], "key": "wrench", "columns": [3, 4, 5]},
            "sound": {**series, "shape": [1, 5], "key": "sound"},
            "imu": {**series, "shape": [6, 4], "rate": 10.0, "key": "imu"},
        },
    )
    assert converted(robot, path).absent == {"imu": 3}  # a window needs four steps
    np.testing.assert_array_equal(rows(path, "wrench"), windows[:, -4:])
    np.testing.assert_array_equal(rows(path, "first"), windows[:, -4:])
    np.testing.assert_array_equal(rows(path, "torque"), windows[:, -4:, 3:])
    np.testing.assert_array_equal(rows(path, "sound")[..., 0], one)
    for step in range(3, STEPS):
        np.testing.assert_array_equal(rows(path, "imu")[step], steps[step - 3 : step + 1])


def test_windows_of_steps_reach_across_blocks(tmp_path: Path) -> None:
    steps = numbers(130, 2)
    path = write(tmp_path / "a.hdf5", {"imu": steps})
    imu = {"kind": "series", "shape": [2, 4], "rate": 10.0, "key": "imu"}
    assert converted(make_robot(tmp_path, {"imu": imu}), path).absent == {"imu": 3}
    expected = np.stack([steps[i - 3 : i + 1] for i in range(3, 130)])
    np.testing.assert_array_equal(rows(path, "imu")[3:], expected)


def test_flags_counters_and_matrices_are_vectors(tmp_path: Path) -> None:
    flags, counts, poses = RANDOM.random(STEPS) < 0.5, np.arange(STEPS), numbers(STEPS, 3, 3)
    path = write(tmp_path / "a.hdf5", {"touch": flags, "ticks": counts * 5000, "poses": poses})
    with h5py.File(path, "a") as file:
        file["pose"] = h5py.SoftLink("/poses")
    robot = make_robot(
        tmp_path,
        {
            "touch": {"kind": "vector", "shape": [1], "key": "touch"},
            "ticks": {"kind": "vector", "shape": [1], "key": "ticks"},
            "pose": {"kind": "vector", "shape": [9], "key": "pose"},
        },
    )
    assert converted(robot, path).absent == {}
    np.testing.assert_array_equal(rows(path, "touch")[:, 0], flags)
    np.testing.assert_array_equal(rows(path, "ticks")[:, 0], counts * 5000)
    np.testing.assert_array_equal(rows(path, "pose"), poses.reshape(STEPS, 9))


@pytest.mark.parametrize(
    ("attributes", "rate"),
    [
        ({"fps": 30}, 30.0),
        ({"rate": np.float32(12.5)}, 12.5),
        ({"env_args": json.dumps({"env_kwargs": {"control_freq": 20}})}, 20.0),
    ],
)
def test_the_rate_is_what_the_file_says(
    tmp_path: Path, attributes: dict[str, Any], rate: float
) -> None:
    path = tmp_path / "demos.hdf5"
    robomimic(path, demos=1, **attributes)
    robot = make_robot(tmp_path, ROBOMIMIC, episodes="data/demo_*", rate=None)
    assert converted(robot, path).rate == rate
    other = make_robot(tmp_path, ROBOMIMIC, episodes="data/demo_*")
    report = converted(other, path, cache="other")
    assert report.rate == 10.0
    (said,) = report.strange
    assert f"attribute that says {rate:g}; the robot file counts" in said
