"""/diagnostics as a function of what is known: levels, words, conventions."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")

from diagnostic_msgs.msg import DiagnosticStatus

from smvae_core.health.suspicion import Level
from smvae_ros.node.diagnostics import HealthReport, NodeHealth, SensorHealth
from smvae_ros.node.frame_times import FrameTimes, Times
from smvae_ros.node.health import Judgement
from smvae_ros.node.worker import Progress
from smvae_ros.sensor_set import Counters

SECOND = 10**9
OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


def node_health(times: Times | None = None, **others: object) -> NodeHealth:
    progress = Progress(frames=20, subset=("rgb",), latency=0.01)
    values = {"calibrated": True, "late_limits": (5, 50), "deadline": 0.1, **others}
    return NodeHealth("active", "", progress, "hash", "cpu", times or Times(), **values)


def sensor_health(**values: object) -> SensorHealth:
    known = {"topic": "/t", "publishers": 1, "mismatch": "", "live": True, "age": 0.01}
    return SensorHealth(**{**known, "counters": Counters(received=20), **values})


def report(node: NodeHealth, **sensors: SensorHealth) -> dict[str, DiagnosticStatus]:
    statuses = HealthReport("node")(node, sensors, SECOND)
    assert all(status.hardware_id for status in statuses)
    assert all(status.name.startswith("node: ") for status in statuses)
    return {status.name.removeprefix("node: "): status for status in statuses}


def values(status: DiagnosticStatus) -> dict[str, str]:
    return {value.key: value.value for value in status.values}


def test_rows_of_late_frames_are_counted_over_reports() -> None:
    times = FrameTimes()
    times.deadline = 0.1
    for total in (0.05, 0.2, 0.2, 0.05, 0.2):
        times.add({"encode": total / 2, "total": total})
    first = times.take()
    assert first.late == 2
    assert first.mean == {"encode": pytest.approx(0.07), "total": pytest.approx(0.14)}
    assert first.longest == {"encode": 0.1, "total": 0.2}
    times.add({"total": 0.3})
    assert times.take().late == 2, "one before the report and one after it"
    assert times.take() == Times({}, {}, 0)
    times.deadline = 0.0
    times.add({"total": 9.0})
    assert times.take().late == 0


@pytest.mark.parametrize(("late", "level"), [(4, OK), (5, WARN), (49, WARN), (50, ERROR)])
def test_late_frames_are_a_warning_and_then_an_error(late: int, level: bytes) -> None:
    mean = {"gather": 0.01, "encode": 0.15, "total": 0.17}
    status = report(node_health(Times(mean, mean, late)), rgb=sensor_health())["perception"]
    assert status.level == level
    assert values(status)["encode_ms_mean"] == values(status)["encode_ms_max"] == "150.000"
    if level != OK:
        assert f"{late} frames in a row" in status.message
        assert "deadline_ms (100 ms)" in status.message
        assert "most of it is encode (150 ms)" in status.message


def test_what_is_said_when_several_things_are_wrong() -> None:
    """The transport may be why nothing is live; what is late matters more while something is."""
    mean = {"encode": 0.15, "total": 0.17}
    late, transport = Times(mean, mean, 9), "the transport has no effect"

    def message(live: bool, **others: object) -> str:
        return report(node_health(**others), rgb=sensor_health(live=live))["perception"].message

    assert message(live=False, times=late) == "no modality is live"
    assert message(live=False, times=late, transport=transport) == transport
    assert "frames in a row" in message(live=True, times=late, transport=transport)
    assert message(live=True, transport=transport) == transport


def judgement(level: Level) -> Judgement:
    return Judgement(level, 6.25, "bias", ("rgb", "depth"), 0, 1.0)


@pytest.mark.parametrize(("level", "expected"), [*zip(Level, (OK, WARN, ERROR), strict=True)])
def test_a_sensor_that_contradicts_the_others_is_named(level: Level, expected: bytes) -> None:
    status = report(node_health(), force=sensor_health(judgement=judgement(level)))["force"]
    assert status.level == expected
    assert ("differs from what rgb, depth let expect" in status.message) == (expected != OK)
    found = values(status)
    assert (found["health"], found["health_score"]) == (level.name, "6.250")
    assert (found["health_statistic"], found["health_evidence"]) == ("bias", "rgb+depth")


def test_a_sensor_that_stopped_is_stale_whatever_was_said_of_it() -> None:
    sensor = sensor_health(live=False, counters=Counters(), judgement=judgement(Level.ERROR))
    assert report(node_health(), force=sensor)["force"].level == DiagnosticStatus.STALE


def test_a_model_without_calibration_says_how_to_get_one() -> None:
    statuses = report(node_health(calibrated=False), rgb=sensor_health())
    assert statuses["rgb"].level == OK
    for name, key in (("rgb", "health"), ("perception", "sensor_health")):
        assert "training.calibrate" in values(statuses[name])[key]
    assert values(report(node_health(), rgb=sensor_health())["rgb"])["health"] == "not judged"


def test_a_publisher_that_cannot_be_heard_is_an_error_with_its_cure() -> None:
    nothing = {"live": False, "age": None, "counters": Counters()}
    mismatch = "/cam offers RELIABILITY BEST_EFFORT: set rgb.reliability to best_effort"
    status = report(node_health(), rgb=sensor_health(mismatch=mismatch, **nothing))["rgb"]
    assert (status.level, status.message) == (ERROR, f"nothing arrived on /t: {mismatch}")
    status = report(node_health(), rgb=sensor_health(**nothing))["rgb"]
    assert status.level == WARN
    assert "has publishers (1)" in status.message
    assert "ros2 topic hz" in status.message
