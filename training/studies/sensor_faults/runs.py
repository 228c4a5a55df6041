# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""One simulated scene, healthy and with each fault, through the node's health monitor."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from smvae_core.health.hysteresis import Level
from smvae_core.health.monitor import HealthMonitor, HealthSettings, Judgement
from smvae_core.inference.inference import Inference
from smvae_core.preprocessing import prepare
from smvae_ros.simulation.camera import MILD
from smvae_ros.simulation.faults import FaultInjector, Faults
from smvae_ros.simulation.insertion import CONTROL_RATE, InsertionRobot, Step

Sample = dict[str, np.ndarray]
Judged = Sequence[Mapping[str, Judgement]]
Inject = Callable[[int, Sequence[Step]], Iterator[Sample]]

BIAS = 10.0  # N
WARM_UP = 20  # healthy frames before a fault
WATCHED = 60  # frames after the fault could be observed
OTHER_SCENE = 1_000_003  # added to the seed, as in the simulation node
# When a fault can be observed, beside those that can at once.
CHANGED_PIXEL = 16  # of 255: a pixel that differs by more from the frozen picture has changed,
CHANGED_SHARE = 0.005  # and this share of the picture must have
TOUCH = 5.0  # N: a force that a sensor stuck at zero should have reported
MOVED = np.array([0.002, 0.002, 0.002, 0.02])  # m, rad: a commanded move that did not happen

_FORCE_NOISE = np.array([0.03, 0.03, 0.03, 0.001, 0.001, 0.001])  # N, N m; of the simulated sensor


@dataclass(frozen=True)
class Fault:
    """What is done to a scene.

    Attributes:
        title: for the table.
        sensors: any of which may be named.
        inject: (seed, steps of the scene from the onset on) → faulty samples; None for the action
            that is not executed, which needs a scene of its own.
        observable: steps from the onset on → index of the first that shows the fault, or None.
    """

    title: str
    sensors: tuple[str, ...]
    inject: Inject | None
    observable: Callable[[Sequence[Step]], int | None]


def sample_of(step: Step) -> Sample:
    """The observations of a step in raw units, of the force the newest 32 readings."""
    return {
        "rgb": step.image,
        "depth": step.depth,
        "force": step.forces[-32:],
        "action": step.action,
        "proprio": step.proprio,
    }


def _injected(**words: str) -> Inject:
    return _by_seed(lambda _: Faults(**words))


def _by_seed(faults: Callable[[int], Faults]) -> Inject:
    def inject(seed: int, steps: Sequence[Step]) -> Iterator[Sample]:
        with InsertionRobot(seed + OTHER_SCENE) as other:
            injector = FaultInjector(seed, lambda: other.step().depth)
            for step in steps:
                yield injector(sample_of(step), faults(seed))

    return inject


def _bias(seed: int) -> Faults:
    """Along another axis and direction in each scene."""
    bias = np.zeros(3)
    bias[seed % 3] = BIAS if seed // 3 % 2 else -BIAS
    return Faults(force_bias=tuple(bias))


def _noisy_freeze(seed: int, steps: Sequence[Step]) -> Iterator[Sample]:
    random = np.random.default_rng(seed)
    for step in steps:
        image, _ = MILD.apply(steps[0].image, steps[0].depth, random)
        yield {**sample_of(step), "rgb": image}


def _noisy_zero(seed: int, steps: Sequence[Step]) -> Iterator[Sample]:
    random = np.random.default_rng(seed)
    for step in steps:
        noise = _FORCE_NOISE * random.standard_normal((32, 6))
        yield {**sample_of(step), "force": noise}


def _at_once(steps: Sequence[Step]) -> int | None:
    return 0


def _picture_changes(steps: Sequence[Step]) -> int | None:
    for k, step in enumerate(steps):
        change = np.abs(step.image.astype(int) - steps[0].image).max(-1)
        if (change > CHANGED_PIXEL).mean() > CHANGED_SHARE:
            return k
    return None


def _touches(steps: Sequence[Step]) -> int | None:
    forces = [np.linalg.norm(step.forces[-32:, :3].mean(0)) for step in steps]
    return next((k for k, force in enumerate(forces) if force > TOUCH), None)


def _should_have_moved(steps: Sequence[Step]) -> int | None:
    commanded = np.abs(np.cumsum([step.action for step in steps], axis=0))
    return next((k for k, moved in enumerate(commanded) if (moved > MOVED).any()), None)


FAULTS: dict[str, Fault] = {
    "rgb_frozen": Fault("camera frozen", ("rgb",), _injected(rgb="freeze"), _picture_changes),
    "rgb_frozen_noise": Fault(
        "camera frozen, its noise goes on", ("rgb",), _noisy_freeze, _picture_changes
    ),
    "rgb_occluded": Fault("camera occluded", ("rgb",), _injected(rgb="occlude"), _at_once),
    "depth_other_scene": Fault(
        "depth from another scene", ("depth",), _injected(depth="other_scene"), _at_once
    ),
    "force_bias": Fault("force bias of 10 N", ("force",), _by_seed(_bias), _at_once),
    "force_zero": Fault("force stuck at zero", ("force",), _injected(force="zero"), _touches),
    "force_zero_noise": Fault(
        "force stuck at zero, its noise goes on", ("force",), _noisy_zero, _touches
    ),
    "action_not_executed": Fault(
        "action not executed", ("action", "proprio"), None, _should_have_moved
    ),
}


def judge(
    inference: Inference, moments: Iterable[Sample], share: float, rate: float = CONTROL_RATE
) -> Judged:
    """The node's monitor on consecutive prepared observations: judgements after each. What checks
    take is counted in processor time, so that a busy machine changes nothing."""
    monitor = HealthMonitor(HealthSettings(share), clock=time.thread_time)
    judged = []
    for k, arrays in enumerate(moments):
        encoding = inference.encode(arrays)
        monitor.check(inference, encoding, arrays, dict.fromkeys(arrays, k), k / rate)
        judged.append(monitor.judgements)
    return judged


def prepared(inference: Inference, samples: Iterable[Sample]) -> Iterator[Sample]:
    """Each sample as :func:`judge` takes it."""
    for sample in samples:
        yield {name: prepare(inference.modalities[name], x) for name, x in sample.items()}


def alarms(judged: Judged, level: Level) -> dict[str, int]:
    """Sensor → how often its level rose to this one or above."""
    counts: dict[str, int] = {}
    before: Mapping[str, Judgement] = {}
    for judgements in judged:
        for name, judgement in judgements.items():
            was = before[name].level if name in before else Level.OK
            if was < level <= judgement.level:
                counts[name] = counts.get(name, 0) + 1
        before = judgements
    return counts


def run_scene(
    inference: Inference, seed: int, count: int, with_faults: bool, share: float
) -> dict[str, Any]:
    """Everything about one scene, as plain values.

    Args:
        inference: with a calibration.
        seed: of the scene; also decides when faults begin.
        count: of its steps.
        with_faults: otherwise it is only watched while healthy.
        share: of the time that checks may take, as the node's parameter ``health_share``.
    """
    with InsertionRobot(seed) as robot:
        steps = list(robot.steps(count))
    judged = judge(inference, prepared(inference, map(sample_of, steps)), share)
    result = {
        "seed": seed,
        "frames": len(judged),
        "warn": alarms(judged, Level.WARN),
        "error": alarms(judged, Level.ERROR),
        "highest": {
            name: max(float(entry[name].score) for entry in judged if name in entry)
            for name in inference.modalities
        },
    }
    if with_faults:
        onset = int(np.random.default_rng(seed).integers(WARM_UP, count // 2))
        result["faults"] = {
            key: _run_fault(inference, fault, seed, steps, onset, share)
            for key, fault in FAULTS.items()
        }
    return result


def _run_fault(
    inference: Inference, fault: Fault, seed: int, steps: Sequence[Step], onset: int, share: float
) -> dict[str, Any] | None:
    """How one fault was noticed; None where it could not be observed."""
    healthy, after = steps[onset - WARM_UP : onset], steps[onset:]
    if fault.inject is None:
        after = _not_executed(seed, onset, len(after))
    shown = fault.observable(after)
    if shown is None:
        return None
    after = after[: shown + WATCHED]
    faulty = map(sample_of, after) if fault.inject is None else fault.inject(seed, after)
    samples = chain(map(sample_of, healthy), faulty)
    judged = judge(inference, prepared(inference, samples), share)[WARM_UP:]

    def first(level: Level) -> tuple[int, str] | None:
        for k, judgements in enumerate(judged):
            for name in fault.sensors:
                if name in judgements and judgements[name].level >= level:
                    return k - shown, judgements[name].statistic
        return None

    warned, failed = first(Level.WARN), first(Level.ERROR)
    return {
        "observable_after": shown,
        "warn_delay": warned and warned[0],
        "error_delay": failed and failed[0],
        "statistic": warned and warned[1],
        "others_named": sorted(set(alarms(judged, Level.WARN)) - set(fault.sensors)),
    }


def _not_executed(seed: int, onset: int, count: int) -> list[Step]:
    """The steps from the onset on, of which only so many are rendered as are watched."""
    with InsertionRobot(seed) as robot:
        for _ in range(onset):
            robot.step(render=False)
        steps: list[Step] = []
        shown = None
        while len(steps) < count and (shown is None or len(steps) < shown + WATCHED):
            steps.append(robot.step(execute=False))
            shown = _should_have_moved(steps)
    return steps


def settings() -> dict[str, Any]:
    """What the numbers depend on, for the results file."""
    return {
        "thresholds": dataclasses.asdict(HealthSettings().thresholds),
        "changed_pixel": CHANGED_PIXEL,
        "changed_share": CHANGED_SHARE,
        "touch_n": TOUCH,
        "moved_m_rad": MOVED.tolist(),
        "bias_n": BIAS,
    }
