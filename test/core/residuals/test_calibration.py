# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A model and healthy logs → what is normal of every sensor, and that on disk."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from small_caches import make_cache
from small_models import save_small_checkpoint, small_model
from smvae_core.checkpoint import load_checkpoint, save_checkpoint
from smvae_core.data.logs.dataset import open_cache
from smvae_core.residuals.calibrate import calibrate, healthy_runs, longest_repeat
from smvae_core.residuals.calibration import (
    Calibration,
    calibrated_sets,
    count_references,
    usual_missing,
)
from smvae_core.stored_model import HEALTH, CheckpointError, save_calibration
from training.calibrate import main as calibrate_command

PERIOD = 0.05
NAMES = ("rgb", "depth", "force", "action", "proprio")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_cache(tmp_path_factory.mktemp("health"), trajectories=4, parts=2, steps=8)


@pytest.fixture(scope="module")
def calibration(cache: Path) -> Calibration:
    model = small_model()
    opened = open_cache(cache, list(model.modalities.values()))
    return calibrate(model, opened, np.arange(len(opened)), 2.0, progress=False)


def test_scenes_too_short_for_an_average_calibrate_nothing(cache: Path) -> None:
    model = small_model()
    opened = open_cache(cache, list(model.modalities.values()))
    with pytest.raises(ValueError, match=r"0 runs of 2 s or more .*longer trajectories"):
        calibrate(model, opened, np.arange(len(opened)), 20.0, progress=False)


def test_runs_are_of_consecutive_whole_steps(cache: Path) -> None:
    opened = open_cache(cache)
    runs = healthy_runs(opened, np.arange(len(opened)), NAMES, 6)
    # The first two of every eight steps lack a sensor.
    assert [len(run) for run in runs] == [6] * 8
    assert all((np.diff(run) == 1).all() for run in runs)
    assert healthy_runs(opened, np.arange(len(opened)), NAMES, 6.5) == []


def test_every_sensor_is_calibrated_beside_any_set_of_others(calibration: Calibration) -> None:
    assert len(calibration.references) == 5 * 15
    for name in NAMES:
        others = tuple(other for other in NAMES if other != name)
        assert calibration.reference(name, others) is not None
        assert calibration.reference(name, others[1:3]) is not None
    assert calibration.reference("rgb", ()) is None
    assert len(calibrated_sets("abcdefghij", missing=3)) == 10 + 45 + 120 + 210


def test_combinations_stay_few_with_many_sensors() -> None:
    """Where nothing is said: three absent others up to nine modalities, then fewer."""
    names = [f"m{number}" for number in range(32)]
    for count in range(2, 33):
        sets = calibrated_sets(names[:count])
        missing = usual_missing(count)
        assert missing == (3 if count < 10 else 2 if count < 13 else 1)
        assert min(map(len, sets)) == max(1, count - 1 - missing)
        references = sum(count - len(others) for others in sets)
        assert references == count_references(count, missing) <= 1024


def test_a_calibration_that_loading_would_refuse_is_not_kept(
    tmp_path: Path, calibration: Calibration
) -> None:
    """That of a sensor of 2,400 values, beside the one that is there."""
    path = save_small_checkpoint(tmp_path / "model")
    save_calibration(path, calibration)
    before = (path / "health.safetensors").read_bytes()
    values = 2400
    whole = next(iter(calibration.references.values()))
    large = dataclasses.replace(
        whole,
        coefficients=np.zeros((1, values)),
        centre=np.zeros((len(whole.edges) + 1, values + 2)),
        width=np.ones((len(whole.edges) + 1, values + 2)),
        whitening=np.eye(values, dtype=np.float32),
    )
    others = (("force",), ("action",), ("force", "action"))
    references = {("tactile", other): large for other in others} | calibration.references
    with pytest.raises(CheckpointError, match="more than 67108864") as refused:
        save_calibration(path, dataclasses.replace(calibration, references=references))
    message = str(refused.value)
    assert "this calibration is not kept" in message
    assert "Most space is taken by tactile" in message
    assert "delete" not in message
    assert (path / "health.safetensors").read_bytes() == before
    assert load_checkpoint(path).calibration is not None
    assert [file.name for file in path.iterdir() if file.name.startswith(".")] == []


def test_a_calibration_survives_the_disk(tmp_path: Path, calibration: Calibration) -> None:
    path = save_small_checkpoint(tmp_path / "model")
    assert load_checkpoint(path).calibration is None
    save_calibration(path, calibration)
    loaded = load_checkpoint(path).calibration
    assert loaded is not None
    assert (loaded.period, loaded.repeats) == (calibration.period, calibration.repeats)
    assert loaded.source == calibration.source
    features = {"rgb": 3, "depth": 1, "force": 6, "action": 4, "proprio": 8}
    for (name, others), reference in calibration.references.items():
        row = np.linspace(-2, 3, features[name] + 2)
        expected, found = reference.scores(row), loaded.reference(name, others).scores(row)
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-3)
    save_checkpoint(path, small_model(1))  # other weights: what was normal is so no longer
    assert load_checkpoint(path).calibration is None


@pytest.mark.parametrize("damage", ["garbage", "truncated", "other weights", "format"])
def test_a_damaged_calibration_is_said(
    tmp_path: Path, calibration: Calibration, damage: str
) -> None:
    path = save_small_checkpoint(tmp_path / "model")
    save_calibration(path, calibration)
    file = path / HEALTH
    if damage == "garbage":
        file.write_bytes(b"\x00" * 100)
    elif damage == "truncated":
        file.write_bytes(file.read_bytes()[:-10])
    elif damage == "format":
        file.write_bytes(file.read_bytes().replace(b'"format":"1"', b'"format":"9"'))
    else:
        other = save_small_checkpoint(tmp_path / "other", seed=1)
        file.replace(other / HEALTH)
        path = other
    with pytest.raises(CheckpointError, match="delete the file"):
        load_checkpoint(path)


def test_the_command_adds_a_calibration(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save_small_checkpoint(tmp_path / "model")
    assert calibrate_command([str(path), str(cache), "--rate", "2"]) == 0
    assert "48 steps in 8 runs" in capsys.readouterr().out
    assert load_checkpoint(path).calibration.source["runs"] == 8
    assert calibrate_command([str(tmp_path / "none"), str(cache)]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert calibrate_command([str(path), str(tmp_path)]) == 2


def test_repeats_are_counted_also_of_what_was_not_measured() -> None:
    arrays = np.array([1, 1, 2, 2, 2, 3, np.nan, np.nan, np.nan, np.nan])[:, None]
    assert longest_repeat(arrays) == 3
