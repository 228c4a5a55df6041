# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Bags that hold more than messages of ROS 2, or other ones than they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bag_corpus import (
    FOREIGN,
    GRIPPER,
    ROWS,
    STEPS,
    STRING,
    UNDEFINED,
    WRENCH,
    beside,
    changed,
    check_messages,
    database,
    evaluate,
    foreign,
    idl,
    lone_node,
    mcap,
    read,
    replayed,
)
from bag_files import Row, write_mcap
from small_bags import START
from smvae_ros.bags import BagError, BagReader
from smvae_ros.cli.evaluate import main as evaluate_command
from smvae_ros.cli.recover import main as recover
from smvae_ros.offline.bag_posteriors import BagPosteriors


@pytest.fixture(scope="module")
def in_frames(tmp_path_factory: pytest.TempPathFactory) -> BagPosteriors:
    """Of a plain bag."""
    return evaluate(write_mcap(tmp_path_factory.mktemp("plain") / "run.mcap", ROWS))


@pytest.fixture(scope="module")
def node() -> Iterator[Any]:
    with lone_node() as node:
        yield node


@pytest.mark.parametrize("storage", ["mcap", "sqlite"])
@pytest.mark.parametrize("name", list(FOREIGN))
def test_channels_of_other_systems(
    name: str, storage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, node: Any
) -> None:
    row = foreign(name)
    if storage == "sqlite" and name == "protobuf":
        row = replace(row, definition=("protobuf", b""))
    bag = (mcap if storage == "mcap" else database)(beside(row, row, row))(tmp_path)
    check_messages(read(bag), ROWS)
    reason = f"topic /other is left out: its messages are encoded as {row.encoding}, not as CDR"
    assert [r.getMessage() for r in caplog.records] == [f"{bag}: {reason}"], "once, and no more"
    caplog.clear()
    assert recover([str(bag), str(tmp_path / "copy")]) == 0
    assert reason in caplog.text
    check_messages(read(tmp_path / "copy"), ROWS)
    assert len(replayed(bag, node)) == len(ROWS)


def test_a_bag_of_another_system(tmp_path: Path) -> None:
    bag = write_mcap(tmp_path / "run.mcap", [foreign("jsonschema")])
    with pytest.raises(BagError, match=r"no messages of ROS 2: /other: .* encoded as json") as info:
        BagReader(bag)
    assert "damaged" not in str(info.value)
    assert "recover" not in str(info.value)


def test_a_topic_that_is_left_out_is_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Though `evaluate` first looks at all bags for the sensors that they have."""
    bag = write_mcap(tmp_path / "run.mcap", [*ROWS, foreign("jsonschema")])
    assert evaluate_command([str(bag)]) == 0
    assert caplog.text.count("topic /other is left out") == 1


def test_a_configured_topic_of_another_system(tmp_path: Path) -> None:
    """The reason stands where the topic is missed."""
    row = replace(foreign("jsonschema"), topic="/wrench")
    bag = write_mcap(tmp_path / "run.mcap", [row, replace(GRIPPER, stamp=START)])
    with pytest.raises(BagError, match=r"/wrench is left out: its messages are encoded as json"):
        evaluate(bag)


def test_two_systems_on_one_topic(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bag = mcap(beside(replace(foreign("jsonschema"), topic="/wrench")))(tmp_path)
    check_messages(read(bag), ROWS)
    assert f"1 message of acme.Event (json) on /wrench left out, where {50 * STEPS} are" in (
        caplog.text
    )
    assert recover([str(bag), str(tmp_path / "copy")]) == 0
    check_messages(read(tmp_path / "copy"), ROWS)
    assert "--type" not in caplog.text  # which could not keep them


def test_a_topic_of_another_system_is_not_replayed(tmp_path: Path, node: Any) -> None:
    bag = mcap(beside(foreign("protobuf")))(tmp_path)
    with pytest.raises(BagError, match=r"messages on /other that cannot be read: .*protobuf"):
        replayed(bag, node, topics=["/other"])


def test_messages_without_a_type(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bag = mcap(beside(Row(0, "/raw", "", b"\0\1\0\0", "cdr")))(tmp_path)
    check_messages(read(bag), ROWS)
    assert "topic /raw is left out: its messages have no type" in caplog.text


@pytest.mark.parametrize("row", [GRIPPER, UNDEFINED], ids=["defined", "undefined"])
@pytest.mark.parametrize("build", [mcap, database])
def test_types_that_are_not_installed(
    row: Row,
    build: Callable[[list[Row]], Callable[[Path], Path]],
    tmp_path: Path,
    node: Any,
    in_frames: BagPosteriors,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """They disturb nobody, are copied with the definition they came with, and are not replayed."""
    bag = build(beside(row))(tmp_path)
    check_messages(read(bag), beside(row))
    np.testing.assert_array_equal(evaluate(bag).means, in_frames.means)
    assert recover([str(bag), str(tmp_path / "copy")]) == 0
    check_messages(read(tmp_path / "copy"), beside(row))
    if row is GRIPPER:
        with BagReader(tmp_path / "copy") as reader:
            ((_, _, message),) = reader.read(["/gripper"])
        assert (message.width, message.closed) == (0.0, False)
    assert not caplog.records
    assert len(replayed(bag, node)) == len(ROWS)
    assert "/gripper is left out: message type acme_msgs/msg/Gripper" in caplog.text


@pytest.mark.parametrize(
    "definition",
    [("ros2msg", b"this is\nno definition !!"), ("ros2msg", b"acme_msgs/Header header"), idl("{")],
)
def test_a_known_type_whose_definition_cannot_be_parsed(
    definition: tuple[str, bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bag = mcap(changed("/wrench", definition=definition))(tmp_path)
    with BagReader(bag) as reader:
        forces = [message.wrench.force.x for _, _, message in reader.read(["/wrench"])]
    assert len(forces) == 50 * STEPS
    (record,) = caplog.records
    assert f"the bag's definition of {WRENCH} cannot be parsed" in record.getMessage()
    assert "the one that is known here is used" in record.getMessage()


@pytest.mark.parametrize("strange", [1, 10 * len(ROWS)], ids=["fewer", "more"])
def test_two_types_on_one_topic(
    strange: int,
    tmp_path: Path,
    in_frames: BagPosteriors,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The configured type is read; asked without one, that of most messages is."""
    rows = beside(*[STRING] * strange)
    bag = mcap(rows)(tmp_path)
    frames = evaluate(bag)
    assert frames.subsets == in_frames.subsets
    np.testing.assert_array_equal(frames.means, in_frames.means)
    count = "1 message" if strange == 1 else f"{strange} messages"
    words = f"{count} of std_msgs/msg/String on /action left out"
    assert words in caplog.text
    caplog.clear()
    most = "std_msgs/msg/String" if strange > STEPS else "geometry_msgs/msg/TwistStamped"
    kept = [row for row in rows if row.topic != "/action" or row.type_name == most]
    assert recover([str(bag), str(tmp_path / "copy")]) == 0
    other = ({"std_msgs/msg/String", "geometry_msgs/msg/TwistStamped"} - {most}).pop()
    assert f"of {other} on /action left out: a topic holds one type" in caplog.text
    check_messages(read(tmp_path / "copy"), kept)
    # Asked for, it is the other one, which the word of before has named.
    assert f"--type /action={other} keeps these instead" in caplog.text
    kept = [row for row in rows if row.topic != "/action" or row.type_name == other]
    choice = ["--type", f"/action={other.replace('/msg/', '/')}"]
    assert recover([str(bag), str(tmp_path / "other"), *choice]) == 0
    check_messages(read(tmp_path / "other"), kept)


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        ("/none=std_msgs/msg/String", "has no topic /none; it has /action, "),
        ("/action=std_msgs/msg/Bool", "/action holds no std_msgs/msg/Bool, only geometry_msgs"),
    ],
)
def test_a_type_that_is_not_there_is_refused_before_anything_is_made(
    choice: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = mcap(beside(STRING))(tmp_path)
    assert recover([str(bag), str(tmp_path / "copy"), "--type", choice]) == 1
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "copy").exists()


def test_messages_that_are_no_messages(
    tmp_path: Path, node: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither copied nor published, and named once with their number."""
    wrong = Row(0, "/wrench", WRENCH, b"not a message of ROS 2")
    torn = Row(0, "/wrench", WRENCH, b"\0\1\0\0torn")
    bag = mcap(beside(wrong, wrong, torn))(tmp_path)
    check_messages(read(bag), beside(torn))
    words = f"2 of {50 * STEPS + 3} messages on /wrench cannot be read; of the first, it is no seri"
    assert words in caplog.text
    assert "are in its files" not in caplog.text
    caplog.clear()
    assert recover([str(bag), str(tmp_path / "copy")]) == 0
    check_messages(read(tmp_path / "copy"), beside(torn))
    assert "2 messages on /wrench left out; of the first, it is no serialised" in caplog.text
    published = replayed(bag, node)
    assert Counter(published) == Counter((row.topic, row.stamp) for row in ROWS)
    assert "1 message on /wrench not published" in caplog.text


def test_a_type_that_is_defined_otherwise_here(
    tmp_path: Path, node: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Subscribers would take it for what it is not."""
    old = b"uint32 seq\nstring name\n"
    row = Row(
        0, "/old", "std_msgs/msg/Header", bytes([0, 1]) + bytes(11), definition=("ros2msg", old)
    )
    bag = mcap(beside(row))(tmp_path)
    assert len(replayed(bag, node)) == len(ROWS)
    assert (
        "/old is left out: the bag defines std_msgs/msg/Header with the fields seq, name, but"
        in (caplog.text)
    )
