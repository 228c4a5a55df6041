# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What Rerun itself reads in the file that an evaluation writes for it, and in a bag."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from small_bags import write_small_bag
from small_models import save_small_checkpoint
from smvae_core.inference.inference import Inference
from smvae_ros.bundled import bag_path, parameters_path
from smvae_ros.cli.evaluate import main
from smvae_ros.offline.evaluation import evaluate
from smvae_ros.parameters.configuration import read_values

pytest.importorskip("rerun", reason="rerun-sdk is not installed (pip install rerun-sdk)")
chunk = pytest.importorskip("rerun.chunk", reason="this rerun-sdk is too old")

SENSORS = ("rgb", "depth", "force", "action", "proprio")


def read(path: Path) -> dict[str, dict[str, list[Any]]]:
    """Entity → column (timeline or component) → its rows, without what holds at all times."""
    entities: dict[str, dict[str, list[Any]]] = {}
    for piece in chunk.RrdReader(str(path)).stream().to_chunks():
        if piece.is_static:
            continue
        batch = piece.to_record_batch()
        columns = entities.setdefault(piece.entity_path, {})
        for name in batch.schema.names:
            columns.setdefault(name, []).extend(batch.column(name).to_numpy(zero_copy_only=False))
    return entities


def nanoseconds(times: list[Any]) -> list[int]:
    return np.array(times).astype(np.int64).tolist()


def test_truth_predictions_and_subsets_stand_at_the_stamps_of_the_bag(tmp_path: Path) -> None:
    checkpoint = save_small_checkpoint(tmp_path / "model")
    bag = write_small_bag(tmp_path / "run", 12)
    blind = write_small_bag(tmp_path / "blind", 5, without=("rgb",))
    path = tmp_path / "out" / "evaluation.rrd"
    arguments = ["--checkpoint", str(checkpoint), "--rerun", str(path)]
    assert main([str(bag), str(blind), *arguments]) == 0

    inference = Inference.load(checkpoint)
    values = read_values(parameters_path(), inference.modalities.values())
    seen: dict[str, list[Any]] = {str(bag): [], str(blind): []}
    expected = evaluate(
        [bag, blind],
        inference,
        values,
        watch=lambda name, _, observations: seen[name].append(observations),
    )
    entities = read(path)
    for root, given in (("/run", str(bag)), ("/blind", str(blind))):
        stamps = expected.bags[given].posteriors.stamps
        for name in SENSORS:
            truth = [o for o in seen[given] if name in o.arrays]
            predicted = entities[f"{root}/{name}/predicted"]
            assert nanoseconds(predicted["stamp"]) == stamps.tolist()
            if not truth:
                assert f"{root}/{name}/truth" not in entities
                continue
            found = entities[f"{root}/{name}/truth"]
            assert nanoseconds(found["stamp"]) == [o.snapshot.stamp_ns for o in truth]
            last = truth[-1]
            guess = inference(last.arrays, predict=(name,)).arrays[name]
            for columns, array in ((found, last.arrays[name]), (predicted, guess)):
                check_last(inference.modalities[name].kind, columns, array)
        subsets = [str(row[0]) for row in entities[f"{root}/subset"]["StateChange:state"]]
        posteriors = expected.bags[given].posteriors.subsets
        changes = [s for n, s in enumerate(posteriors) if n == 0 or s != posteriors[n - 1]]
        assert subsets == changes
    assert entities["/blind/sensors/rgb"]["StateChange:state"][-1][0] == "absent"
    assert entities["/run/sensors/rgb"]["StateChange:state"][-1][0] == "live"
    assert any("rgb" in row[0] for row in entities["/blind/events"]["TextLog:text"])
    assert all(row[0] >= 0 for row in entities["/run/latency_ms/encode"]["Scalars:scalars"])
    assert not any("/health/" in entity for entity in entities), "an uncalibrated model"
    assert len(chunk.RrdReader(str(path)).blueprints()) == 1


def check_last(kind: str, columns: dict[str, list[Any]], array: np.ndarray) -> None:
    """The last row holds this array."""
    if kind in ("image", "depth"):
        archetype = "Image" if kind == "image" else "DepthImage"
        buffer = np.array(columns[f"{archetype}:buffer"][-1][0], np.uint8)
        picture = buffer.view(np.uint8 if kind == "image" else np.float16)
        form = columns[f"{archetype}:format"][-1][0]
        assert (form["height"], form["width"]) == array.shape[:2]
        np.testing.assert_allclose(picture, array.astype(picture.dtype).reshape(-1), atol=1)
    else:
        expected = array[-1] if kind == "series" else array
        row = np.array(columns["Scalars:scalars"][-1].tolist())
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-4)


def test_scores_of_a_calibrated_model_are_those_of_the_report(tmp_path: Path) -> None:
    bag = write_small_bag(tmp_path / "run", 20)
    path, output = tmp_path / "evaluation.rrd", tmp_path / "evaluation.json"
    assert main([str(bag), "--rerun", str(path), "--output", str(output)]) == 0
    (report,) = json.loads(output.read_text())["bags"].values()
    entities = read(path)
    for name, health in report["sensor_health"].items():
        scores = [row[0] for row in entities.get(f"/run/health/{name}", {})["Scalars:scalars"]]
        assert max(scores) == pytest.approx(health["highest_score"], rel=1e-3)


def test_bags_of_one_name_are_told_apart_and_an_error_leaves_the_file_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = save_small_checkpoint(tmp_path / "model")
    bags = [write_small_bag(tmp_path / day / "run", 4) for day in ("monday", "tuesday")]
    path = tmp_path / "evaluation.rrd"
    arguments = ["--checkpoint", str(checkpoint), "--rerun", str(path)]
    assert main([*map(str, bags), *arguments]) == 0
    roots = {entity.rsplit("/", 2)[0] for entity in read(path) if entity.endswith("/rgb/truth")}
    assert len(roots) == 2
    before = path.read_bytes()
    assert main([str(bags[0]), str(tmp_path / "none"), *arguments]) == 1
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.glob(".*")] == []


def test_rerun_imports_the_bundled_bag() -> None:
    (file,) = bag_path().glob("*.mcap")
    rows: dict[str, int] = {}
    for piece in chunk.McapReader(str(file)).stream().to_chunks():
        for component in piece.to_record_batch().schema.names:
            entry = f"{piece.entity_path} {component}"
            rows[entry] = rows.get(entry, 0) + piece.num_rows
    expected = {
        "/camera/color/image_raw Image:buffer": 600,
        "/camera/depth/image_raw DepthImage:buffer": 600,
        "/camera/color/camera_info Pinhole:image_from_camera": 600,
        "/joint_states/position Scalars:scalars": 600,
        "/action geometry_msgs.msg.TwistStamped:message": 600,
        "/wrench geometry_msgs.msg.WrenchStamped:message": 30000,
        "/wrench ros2_timestamp": 30000,
    }
    assert {entry: rows.get(entry) for entry in expected} == expected
