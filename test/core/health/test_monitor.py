# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The health monitor on frames of a real model: turns, budget, isolation."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from small_caches import make_cache
from small_models import save_small_checkpoint, small_model
from smvae_core.data.logs.dataset import open_cache
from smvae_core.health.hysteresis import Level, Thresholds
from smvae_core.health.leave_one_out import LeaveOneOut
from smvae_core.health.monitor import HealthMonitor, HealthSettings, Judgement, repeat_score
from smvae_core.inference.inference import Inference
from smvae_core.residuals.calibrate import calibrate
from smvae_core.stored_model import save_calibration
from smvae_ros.bundled import model_path
from smvae_ros.simulation.insertion import InsertionRobot
from training.studies.sensor_faults.runs import FAULTS, judge, prepared, sample_of

NAMES = ("rgb", "depth", "force", "action", "proprio")
PERIOD = 0.05
Frame = dict[str, np.ndarray]
Change = Callable[[Frame, int], Frame]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("monitor")
    return make_cache(folder, trajectories=6, parts=1, steps=40, gaps=False)


@pytest.fixture(scope="module")
def inference(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Inference:
    model = small_model()
    opened = open_cache(cache, list(model.modalities.values()))
    calibration = calibrate(model, opened, np.arange(len(opened)), 20.0, progress=False)
    path = save_small_checkpoint(tmp_path_factory.mktemp("model") / "model")
    save_calibration(path, calibration)
    return Inference.load(path)


@pytest.fixture
def frames(cache: Path) -> Iterator[Frame]:
    """Healthy frames without end."""
    opened = open_cache(cache)
    batch = opened.read(np.arange(len(opened)), NAMES).prepared
    return (
        {name: batch[name][k % len(opened)].numpy() for name in NAMES} for k in itertools.count()
    )


def run(
    monitor: HealthMonitor,
    inference: Inference,
    frames: Iterator[Frame],
    count: int,
    change: Change = lambda frame, k: frame,
    start: int = 0,
) -> None:
    """Shows the monitor frames ``start`` to ``start + count`` of 20 Hz."""
    for k in range(start, start + count):
        frame = change(dict(next(frames)), k)
        encoding = inference.encode(frame)
        monitor.check(inference, encoding, frame, dict.fromkeys(frame, k), PERIOD * k)


@pytest.mark.parametrize(("share", "each"), [(0.1, 20), (0.02, 4), (0.5, 100)])
def test_no_more_than_the_share_of_the_time_is_spent_and_all_take_turns(
    inference: Inference, frames: Iterator[Frame], share: float, each: int
) -> None:
    ticks = itertools.count(step=0.005)  # every check takes 5 ms of this clock
    counted: dict[str, int] = dict.fromkeys(NAMES, 0)
    monitor = HealthMonitor(HealthSettings(share, Thresholds(1e3, 1e3)), clock=lambda: next(ticks))
    for k in range(100):
        run(monitor, inference, frames, 1, start=k)
        for name, judgement in monitor.judgements.items():
            counted[name] += judgement.at == PERIOD * k
    assert sum(counted.values()) == monitor.checks
    assert monitor.seconds <= share * 100 * PERIOD + 0.005
    assert min(counted.values()) >= 0.9 * min(each, 100) * (1 if share == 0.5 else 0.98) - 1
    assert max(counted.values()) - min(counted.values()) <= 1


def test_nothing_is_judged_without_calibration_or_time(
    inference: Inference, frames: Iterator[Frame]
) -> None:
    bare = Inference(dataclasses.replace(inference.stored, calibration=None))
    monitor = HealthMonitor(HealthSettings(1.0))
    run(monitor, bare, frames, 3)
    assert not monitor.judgements
    monitor = HealthMonitor(HealthSettings(0.0))
    run(monitor, inference, frames, 3)
    assert not monitor.judgements
    assert monitor.seconds == 0


def test_a_repeated_reading_is_named_and_forgiven(
    inference: Inference, frames: Iterator[Frame]
) -> None:
    frozen = dict(next(frames))

    def freeze(frame: Frame, k: int) -> Frame:
        return {**frame, "rgb": frozen["rgb"].copy()} if 5 <= k < 20 else frame

    monitor = HealthMonitor(HealthSettings(1.0, Thresholds(warn=5, error=8, clear=0.3)))
    run(monitor, inference, frames, 7, freeze)
    assert monitor.judgements["rgb"].repeats == 1
    assert monitor.judgements["rgb"].level == Level.OK
    run(monitor, inference, frames, 3, freeze, start=7)
    judgement = monitor.judgements["rgb"]
    assert (judgement.level, judgement.statistic) == (Level.ERROR, "repeats")
    assert "exactly the same reading 4 times in a row" in judgement.reason
    run(monitor, inference, frames, 60, freeze, start=10)
    assert monitor.judgements["rgb"].level == Level.OK


def test_an_isolated_sensor_that_nothing_is_left_to_compare_with_is_not_said_to_repeat(
    inference: Inference, frames: Iterator[Frame]
) -> None:
    frozen = dict(next(frames))["rgb"]
    monitor = HealthMonitor(HealthSettings(1.0, Thresholds(warn=5, error=8, clear=0.3)))
    run(monitor, inference, frames, 5, lambda frame, k: {**frame, "rgb": frozen.copy()})
    assert monitor.judgements["rgb"].level == Level.ERROR
    run(monitor, inference, frames, 1, lambda frame, k: {"rgb": frame["rgb"]}, start=5)
    judgement = monitor.judgements["rgb"]
    assert judgement.level > Level.OK
    assert "no trusted sensor to compare it with" in judgement.reason


def test_a_message_that_several_frames_use_is_no_repeated_reading(
    inference: Inference, frames: Iterator[Frame]
) -> None:
    monitor = HealthMonitor(HealthSettings(1.0))
    frame = dict(next(frames))
    for k in range(10):
        encoding = inference.encode(frame)
        monitor.check(inference, encoding, frame, dict.fromkeys(frame, "one"), PERIOD * k)
    assert {judgement.repeats for judgement in monitor.judgements.values()} == {0}


def test_a_faulty_sensor_is_named_and_is_no_evidence_about_the_others(
    inference: Inference, frames: Iterator[Frame]
) -> None:
    def bias(frame: Frame, k: int) -> Frame:
        return {**frame, "force": frame["force"] + np.float32(300)} if k >= 20 else frame

    monitor = HealthMonitor(HealthSettings(1.0))
    run(monitor, inference, frames, 20, bias)
    assert {judgement.level for judgement in monitor.judgements.values()} == {Level.OK}
    assert all(len(judgement.others) == 4 for judgement in monitor.judgements.values())
    # Another one may be isolated first; it is clear again once the force is no evidence any more.
    run(monitor, inference, frames, 120, bias, start=20)
    assert monitor.judgements["force"].level > Level.OK
    for name in NAMES:
        if name != "force":
            assert monitor.judgements[name].level == Level.OK
            assert "force" not in monitor.judgements[name].others
    assert "rgb, depth, action and proprio" in monitor.judgements["force"].reason


def test_of_a_frame_that_makes_no_sense_the_sensor_is_found_that_the_others_contradict(
    inference: Inference, frames: Iterator[Frame]
) -> None:
    frame = dict(next(frames))
    for name in ("force", "action", "proprio"):
        wrong = {**frame, name: frame[name] + np.float32(300 if name == "force" else 3)}
        parts = LeaveOneOut(inference, inference.encode(wrong), wrong)
        assert parts.isolate(NAMES, NAMES) == name
        assert parts.isolate(["rgb", name], NAMES) == name
    assert parts.isolate(["rgb"], NAMES) == "rgb", "the only candidate"
    assert parts.isolate(["rgb", "force"], ["rgb", "force"]) is None, "two cannot tell"


def first_named(fault: str, seed: int) -> dict[str, Judgement]:
    """What the monitor of the bundled model says first of a fault in a simulated scene."""
    with InsertionRobot(seed) as robot:
        steps = list(robot.steps(100))
    samples = itertools.chain(map(sample_of, steps[:40]), FAULTS[fault].inject(seed, steps[40:]))
    inference = Inference.load(model_path())
    for judgements in judge(inference, prepared(inference, samples), share=1.0):
        named = {n: judgement for n, judgement in judgements.items() if judgement.level > Level.OK}
        if named:
            return named
    return {}


@pytest.mark.training
@pytest.mark.usefixtures("require_simulation")
def test_what_a_covered_camera_contradicts_is_not_named() -> None:
    """Depth and joints have higher scores at first, since they are predicted from the picture."""
    assert set(first_named("rgb_occluded", 1000)) == {"rgb"}


@pytest.mark.training
@pytest.mark.usefixtures("require_simulation")
def test_a_sensor_is_named_that_looks_plausible_itself_but_contradicts_others() -> None:
    (named,) = first_named("rgb_frozen_noise", 1008).items()
    name, judgement = named
    assert (name, judgement.statistic) == ("rgb", "exclusion")
    assert (
        "does not fit depth, force, action and proprio, which agree without it" in judgement.reason
    )


def test_sensors_may_come_and_go_and_a_model_may_be_replaced(
    inference: Inference, frames: Iterator[Frame]
) -> None:
    def alone(frame: Frame, k: int) -> Frame:
        kept = NAMES[: 1 + k % 5]
        return {name: frame[name] for name in kept}

    monitor = HealthMonitor(HealthSettings(1.0))
    run(monitor, inference, frames, 25, alone)
    assert set(monitor.judgements) == set(NAMES)
    run(monitor, Inference(inference.stored), frames, 1, lambda f, k: {"rgb": f["rgb"]}, start=25)
    assert not monitor.judgements, "what was said of another model"


def test_readings_that_are_not_finite_break_nothing(
    inference: Inference, frames: Iterator[Frame]
) -> None:
    def holes(frame: Frame, k: int) -> Frame:
        return {**frame, "depth": np.full_like(frame["depth"], np.nan)}

    monitor = HealthMonitor(HealthSettings(1.0))
    run(monitor, inference, frames, 10, holes)
    assert all(np.isfinite(judgement.score) for judgement in monitor.judgements.values())


def test_settings_act_at_once(inference: Inference, frames: Iterator[Frame]) -> None:
    monitor = HealthMonitor(HealthSettings(1.0))
    run(monitor, inference, frames, 5)
    monitor.settings = dataclasses.replace(
        monitor.settings, thresholds=Thresholds(warn=0.01, error=1000.0)
    )
    run(monitor, inference, frames, 10, start=5)
    assert any(judgement.level == Level.WARN for judgement in monitor.judgements.values())


def test_repeated_readings_are_judged_by_how_often_healthy_ones_repeat() -> None:
    thresholds = Thresholds()
    assert thresholds.level(repeat_score(1, 0)) == Level.OK
    assert thresholds.level(repeat_score(3, 0)) == Level.WARN
    assert thresholds.level(repeat_score(4, 0)) == Level.ERROR
    assert thresholds.level(repeat_score(30, 20)) == Level.OK
