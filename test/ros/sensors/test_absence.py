# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Why a modality is in no frame: the same words from every tool, with what to do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from small_bags import MS, START, TOPICS
from small_models import save_small_checkpoint
from small_sensors import MODALITIES as FOUR
from smvae_core.modalities import Modality
from smvae_ros.bags import BagReader, BagWriter
from smvae_ros.bundled import bag_path
from smvae_ros.cli.bag_to_log import main as bag_to_log
from smvae_ros.cli.evaluate import main as evaluate
from smvae_ros.messages import bag_types, make_header, make_message
from smvae_ros.offline.absences import Absences
from smvae_ros.offline.lockstep import lockstep
from smvae_ros.sensors.absence import Cause, explain, span
from smvae_ros.sensors.evidence import Apart, Came, Connection, Evidence, Window
from smvae_ros.sensors.sensor_set import SensorSet

SECOND = 1000 * MS
HOUR = 3600 * SECOND
NOW = 1_750_000_000 * SECOND


def apart(stamp: int, moment: int, **others: int) -> Apart:
    return Apart("rgb", (moment - stamp) / SECOND, 0.2, "max_skew", stamp, moment, **others)


@pytest.mark.parametrize(
    ("evidence", "connection", "cause", "words"),
    [
        ({}, Connection(""), Cause.NO_TOPIC, ["no topic is configured"]),
        ({}, None, Cause.NOTHING, ["nothing arrived"]),
        ({}, Connection("/t", 0), Cause.NOTHING, ["nothing arrived on /t", "no publisher"]),
        ({}, Connection("/t", 2), Cause.SILENT, ["publishers (2)", "ros2 topic hz /t"]),
        ({}, Connection("/t", 1, "set x"), Cause.MISMATCH, ["nothing arrived on /t: set x"]),
        ({"age": 7.84}, None, Cause.STOPPED, ["stopped 7.8 s ago"]),
        ({"age": 7.8}, Connection("/t", 0), Cause.STOPPED, ["no publisher any more"]),
        ({"age": 7.8}, Connection("/t", 1, "set x"), Cause.MISMATCH, ["stopped 7.8 s ago: set x"]),
        ({"unusable": Came(3, "NaN", 0.1)}, None, Cause.UNUSABLE, ["(3 since", "NaN"]),
        (
            {"age": 60.0, "unusable": Came(3, "NaN", 50.0)},
            None,
            Cause.STOPPED,
            ["stopped 60.0 s ago", "until 50.0 s ago", "NaN"],
        ),
        (
            {"foreign": Came(3, "a joint state of finger", 0.1)},
            None,
            Cause.FOREIGN,
            ["finger", "correct force.joints or force.topic"],
        ),
        (
            {"age": 9.0, "foreign": Came(3, "a joint state of finger", 0.1)},
            None,
            Cause.STOPPED,
            ["stopped 9.0 s ago", "since then", "finger"],
        ),
        ({"repeated": 8}, None, Cause.STUCK, ["the last 9 messages", "correct that driver"]),
        (
            {"live": True, "apart": apart(3 * HOUR, NOW)},
            None,
            Cause.CLOCK,
            [
                "behind those of rgb",
                "force.max_skew is 0.2 s",
                "those of force count",
                "same clock",
            ],
        ),
        (
            {"live": True, "apart": apart(NOW, 3 * HOUR)},
            None,
            Cause.CLOCK,
            ["ahead of those of rgb", "those of rgb count from the start"],
        ),
        (
            {"live": True, "apart": apart(NOW + 37 * SECOND, NOW)},
            None,
            Cause.CLOCK,
            ["37.0 s ahead", "TAI"],
        ),
        (
            {"live": True, "apart": apart(NOW - 300 * MS, NOW)},
            None,
            Cause.CLOCK,
            ["300.0 ms behind", "chrony", "raise force.max_skew"],
        ),
        (
            {"live": True, "repeated": 20, "apart": apart(NOW - HOUR, NOW)},
            None,
            Cause.STUCK,
            ["its stamps do not advance"],
        ),
        (
            {"live": True, "apart": apart(NOW, NOW - HOUR, other_repeated=20)},
            None,
            Cause.STUCK,
            ["those of rgb do not advance"],
        ),
        (
            {"age": 0.0, "window": Window(0.002, 0.049, 0.03, 0.02)},
            None,
            Cause.GAPS,
            ["30.0 ms apart", "raise force.max_gap", "0.02 s"],
        ),
        (
            {"age": 0.0, "window": Window(0.002, 0.049, -5.0, 0.02)},
            None,
            Cause.BACKWARDS,
            ["backwards by 5.0 s"],
        ),
        (
            {"age": 0.0, "window": Window(0.002, 0.049, 0.0, 0.02)},
            None,
            Cause.SHORT,
            ["2.0 ms of the 49.0 ms"],
        ),
    ],
)
def test_the_reason_says_what_is_wrong_and_what_to_do(
    evidence: dict, connection: Connection | None, cause: Cause, words: list[str]
) -> None:
    absence = explain(Evidence("force", **evidence), connection)
    assert absence.cause == cause
    for word in words:
        assert word in absence.text
    ends = (Cause.NO_TOPIC, Cause.NOTHING, Cause.SILENT, Cause.MISMATCH, Cause.STOPPED)
    assert absence.arrives == (cause not in ends)


def test_lengths_of_time_read_as_people_say_them() -> None:
    seconds = (0.0, 0.064, 37.0, 600.0, 11_520.0, 1.7e9)
    assert [span(s) for s in seconds] == [
        "0.0 ms",
        "64.0 ms",
        "37.0 s",
        "10.0 min",
        "3.2 h",
        "19,676 days",
    ]


def test_of_a_recording_the_most_frequent_reason_counts() -> None:
    absences = Absences()
    absences.add({"force": explain(Evidence("force"))})
    for age in (1.0, 2.0):
        absences.add({"force": explain(Evidence("force", age=age))})
    assert absences.main("force").text == "stopped 2.0 s ago"
    assert absences.count("force") == 3
    assert absences.count("rgb") == 0
    json.dumps(absences.summary())
    assert absences.summary()["force"]["causes"] == {"stopped": 2, "nothing arrived": 1}


def test_stamps_that_never_advance_are_the_reason_whoever_has_them() -> None:
    for stuck, absent in (("rgb", "action"), ("action", "action")):
        sensors, frame = SensorSet(FOUR), None
        for i in range(40):
            now = i * 50 * MS
            for name in ("action", "rgb"):
                sensors.store(name, i, NOW if name == stuck else NOW + now, now)
            frame = sensors.poll(now) or frame
        assert frame is not None
        absence = frame.absent[absent]
        assert absence.cause == Cause.STUCK
        whose = "its stamps" if stuck == absent else "those of rgb"
        assert f"{whose} do not advance" in absence.text
        assert sensors.evidence(2 * SECOND)[stuck].repeated >= 39


def test_a_driver_that_has_stopped_is_not_to_be_corrected() -> None:
    """Whatever its stamps were while it ran."""
    sensors = SensorSet(FOUR)
    for name in ("action", "force"):
        for i in range(20):
            sensors.store(name, i if name == "action" else np.zeros(2), NOW, i * 50 * MS)
    for seconds, cause in ((2, Cause.STUCK), (5, Cause.STOPPED)):
        evidence = sensors.evidence(seconds * SECOND)
        assert {explain(evidence[name]).cause for name in ("action", "force")} == {cause}


def test_a_series_whose_stamps_never_advance_says_so() -> None:
    sensors = SensorSet(FOUR)
    for i in range(1000):
        sensors.store("force", np.zeros(2), NOW, i * MS)
    sensors.store("rgb", 0, NOW, SECOND)
    snapshot = sensors.poll(SECOND)
    assert snapshot is not None
    assert snapshot.absent["force"].cause == Cause.STUCK


# -- the same reason from all tools ----------------------------------------------------------------


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_checkpoint(tmp_path_factory.mktemp("model") / "small")


def uneven_wrenches(seconds: float = 1.0) -> list[int]:
    """Times of readings that are 2 and 30 ms apart in turn, in nanoseconds from 0."""
    times, now = [], 0
    while now < seconds * SECOND:
        now += (2, 30)[len(times) % 2] * MS
        times.append(now)
    return times


def write_wrench(bag: BagWriter, stamp: int) -> None:
    vectors = [
        make_message(bag_types, "geometry_msgs/msg/Vector3", x=1.0, y=2.0, z=3.0) for _ in range(2)
    ]
    wrench = make_message(
        bag_types, "geometry_msgs/msg/Wrench", force=vectors[0], torque=vectors[1]
    )
    header = make_header(bag_types, stamp, "flange")
    stamped = make_message(
        bag_types, "geometry_msgs/msg/WrenchStamped", header=header, wrench=wrench
    )
    bag.write(TOPICS["force"][0], stamped, stamp)


def test_gaps_have_one_reason_in_all_tools(
    tmp_path: Path,
    checkpoint: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A wrench at 62.5 Hz, unevenly: not the clock, but max_gap."""
    with BagWriter(tmp_path / "bag") as bag:
        events = [(START + time, None) for time in uneven_wrenches()]
        with BagReader(bag_path()) as reader:
            first = None
            for topic, type_name, received, data in reader.messages():
                first = received if first is None else first
                if received > first + SECOND:
                    break
                if topic != TOPICS["force"][0]:
                    events.append((START + received - first, (topic, type_name, bytes(data))))
        for stamp, raw in sorted(events, key=lambda event: event[0]):
            if raw is None:
                write_wrench(bag, stamp)
                continue
            topic, type_name, data = raw
            stamped = np.array(divmod(stamp, SECOND), "<u4").tobytes()
            bag.write_raw(topic, type_name, data[:4] + stamped + data[12:], stamp)
    reason = "its readings are 30.0 ms apart, and force.max_gap is 0.02 s"
    output = tmp_path / "evaluation.json"
    arguments = ["--checkpoint", str(checkpoint), "--output", str(output)]
    assert evaluate([str(tmp_path / "bag"), *arguments]) == 0
    assert f"no snapshot has force: {reason}" in capsys.readouterr().out
    (report,) = json.loads(output.read_text())["bags"].values()
    assert reason in report["absent"]["force"]["reason"]
    assert report["absent"]["force"]["frames"] == report["frames"]
    assert bag_to_log([str(tmp_path / "bag"), str(tmp_path / "logs")]) == 0
    assert f"no step has force (/wrench): {reason}" in caplog.text
    # The live node asks the sensor set, in ~/status and in /diagnostics.
    sensors = SensorSet(
        {
            "rgb": Modality("rgb", "image", (3, 4, 4)),
            "force": Modality("force", "series", (6, 50), rate=1000.0),
        }
    )
    arrivals = [(time, "force", np.zeros(6), NOW + time) for time in uneven_wrenches()]
    arrivals += [(i * 50 * MS, "rgb", i, NOW + i * 50 * MS) for i in range(1, 20)]
    frames = list(lockstep(sorted(arrivals, key=lambda arrival: arrival[0]), sensors))
    assert {tuple(frame.readings) for frame in frames} == {("rgb",)}
    assert all(reason in frame.absent["force"].text for frame in frames)
    assert reason in explain(sensors.evidence(SECOND)["force"], Connection("/wrench", 1)).text


def test_evaluate_prints_and_keeps_why_messages_were_unusable(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every second image is broken: told, and the one before counts."""
    topic, broken = TOPICS["rgb"][0], 0
    with BagReader(bag_path()) as reader, BagWriter(tmp_path / "bag") as bag:
        first = None
        for name, type_name, received, data in reader.messages():
            first = received if first is None else first
            if received > first + 2 * SECOND:
                break
            data = bytes(data)
            if name == topic:
                broken += 1
                data = data if broken % 2 else data.replace(b"rgb8", b"rgbX", 1)
            bag.write_raw(name, type_name, data, received)
    output = tmp_path / "evaluation.json"
    arguments = ["--checkpoint", str(checkpoint), "--output", str(output)]
    assert evaluate([str(tmp_path / "bag"), *arguments]) == 0
    (report,) = json.loads(output.read_text())["bags"].values()
    count = report["invalid"]["rgb"]
    assert count == broken // 2
    printed = capsys.readouterr().out
    line = next(
        line for line in printed.splitlines() if f"{count} unusable messages of rgb" in line
    )
    assert line.endswith(report["last_errors"]["rgb"])
    subsets = report["live_subsets"]
    with_images = sum(n for subset, n in subsets.items() if "rgb" in subset.split("+"))
    assert with_images >= broken - 1
