# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Recordings that are cut short, killed or on a full disk: what was recorded stays readable."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from places import PYTHONPATH
from ros_processes import ros_environment, start, unique_domain_id
from smvae_ros.bags import BagError, BagReader, BagWriter
from smvae_ros.bags.recovery import RecoveredBag
from smvae_ros.bags.writer import STORAGES
from smvae_ros.cli.recover import main
from smvae_ros.messages import bag_types

START = 1_700_000_000_000_000_000
both_storages = pytest.mark.parametrize("storage", STORAGES)


def text(number: int, length: int = 3000) -> object:
    """Of random letters, so that it can hardly be compressed; begins with its number."""
    letters = np.random.default_rng(number).integers(33, 127, length, dtype=np.uint8)
    return bag_types("std_msgs/msg/String")(data=f"{number} " + letters.tobytes().decode())


def numbers(bag: Path) -> list[int]:
    with BagReader(bag) as reader:
        messages = [message.data for _, _, message in reader.read(["/text"])]
    found = [int(data.split()[0]) for data in messages]
    assert messages == [text(number).data for number in found], "no message is torn"
    return found


def recovered_messages(path: Path) -> list[tuple[str, int, bytes]]:
    with RecoveredBag(path, {}) as bag:
        return list(bag.messages())


def recover(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


# -- killed ----------------------------------------------------------------------------------------

WRITER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from smvae_ros.bags import BagWriter
from test_recovery import START, text
with BagWriter(Path(sys.argv[2]), sys.argv[3]) as writer:
    writer.declare("/text", "std_msgs/msg/String", latched=True)
    for number in range(700):
        writer.write("/text", text(number), START + number)
    time.sleep(2.2)  # twice the period after which all is with the operating system
    print("written", flush=True)
    while True:
        writer.write("/text", text(700), START + 700)
"""


@both_storages
def test_kill_9_takes_nothing_that_was_a_second_old(
    tmp_path: Path, storage: str, capsys: pytest.CaptureFixture
) -> None:
    bag, partial = tmp_path / "bag", tmp_path / "bag.partial"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(Path(__file__).parent), str(bag), storage],
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        process.kill()
    with pytest.raises(BagError, match=r"only .*bag\.partial: it is still being recorded, or was"):
        BagReader(bag)
    with pytest.raises(BagError, match=r"not closed.*smvae_ros recover .*bag\.partial OUTPUT"):
        BagReader(partial)
    with pytest.raises(BagError, match=r"is left of a recording that was killed.*recover"):
        BagWriter(bag)
    assert recover(partial, tmp_path / "whole") == 0
    assert "kept " in capsys.readouterr().out
    assert numbers(tmp_path / "whole")[:700] == list(range(700))
    with BagReader(tmp_path / "whole") as reader:
        assert reader.topics["/text"].latched
    assert recover(partial, tmp_path / "again", "--storage", "sqlite3") == 0
    assert numbers(tmp_path / "again") == numbers(tmp_path / "whole")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag in several chunks, with a clock that jumped back in between."""
    path = tmp_path_factory.mktemp("whole") / "bag"
    with BagWriter(path) as writer:
        for number in range(1000):
            jump = 10**12 if 300 <= number < 600 else 0
            writer.write("/text", text(number), START + number - jump)
    return path


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_file_that_ends_anywhere(whole: Path, tmp_path: Path, data: st.DataObject) -> None:
    content = (whole / "bag.mcap").read_bytes()
    length = data.draw(st.integers(0, len(content)))
    file = tmp_path / "cut.mcap"
    file.write_bytes(content[:length] + bytes(data.draw(st.sampled_from([0, 1, 500]))))
    if length < 100:  # perhaps not even the header
        with suppress(BagError):
            recovered_messages(file)
        return
    messages = recovered_messages(file)
    stamps = [stamp for _, stamp, _ in messages]
    jumps = [10**12 if 300 <= number < 600 else 0 for number in range(len(stamps))]
    assert stamps == [START + number - jump for number, jump in enumerate(jumps)]
    # A chunk holds a megabyte, a third of the bag.
    assert len(stamps) >= 1000 * length / len(content) - 400
    assert file.read_bytes()[:length] == content[:length], "the bag stays as it is"


def test_a_whole_bag_is_only_copied(whole: Path, tmp_path: Path) -> None:
    before = (whole / "bag.mcap").read_bytes()
    assert recover(whole, tmp_path / "copy") == 0
    assert (whole / "bag.mcap").read_bytes() == before
    assert sorted(numbers(tmp_path / "copy")) == list(range(1000))


@pytest.mark.parametrize("closed", [True, False])
def test_what_stands_before_and_after_the_damage_is_kept(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture, closed: bool
) -> None:
    everything = numbers(whole)
    file = Path(shutil.copy(whole / "bag.mcap", tmp_path))
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 1000] = bytes(1000)
    file.write_bytes(content if closed else content[:-50])
    assert recover(file, tmp_path / "copy") == 1
    assert f"a piece of {file} is lost: its chunk at" in capsys.readouterr().err
    found = numbers(tmp_path / "copy")
    lost = sorted(set(everything) - set(found))
    assert found == [number for number in everything if number not in lost]
    assert lost == list(range(lost[0], lost[-1] + 1))
    assert 0 < lost[0] <= lost[-1] < everything[-1]


def test_what_cannot_be_recovered(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "foreign.mcap").write_bytes(b"something else" * 100)
    (tmp_path / "foreign.db3").write_bytes(b"something else" * 100)
    (tmp_path / "bag.txt").touch()
    for name, complaint in (
        ("nothing", "there is no bag"),
        ("empty", "holds no .mcap or .db3 file"),
        ("bag.txt", "holds no .mcap or .db3 file"),
        ("foreign.mcap", "it is no MCAP and no SQLite file"),
        ("foreign.db3", "it is no MCAP and no SQLite file"),
    ):
        assert recover(tmp_path / name, tmp_path / "output") == 1
        assert complaint in capsys.readouterr().err
        assert not (tmp_path / "output").exists()
        assert not (tmp_path / "output.partial").exists()


# -- full disk -------------------------------------------------------------------------------------


@both_storages
def test_a_full_disk_takes_nothing_that_was_written(
    small_disk: Path, tmp_path: Path, storage: str
) -> None:
    def record() -> None:
        with BagWriter(small_disk / "bag", storage) as writer:
            for number in range(100_000):
                writer.write("/text", text(number), START + number)
                writer.check()

    with pytest.raises(BagError, match=r"(No space left|is full).*bag\.partial.*recover"):
        record()
    assert recover(small_disk / "bag.partial", tmp_path / "whole") == 0
    found = numbers(tmp_path / "whole")
    assert found == list(range(len(found)))
    assert len(found) > 300


@both_storages
def test_a_disk_that_was_full_before(small_disk: Path, storage: str) -> None:
    """Nothing is left of the attempt that would have to be recovered or removed."""
    with (small_disk / "fill").open("wb") as file, suppress(OSError):
        file.write(bytes(2**22))

    def record() -> None:
        with BagWriter(small_disk / "bag", storage) as writer:
            writer.write("/text", text(0), START)

    with pytest.raises(BagError, match=r"cannot write the bag .*(No space left|is full)"):
        record()
    if storage == "sqlite3":  # an MCAP file takes more before it has to be written
        assert not (small_disk / "bag.partial").exists()


# -- recorded over DDS -----------------------------------------------------------------------------


@dataclass
class Talker:
    """Publishes numbered texts on /text."""

    environment: dict[str, str]
    publisher: Any

    def say(self, number: int) -> None:
        self.publisher.publish(self.publisher.msg_type(data=text(number).data))


@pytest.fixture
def talker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Talker]:
    rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy)")
    from std_msgs.msg import String

    environment = ros_environment(unique_domain_id())
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("talker", context=context)
    yield Talker(environment, node.create_publisher(String, "/text", 100))
    node.destroy_node()
    rclpy.shutdown(context=context)


@pytest.mark.dds
@both_storages
def test_recording_topics_until_the_disk_is_full(
    small_disk: Path, tmp_path: Path, storage: str, talker: Talker
) -> None:
    """One clear error, exit code 1, and what came before it."""
    arguments = (str(small_disk / "bag"), "/text", "--storage", storage)
    with start("smvae_ros.cli.record", *arguments, env=talker.environment) as record:
        record.wait_for_line("recording /text")
        number = 0
        while record.running:
            talker.say(number)
            number += 1
            assert number < 100_000
            record.wait(0.002)
        assert record.finish() == 1
        errors = [line for line in record.output if line.startswith("record: ")]
        assert len(errors) == 1, record.text
        assert "smvae_ros recover" in errors[0]
        for trace in ("Traceback", "Exception in", "Error occurred at"):  # rclpy has its own words
            assert trace not in record.text
    assert recover(small_disk / "bag.partial", tmp_path / "whole") == 0
    found = numbers(tmp_path / "whole")
    assert found == sorted(found)
    assert len(found) > 300


@pytest.mark.dds
def test_kill_9_of_the_recorder(tmp_path: Path, talker: Talker) -> None:
    partial = tmp_path / "bag.partial"
    arguments = (str(tmp_path / "bag"), "/text")
    with start("smvae_ros.cli.record", *arguments, env=talker.environment) as record:
        record.wait_for_line("recording /text")
        number = 0
        while sum(path.stat().st_size for path in partial.rglob("*.mcap")) < 1_000_000:
            talker.say(number)
            number += 1
            assert number < 100_000
            record.wait(0.005)
        os.kill(record.pid, 9)
        assert record.finish() == -9
    assert recover(partial, tmp_path / "whole") == 0
    found = numbers(tmp_path / "whole")
    assert found == sorted(found)
    assert len(found) > 200, "what was on the disk"
