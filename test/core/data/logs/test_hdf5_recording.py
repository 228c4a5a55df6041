# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""HDF5 files of any layout, by the keys and the episode pattern of a robot file."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest
import yaml

from recorder import damage_first_chunk, writing
from smvae_core.data.logs.cache_folder import CacheError
from smvae_core.data.logs.conversion import ConversionReport, convert
from smvae_core.data.logs.dataset import open_cache
from smvae_core.data.logs.hdf5_recording import Hdf5Recording
from smvae_core.robot import Robot, read_robot
from training.convert import main

RANDOM = np.random.default_rng(0)
STEPS = 12
SMALL = {"shape": [3, 8, 8], "kind": "image"}


def pictures(steps: int = STEPS, size: tuple[int, int] = (8, 8)) -> np.ndarray:
    return RANDOM.integers(0, 256, (steps, *size, 3), np.uint8)


def numbers(*shape: int) -> np.ndarray:
    return RANDOM.normal(0, 1, shape).astype(np.float32)


def write(path: Path, content: Mapping[str, Any], **attributes: Any) -> Path:
    """Datasets by key; a tuple (array, options of create_dataset) for others than plain ones."""
    with h5py.File(path, "w") as file:
        for key, value in content.items():
            array, options = value if isinstance(value, tuple) else (value, {})
            file.create_dataset(key, data=array, **options)
        file.attrs.update(attributes)
    return path


def make_robot(folder: Path, modalities: Mapping[str, Any], **fields: Any) -> Robot:
    path = folder / "robot.yaml"
    content = {"rate": 10.0, **fields, "modalities": dict(modalities)}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return read_robot(path)


def converted(robot: Robot, *paths: Path, cache: str = "cache") -> ConversionReport:
    recording = Hdf5Recording(paths, robot)
    return convert(recording, paths[0].parent / cache, robot.modalities, progress=False)


def rows(path: Path, name: str, cache: str = "cache") -> np.ndarray:
    return np.asarray(open_cache(path.parent / cache).arrays[name])


def robomimic(path: Path, demos: int = 11, **attributes: Any) -> dict[str, np.ndarray]:
    content = {}
    for demo in range(demos):
        group = f"data/demo_{demo}"
        content[f"{group}/obs/agentview_image"] = pictures(3 + demo)
        content[f"{group}/obs/robot0_eef_pos"] = numbers(3 + demo, 3)
        content[f"{group}/actions"] = numbers(3 + demo, 7)
    with h5py.File(path, "w") as file:
        for key, array in content.items():
            file.create_dataset(key, data=array, compression="gzip")
        file["mask/train"] = np.array([b"demo_0"])
        file["data"].attrs.update(attributes)
    return content


ROBOMIMIC = {
    "view": {**SMALL, "key": "obs/agentview_image"},
    "position": {"kind": "vector", "shape": [3], "key": "obs/robot0_eef_pos"},
    "action": {"kind": "vector", "shape": [7], "key": "actions"},
}


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


def encoded(images: np.ndarray, extension: str = ".png") -> list[np.ndarray]:
    return [cv2.imencode(extension, image[..., ::-1])[1] for image in images]


def padded(images: np.ndarray) -> np.ndarray:
    pieces = encoded(images)
    longest = max(map(len, pieces))
    return np.stack([np.pad(piece, (0, longest - len(piece))) for piece in pieces])


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
