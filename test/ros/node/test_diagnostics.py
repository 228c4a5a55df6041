# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""/diagnostics as a function of what is known: levels, words, conventions."""

from __future__ import annotations

import dataclasses

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")

from diagnostic_msgs.msg import DiagnosticStatus

from smvae_core.health.hysteresis import Level
from smvae_core.health.monitor import Judgement
from smvae_ros.node.diagnostics import HealthReport, NodeHealth, PipelineHealth, SensorHealth
from smvae_ros.node.stage_times import StageTimes, Times
from smvae_ros.node.worker import Progress
from smvae_ros.sensors.arrivals import Counters
from smvae_ros.sensors.evidence import Apart, Came, Connection, Evidence

SECOND = 10**9
OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


PROGRESS = Progress(snapshots=20, subset=("rgb",), latency=0.01)
WORKING = PipelineHealth(PROGRESS, "hash", "cpu", calibrated=True)


def sensor_health(**values: object) -> SensorHealth:
    """Of a sensor that is live, but for what is given: a field of the evidence, the connection or
    the counters, or the judgement."""
    given = {"live": True, "age": 0.01, "received": 20, "publishers": 1, **values}
    of = {
        t: {k: given[k] for k in _fields(t) if k in given} for t in (Connection, Evidence, Counters)
    }
    return SensorHealth(
        Connection("/t", **of[Connection]),
        Evidence("rgb", **of[Evidence]),
        Counters(**of[Counters]),
        given.get("judgement"),
    )


def _fields(kind: type) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def report(
    pipeline: PipelineHealth = WORKING, transport: str = "", **sensors: SensorHealth
) -> dict[str, DiagnosticStatus]:
    node = NodeHealth("active", "", transport, late_limits=(5, 50), deadline=0.1, longest_delay=1.0)
    pipeline = dataclasses.replace(pipeline, sensors=sensors)
    statuses = HealthReport("node")(node, pipeline, SECOND)
    assert all(status.hardware_id for status in statuses)
    assert all(status.name.startswith("node: ") for status in statuses)
    return {status.name.removeprefix("node: "): status for status in statuses}


def values(status: DiagnosticStatus) -> dict[str, str]:
    return {value.key: value.value for value in status.values}


def test_rows_of_late_frames_are_counted_over_reports() -> None:
    times = StageTimes()
    times.deadline = 0.1
    for total in (0.05, 0.2, 0.2, 0.05, 0.2):
        times.add({"encode": total / 2, "total": total}, now=1.0)
    first = times.take()
    assert first.late == 2
    assert first.mean == {"encode": pytest.approx(0.07), "total": pytest.approx(0.14)}
    assert first.longest == {"encode": 0.1, "total": 0.2}
    times.add({"total": 0.3}, now=3.5)
    assert times.take().late == 2, "one before the report and one after it"
    latest = {"latest": 0.3, "latest_is_late": True, "delay": 2.5}
    assert times.take() == Times({}, {}, 0, **latest)
    times.add({"total": 0.05}, now=3.6)
    assert times.take().delay == 0.0
    times.add({"total": 0.2}, now=99.0)
    assert times.take().delay == 0.0, "a pause is no delay"
    times.restart()
    assert times.take() == Times()
    times.deadline = 0.0
    times.add({"total": 9.0}, now=100.0)
    assert times.take().late == 0


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (Times(), ("0.000", "True", "True")),
        (Times(latest=0.02), ("20.000", "True", "True")),
        (Times(latest=0.2, latest_is_late=True, delay=1.0), ("200.000", "False", "True")),
        (Times(latest=0.2, latest_is_late=True, delay=1.1), ("200.000", "False", "False")),
    ],
)
def test_processing_time_is_told_in_autowares_words(
    times: Times, expected: tuple[str, str, str]
) -> None:
    """Keys and values as autoware_bevfusion's diagnostics have them; diagnostic_updater writes
    booleans so."""
    told = values(report(dataclasses.replace(WORKING, times=times))["perception"])
    keys = (
        "processing_time_ms",
        "is_processing_time_ms_in_expected_range",
        "is_consecutive_processing_delay_in_range",
    )
    assert tuple(told[key] for key in keys) == expected
    assert told["consecutive_processing_delay_ms"] == f"{1000 * times.delay:.3f}"


@pytest.mark.parametrize(("late", "level"), [(4, OK), (5, WARN), (49, WARN), (50, ERROR)])
def test_late_frames_are_a_warning_and_then_an_error(late: int, level: bytes) -> None:
    mean = {"gather": 0.01, "encode": 0.15, "total": 0.17}
    working = dataclasses.replace(WORKING, times=Times(mean, mean, late))
    status = report(working, rgb=sensor_health())["perception"]
    assert status.level == level
    assert values(status)["encode_ms_mean"] == values(status)["encode_ms_max"] == "150.000"
    if level != OK:
        assert f"{late} snapshots in a row" in status.message
        assert "deadline_ms (100 ms)" in status.message
        assert "most of it is encode (150 ms)" in status.message


def test_what_is_said_when_several_things_are_wrong() -> None:
    """The transport may be why nothing is live; what is late matters more while something is."""
    mean = {"encode": 0.15, "total": 0.17}
    late = dataclasses.replace(WORKING, times=Times(mean, mean, 9))
    transport = "the transport has no effect"

    def message(live: bool, pipeline: PipelineHealth = WORKING, transport: str = "") -> str:
        return report(pipeline, transport, rgb=sensor_health(live=live))["perception"].message

    assert message(False, late) == "no modality is live"
    assert message(False, late, transport) == transport
    unusable = sensor_health(live=True, unusable=Came(7, "NaN", 0.1))
    at_rest = dataclasses.replace(WORKING, progress=Progress(idle=True))
    status = report(at_rest, rgb=unusable)["perception"]
    assert (status.level, status.message) == (WARN, "no modality that is live is usable")
    assert "snapshots in a row" in message(True, late, transport)
    assert message(True, transport=transport) == transport


def judgement(level: Level) -> Judgement:
    return Judgement(level, 6.25, "bias", ("rgb", "depth"), 0, 1.0)


@pytest.mark.parametrize(("level", "expected"), [*zip(Level, (OK, WARN, ERROR), strict=True)])
def test_a_sensor_that_contradicts_the_others_is_named(level: Level, expected: bytes) -> None:
    status = report(force=sensor_health(judgement=judgement(level)))["force"]
    assert status.level == expected
    assert ("differs from what rgb and depth predict" in status.message) == (expected != OK)
    found = values(status)
    assert (found["health"], found["health_score"]) == (level.name, "6.250")
    assert (found["health_statistic"], found["health_evidence"]) == ("bias", "rgb+depth")


def test_a_sensor_that_stopped_is_stale_whatever_was_said_of_it() -> None:
    sensor = sensor_health(live=False, received=0, judgement=judgement(Level.ERROR))
    assert report(force=sensor)["force"].level == DiagnosticStatus.STALE


def test_a_model_without_calibration_says_how_to_get_one() -> None:
    statuses = report(dataclasses.replace(WORKING, calibrated=False), rgb=sensor_health())
    assert statuses["rgb"].level == OK
    for name, key in (("rgb", "health"), ("perception", "sensor_health")):
        assert "training.calibrate" in values(statuses[name])[key]
    assert values(report(rgb=sensor_health())["rgb"])["health"] == "not judged"


def test_a_publisher_that_cannot_be_heard_is_an_error_with_its_cure() -> None:
    nothing = {"live": False, "age": None, "received": 0}
    mismatch = "/cam offers RELIABILITY BEST_EFFORT: set rgb.reliability to best_effort"
    status = report(rgb=sensor_health(problem=mismatch, **nothing))["rgb"]
    assert (status.level, status.message) == (ERROR, f"nothing arrived on /t: {mismatch}")
    status = report(rgb=sensor_health(**nothing))["rgb"]
    assert status.level == WARN
    assert "has publishers (1)" in status.message
    assert "ros2 topic hz" in status.message


APART = Apart("rgb", 37.0, 0.2, "max_skew", 10**18, 10**18 + 37 * 10**9)


def test_a_sensor_that_arrives_and_that_no_frame_uses_is_a_warning_with_the_reason() -> None:
    sensor = {"apart": APART, "live": True, "skewed": 20}
    status = report(rgb=sensor_health(used=0, **sensor))["rgb"]
    assert status.level == WARN
    assert "its stamps are 37.0 s behind those of rgb" in status.message
    assert "TAI" in status.message
    assert values(status)["used_hz"] == "0.000"
    # One that is left out of the latest frame alone is used.
    assert report(rgb=sensor_health(used=19, **sensor))["rgb"].level == OK


def test_stamps_that_do_not_advance_are_a_warning_though_frames_use_the_sensor() -> None:
    status = report(rgb=sensor_health(used=20, repeated=20))["rgb"]
    assert (status.level, "stamps do not advance" in status.message) == (WARN, True)
    assert report(rgb=sensor_health(used=20, repeated=1))["rgb"].level == OK


@pytest.mark.parametrize(
    ("publishers", "problem", "level", "words"),
    [
        (1, "/cam publishes CompressedImage, but rgb.type is Image", ERROR, "CompressedImage"),
        (1, "/cam offers RELIABILITY BEST_EFFORT", ERROR, "BEST_EFFORT"),
        (0, "", DiagnosticStatus.STALE, "no publisher any more"),
        (1, "", DiagnosticStatus.STALE, "ros2 topic hz /t"),
    ],
)
def test_why_a_sensor_stopped_is_said(
    publishers: int, problem: str, level: bytes, words: str
) -> None:
    gone = {"live": False, "age": 7.8, "received": 0}
    sensor = sensor_health(publishers=publishers, problem=problem, **gone)
    status = report(rgb=sensor)["rgb"]
    assert status.level == level
    assert status.message.startswith("stopped 7.8 s ago")
    assert words in status.message


def test_unusable_messages_are_an_error_only_where_nothing_else_comes() -> None:
    came = {"invalid": 50, "last_error": "NaN", "received": 20}
    assert report(rgb=sensor_health(used=20, **came))["rgb"].level == WARN
    none = sensor_health(live=False, unusable=Came(50, "NaN", 0.1), used=0, **came)
    status = report(rgb=none)["rgb"]
    assert (status.level, "50 unusable messages: NaN" in status.message) == (ERROR, True)


def test_images_that_no_frame_has_looked_at_are_not_taken_for_usable() -> None:
    """A node that rests decodes few of those that arrive."""
    resting = {"received": 30, "live": True, "unusable": Came(7, "NaN", 0.1)}
    for invalid in (5, 0):
        sensor = sensor_health(invalid=invalid, last_error="NaN", **resting)
        status = report(rgb=sensor)["rgb"]
        assert (status.level, "unusable messages" in status.message) == (ERROR, True)
    known = sensor_health(usable=1, invalid=5, last_error="NaN", **resting)
    assert report(rgb=known)["rgb"].level == WARN


def test_one_unusable_message_is_one() -> None:
    sensor = sensor_health(usable=19, invalid=1, last_error="NaN")
    assert report(rgb=sensor)["rgb"].message == "1 unusable message: NaN"


def test_messages_of_a_second_frame_are_a_warning_as_long_as_they_come() -> None:
    reporter = HealthReport("node")
    node = NodeHealth("active", "", "", (5, 50), 0.1, 1.0)

    def status(now: int, **values: object) -> DiagnosticStatus:
        sensors = {"rgb": sensor_health(**values)}
        return reporter(node, dataclasses.replace(WORKING, sensors=sensors), now)[1]

    stray = {"usable": 20, "used": 20, "foreign": 9, "strayed": 9, "last_stray": "left and right"}
    first = status(SECOND, **stray)
    assert first.level == WARN
    assert first.message == "live at 20.0 Hz, but left and right"
    later = {**stray, "received": 40, "usable": 40, "used": 40}
    assert status(2 * SECOND, **later).level == OK


@pytest.mark.parametrize("publishers", [1, 2])
def test_a_joint_of_two_publishers_is_a_warning(publishers: int) -> None:
    connection = Connection("/joint_states", publishers)
    shared = {"usable": 20, "used": 20, "shared": 9, "last_shared": "elbow"}
    sensor = dataclasses.replace(sensor_health(**shared), connection=connection)
    status = report(arm=sensor)["arm"]
    assert status.level == (WARN if publishers == 2 else OK)
    if publishers == 2:
        assert "joint elbow comes in messages of different joints" in status.message
        assert "/joint_states has 2 publishers" in status.message


def test_messages_about_something_else_are_no_fault() -> None:
    status = report(rgb=sensor_health(used=20, foreign=100))["rgb"]
    assert status.level == OK
    assert values(status)["foreign"] == "100"


def test_a_node_that_could_not_be_configured_says_why() -> None:
    node = NodeHealth("unconfigured", "no such model", "", (5, 50), 0.1, 1.0)
    (status,) = HealthReport("node")(node, PipelineHealth(), SECOND)
    assert (status.level, status.message) == (ERROR, "no such model")
    assert values(status)["state"] == "unconfigured"
