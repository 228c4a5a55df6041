# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The health of node and sensors, for ``/diagnostics`` once a second.

``<node>: perception`` is about the whole, ``<node>: <modality>`` about one sensor, where ``<node>``
has the node's namespace (``arm_1/smvae_perception``). Levels: OK; WARN where somebody should look,
above all where a sensor arrives and no snapshot of the last second used it; ERROR where nothing
usable comes, or what comes is not to be trusted (:mod:`smvae_core.health.monitor`); STALE where
nothing comes at all. Why a sensor is in no snapshot is worded in :mod:`smvae_ros.sensors.absence`.
Processing times also stand under the keys that Autoware's perception nodes share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticStatus

from smvae_core.health.hysteresis import Level
from smvae_core.health.monitor import Judgement
from smvae_core.words import counted
from smvae_ros.node.key_values import make_status
from smvae_ros.node.stage_times import Times
from smvae_ros.node.worker import Progress
from smvae_ros.sensors.absence import STUCK, Cause, describe_shared, describe_stuck, explain
from smvae_ros.sensors.arrivals import Counters
from smvae_ros.sensors.evidence import Connection, Evidence

NOT_CALIBRATED = "not calibrated: run `python -m training.calibrate`"
_LEVELS = {
    Level.OK: DiagnosticStatus.OK,
    Level.WARN: DiagnosticStatus.WARN,
    Level.ERROR: DiagnosticStatus.ERROR,
}
# Of a sensor that no snapshot uses; the other causes are a WARN.
_ABSENT = {
    Cause.NO_TOPIC: DiagnosticStatus.OK,
    Cause.NOTHING: DiagnosticStatus.STALE,
    Cause.STOPPED: DiagnosticStatus.STALE,
    Cause.UNUSABLE: DiagnosticStatus.ERROR,
    Cause.MISMATCH: DiagnosticStatus.ERROR,
}


@dataclass(frozen=True)
class SensorHealth:
    """What is known of one modality at one time.

    Attributes:
        connection: its topic, with remappings, and what is known of its publishers.
        evidence: what explains an absence.
        counters: since activation.
        judgement: of what it says; None where there is none (yet).
        frame_id: of its latest message, or empty.
        other_frame: why that is not the right one, or empty.
        zero: that is subtracted from its readings.
    """

    connection: Connection
    evidence: Evidence
    counters: Counters
    judgement: Judgement | None = None
    frame_id: str = ""
    other_frame: str = ""
    zero: tuple[float, ...] = ()


@dataclass(frozen=True)
class NodeHealth:
    """What is known of the node at one time, configured or not.

    Attributes:
        state: of its life cycle.
        failure: why it could not be configured, or empty.
        transport: why the middleware's transport is not the one that was asked for, or empty.
        late_limits: late snapshots in a row that are a WARN, and an ERROR.
        deadline: seconds after which a snapshot is late.
        longest_delay: seconds for which all snapshots may be late.
        robot: name of the robot whose file it was started with, or empty.
    """

    state: str
    failure: str
    transport: str
    late_limits: tuple[int, int]
    deadline: float
    longest_delay: float
    robot: str = ""


@dataclass(frozen=True)
class PipelineHealth:
    """What is known of the node's pipeline at one time; as it is made, that there is none.

    Attributes:
        progress: of its worker.
        model: hash of the model's weights, or empty.
        device: where the model runs, or empty.
        times: of the snapshots since the last report.
        calibrated: whether the model says what is normal for sensors.
        health_seconds: spent on checking sensors so far.
        sensors: by modality.
    """

    progress: Progress = field(default_factory=Progress)
    model: str = ""
    device: str = ""
    times: Times = field(default_factory=Times)
    calibrated: bool = False
    health_seconds: float = 0.0
    sensors: Mapping[str, SensorHealth] = field(default_factory=dict)


class HealthReport:
    """Turns counts into rates, and both into statuses.

    Args:
        prefix: in front of every status's name, see
            :func:`smvae_ros.node.key_values.status_prefix`.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._before_ns = 0
        self._before = PipelineHealth()

    def __call__(
        self, node: NodeHealth, pipeline: PipelineHealth, now_ns: int
    ) -> list[DiagnosticStatus]:
        """The statuses for the time since the last call; ``now_ns`` is monotonic."""
        seconds = max(1e-3, (now_ns - self._before_ns) / 1e9)
        statuses = [self._node_status(node, pipeline, seconds)]
        for name, health in pipeline.sensors.items():
            statuses.append(self._sensor_status(name, health, pipeline.calibrated, seconds))
        self._before_ns, self._before = now_ns, pipeline
        return statuses

    def _node_status(
        self, node: NodeHealth, pipeline: PipelineHealth, seconds: float
    ) -> DiagnosticStatus:
        progress, before, times = pipeline.progress, self._before, pipeline.times
        rate = max(0, progress.snapshots - before.progress.snapshots) / seconds
        checking = max(0.0, pipeline.health_seconds - before.health_seconds)
        evidence = [health.evidence for health in pipeline.sensors.values()]
        values = {
            "state": node.state,
            "rate_hz": rate,
            "subset": "+".join(progress.subset),
            "latency_ms": 1000 * progress.latency,
            "frames": progress.snapshots,
            "failures": progress.failures,
            "robot": node.robot,
            "model": pipeline.model,
            "device": pipeline.device,
            "sensor_health": "calibrated" if pipeline.calibrated else NOT_CALIBRATED,
            "sensor_health_share": checking / seconds,
            "late_in_a_row": times.late,
            "processing_time_ms": 1000 * times.latest,
            "is_processing_time_ms_in_expected_range": not times.latest_is_late,
            "consecutive_processing_delay_ms": 1000 * times.delay,
            "is_consecutive_processing_delay_in_range": times.delay <= node.longest_delay,
        }
        for stage, mean in times.mean.items():
            values[f"{stage}_ms_mean"] = 1000 * mean
            values[f"{stage}_ms_max"] = 1000 * times.longest[stage]
        level, message = DiagnosticStatus.OK, f"{values['subset']} at {rate:.1f} Hz"
        if node.failure:
            level, message = DiagnosticStatus.ERROR, node.failure
        elif node.state != "active":
            message = node.state
        elif progress.failures > before.progress.failures:
            level, message = DiagnosticStatus.ERROR, f"snapshots fail: {progress.last_error}"
        elif not any(known.live for known in evidence):
            # The transport may be why.
            level, message = DiagnosticStatus.WARN, node.transport or "no modality is live"
        elif not rate and not any(_may_be_used(known) for known in evidence):
            level, message = DiagnosticStatus.WARN, "no modality that is live is usable"
        elif times.late >= min(node.late_limits):
            failed = times.late >= node.late_limits[1]
            level = DiagnosticStatus.ERROR if failed else DiagnosticStatus.WARN
            message = _late(times, node.deadline, rate)
        elif node.transport:
            level, message = DiagnosticStatus.WARN, node.transport
        elif progress.idle:
            message += ", since nobody listens (idle_rate)"
        return make_status(level, f"{self._prefix}: perception", message, values)

    def _sensor_status(
        self, name: str, health: SensorHealth, calibrated: bool, seconds: float
    ) -> DiagnosticStatus:
        counters, known = health.counters, self._before.sensors.get(name)
        before = Counters() if known is None else known.counters
        arrived = max(0, counters.received - before.received)
        usable = max(0, counters.usable - before.usable)
        invalid = max(0, counters.invalid - before.invalid)
        used = max(0, counters.used - before.used)
        others = ""
        if counters.strayed > before.strayed:
            others = counters.last_stray
        elif counters.shared > before.shared and (health.connection.publishers or 0) > 1:
            others = describe_shared(counters.last_shared, health.connection)
        level, message = _judge(
            health, arrived, used, bool(usable or used), invalid, others, seconds
        )
        age = health.evidence.age
        values = {
            "topic": health.connection.topic,
            "frame_id": health.frame_id,
            "publishers": health.connection.publishers,
            "rate_hz": arrived / seconds,
            "used_hz": used / seconds,
            "age_ms": None if age is None else 1000 * age,
            "received": counters.received,
            "used": counters.used,
            "dropped": counters.dropped,
            "lost": counters.lost,
            "invalid": counters.invalid,
            "foreign": counters.foreign,
            "skewed": counters.skewed,
            "last_error": counters.last_error,
            **({"zero": " ".join(map("{:.4g}".format, health.zero))} if any(health.zero) else {}),
            **_health_values(health, calibrated),
        }
        return make_status(level, f"{self._prefix}: {name}", message, values)


def _may_be_used(evidence: Evidence) -> bool:
    return evidence.live and evidence.unusable is None


def _late(times: Times, deadline: float, rate: float) -> str:
    """What is said of snapshots that come too late, with the stage that takes most of the time."""
    stages = {name: mean for name, mean in times.mean.items() if name != "total"}
    slowest = max(stages, key=stages.__getitem__)
    return (
        f"{times.late} snapshots in a row took longer than deadline_ms "
        f"({1000 * deadline:.0f} ms), at {rate:.1f} Hz; most of it is {slowest} "
        f"({1000 * stages[slowest]:.0f} ms)"
    )


def _health_values(health: SensorHealth, calibrated: bool) -> dict[str, object]:
    judgement = health.judgement
    if judgement is None:
        return {"health": "not judged" if calibrated else NOT_CALIBRATED}
    return {
        "health": judgement.level.name,
        "health_score": judgement.score,
        "health_statistic": judgement.statistic,
        "health_evidence": "+".join(judgement.others),
    }


def _judge(
    health: SensorHealth,
    arrived: int,
    used: int,
    usable: bool,
    invalid: int,
    others: str,
    seconds: float,
) -> tuple[bytes, str]:
    """Level and message of one modality, of which ``arrived`` messages were kept and ``invalid``
    found to be unusable, and which ``used`` snapshots had; ``usable`` where any is known to be so,
    ``others`` says what else comes on its topic and should not, or is empty."""
    evidence = health.evidence
    if not health.connection.topic:
        return DiagnosticStatus.OK, explain(evidence, health.connection).text
    if invalid:
        level = DiagnosticStatus.WARN if usable else DiagnosticStatus.ERROR
        return level, f"{counted(invalid, 'unusable message')}: {health.counters.last_error}"
    if not evidence.live or (evidence.apart is not None and not used):
        absence = explain(evidence, health.connection)
        return _ABSENT.get(absence.cause, DiagnosticStatus.WARN), absence.text
    if evidence.unusable is not None and not usable:  # of this second none was looked at
        came = evidence.unusable
        return (
            DiagnosticStatus.ERROR,
            f"{counted(came.count, 'unusable message')} since the last usable one: {came.why}",
        )
    message = f"live at {arrived / seconds:.1f} Hz"
    if others:
        return DiagnosticStatus.WARN, f"{message}, but {others}"
    if evidence.repeated >= STUCK:
        return DiagnosticStatus.WARN, f"{message}, but {describe_stuck(evidence.repeated)}"
    judgement, other = health.judgement, health.other_frame
    if judgement is None or judgement.level == Level.OK:
        if other:
            return DiagnosticStatus.WARN, f"{message}, but {other}"
        return DiagnosticStatus.OK, message
    also = f"; {other}" if other else ""  # which may be why
    return _LEVELS[judgement.level], f"{message}, but it {judgement.reason}{also}"
