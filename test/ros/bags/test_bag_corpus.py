# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Bags of every kind that recorders, options and versions make: all messages come, in every tool.

Each kind is the same recorded run. What the reader gives of it, what `evaluate`, `bag_to_log` and
`replay` make of it and what `recover` copies is what they make of a plain bag.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bag_corpus import (
    BROKEN,
    ROWS,
    STEPS,
    WHOLE,
    check_messages,
    convert,
    evaluate,
    in_order,
    lone_node,
    overlapping,
    read,
    read_as_it_stands,
    replayed,
    split,
    with_metadata,
)
from bag_files import Row, write_mcap, write_metadata, write_sqlite
from small_bags import MS, START, TOPICS
from smvae_ros.bags import BagError, BagReader, BagWriter
from smvae_ros.bags.files import storage_files
from smvae_ros.bags.storage import Part, merge
from smvae_ros.cli.recover import main as recover
from smvae_ros.offline.bag_posteriors import BagPosteriors


@pytest.fixture(scope="module")
def in_logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """Of a plain bag."""
    folder = tmp_path_factory.mktemp("plain")
    return convert(write_mcap(folder / "run.mcap", ROWS), folder)


@pytest.fixture(scope="module")
def in_frames(tmp_path_factory: pytest.TempPathFactory) -> BagPosteriors:
    """Of a plain bag."""
    return evaluate(write_mcap(tmp_path_factory.mktemp("plain") / "run.mcap", ROWS))


@pytest.fixture(scope="module")
def node() -> Iterator[Any]:
    with lone_node() as node:
        yield node


def kinds(names: Sequence[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("kind", names)


@kinds(list(WHOLE))
def test_every_message_comes_in_every_tool(
    kind: str,
    tmp_path: Path,
    in_frames: BagPosteriors,
    in_logs: dict[str, np.ndarray],
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    bag = WHOLE[kind](folder)
    before = {file: file.read_bytes() for file in storage_files(bag)}
    check_messages(read(bag), ROWS)
    with BagReader(bag) as reader:
        assert {name: (t.type_name, t.count) for name, t in reader.topics.items()} == {
            name: (kind, Counter(row.topic for row in ROWS)[name]) for name, kind in TOPICS.values()
        }
        assert (reader.start_ns, reader.end_ns) == (ROWS[0].stamp, ROWS[-1].stamp)
        only = [stamp for *_, stamp, _ in reader.messages(["/wrench"], START + 60 * MS)]
        assert only == list(range(START + 60 * MS, START + STEPS * 50 * MS + 1, MS))

    frames = evaluate(bag)
    assert frames.subsets == in_frames.subsets
    assert frames.stamps.tolist() == in_frames.stamps.tolist()
    np.testing.assert_array_equal(frames.means, in_frames.means)

    logs = convert(bag, tmp_path)
    assert logs.keys() == in_logs.keys()
    for key, array in in_logs.items():
        np.testing.assert_array_equal(logs[key], array)

    assert recover([str(bag), str(tmp_path / "copy")]) == 0
    check_messages(read_as_it_stands(tmp_path / "copy"), ROWS)
    assert {file: file.read_bytes() for file in storage_files(bag)} == before
    assert not [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


@kinds(["split with overlap", "messages compressed", "old type names, sqlite", "no chunks"])
def test_replay_publishes_all(kind: str, tmp_path: Path, node: Any) -> None:
    published = replayed(WHOLE[kind](tmp_path), node)
    assert Counter(published) == Counter((row.topic, row.stamp) for row in ROWS)
    assert [stamp for _, stamp in published] == [row.stamp for row in ROWS]


# -- what is not there -----------------------------------------------------------------------------


def test_fewer_messages_than_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bag = with_metadata("run.mcap", counted=2)(tmp_path)
    check_messages(read(bag), ROWS)
    assert {record.getMessage() for record in caplog.records} == {
        f"{bag}: only {count} of {2 * count} messages on {topic} are in its files; the recorder "
        "lost the others, or a file was replaced"
        for topic, count in Counter(row.topic for row in ROWS).items()
    }


def test_a_topic_that_is_only_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_mcap(tmp_path / "run.mcap", [row for row in ROWS if row.topic != "/wrench"])
    write_metadata(tmp_path, ["run.mcap"], ROWS)
    read(tmp_path)
    assert "topic /wrench is left out: metadata.yaml counts 300 messages, its files have none" in (
        caplog.text
    )


def test_equal_times_come_in_the_order_of_the_files(tmp_path: Path) -> None:
    rows = [
        Row(START, "/text", "std_msgs/msg/String", b"\0\1\0\0\2\0\0\0%c\0" % c) for c in b"abcd"
    ]
    write_mcap(tmp_path / "run_0.mcap", rows[:2])
    write_sqlite(tmp_path / "run_1.db3", rows[2:])
    write_metadata(tmp_path, ["run_0.mcap", "run_1.db3"], rows)
    assert read(tmp_path) == in_order(rows)


@pytest.mark.parametrize("name", ["run_{}.mcap", "{}_run_2026_06_01-09_30_00.mcap"])
def test_files_are_recovered_in_the_order_of_their_numbers(name: str, tmp_path: Path) -> None:
    bag = tmp_path / "run"
    bag.mkdir()
    texts = [b"\0\1\0\0\2\0\0\0%c\0" % c for c in b"abcdefghijkl"]
    for number, text in enumerate(texts):
        row = Row(START, "/text", "std_msgs/msg/String", text)
        write_mcap(bag / name.format(number), [row], closed=False)
    assert recover([str(bag), str(tmp_path / "copy")]) == 0
    assert [data for *_, data in read_as_it_stands(tmp_path / "copy")] == texts


def test_only_what_overlaps_is_in_memory() -> None:
    """Parts are opened when their time has come."""
    opened: list[int] = []

    def part(number: int) -> tuple[Path, Part, tuple[int]]:
        def messages(*_: object) -> Iterator[tuple[int, int, bytes]]:
            opened.append(number)
            yield 1, 10 * number, b""
            yield 1, 10 * number + 9, b""
            opened.remove(number)

        return Path(), Part(10 * number, 10 * number + 9, messages), (1,)

    stamps = []
    for _, (_, stamp, _) in merge([part(number) for number in range(50)], 0, 10**6):
        stamps.append(stamp)
        assert len(opened) <= 2
    assert stamps == sorted(stamps)
    assert len(stamps) == 100


def test_an_index_that_tells_other_times_than_its_messages() -> None:
    """The order of times is promised."""

    def part(start: int, stamps: Sequence[int]) -> tuple[Path, Part, tuple[int]]:
        return Path("run"), Part(start, 100, lambda *_: ((1, s, b"") for s in stamps)), (1,)

    stamps = []
    with pytest.raises(BagError, match=r"run cannot be read: its index tells other times"):  # noqa: PT012
        for _, (_, stamp, _) in merge([part(0, [0, 50]), part(60, [20])], 0, 100):
            stamps.append(stamp)
    assert stamps == [0, 50]


def test_a_bag_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "metadata.yaml").mkdir()
    with pytest.raises(BagError, match=r"cannot be read: Is a directory"):
        BagReader(tmp_path)


@kinds(list(BROKEN))
def test_the_advice_to_recover_helps(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    bag = BROKEN[kind](folder)
    with pytest.raises(
        BagError, match=r"not closed after recording; `ros2 run smvae_ros recover"
    ) as info:
        BagReader(bag)
    assert "instead" not in str(info.value), "no other advice, by which messages would be lost"
    before = {file: file.read_bytes() for file in bag.rglob("*") if file.suffix != ".db3-shm"}
    assert recover([str(bag), str(tmp_path / "copy")]) == 0
    check_messages(read(tmp_path / "copy"), ROWS)
    assert all(file.read_bytes() == content for file, content in before.items())


def test_a_file_of_a_split_bag_is_missing(tmp_path: Path) -> None:
    bag = tmp_path / "run"
    bag.mkdir()
    split(bag)
    (bag / "run_1.mcap").unlink()
    with pytest.raises(
        BagError, match=r"files are missing: run_1\.mcap; put them back, or .*recov"
    ):
        BagReader(bag)
    assert recover([str(bag), str(tmp_path / "copy")]) == 0
    check_messages(read(tmp_path / "copy"), sorted(overlapping()[0], key=lambda row: row.stamp))


def test_a_damaged_file_costs_only_what_is_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    bag = tmp_path / "run"
    bag.mkdir()
    split(bag)
    content = bytearray((bag / "run_0.mcap").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 5] = b"wrong"
    (bag / "run_0.mcap").write_bytes(content)
    with pytest.raises(BagError, match=r"run_0\.mcap: its chunk .*damaged.*recover"):
        read(bag)
    assert recover([str(bag), str(tmp_path / "copy")]) == 1
    output = capsys.readouterr()
    assert "run_0.mcap is lost: its chunk at" in output.err
    found = read(tmp_path / "copy")
    assert set(in_order(overlapping()[1])) <= set(found) < set(in_order(ROWS))


@pytest.mark.parametrize("storage", ["mcap", "sqlite", "nothing"])
def test_an_empty_recording(
    storage: str, tmp_path: Path, capsys: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture
) -> None:
    """The truth, once, and no exit code of success."""
    if storage == "nothing":
        (tmp_path / "run.mcap").touch()
    else:
        (write_mcap if storage == "mcap" else write_sqlite)(
            tmp_path / ("run.mcap" if storage == "mcap" else "run.db3"), []
        )
    (bag,) = tmp_path.iterdir()
    with pytest.raises(BagError, match=r"holds no messages|it is empty; nothing was written"):
        BagReader(bag)
    assert recover([str(bag), str(tmp_path / "copy")]) == 1
    output = capsys.readouterr()
    assert "holds no messages" in output.err or "it is empty" in output.err
    assert "kept " not in output.out
    assert not caplog.records
    assert not (tmp_path / "copy").exists()
    assert not (tmp_path / "copy.partial").exists()


def test_the_error_names_what_stands_beside_it(tmp_path: Path) -> None:
    for name in ("run_0.mcap", "run_1.db3", "run_2.mcap.zstd", "run.txt"):
        (tmp_path / name).touch()
    (tmp_path / "running").mkdir()
    with pytest.raises(
        BagError, match=r"no bag \S+run, but \S+run_0.mcap, \S+run_1.db3, \S+zstd; g"
    ):
        BagReader(tmp_path / "run")
    (tmp_path / "run.partial").mkdir()
    with pytest.raises(
        BagError, match=r"no bag \S+run, only \S+run.partial: .* recover \S+partial"
    ):
        BagReader(tmp_path / "run")
    with pytest.raises(BagError, match=r"no bag \S+walk; check the path"):
        BagReader(tmp_path / "walk")


def test_recover_names_what_stands_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "run.partial").mkdir()
    assert recover([str(tmp_path / "run"), str(tmp_path / "copy")]) == 1
    assert f"only {tmp_path / 'run.partial'}: it is still being recorded" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="other systems have other names")
@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize(
    "name", ["run#2", "what?", "100%", "50%20", "two words", "höhe", "a&b=c;d"]
)
def test_recording_into_strange_names(name: str, storage: str, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    with BagWriter(folder / name, storage) as writer:
        for row in ROWS[:60]:
            writer.write_raw(row.topic, row.type_name, row.data, row.stamp)
    assert [path.name for path in folder.iterdir()] == [name]
    suffix = "mcap" if storage == "mcap" else "db3"
    files = {path.name for path in (folder / name).iterdir()}
    assert files == {f"{name}.{suffix}", "metadata.yaml"}
    check_messages(read(folder / name), ROWS[:60])
    check_messages(read(folder / name / f"{name}.{suffix}"), ROWS[:60])
