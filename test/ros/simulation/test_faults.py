# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Injected sensor faults, on plain arrays; and the one that only the robot can have."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smvae_ros.simulation.faults import FAULTS, NONE, FaultInjector, Faults
from smvae_ros.simulation.graphics import SimulationUnavailable
from smvae_ros.simulation.insertion import InsertionRobot

KINDS = [(name, fault) for name, faults in FAULTS.items() for fault in faults if fault != NONE]


def sample(seed: int = 0, size: tuple[int, int] = (20, 30)) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    depth = random.uniform(0.3, 1.5, size).astype(np.float32)
    depth[0, 0], depth[0, 1] = 0, np.nan
    return {
        "rgb": random.integers(0, 256, (*size, 3), dtype=np.uint8),
        "depth": depth,
        "force": random.normal(0, 5, (50, 6)),
        "action": random.normal(0, 0.01, 4),
        "proprio": random.normal(0, 0.2, 8),
        "sound": random.normal(0, 1, 7),
    }


def other_depth() -> np.ndarray:
    return np.full((20, 30), 0.5, np.float32)


def assert_same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def test_without_faults_nothing_changes() -> None:
    assert_same(FaultInjector()(sample(), Faults()), sample())


@pytest.mark.parametrize(("name", "fault"), KINDS)
def test_a_fault_changes_its_own_sensor_only_and_not_its_input(name: str, fault: str) -> None:
    injector, faults = FaultInjector(other_depth=other_depth), Faults(**{name: fault})
    injector(sample(0), faults)
    given_sample = sample(1)
    faulty = injector(given_sample, faults)
    assert_same(given_sample, sample(1))
    changed = {n for n in faulty if not np.array_equal(faulty[n], sample(1)[n], equal_nan=True)}
    # That the arm does not move is the robot's fault to have, not that of its sensors.
    assert changed == ({name} if name != "action" else set())
    for key, array in faulty.items():
        assert (array.dtype, array.shape) == (given_sample[key].dtype, given_sample[key].shape)


@pytest.mark.parametrize("name", ["rgb", "depth", "proprio"])
def test_a_frozen_sensor_repeats_what_it_first_said_until_it_is_healed(name: str) -> None:
    injector, frozen = FaultInjector(), Faults(**{name: "freeze"})
    injector(sample(0), Faults())
    for seed in (1, 2, 3):
        shown = injector(sample(seed), frozen)
        np.testing.assert_array_equal(shown[name], sample(1)[name])
    np.testing.assert_array_equal(injector(sample(4), Faults())[name], sample(4)[name])
    np.testing.assert_array_equal(injector(sample(5), frozen)[name], sample(5)[name])


def test_a_frozen_force_repeats_its_last_reading() -> None:
    injector, frozen = FaultInjector(), Faults(force="freeze")
    for seed in (1, 2):
        np.testing.assert_array_equal(
            injector(sample(seed), frozen)["force"], np.tile(sample(1)["force"][-1], (50, 1))
        )


def test_freezing_waits_for_the_first_picture() -> None:
    injector, frozen = FaultInjector(), Faults(rgb="freeze")
    assert injector({}, frozen) == {}
    np.testing.assert_array_equal(injector(sample(2), frozen)["rgb"], sample(2)["rgb"])
    assert injector({}, frozen) == {}
    np.testing.assert_array_equal(injector(sample(3), frozen)["rgb"], sample(2)["rgb"])


@settings(max_examples=30)
@given(st.tuples(*[st.floats(-1e3, 1e3)] * 3), st.sampled_from(FAULTS["force"]))
def test_a_bias_is_added_to_the_force_not_the_torque(bias: tuple, fault: str) -> None:
    faulty = FaultInjector()(sample(), Faults(force_bias=bias, force=fault))["force"]
    unbiased = FaultInjector()(sample(), Faults(force=fault))["force"]
    expected = np.array([*bias, 0, 0, 0]) if fault != "zero" else np.zeros(6)
    np.testing.assert_allclose(faulty, unbiased + expected, atol=1e-9)


def test_an_occluder_hides_the_middle_alike_in_every_picture() -> None:
    injector, faults = FaultInjector(), Faults(rgb="occlude", depth="occlude")
    first, second = injector(sample(1), faults), injector(sample(2), faults)
    for name in ("rgb", "depth"):
        hidden = np.isclose(first[name], second[name]).reshape(20, 30, -1).all(axis=-1)
        assert hidden[10, 15]
        assert 0.4 < hidden.mean() < 0.6
        assert not hidden[1, 1]


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), height=st.integers(1, 40), width=st.integers(1, 40))
def test_noise_keeps_values_in_range_and_follows_from_the_seed(
    seed: int, height: int, width: int
) -> None:
    faults = Faults(rgb="noise", depth="noise")
    healthy = sample(seed, (height, max(width, 2)))
    first, second = (FaultInjector(seed)(healthy, faults) for _ in range(2))
    assert_same(first, second)
    assert np.isfinite(first["depth"]).all()
    assert (first["depth"] >= 0).all()
    assert (first["depth"][~(healthy["depth"] > 0)] == 0).all()


def test_the_other_scene_is_asked_only_while_it_is_shown() -> None:
    asked = []
    injector = FaultInjector(other_depth=lambda: asked.append(1) or other_depth())
    injector(sample(), Faults())
    assert not asked
    depth = injector(sample(), Faults(depth="other_scene"))["depth"]
    np.testing.assert_array_equal(depth, other_depth())
    assert len(asked) == 1
    with pytest.raises(ValueError, match="needs other_depth"):
        FaultInjector()(sample(), Faults(depth="other_scene"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"rgb": "zero"},
        {"action": "freeze"},
        {"force_bias": (1.0, 2.0)},
        {"force_bias": (0.0, 0.0, float("nan"))},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Faults(**wrong)


def test_an_arm_that_does_not_execute_stays_while_the_action_is_still_said() -> None:
    faults = Faults(action="not_executed")
    assert Faults().executes
    try:
        robot = InsertionRobot(3)
    except SimulationUnavailable as error:
        pytest.skip(str(error))
    healthy = [robot.step(render=False) for _ in range(40)]
    robot.reset()
    faulty = [robot.step(render=False, execute=faults.executes) for _ in range(40)]
    robot.reset()
    again = [robot.step(render=False) for _ in range(40)]
    start = faulty[0].proprio[:4]
    assert max(np.abs(step.proprio[:4] - start).max() for step in faulty) < 1e-3
    assert max(np.abs(step.action).max() for step in faulty) > 1e-3
    assert max(np.abs(step.proprio[:4] - start).max() for step in healthy) > 0.02
    np.testing.assert_array_equal(healthy[-1].proprio, again[-1].proprio)
