"""Sensor health without ROS: closed forms of the scores, quantiles, levels, calibration."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from small_caches import make_cache
from small_models import save_small_checkpoint, small_model
from smvae_core.checkpoint import (
    HEALTH,
    CheckpointError,
    load_checkpoint,
    save_calibration,
    save_checkpoint,
)
from smvae_core.data.logs.dataset import open_cache
from smvae_core.distributions import Gaussian
from smvae_core.health.calibrate import calibrate, healthy_runs, longest_repeat
from smvae_core.health.calibration import (
    Calibration,
    calibrated_sets,
    count_references,
    usual_missing,
)
from smvae_core.health.features import Features, divergence, measure
from smvae_core.health.hysteresis import Hysteresis, Level, Thresholds
from smvae_core.health.monitor import repeat_score
from smvae_core.health.reference import TIME_CONSTANT, Reference, Table, average, weight
from smvae_core.modalities import Modality
from training.calibrate import main as calibrate_command
from training.studies.sensor_faults.__main__ import rate_bound, summarise
from training.studies.sensor_faults.runs import FAULTS

PERIOD = 0.05
NAMES = ("rgb", "depth", "force", "action", "proprio")


# -- features --------------------------------------------------------------------------------------


def test_the_features_of_a_gaussian_reading_have_their_closed_forms() -> None:
    """x = x̂ + s ε: the signed mean is N(0, 1/n) and the surprise log E|ε| = log √(2/π)."""
    modality = Modality("x", "series", (2, 4000), rate=1000.0)
    scale = np.array([0.5, 3.0])
    random = np.random.default_rng(0)
    predicted = random.normal(size=(3, 4000, 2)).astype(np.float32)
    noise = random.normal(size=predicted.shape)
    arrays = (predicted + scale * noise + scale * [0.0, 2.0]).astype(np.float32)
    found = measure("x", {"x": modality}, {"x": scale}, {"x": arrays}, {"x": predicted}, np.ones(3))
    np.testing.assert_allclose(found.residual, np.tile([0.0, 2.0], (3, 1)), atol=4 / 4000**0.5)
    shifted = math.sqrt(2 / math.pi) * math.exp(-2) + 2 * math.erf(math.sqrt(2))  # E|ε + 2|
    expected = math.log((math.sqrt(2 / math.pi) + shifted) / 2)
    np.testing.assert_allclose(found.surprise, expected, atol=0.03)
    assert found.others.shape == (3, 0)


def test_what_was_not_measured_counts_nothing() -> None:
    modality = Modality("d", "depth", (1, 4, 4))
    arrays = np.full((1, 4, 4), 1.5, np.float16)
    arrays[0, :2] = np.nan
    predicted = np.full((1, 4, 4), 1.0, np.float32)
    found = measure(
        "d", {"d": modality}, {"d": np.array([0.25])}, {"d": arrays}, {"d": predicted}, np.ones(1)
    )
    assert found.residual[0, 0] == pytest.approx(2.0)
    assert found.surprise[0] == pytest.approx(math.log(2.0))


def test_the_divergence_is_that_of_the_core() -> None:
    generator = torch.Generator().manual_seed(0)
    q, p = (Gaussian(*torch.randn(2, 5, 7, generator=generator).double()) for _ in range(2))
    found = divergence(*(part.numpy() for part in (q.mean, q.log_variance, p.mean, p.log_variance)))
    np.testing.assert_allclose(found, q.kl(p).numpy())


# -- references ------------------------------------------------------------------------------------


def test_a_table_gives_the_quantiles_and_goes_on_as_an_exponential_tail_does() -> None:
    table = Table.fit(np.random.default_rng(0).exponential(size=20_000))
    for value in (1.0, 3.0, 6.0, 12.0):  # P(X > v) = e^-v
        assert table.score(value) == pytest.approx(value / math.log(10), rel=0.12)


def test_the_moving_average_has_its_closed_form() -> None:
    share = weight(PERIOD, PERIOD)
    assert share == pytest.approx(1 - math.exp(-PERIOD / TIME_CONSTANT))
    constant = average(np.ones((30, 1)), PERIOD, PERIOD)[:, 0]
    np.testing.assert_allclose(constant, 1 - (1 - share) ** np.arange(1, 31))
    noise = average(np.random.default_rng(0).normal(size=(40_000, 1)), PERIOD, PERIOD)
    assert noise.var() == pytest.approx(share / (2 - share), rel=0.1)
    assert weight(10.0, PERIOD) == share, "rare checks must not be trusted more"


def healthy(seed: int, count: int = 400, coupling: float = 1.0) -> Features:
    """A sensor whose noise depends on what is expected, and that misses what another misses."""
    random = np.random.default_rng(seed)
    others = random.normal(size=(count, 2))
    expected = random.uniform(0, 20, (count, 1))
    noise = (0.1 + 0.2 * expected) * random.normal(size=(count, 1))
    residual = coupling * others[:, :1] + noise
    sizes = random.normal(size=(2, count))
    return Features(residual, expected, others, *sizes)


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.fit([healthy(seed) for seed in range(30)], PERIOD)


def test_what_the_others_explain_is_learned(reference: Reference) -> None:
    np.testing.assert_allclose(reference.coefficients[:, 0], [1.0, 0.0], atol=0.05)
    assert reference.channel == 0


def test_healthy_data_exceed_a_score_as_often_as_it_says(reference: Reference) -> None:
    scores = {"surprise": [], "bias": [], "disagreement": []}
    for seed in range(100, 150):
        for row in reference.average(healthy(seed), PERIOD):
            for name, score in reference.scores(row).items():
                scores[name].append(score)
    for name, values in scores.items():
        for level, tolerance in ((1, 1.5), (2, 2.5)):
            exceeded = np.mean(np.array(values) > level)
            assert 10.0**-level / tolerance < exceeded < 10.0**-level * tolerance, (name, level)


def test_a_bias_counts_more_where_little_noise_is_expected(reference: Reference) -> None:
    def score(expected: float) -> float:
        run = healthy(200)
        quiet = Features(
            np.full_like(run.residual, 1.5) + run.others[:, :1],
            np.full_like(run.expected, expected),
            run.others,
            run.surprise,
            run.disagreement,
        )
        return reference.scores(reference.average(quiet, PERIOD)[40])["bias"]

    assert score(1.0) > 8 > 3 > score(19.0)


def test_what_differs_from_scene_to_scene_is_no_bias() -> None:
    """One colour for each run: no number of frames makes up for few scenes."""

    def scene(seed: int) -> Features:
        random = np.random.default_rng(seed)
        colour = random.normal(size=3)
        residual = colour + 0.01 * random.normal(size=(100, 3))
        return Features(residual, residual, np.zeros((100, 0)), *random.normal(size=(2, 100)))

    fitted = Reference.fit([scene(seed) for seed in range(12)], PERIOD)
    scores = [
        fitted.scores(fitted.average(scene(seed), PERIOD)[-1])["bias"] for seed in range(50, 80)
    ]
    assert np.mean(np.array(scores) > Thresholds().warn) <= 0.1


# -- levels ----------------------------------------------------------------------------------------


def test_a_level_rises_at_once_and_falls_after_a_while() -> None:
    thresholds, hysteresis = Thresholds(warn=5, error=8, clear=2.0), Hysteresis()
    scores = [(0.0, 1.0), (0.1, 6.0), (0.2, 9.0), (0.3, 6.0), (1.0, 4.9), (1.5, 1.0)]
    levels = [hysteresis.update(score, now, thresholds) for now, score in scores]
    assert levels == [Level.OK, Level.WARN, *[Level.ERROR] * 4]
    assert hysteresis.update(1.0, 2.4, thresholds) == Level.WARN  # the worst of the last 2 s
    assert hysteresis.update(1.0, 2.5, thresholds) == Level.WARN
    assert hysteresis.update(1.0, 4.6, thresholds) == Level.OK


@given(st.lists(st.floats(0, 20), min_size=1, max_size=60))
def test_a_level_never_is_below_that_of_the_last_score(scores: list[float]) -> None:
    thresholds, hysteresis = Thresholds(), Hysteresis()
    for k, score in enumerate(scores):
        level = hysteresis.update(score, 0.05 * k, thresholds)
        assert level >= thresholds.level(score)
        assert level <= thresholds.level(max(scores[: k + 1]))


def test_thresholds_must_be_in_order() -> None:
    with pytest.raises(ValueError, match="must not be below"):
        Thresholds(warn=6, error=5)


def test_repeated_readings_are_judged_by_how_often_healthy_ones_repeat() -> None:
    thresholds = Thresholds()
    assert thresholds.level(repeat_score(1, 0)) == Level.OK
    assert thresholds.level(repeat_score(3, 0)) == Level.WARN
    assert thresholds.level(repeat_score(4, 0)) == Level.ERROR
    assert thresholds.level(repeat_score(30, 20)) == Level.OK
    arrays = np.array([1, 1, 2, 2, 2, 3, np.nan, np.nan, np.nan, np.nan])[:, None]
    assert longest_repeat(arrays) == 3


def test_the_bound_of_a_rate_is_exact() -> None:
    assert rate_bound(0, 1.0) == pytest.approx(-math.log(0.05))  # the rule of three
    assert rate_bound(3, 2.0) == pytest.approx(7.7537 / 2, rel=1e-4)  # χ²(0.95, 8) / 2


def test_runs_that_were_never_noticed_count_in_every_figure() -> None:
    def scene(delay: int | None) -> dict[str, object]:
        outcome = {
            "warn_delay": delay,
            "error_delay": None,
            "statistic": "bias" if delay is not None else None,
            "others_named": [],
        }
        faults = {**dict.fromkeys(FAULTS), "force_bias": outcome}
        return {"frames": 3600, "warn": {"rgb": 1}, "error": {}, "faults": faults}

    summary = summarise([scene(delay) for delay in (4, 20, 30, None)])
    found = summary["faults"]["force_bias"]
    assert (found["runs"], found["noticed_in_1_s"], found["noticed_in_3_s"]) == (4, 0.5, 0.75)
    assert (found["delay_frames_median"], found["delay_frames_p90"]) == (20, None)
    assert summary["faults"]["rgb_frozen"] == {"runs": 0}
    assert summary["healthy"]["hours"] == pytest.approx(0.2)
    assert summary["healthy"]["warn_alarms_per_hour"] == pytest.approx(20)


# -- calibration -----------------------------------------------------------------------------------


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
