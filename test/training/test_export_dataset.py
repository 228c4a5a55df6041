# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Data sets that are exported hold what the cache holds; ours and other readers find it there."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

pytest.importorskip("pyarrow", reason="the extra lerobot is not installed (pyarrow)")
pytest.importorskip("av", reason="the extra lerobot is not installed (PyAV)")

from pyarrow import parquet

from small_caches import make_cache
from small_lerobot import RATE, pictures, write_dataset
from small_models import save_small_checkpoint
from smvae_core.checkpoint import load_checkpoint
from smvae_core.data.logs.dataset import LogCache, open_cache
from smvae_core.data.logs.lerobot.writer import DatasetWriter
from training import convert
from training.encode import encode_cache
from training.export_dataset import columns_of, export, main

STEPS = 5  # of a part, the only ones that follow each other


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> LogCache:
    """Sensors are absent now and then."""
    return open_cache(make_cache(tmp_path_factory.mktemp("logs"), trajectories=2))


def read_back(dataset: Path, cache: Path) -> LogCache:
    arguments = [str(dataset), str(cache), "--robot", str(dataset / "robot.yaml")]
    assert convert.main(arguments) == 0
    return open_cache(cache)


def information(dataset: Path, name: str = "info") -> dict:
    return json.loads((dataset / f"meta/{name}.json").read_text())


def test_a_cache_comes_back_as_it_was(cache: LogCache, tmp_path: Path):
    assert main([str(cache.path), str(tmp_path / "set")]) == 0
    back = read_back(tmp_path / "set", tmp_path / "cache")
    assert back.names == cache.names
    assert back.rate == cache.rate
    for name in cache.names:
        assert back.arrays[name].dtype == cache.arrays[name].dtype
        np.testing.assert_array_equal(back.arrays[name], cache.arrays[name], err_msg=name)
    np.testing.assert_array_equal(back.present, cache.present)
    assert not back.present.all()
    episodes = len(cache) // STEPS
    np.testing.assert_array_equal(back.arrays["trajectory"], np.repeat(range(episodes), STEPS))
    np.testing.assert_array_equal(back.arrays["step"], np.tile(range(STEPS), episodes))


def test_other_shapes_come_back_as_well(tmp_path: Path):
    random = np.random.default_rng(0)
    episode = {
        "camera": pictures(9, 0),
        "gripper": random.normal(size=9).astype(np.float32),
        "force": random.normal(size=(9, 3)).astype(np.float32),
        "tool": np.eye(4, dtype=np.float32)[random.integers(0, 4, 9)],
        "laser": random.uniform(-1, 20, (9, 12)).astype(np.float32),  # negative is no reading
        "pad": random.uniform(0, 50, (9, 5, 4)).astype(np.float32),
    }
    angles, pressure = [-1.0, 1.0], {"minimum": 0.0, "maximum": 50.0}
    dataset = write_dataset(tmp_path / "first", [episode])
    (dataset / "robot.yaml").write_text(
        yaml.safe_dump(
            {
                "modalities": {
                    "camera": {"kind": "image", "shape": [1, 24, 32], "key": "camera"},
                    "state": {"kind": "vector", "shape": [1], "key": "gripper"},
                    "proprio": {"kind": "vector", "shape": [2], "key": "force", "columns": [2, 0]},
                    "force": {"kind": "series", "shape": [3, 4], "rate": RATE, "key": "force"},
                    "tool": {"kind": "categorical", "shape": [4], "key": "tool"},
                    "laser": {"kind": "scan", "shape": [1, 12], "angles": angles, "key": "laser"},
                    "pad": {"kind": "image", "shape": [1, 5, 4], **pressure, "key": "pad"},
                }
            }
        )
    )
    cache = read_back(dataset, tmp_path / "cache")
    assert main([str(cache.path), str(tmp_path / "set")]) == 0
    back = read_back(tmp_path / "set", tmp_path / "again")
    for name in cache.names:
        np.testing.assert_array_equal(back.arrays[name], cache.arrays[name], err_msg=name)
    np.testing.assert_array_equal(back.present, cache.present)
    assert back.present[:, cache.names.index("force")].tolist() == [False] * 3 + [True] * 6


@pytest.fixture(scope="module")
def filmed(tmp_path_factory) -> LogCache:
    """Episodes of a camera with enough pixels for a video; the proprioception has gaps."""
    random = np.random.default_rng(0)
    episodes = [
        {
            "camera": pictures(STEPS, seed, (64, 80)),
            "joints": random.normal(size=(STEPS, 3)).astype(np.float32),
            "command": random.normal(size=(STEPS, 2)).astype(np.float32),
        }
        for seed in range(4)
    ]
    episodes[1]["joints"][2] = np.nan
    dataset = write_dataset(tmp_path_factory.mktemp("filmed") / "first", episodes)
    modalities = {
        "rgb": {"kind": "image", "shape": [3, 64, 80], "key": "camera"},
        "proprio": {"kind": "vector", "shape": [3], "key": "joints"},
        "action": {"kind": "vector", "shape": [2], "key": "command"},
    }
    (dataset / "robot.yaml").write_text(yaml.safe_dump({"modalities": modalities}))
    return read_back(dataset, dataset.with_name("cache"))


def test_videos_keep_the_images_about(filmed: LogCache, tmp_path: Path):
    assert main([str(filmed.path), str(tmp_path / "set"), "--video"]) == 0
    assert information(tmp_path / "set")["features"]["observation.images.rgb"]["dtype"] == "video"
    back = read_back(tmp_path / "set", tmp_path / "cache")
    np.testing.assert_array_equal(back.present, filmed.present)
    for name in ("proprio", "action", "trajectory", "step"):
        np.testing.assert_array_equal(back.arrays[name], filmed.arrays[name])
    errors = np.abs(back.arrays["rgb"].astype(int) - filmed.arrays["rgb"]).mean((1, 2, 3))
    assert errors.max() < 3  # a step later they are brighter by 5


def test_images_too_small_for_a_video_stay_images(cache: LogCache, tmp_path: Path):
    assert main([str(cache.path), str(tmp_path / "set"), "--video"]) == 0
    assert information(tmp_path / "set")["features"]["observation.images.rgb"]["dtype"] == "image"


def test_the_metadata_say_what_there_is(cache: LogCache, tmp_path: Path):
    dataset = tmp_path / "set"
    assert main([str(cache.path), str(dataset), "--task", "insert the peg"]) == 0
    info = information(dataset)
    assert info["codebase_version"] == "v3.0"
    assert (info["fps"], info["total_frames"]) == (cache.rate, len(cache))
    shapes = {
        key: (feature["dtype"], feature["shape"]) for key, feature in info["features"].items()
    }
    assert shapes == {
        "observation.images.rgb": ("image", [16, 16, 3]),
        "observation.images.depth": ("image", [16, 16, 1]),
        "observation.force": ("float32", [32, 6]),
        "action": ("float32", [4]),
        "observation.state": ("float32", [8]),
        **{f"observation.present.{name}": ("bool", [1]) for name in cache.names},
        "timestamp": ("float32", [1]),
        **{key: ("int64", [1]) for key in ("frame_index", "episode_index", "index", "task_index")},
    }
    assert info["features"]["observation.images.depth"]["info"] == {
        "is_depth_map": True,
        "depth_unit": "m",
    }
    episodes = parquet.read_table(dataset / "meta/episodes/chunk-000/file-000.parquet")
    assert episodes["length"].to_pylist() == [STEPS] * info["total_episodes"]
    assert episodes["tasks"][0].as_py() == ["insert the peg"]
    (table,) = (dataset / "data").rglob("*.parquet")
    rows = parquet.read_table(table)
    for begin, end, index in zip(
        episodes["dataset_from_index"].to_pylist(),
        episodes["dataset_to_index"].to_pylist(),
        episodes["episode_index"].to_pylist(),
        strict=True,
    ):
        assert set(rows["episode_index"][begin:end].to_pylist()) == {index}
        times = rows["timestamp"][begin:end].to_numpy()
        np.testing.assert_allclose(times, np.arange(STEPS) / cache.rate, rtol=1e-6)
    np.testing.assert_array_equal(rows["index"], np.arange(len(cache)))


def test_statistics_are_those_of_readings_and_never_nan(cache: LogCache, tmp_path: Path):
    assert main([str(cache.path), str(tmp_path / "set")]) == 0
    statistics = information(tmp_path / "set", "stats")
    for of_feature in statistics.values():
        assert all(np.isfinite(np.array(value)).all() for value in of_feature.values())
    present = dict(zip(cache.names, cache.present.T, strict=True))
    force = cache.arrays["force"][present["force"]]
    found = statistics["observation.force"]
    np.testing.assert_allclose(found["mean"], force.mean((0, 1)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["std"], force.std((0, 1)), rtol=1e-4)
    assert found["count"] == [len(force)]
    depth = cache.arrays["depth"][present["depth"]].astype(float)
    found = statistics["observation.images.depth"]
    np.testing.assert_allclose(found["min"], np.nanmin(depth).reshape(1, 1, 1))
    rgb = statistics["observation.images.rgb"]
    np.testing.assert_allclose(
        np.ravel(rgb["mean"]), cache.arrays["rgb"].mean((0, 1, 2)) / 255, rtol=1e-5
    )
    found = statistics["observation.present.force"]["mean"]
    np.testing.assert_allclose(found, present["force"].mean())


def test_latents_are_the_environments_state(cache: LogCache, tmp_path: Path):
    model = save_small_checkpoint(tmp_path / "model")
    assert main([str(cache.path), str(tmp_path / "set"), "--latents", str(model)]) == 0
    (table,) = (tmp_path / "set/data").rglob("*.parquet")
    rows = parquet.read_table(table)
    latents = np.array(rows["observation.environment_state"].to_pylist(), np.float32)
    expected = encode_cache(load_checkpoint(model).model, cache.path)["mean"]
    np.testing.assert_allclose(latents, expected, rtol=1e-4, atol=1e-5)
    feature = information(tmp_path / "set")["features"]["observation.environment_state"]
    assert feature["shape"] == [expected.shape[1]]
    read_back(tmp_path / "set", tmp_path / "cache")


def test_an_interrupted_export_leaves_nothing(cache: LogCache, tmp_path: Path, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(DatasetWriter, "close", interrupted)
    assert main([str(cache.path), str(tmp_path / "set")]) == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("video", [False, True], ids=["images", "videos"])
def test_a_disk_that_fills_is_said_and_leaves_nothing(
    video: bool, filmed: LogCache, full_disk: Path, capsys
):
    (full_disk / "everything").write_bytes(bytes(20_000))  # it fills on the way
    options = ["--video"] if video else []
    assert main([str(filmed.path), str(full_disk / "set"), *options]) == 2
    assert "the disk is full; make room" in capsys.readouterr().err
    assert [path.name for path in full_disk.iterdir()] == ["everything"]


def test_another_folder_is_never_written_into(cache: LogCache, tmp_path: Path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    assert main([str(cache.path), str(tmp_path)]) == 2
    assert "it is there already; choose another name" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("video", [False, True], ids=["images", "videos"])
def test_rerun_reads_what_was_exported(
    video: bool, cache: LogCache, filmed: LogCache, tmp_path: Path
):
    rerun = pytest.importorskip("rerun.experimental", reason="rerun-sdk is not installed")
    if not hasattr(rerun, "LeRobotReader"):
        pytest.skip("this rerun-sdk has no LeRobotReader")
    cache = filmed if video else cache
    columns = [column for column in columns_of(cache) if column.name != "force"]  # no 2-D there
    export(cache, tmp_path / "set", columns, "insert", video)
    reader = rerun.LeRobotReader(tmp_path / "set")
    assert reader.version == "v3"
    assert reader.episodes() == list(range(len(cache) // STEPS))
    found: dict[str, list] = {}
    for chunk in reader.stream(1):
        batch = chunk.to_record_batch()
        for name in batch.schema.names:
            if name not in ("frame_index", "rerun.controls.RowId"):
                found.setdefault(f"{chunk.entity_path} {name}", []).extend(batch[name].to_pylist())
    rows = slice(STEPS, 2 * STEPS)
    np.testing.assert_array_equal(found["/action Scalars:scalars"], cache.arrays["action"][rows])
    state = found["/observation.state Scalars:scalars"]
    np.testing.assert_array_equal(state, cache.arrays["proprio"][rows])
    assert found["/task TextDocument:text"] == [["insert"]] * STEPS
    if video:
        assert len(found["/observation.images.rgb VideoStream:sample"]) == STEPS
    else:
        blobs = found["/observation.images.rgb EncodedImage:blob"]
        shown = [cv2.imdecode(np.array(blob[0], np.uint8), cv2.IMREAD_COLOR) for blob in blobs]
        np.testing.assert_array_equal(np.stack(shown)[..., ::-1], cache.arrays["rgb"][rows])
        assert len(found["/observation.images.depth EncodedDepthImage:blob"]) == STEPS
