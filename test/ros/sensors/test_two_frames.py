# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Two publishers of different frame_ids on one topic: one of them counts, and both are named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from small_bags import TOPICS, write_small_bag
from small_models import save_small_checkpoint
from small_sensors import EPOCH, MODALITIES, MS
from smvae_ros.bags import BagReader, BagWriter
from smvae_ros.cli import bag_to_log, evaluate
from smvae_ros.messages import adapter, bag_types
from smvae_ros.offline.lockstep import lockstep
from smvae_ros.sensors.absence import Cause
from smvae_ros.sensors.sensor_set import SensorSet

LEFT, RIGHT = 1.0, 100.0  # what the two sensors measure


def wrenches(count: int, frame: Callable[[int], str]) -> tuple[list[np.ndarray], SensorSet]:
    """Windows of readings that come each millisecond, of the sensor with that frame_id."""
    sensors = SensorSet({"force": MODALITIES["force"]})
    events = []
    for k in range(count):
        reading = np.full(2, RIGHT if frame(k) == "right" else LEFT, np.float32)
        events.append((k * MS, "force", reading, EPOCH + k * MS, frame(k)))
    return [snapshot.readings["force"].value for snapshot in lockstep(events, sensors)], sensors


def test_readings_of_two_sensors_never_make_one_window() -> None:
    windows, sensors = wrenches(400, lambda k: "right" if k % 3 == 2 else "left")
    assert windows
    assert all((window == LEFT).all() for window in windows)
    counters = sensors.counters()["force"]
    assert (counters.received, counters.foreign, counters.strayed) == (267, 133, 133)
    assert counters.invalid == 0
    assert "only those of left" in counters.last_stray
    assert "not those of right" in counters.last_stray
    assert sensors.take(400 * MS).frame_ids == {"force": "left"}


@pytest.mark.parametrize(("first", "second"), [("", "right"), ("left", "")])
def test_without_a_frame_id_it_is_another_one_too(first: str, second: str) -> None:
    _, sensors = wrenches(9, lambda k: second if k else first)
    counters = sensors.counters()["force"]
    assert counters.strayed == 8
    assert "no frame_id" in counters.last_stray


def test_a_driver_that_comes_back_under_another_frame_is_used_after_two_seconds() -> None:
    windows, sensors = wrenches(2500, lambda k: "left" if k < 100 else "right")
    assert (windows[-1] == RIGHT).all()
    assert sensors.counters()["force"].strayed == 2000
    _, sensors = wrenches(1500, lambda k: "left" if k < 100 else "right")
    now = 1500 * MS
    assert not sensors.live(now)
    reason = sensors.evidence(now)["force"]
    assert reason.foreign is not None
    assert "not those of right" in reason.foreign.why
    sensors.store("force", np.zeros(2, np.float32), EPOCH + 2 * now, 2 * now, "right")
    assert sensors.counters()["force"].received == 101


def test_a_name_from_the_network_is_shown_without_what_terminals_act_upon() -> None:
    _, sensors = wrenches(2, lambda k: "\x1b[2J\n" if k else "left")
    assert sensors.counters()["force"].last_stray.isprintable()


def two_arms(folder: Path) -> Path:
    """The small bag with the wrenches of a second sensor, twice as large, on the same topic."""
    topic, kind = TOPICS["force"]
    with BagReader(write_small_bag(folder / "one")) as reader, BagWriter(folder / "two") as bag:
        for name, type_name, stamp, data in reader.messages(reader.topics):
            message = reader.deserialise(type_name, data)
            bag.write(name, message, stamp)
            if name == topic:
                other = adapter(kind).to_message(
                    np.full(6, 50.0),
                    MODALITIES["force"],
                    bag_types,
                    stamp_ns=stamp + MS // 2,
                    frame_id="other_arm",
                )
                bag.write(name, other, stamp + MS // 2)
    return folder / "two"


def test_evaluate_and_bag_to_log_say_the_same_and_use_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = two_arms(tmp_path)
    words = "of force left out: messages of two frames come on its topic, and only those of camera,"
    assert bag_to_log.main([str(bag), str(tmp_path / "logs")]) == 0
    assert words in capsys.readouterr().out
    checkpoint = save_small_checkpoint(tmp_path / "model")
    found = {}
    for path in (bag, tmp_path / "one"):
        output = tmp_path / "evaluation.json"
        options = ["--checkpoint", str(checkpoint), "--output", str(output)]
        assert evaluate.main([str(path), *options]) == 0
        assert (words in capsys.readouterr().out) == (path == bag)
        found[path] = json.loads(output.read_text())
    assert found[bag]["subsets"] == found[tmp_path / "one"]["subsets"]
    assert "not those of other_arm" in found[bag]["bags"][str(bag)]["strayed"]["force"]["reason"]
    assert Cause.FOREIGN.value not in str(found[bag]["bags"][str(bag)]["absent"])
