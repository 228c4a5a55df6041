# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A robot with a lidar, an infrared camera and a tactile pad: from readings to reports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from other_robot import MODALITIES, make_other_cache, write_other_bag, write_parameters
from small_training import column, train
from smvae_core.data.logs.dataset import open_cache
from smvae_core.inference.inference import Inference
from smvae_ros.cli.evaluate import main as evaluate
from smvae_ros.offline.evaluation import evaluate as evaluate_bags
from smvae_ros.parameters.configuration import read_values
from training.convert import main as convert
from training.evaluate import main as evaluate_cache
from training.export_dataset import main as export

pytestmark = pytest.mark.training

NAMES = tuple(modality.name for modality in MODALITIES)


def write_config(cache: Path, path: Path) -> Path:
    modalities = {}
    for modality in MODALITIES:
        entry = modality.to_dict()
        for field in ("name", "mean", "std"):
            del entry[field]
        modalities[modality.name] = entry
    trainer = {"max_epochs": 2, "accelerator": "cpu", "devices": 1, "log_every_n_steps": 1}
    split = {"validation_fraction": 0.2, "test_fraction": 0.2}
    content = {
        "trainer": trainer,
        "data": {"cache": str(cache), "batch_size": 66, **split},
        "model": {"latent_size": 6, "embedding_size": 16, "heads": 4, "modalities": modalities},
    }
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_other_cache(tmp_path_factory.mktemp("robot"))


@pytest.fixture(scope="module")
def model(cache: Path) -> Path:
    """Of two epochs of two steps."""
    output = cache.parent / "run"
    checkpoint = train(write_config(cache, cache.parent / "config.yaml"), output)
    assert checkpoint.calibration is not None
    assert {name for name, _ in checkpoint.calibration.references} == set(NAMES)
    objectives = column(output, "training/objective")
    assert len(objectives) == 4
    assert objectives[-1] > objectives[0]
    return output / "model"


def test_a_cache_has_holes_where_nothing_was_measured(cache: Path) -> None:
    held = open_cache(cache, MODALITIES)
    assert held.present.all()
    lidar = held.arrays["lidar"]
    assert lidar.dtype == np.float32
    assert 0.02 < np.isnan(lidar).mean() < 0.5
    assert held.arrays["pad"].shape == (220, 8, 8, 1)
    assert held.arrays["pad"].max() > 200


def test_a_model_knows_the_statistics_of_each(model: Path) -> None:
    modalities = Inference.load(model).modalities
    assert 3 < modalities["lidar"].mean[0] < 5
    assert 1 < modalities["lidar"].std[0] < 3
    assert all(0 < modalities[name].mean[0] < 1 for name in ("infrared", "pad"))


def test_evaluation_on_the_cache_has_their_errors(model: Path, cache: Path, tmp_path: Path) -> None:
    output = tmp_path / "evaluation.json"
    assert evaluate_cache([str(model), str(cache), "--output", str(output)]) == 0
    measures = json.loads(output.read_text())["subsets"]["lidar+infrared+pad+joints"]
    assert {"lidar_rmse_m", "infrared_psnr_db", "pad_psnr_db", "joints_rmse"} <= set(measures)
    assert all(np.isfinite(value) for value in measures.values())


def test_a_bag_is_evaluated_with_pictures_of_all(model: Path, tmp_path: Path) -> None:
    """Also where the size of a camera's images changes on the way."""
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    bag = write_other_bag(tmp_path / "bag", 20, first=3)
    parameters = write_parameters(tmp_path / "parameters.yaml")
    options = ["--checkpoint", str(model), "--params", str(parameters)]
    page = tmp_path / "page.html"
    assert evaluate([str(bag), *options, "--report", str(page)]) == 0
    assert page.read_text().count("<img ") == 2
    inference = Inference.load(model)
    values = read_values(parameters, inference.modalities.values())
    seen = []
    evaluation = evaluate_bags(
        [bag], inference, values, predictions=True, watch=lambda *given: seen.append(given[-1])
    )
    (entry,) = evaluation.bags.values()
    assert entry.predictions.used == NAMES
    assert entry.predictions.subsets == ["+".join(NAMES)] * 20
    assert set(entry.predictions.pictures[0].live) == {"lidar", "infrared", "pad"}
    errors = entry.predictions.errors
    assert np.isfinite([row for rows in errors.values() for row in rows]).all()
    arrays = seen[7].arrays
    assert {array.shape for array in arrays.values()} == {m.raw_shape for m in MODALITIES}


def test_evaluation_sees_what_the_cache_holds(cache: Path, model: Path, tmp_path: Path) -> None:
    bag = write_other_bag(tmp_path / "bag", 6)
    parameters = write_parameters(tmp_path / "parameters.yaml")
    inference = Inference.load(model)
    values = read_values(parameters, inference.modalities.values())
    seen = []
    evaluate_bags([bag], inference, values, watch=lambda *given: seen.append(given[-1].arrays))
    held = open_cache(cache)
    for step, arrays in enumerate(seen):
        for modality in MODALITIES:
            expected = held.arrays[modality.name][step]
            np.testing.assert_array_equal(arrays[modality.name], expected, modality.name)


def test_an_exported_data_set_comes_back(cache: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="the extra lerobot is not installed (pyarrow)")
    pytest.importorskip("av", reason="the extra lerobot is not installed (PyAV)")
    data_set = tmp_path / "set"
    assert export([str(cache), str(data_set)]) == 0
    arguments = [str(data_set), str(tmp_path / "cache"), "--robot", str(data_set / "robot.yaml")]
    assert convert(arguments) == 0
    back, held = open_cache(tmp_path / "cache"), open_cache(cache)
    for name in NAMES:
        np.testing.assert_array_equal(back.arrays[name], held.arrays[name], err_msg=name)


def test_rerun_is_given_all_of_them(model: Path, tmp_path: Path) -> None:
    pytest.importorskip("rerun", reason="rerun-sdk is not installed")
    chunk = pytest.importorskip("rerun.chunk", reason="this rerun-sdk is too old")
    bag = write_other_bag(tmp_path / "bag", 5)
    parameters = write_parameters(tmp_path / "parameters.yaml")
    path = tmp_path / "evaluation.rrd"
    options = ["--checkpoint", str(model), "--params", str(parameters), "--rerun", str(path)]
    assert evaluate([str(bag), *options]) == 0
    found: dict[str, set[str]] = {}
    for piece in chunk.RrdReader(str(path)).stream().to_chunks():
        if not piece.is_static:
            names = piece.to_record_batch().schema.names
            found.setdefault(piece.entity_path, set()).update(names)
    for source in ("truth", "predicted"):
        assert any("Points2D:positions" in name for name in found[f"/bag/lidar/{source}"])
        assert any("Image:buffer" in name for name in found[f"/bag/infrared/{source}"])
        assert any("Scalars:scalars" in name for name in found[f"/bag/joints/{source}"])
