# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""LeRobot data sets are converted as they are, and what is wrong with one is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="the extra lerobot is not installed (pyarrow)")
pytest.importorskip("av", reason="the extra lerobot is not installed (PyAV)")

import pyarrow as pa
from pyarrow import parquet

from shared_data import shared_data
from small_lerobot import RATE, pictures, read_video, write_dataset, write_video
from smvae_core.data.logs.cache_folder import CacheError
from smvae_core.data.logs.conversion import convert
from smvae_core.data.logs.dataset import LogCache, open_cache
from smvae_core.data.logs.lerobot.recording import LeRobotRecording
from smvae_core.modalities import Modality
from smvae_core.preprocessing import prepare
from smvae_core.robot import Sensor, read_robot
from smvae_ros.bundled import robot_path

CAMERA, STATE = "observation.images.wrist", "observation.state"
STEPS = (70, 40, 55)  # of episodes; the first is longer than a block

RGB = Modality("rgb", "image", (3, 12, 16))
PROPRIO = Modality("proprio", "vector", (3,))
SENSORS = {"rgb": Sensor(RGB, CAMERA), "proprio": Sensor(PROPRIO, STATE)}


def small_episodes(steps=STEPS) -> list[dict[str, np.ndarray]]:
    return [
        {
            CAMERA: pictures(count, seed),
            STATE: np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32),
        }
        for seed, count in enumerate(steps)
    ]


def one(values: np.ndarray, key: str = STATE) -> list[dict[str, np.ndarray]]:
    return [{key: values}]


def converted(
    dataset: Path, sensors: dict[str, Sensor] = SENSORS, cache: str = "cache"
) -> LogCache:
    path = dataset.parent / cache
    modalities = [sensor.modality for sensor in sensors.values()]
    convert(LeRobotRecording(dataset, sensors), path, modalities, progress=False)
    return open_cache(path, modalities)


def sensor_of(kind: str, shape: tuple[int, ...], key: str = STATE, rate=None, **options):
    return {"sensor": Sensor(Modality("sensor", kind, shape, rate=rate), key, **options)}


@pytest.mark.parametrize("stored", ["embedded", "video"])
@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_rows_are_the_prepared_readings(version: str, stored: str, tmp_path: Path):
    episodes = small_episodes()
    videos = [CAMERA] if stored == "video" else []
    dataset = write_dataset(tmp_path / "set", episodes, version, videos)
    cache = converted(dataset)
    assert cache.rate == RATE
    assert cache.trajectories == (("episode", 0), ("episode", 1), ("episode", 2))
    np.testing.assert_array_equal(cache.arrays["trajectory"], np.repeat([0, 1, 2], STEPS))
    np.testing.assert_array_equal(cache.arrays["step"], np.concatenate([*map(np.arange, STEPS)]))
    assert cache.present.all()
    states = np.concatenate([episode[STATE] for episode in episodes])
    np.testing.assert_array_equal(cache.arrays["proprio"], states)
    shown = np.concatenate([episode[CAMERA] for episode in episodes])
    if stored == "video":
        files = sorted((dataset / "videos").rglob("*.mp4"))
        assert len(files) == (2 if version == "v3.0" else 3)
        decoded = [frame for file in files for frame in read_video(file)]
        assert np.abs(np.stack(decoded).astype(int) - shown).mean() < 3  # not another frame
        shown = decoded
    for row, picture in enumerate(shown):
        np.testing.assert_array_equal(cache.arrays["rgb"][row], prepare(RGB, picture), str(row))


def test_the_real_robot_is_read_frame_by_frame(tmp_path: Path):
    dataset = shared_data("robots") / "g1_bottle_as_found"
    robot = read_robot(robot_path("g1"))
    recording = LeRobotRecording(dataset, robot.sensors)
    report = convert(recording, tmp_path / "cache", robot.modalities, progress=False)
    assert (report.files, report.steps, len(report.left_out)) == (2, 393 + 343, 98)
    assert report.absent == {}
    cache = open_cache(tmp_path / "cache", robot.modalities)
    assert cache.trajectories == (("episode", 1), ("episode", 2))
    files = sorted((dataset / "videos").rglob("*.mp4"))
    rgb = robot.sensors["rgb"].modality
    for row, picture in [(0, read_video(files[0])[0]), (735, read_video(files[1])[342])]:
        np.testing.assert_array_equal(cache.arrays["rgb"][row], prepare(rgb, picture))


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_episodes_whose_rows_are_not_there_are_left_out_by_name(version: str, tmp_path: Path):
    dataset = write_dataset(tmp_path / "set", small_episodes(), version, per_file=1)
    gone, truncated, _ = sorted((dataset / "data").rglob("*.parquet"))
    gone.unlink()
    truncated.write_bytes(truncated.read_bytes()[:-100])
    cache = converted(dataset)
    assert cache.trajectories == (("episode", 2),)
    left_out = cache.manifest["left_out"]
    assert "not there; the download is not complete" in left_out["episode_000000"]
    assert "truncated or damaged" in left_out["episode_000001"]
    assert str(truncated) in left_out["episode_000001"]


def test_an_episode_that_turns_out_damaged_is_left_out(tmp_path: Path):
    dataset = write_dataset(tmp_path / "set", small_episodes())
    damaged = sorted((dataset / "data").rglob("*.parquet"))[1]
    content = bytearray(damaged.read_bytes())
    content[4 : len(content) // 2] = bytes(len(content) // 2 - 4)  # not the footer
    damaged.write_bytes(content)
    cache = converted(dataset)
    assert "truncated or damaged" in cache.manifest["left_out"]["episode_000001"]
    assert len(cache) == STEPS[0] + STEPS[2]
    np.testing.assert_array_equal(np.unique(cache.arrays["trajectory"]), [0, 2])


@pytest.mark.parametrize("fault", ["short", "truncated", "missing", "no video"])
def test_rows_without_a_frame_are_without_the_camera(fault: str, tmp_path: Path):
    dataset = write_dataset(tmp_path / "set", small_episodes(), videos=[CAMERA])
    file = sorted((dataset / "videos").rglob("*.mp4"))[1]
    frames = {"short": 30, "truncated": 0, "missing": 0, "no video": 0}[fault]
    if fault == "short":
        write_video(file, pictures(frames, 1))
    elif fault == "truncated":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif fault == "missing":
        file.unlink()
    else:
        file.write_bytes(b"no video at all")
    cache = converted(dataset)
    expected = np.ones(sum(STEPS), bool)
    expected[STEPS[0] + frames : STEPS[0] + STEPS[1]] = False
    np.testing.assert_array_equal(cache.present[:, 0], expected)
    assert cache.present[:, 1].all()
    assert not cache.arrays["rgb"][~expected].any()
    (said,) = cache.manifest["strange"]
    assert f"{file}, key {CAMERA!r}: expected a frame for each of 40 rows, found {frames}" in said


def test_more_rows_than_the_metadata_say_are_used_and_said(tmp_path: Path):
    dataset = write_dataset(tmp_path / "set", small_episodes())
    path = dataset / "meta/episodes.jsonl"
    path.write_text(path.read_text().replace('"length": 40', '"length": 39'))
    cache = converted(dataset)
    assert len(cache) == sum(STEPS)
    (said,) = cache.manifest["strange"]
    assert "expected 39 rows, as meta/ says, found 40" in said


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_timestamps_that_contradict_fps_are_said_once(version: str, tmp_path: Path, caplog):
    episodes = small_episodes()
    dataset = write_dataset(tmp_path / "set", episodes, version, changed={"fps": 25})
    cache = converted(dataset)
    (said,) = cache.manifest["strange"]
    assert "expected a row every 0.04 s, as fps 25 of meta/info.json says, found one every" in said
    assert "one every 0.1 s" in said
    assert caplog.text.count("correct whichever is wrong") == 1
    near = write_dataset(tmp_path / "near", episodes, version, changed={"fps": 10.01})
    assert not converted(near, cache="near_cache").manifest["strange"]


@pytest.mark.parametrize(
    ("sensors", "message"),
    [
        ({"rgb": Sensor(RGB, "observation.images.wrst")}, "no key 'observation.images.wrst'; the "),
        ({"proprio": Sensor(PROPRIO, CAMERA)}, "holds image (24, 32, 3), pictures: its kind must"),
        ({"rgb": Sensor(RGB, STATE)}, "holds float32 (3,), numbers: its kind cannot be image"),
        (sensor_of("vector", (4,)), "'observation.state' holds float32 (3,); expected (4,)"),
        (
            sensor_of("vector", (2,), columns=("x", "yaw")),
            "'observation.state' has no column 'yaw'; it has x, y, z",
        ),
        (sensor_of("vector", (1,), columns=(7,)), "has no column 7; it has 3"),
        (sensor_of("vector", (2,), columns=("z", 2)), "columns 'z' and 2 are the same value"),
        (sensor_of("depth", (1, 8, 8), CAMERA), "a colour video, which holds no depth"),
    ],
)
def test_a_robot_file_that_does_not_fit_is_told_what_there_is(sensors, message, tmp_path: Path):
    videos = [CAMERA] if "colour" in message else []
    names = {STATE: {"motors": ["x", "y", "z"]}}
    dataset = write_dataset(tmp_path / "set", small_episodes((3,)), videos=videos, names=names)
    with pytest.raises(ValueError, match=r"modality '(rgb|proprio|sensor)': ") as error:
        converted(dataset, sensors)
    assert message in str(error.value)
    assert not (tmp_path / "cache").exists()


def test_a_robot_file_without_keys_is_told_what_there_is(tmp_path: Path):
    dataset = write_dataset(tmp_path / "set", small_episodes((3,)))
    with pytest.raises(ValueError, match=f"names no `key:` of any sensor, .* has .*{STATE}"):
        converted(dataset, {"rgb": Sensor(RGB)})


def test_rows_of_another_shape_than_the_metadata_say(tmp_path: Path):
    changed = {STATE: {"dtype": "float32", "shape": [4], "names": None}}
    dataset = write_dataset(tmp_path / "set", small_episodes((3,)))
    path = dataset / "meta/info.json"
    info = json.loads(path.read_text())
    info["features"] |= changed
    path.write_text(json.dumps(info))
    expected = (
        r"key 'observation.state': expected \(4,\), as meta/ says, found rows of shape \(3,\)"
    )
    with pytest.raises(CacheError, match=expected):
        converted(dataset, sensor_of("vector", (4,)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"codebase_version": "v4.0"}, "codebase_version is 'v4.0'; v2.0, v2.1, v3.0 can be read"),
        ({"codebase_version": "v3.0"}, "no meta/episodes/*/*.parquet"),
        ({"fps": 0}, "damaged, or not of v2.1 (ValueError: fps is 0.0)"),
        ({"data_path": "../{episode_index}.parquet"}, "leads out of the data set"),
        ({"data_path": "{nothing}.parquet"}, "damaged, or not of v2.1 (KeyError: 'nothing')"),
        ({"features": 3}, "damaged, or not of v2.1 (AttributeError"),
        ({"chunks_size": 0}, "damaged, or not of v2.1 (ZeroDivisionError"),
        ({"data_path": "{episode_index:0999999999d}"}, "is no template of a path"),
    ],
)
def test_metadata_that_cannot_be_used(changed, message: str, tmp_path: Path):
    dataset = write_dataset(tmp_path / "set", small_episodes((3,)), changed=changed)
    with pytest.raises((CacheError, ValueError)) as error:
        converted(dataset)
    assert message in str(error.value)
    assert str(dataset) in str(error.value)


def test_what_is_no_number_is_no_reading(tmp_path: Path):
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    values[1, 2], values[2, 0] = np.nan, np.inf
    cache = converted(write_dataset(tmp_path / "set", one(values)), sensor_of("vector", (3,)))
    np.testing.assert_array_equal(cache.present[:, 0], [True, False, False, True])
    np.testing.assert_array_equal(cache.arrays["sensor"][3], values[3])


def test_columns_are_chosen_by_name_or_number_and_scaled(tmp_path: Path):
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    dataset = write_dataset(tmp_path / "set", one(values), names={STATE: [["x", "y", "z"]]})
    cache = converted(dataset, sensor_of("vector", (2,), columns=("z", 0), unit=0.5))
    np.testing.assert_array_equal(cache.arrays["sensor"], values[:, [2, 0]] / 2)


def test_a_window_is_the_newest_of_a_steps_samples(tmp_path: Path):
    values = np.random.default_rng(0).normal(size=(4, 8, 6)).astype(np.float32)
    dataset = write_dataset(tmp_path / "set", one(values))
    cache = converted(dataset, sensor_of("series", (6, 5), rate=80))
    np.testing.assert_array_equal(cache.arrays["sensor"], values[:, -5:])


def test_a_window_over_steps_needs_the_steps_before(tmp_path: Path):
    values = np.random.default_rng(0).normal(size=(120, 3)).astype(np.float32)
    dataset = write_dataset(tmp_path / "set", [{STATE: values[:60]}, {STATE: values[60:]}])
    cache = converted(dataset, sensor_of("series", (3, 4), rate=RATE))
    expected = np.ones(120, bool)
    expected[[0, 1, 2, 60, 61, 62]] = False
    np.testing.assert_array_equal(cache.present[:, 0], expected)
    for row in np.flatnonzero(expected):
        np.testing.assert_array_equal(cache.arrays["sensor"][row], values[row - 3 : row + 1])


def test_pictures_may_lie_in_files_that_rows_name(tmp_path: Path):
    shown = pictures(3, 0)
    dataset = write_dataset(tmp_path / "set", one(shown, CAMERA))
    path = next((dataset / "data").rglob("*.parquet"))
    rows = parquet.read_table(path)
    cells = rows[CAMERA].to_pylist()
    for number, cell in enumerate(cells[:2]):
        (dataset / f"{number}.png").write_bytes(cell["bytes"])
    named = ["0.png", "../set/1.png", "2.png"]  # one leads out, one is not there
    cells = [{"bytes": None, "path": name} for name in named]
    place = rows.schema.get_field_index(CAMERA)
    parquet.write_table(
        rows.set_column(place, CAMERA, pa.array(cells, rows.schema.field(CAMERA).type)), path
    )
    cache = converted(dataset, {"rgb": SENSORS["rgb"]})
    np.testing.assert_array_equal(cache.present[:, 0], [True, False, False])
    np.testing.assert_array_equal(cache.arrays["rgb"][0], prepare(RGB, shown[0]))
    (said,) = cache.manifest["strange"]
    assert "2 of 3 in an episode that cannot, the first: the path ../set/1.png leads out" in said


@pytest.mark.parametrize("stored", ["embedded", "video"])
def test_one_channel_is_grey(stored: str, tmp_path: Path):
    videos = [CAMERA] if stored == "video" else []
    dataset = write_dataset(tmp_path / "set", small_episodes((4,)), videos=videos)
    cache = converted(dataset, sensor_of("image", (1, 24, 32), CAMERA))
    assert cache.present.all()
    shown = pictures(4, 0).astype(float) @ [0.299, 0.587, 0.114]
    assert np.abs(cache.arrays["sensor"][..., 0] - shown).mean() < (3 if videos else 1)


DISTANCES = np.linspace(0, 3, 5 * 16 * 20).reshape(5, 16, 20)  # 0 and from 2 m on: no readings
DEPTH = Modality("sensor", "depth", (1, 16, 20))


@pytest.mark.parametrize(
    ("stored", "unit", "options"),
    [
        (DISTANCES.astype(np.float32), "m", {}),
        ((DISTANCES * 1000).astype(np.uint16), "mm", {}),
        ((DISTANCES * 1000).astype(np.uint16), "", {}),
        ((DISTANCES * 5000).astype(np.uint16), "", {"unit": 0.0002}),
    ],
    ids=["metres", "millimetres", "whole numbers", "as the robot file says"],
)
def test_depth_images_become_metres(stored, unit: str, options, tmp_path: Path):
    dataset = write_dataset(tmp_path / "set", one(stored, "depth"), depth={"depth": unit})
    cache = converted(dataset, sensor_of("depth", (1, 16, 20), "depth", **options))
    for row, distances in enumerate(DISTANCES):
        if (distances < 2).any():
            np.testing.assert_allclose(
                cache.arrays["sensor"][row], prepare(DEPTH, distances), atol=2e-3
            )
        else:
            assert not cache.present[row, 0]


def test_depth_as_numbers_is_in_the_unit_of_the_robot_file(tmp_path: Path):
    stored = (DISTANCES * 1000).astype(np.int64)[:, :, :8, None]
    dataset = write_dataset(tmp_path / "set", one(stored, "depth"))
    cache = converted(dataset, sensor_of("depth", (1, 16, 8), "depth", unit=0.001))
    modality = Modality("sensor", "depth", (1, 16, 8))
    for row in np.flatnonzero(cache.present[:, 0]):
        expected = prepare(modality, stored[row, ..., 0] * 0.001)
        np.testing.assert_array_equal(cache.arrays["sensor"][row], expected)


@pytest.mark.parametrize("spacing", ["even", "logarithmic"])
def test_depth_videos_are_decoded_to_metres(spacing: str, tmp_path: Path):
    distances = np.linspace(0.3, 1.9, 16 * 64 * 64).reshape(16, 64, 64)
    distances[:, :8] = 0  # no readings
    shift, low, high = 3.5, 0.01, 10.0
    ends = np.array([low, high])
    if spacing == "logarithmic":
        place, ends = np.log(distances + shift), np.log(ends + shift)
    else:
        place = distances
    levels = np.rint((place - ends[0]) / np.ptp(ends) * 4095).clip(0, 4095).astype(np.uint16)
    episode = {CAMERA: pictures(16, 0, (64, 64))}
    dataset = write_dataset(tmp_path / "set", [episode], videos=[CAMERA])
    write_video(next((dataset / "videos").rglob("*.mp4")), levels, "libx265")
    path = dataset / "meta/info.json"
    info = json.loads(path.read_text())
    info["features"][CAMERA]["info"] = {
        "video.is_depth_map": True,
        "video.use_log": spacing == "logarithmic",
    }
    path.write_text(json.dumps(info))
    cache = converted(dataset, sensor_of("depth", (1, 64, 64), CAMERA))
    assert cache.present.all()
    found = cache.arrays["sensor"].astype(float)
    assert np.isnan(found[:, :8]).all()
    np.testing.assert_allclose(found[:, 8:], distances[:, 8:], atol=4e-3)


@pytest.mark.parametrize("stored", ["numbers", "16-bit picture"])
def test_a_tactile_pad_becomes_an_image_between_its_limits(stored: str, tmp_path: Path):
    pad = np.random.default_rng(0).integers(100, 4000, (3, 12, 16)).astype(np.uint16)
    values = pad.astype(np.float32)[..., :9, None] if stored == "numbers" else pad
    modality = Modality("sensor", "image", (1, *values.shape[1:3]), minimum=0.0, maximum=4000.0)
    depth = {} if stored == "numbers" else {"pad": ""}
    dataset = write_dataset(tmp_path / "set", one(values, "pad"), depth=depth)
    path = dataset / "meta/info.json"
    path.write_text(path.read_text().replace("is_depth_map", "is_tactile"))
    cache = converted(dataset, {"sensor": Sensor(modality, "pad")})
    for row, reading in enumerate(values):
        np.testing.assert_array_equal(cache.arrays["sensor"][row], prepare(modality, reading))


def test_a_scan_is_brought_to_the_models_angles(tmp_path: Path):
    ranges = np.linspace(0.5, 20, 5 * 90).reshape(5, 90).astype(np.float32)
    ranges[:, 3] = np.inf  # nothing there
    modality = Modality("sensor", "scan", (1, 30), angles=(-1.5, 1.5))
    dataset = write_dataset(tmp_path / "set", one(ranges, "laser"))
    cache = converted(dataset, {"sensor": Sensor(modality, "laser")})
    assert cache.present.all()
    for row, reading in enumerate(ranges):
        np.testing.assert_array_equal(cache.arrays["sensor"][row], prepare(modality, reading))


def test_a_sensor_is_absent_where_the_data_set_says_so(tmp_path: Path):
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    there = np.array([True, False, True, False])
    episode = {STATE: values, "observation.present.sensor": there}
    cache = converted(write_dataset(tmp_path / "set", [episode]), sensor_of("vector", (3,)))
    np.testing.assert_array_equal(cache.present[:, 0], there)


def test_an_interrupted_conversion_continues(tmp_path: Path):
    dataset = write_dataset(tmp_path / "set", small_episodes(), "v3.0", [CAMERA])
    whole = converted(dataset)

    class Interrupted(LeRobotRecording):
        def read(self, part, *rest):
            if part["episode"] == 1:
                raise KeyboardInterrupt
            return super().read(part, *rest)

    modalities = [RGB, PROPRIO]
    with pytest.raises(KeyboardInterrupt):
        convert(Interrupted(dataset, SENSORS), tmp_path / "other", modalities, progress=False)
    with pytest.raises(CacheError, match="conversion has not finished"):
        open_cache(tmp_path / "other")
    continued = converted(dataset, cache="other")
    for name, values in whole.arrays.items():
        np.testing.assert_array_equal(continued.arrays[name], values)


def test_a_cache_is_continued_only_with_the_same_data_and_robot_file(tmp_path: Path, caplog):
    dataset = write_dataset(tmp_path / "set", small_episodes((4, 3)))
    converted(dataset)
    other = {**SENSORS, "proprio": Sensor(PROPRIO, STATE, columns=(2, 1, 0))}
    with pytest.raises(CacheError, match="was converted with"):
        converted(dataset, other)
    next((dataset / "data").rglob("*.parquet")).touch()
    with pytest.raises(CacheError, match="was converted from other files"):
        converted(dataset)
    open_cache(tmp_path / "cache")
    assert "1 of the files it was made from have changed since" in caplog.text
