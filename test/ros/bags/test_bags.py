# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Real bags: what is written is read back, and damaged bags are refused with advice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from patience import PATIENCE
from smvae_core.modalities import Modality
from smvae_ros.bags import BagError, BagReader, BagWriter
from smvae_ros.messages import MessageError, adapter, bag_types, installed_types, make_message
from smvae_ros.messages.types import define_for_bags

RGB = Modality("rgb", "image", (3, 64, 64))
FORCE = Modality("force", "series", (6, 32), rate=1000.0)
START = 1_700_000_000_000_000_000
MILLISECOND = 1_000_000


def wrench(number, stamp):
    values = np.full(6, float(number))
    return adapter("geometry_msgs/msg/WrenchStamped").to_message(
        values, FORCE, bag_types, stamp_ns=stamp
    )


def image(number, stamp, side=128):
    pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return adapter("sensor_msgs/msg/Image").to_message(pixels, RGB, bag_types, stamp_ns=stamp)


def write_run(write, seconds=2.0):
    """A wrench at 1 kHz and an image at 20 Hz, of the same moments."""
    for number in range(int(seconds * 1000)):
        stamp = START + number * MILLISECOND
        if number % 50 == 0:
            write("/camera", image(number, stamp), stamp)
        write("/wrench", wrench(number, stamp), stamp)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    path = tmp_path_factory.mktemp("recorded") / "bag"
    with BagWriter(path) as writer:
        write_run(writer.write)
    return path


@pytest.fixture
def bag(recorded, tmp_path):
    return shutil.copytree(recorded, tmp_path / "bag")


def check_run(path):
    with BagReader(path) as reader:
        assert {name: (t.type_name, t.count) for name, t in reader.topics.items()} == {
            "/camera": ("sensor_msgs/msg/Image", 40),
            "/wrench": ("geometry_msgs/msg/WrenchStamped", 2000),
        }
        assert (reader.start_ns, reader.end_ns) == (START, START + 1999 * MILLISECOND)
        assert reader.duration == pytest.approx(1.999)
        stamps, forces = [], []
        for topic, stamp, message in reader.read():
            stamps.append(stamp)
            if topic == "/wrench":
                forces.append(message.wrench.force.x)
            else:
                number = (stamp - START) // MILLISECOND
                array = adapter("sensor_msgs/msg/Image").to_array(message, RGB)
                pixels = np.random.default_rng(number).integers(0, 256, (128, 128, 3), np.uint8)
                np.testing.assert_array_equal(array, pixels)
        assert forces == list(range(2000))
        assert stamps == sorted(stamps)


def test_written_bag_reads_back(bag):
    assert sorted(path.name for path in bag.iterdir()) == ["bag.mcap", "metadata.yaml"]
    assert not bag.with_name("bag.partial").exists()
    check_run(bag)
    check_run(bag / "bag.mcap")


@pytest.mark.parametrize(
    ("plugin", "compression", "version"),
    [
        (StoragePlugin.SQLITE3, CompressionMode.NONE, 9),
        (StoragePlugin.SQLITE3, CompressionMode.MESSAGE, 8),
        (StoragePlugin.SQLITE3, CompressionMode.FILE, 9),
        (StoragePlugin.MCAP, CompressionMode.NONE, 8),
        (StoragePlugin.MCAP, CompressionMode.STORAGE, 9),
        (StoragePlugin.MCAP, CompressionMode.MESSAGE, 8),
    ],
)
def test_bags_of_other_writers(tmp_path, version, plugin, compression):
    store = get_typestore(Stores.ROS2_HUMBLE)
    writer = Writer(tmp_path / "bag", version=version, storage_plugin=plugin)
    writer.set_compression(compression, CompressionFormat.ZSTD)
    with writer:
        connections = {}

        def write(topic, message, stamp):
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=store)
            writer.write(connections[topic], stamp, store.serialize_cdr(message, kind))

        write_run(write)
    check_run(tmp_path / "bag")


def test_bags_with_old_message_definitions(tmp_path):
    """A message as it was defined once is read by the definition that the bag carries."""
    old = get_typestore(Stores.EMPTY)
    old.register(get_types_from_msg("string name\nint32 number\n", "std_msgs/msg/Header"))
    kind = "std_msgs/msg/Header"
    message = old.types[kind](name="old", number=7)
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/old", kind, typestore=old)
        writer.write(connection, START, old.serialize_cdr(message, kind))
    with BagReader(tmp_path / "bag") as reader:
        ((_, _, read),) = reader.read()
    assert (read.name, read.number) == ("old", 7)


def test_selecting_topics_and_times(bag):
    with BagReader(bag) as reader:
        begin, end = START + 100 * MILLISECOND, START + 200 * MILLISECOND
        selected = list(reader.messages(["/camera"], begin, end))
        assert [stamp for _, _, stamp, _ in selected] == [begin, begin + 50 * MILLISECOND, end]
        assert list(reader.messages([])) == []
        with pytest.raises(BagError, match=r"no topic /nothing; it has /camera, /wrench"):
            reader.messages(["/nothing"])


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_who_stops_early_hears_of_no_damage(tmp_path, storage):
    with BagWriter(tmp_path / "bag", storage) as writer:
        write_run(writer.write)
    with BagReader(tmp_path / "bag") as reader:
        messages = reader.messages()
        next(messages)
    messages.close()


def test_messages_out_of_order_come_in_order(tmp_path):
    with BagWriter(tmp_path / "bag") as writer:
        for number in (5, 3, 4, 0, 2, 1):
            writer.write("/wrench", wrench(number, 1), START + number)
    with BagReader(tmp_path / "bag") as reader:
        assert [m.wrench.force.x for _, _, m in reader.read()] == [0, 1, 2, 3, 4, 5]


def test_serialised_messages(bag, tmp_path):
    with BagReader(bag) as reader, BagWriter(tmp_path / "copy") as writer:
        for topic, type_name, stamp, data in reader.messages():
            writer.write_raw(topic, type_name, data, stamp)
    assert writer.counts == {"/camera": 40, "/wrench": 2000}
    check_run(tmp_path / "copy")


def test_latched_topics(tmp_path):
    with BagWriter(tmp_path / "bag") as writer:
        writer.declare("/fixed", "geometry_msgs/msg/WrenchStamped", latched=True)
        writer.write("/fixed", wrench(1, 1), START)
        writer.write("/wrench", wrench(1, 1), START)
    for path in (tmp_path / "bag", tmp_path / "bag" / "bag.mcap"):
        with BagReader(path) as reader:
            assert {name: t.latched for name, t in reader.topics.items()} == {
                "/fixed": True,
                "/wrench": False,
            }


def test_own_message_types_come_from_the_workspace(tmp_path, monkeypatch):
    folder = tmp_path / "install" / "share" / "gripper_msgs" / "msg"
    folder.mkdir(parents=True)
    (folder / "Grip.msg").write_text("std_msgs/Header header\nFinger[2] fingers\n")
    (folder / "Finger.msg").write_text("float64 width  # metres\nstring<=10 name\n")
    with pytest.raises(ValueError, match=r"gripper_msgs/msg/Grip.*AMENT_PREFIX_PATH.*source"):
        define_for_bags("gripper_msgs/msg/Grip")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere{os.pathsep}{tmp_path / 'install'}")
    finger = bag_types("gripper_msgs/Finger")(width=0.01, name="left")
    header = make_message(
        bag_types,
        "std_msgs/msg/Header",
        stamp=make_message(bag_types, "builtin_interfaces/msg/Time", sec=1, nanosec=2),
        frame_id="hand",
    )
    grip = bag_types("gripper_msgs/msg/Grip")(header=header, fingers=[finger, finger])
    with BagWriter(tmp_path / "bag") as writer:
        writer.write("/grip", grip, START)
    with BagReader(tmp_path / "bag") as reader:
        ((_, _, read),) = reader.read()
    assert read.fingers[1].width == 0.01


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_was_recorded_survives(tmp_path, error):
    def record():
        with BagWriter(tmp_path / "bag") as writer:
            write_run(writer.write)
            raise error

    with pytest.raises(error):
        record()
    check_run(tmp_path / "bag")


def test_interrupts_anywhere_in_the_writing(tmp_path):
    """Ctrl-C between any two instructions leaves a bag without torn messages."""
    program = tmp_path / "write_for_ever.py"
    program.write_text(
        "import sys\n"
        "from smvae_ros.bags import BagWriter\n"
        "from smvae_ros.messages.types import bag_types, bag_typestore\n"
        "message = bag_types('std_msgs/msg/String')(data='x' * 2000)\n"
        "with BagWriter(sys.argv[1]) as writer:\n"
        "    print('writing', flush=True)\n"
        "    stamp = 0\n"
        "    while True:\n"
        "        writer.write('/text', message, stamp)\n"
        "        stamp += 1\n"
    )
    for attempt in range(3):
        path = tmp_path / f"bag{attempt}"
        with subprocess.Popen(
            [sys.executable, str(program), str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            try:
                assert process.stdout.readline() == "writing\n"
                with pytest.raises(subprocess.TimeoutExpired):
                    process.wait(0.05 + 0.1 * attempt)
                process.send_signal(2)
                process.wait(PATIENCE)
            finally:
                process.kill()
        with BagReader(path) as reader:
            stamps = [stamp for _, stamp, message in reader.read() if len(message.data) == 2000]
        assert stamps == list(range(len(stamps)))
        assert len(stamps) > 10


def test_a_bag_without_messages_is_not_left_behind(tmp_path, caplog):
    with BagWriter(tmp_path / "bag") as writer:
        writer.declare("/wrench", "geometry_msgs/msg/WrenchStamped")
    assert "nothing was written" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(bag):
    with pytest.raises(BagError, match=r"bag exists already; choose another name"):
        BagWriter(bag)
    bag.rename(bag.with_name("other.partial"))
    with pytest.raises(BagError, match=r"other\.partial is left of a recording that was killed"):
        BagWriter(bag.with_name("other"))


def test_what_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BagError, match="cannot write the bag"), BagWriter(tmp_path / "file" / "x"):
        pass
    with BagWriter(tmp_path / "bag") as writer:
        writer.write("/wrench", wrench(1, 1), START)
        with pytest.raises(BagError, match=r"/wrench holds geometry_msgs/msg/WrenchStamped"):
            writer.write("/wrench", image(1, 1), START)
        with pytest.raises(BagError, match="/odd cannot be written: message type odd_msgs/msg/Odd"):
            writer.write_raw("/odd", "odd_msgs/msg/Odd", b"", START)
        with pytest.raises(BagError, match="must not be negative"):
            writer.write("/wrench", wrench(1, 1), -1)
        broken = wrench(1, 1)
        broken.wrench.force.x = "strong"
        with pytest.raises(BagError, match="cannot be serialised"):
            writer.write("/wrench", broken, START)
        published = adapter("geometry_msgs/msg/WrenchStamped").to_message(
            np.zeros(6), FORCE, installed_types
        )
        with pytest.raises(BagError, match="make it with bag_types"):
            writer.write("/wrench", published, START)
    with BagReader(tmp_path / "bag") as reader:
        assert reader.topics["/wrench"].count == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_reported(tmp_path):
    def record():
        with BagWriter(tmp_path / "bag") as writer:
            writer._writer.storage.bio.close()
            writer._writer.storage.bio = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
            write_run(writer.write, 10.0)

    with pytest.raises(BagError, match=r"No space left.*\.partial"):
        record()
    assert not (tmp_path / "bag").exists()


def truncate(path, part):
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(int(size * part))


@pytest.mark.parametrize("part", [0.001, 0.5, 0.999])
def test_truncated_mcap(bag, part):
    truncate(bag / "bag.mcap", part)
    with pytest.raises(BagError, match=r"bag cannot be read: .*truncated.*smvae_ros recover"):
        BagReader(bag)


@pytest.mark.parametrize("part", [0.01, 0.5])
def test_truncated_sqlite3(tmp_path, part):
    store = get_typestore(Stores.LATEST)
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        kind = "geometry_msgs/msg/WrenchStamped"
        connection = writer.add_connection("/wrench", kind, typestore=store)
        for number in range(1000):
            writer.write(connection, START + number, store.serialize_cdr(wrench(number, 1), kind))
    truncate(next((tmp_path / "bag").glob("*.db3")), part)
    with (
        pytest.raises(BagError, match=r"cannot be read: .*truncated"),
        BagReader(tmp_path / "bag") as reader,
    ):
        list(reader.messages())


def test_damage_in_the_middle(bag):
    data = bytearray((bag / "bag.mcap").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 300_000] = bytes(300_000)
    (bag / "bag.mcap").write_bytes(data)
    with BagReader(bag) as reader, pytest.raises(BagError, match="cannot be read"):
        list(reader.messages())


def test_what_is_no_bag(tmp_path, bag):
    for path, complaint in (
        (tmp_path / "nothing", "there is no bag"),
        (tmp_path, "no metadata.yaml"),
        (tmp_path / "old.bag", "rosbags-convert"),
        (tmp_path / "log.h5", "give the folder of a rosbag2 bag"),
        (tmp_path / "foreign.mcap", "cannot be read"),
        (tmp_path / "foreign.db3", "cannot be read"),
    ):
        if path.suffix:
            path.write_bytes(b"something else" * 100)
        with pytest.raises(BagError, match=complaint):
            BagReader(path)
    (bag / "metadata.yaml").write_text("rosbag2_bagfile_information: 3\n")
    with pytest.raises(BagError, match="cannot be read"):
        BagReader(bag)
    (bag / "metadata.yaml").write_text("{")
    with pytest.raises(BagError, match="cannot be read"):
        BagReader(bag)
    (bag / "metadata.yaml").unlink()
    with pytest.raises(BagError, match=r"was not closed after recording; `ros2 run smvae"):
        BagReader(bag)


def test_a_bag_without_its_file(bag):
    (bag / "bag.mcap").unlink()
    with pytest.raises(BagError, match=r"missing: .*bag\.mcap"):
        BagReader(bag)


def test_an_empty_bag(tmp_path):
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP):
        pass
    with pytest.raises(BagError, match="holds no messages"):
        BagReader(tmp_path / "bag")


def test_messages_that_are_not_what_they_claim(tmp_path):
    with BagWriter(tmp_path / "bag") as writer:
        writer.write_raw("/wrench", "geometry_msgs/msg/WrenchStamped", b"\0\1\0\0abc", START)
    with BagReader(tmp_path / "bag") as reader:
        with pytest.raises(MessageError, match="no readable geometry_msgs/msg/WrenchStamped"):
            list(reader.read())
        with pytest.raises(MessageError, match="odd_msgs/msg/Odd"):
            reader.deserialise("odd_msgs/msg/Odd", b"")


def test_a_moved_bag_is_the_same_bag(bag, tmp_path):
    check_run(shutil.move(bag, tmp_path / "elsewhere"))
