# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""One recorded run as every kind of bag, and what the tools make of a bag."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from rosbags.rosbag2 import Reader

from bag_files import (
    QOS,
    Row,
    compress_file,
    compress_messages,
    create_tables,
    insert,
    mcap_bytes,
    write_mcap,
    write_metadata,
    write_sqlite,
)
from ros_processes import ros_environment, unique_domain_id
from small_bags import MS, START, small_messages
from smvae_core.inference.inference import Inference
from smvae_ros.bags import BagReader
from smvae_ros.bundled import model_path, parameters_path
from smvae_ros.messages.types import bag_typestore
from smvae_ros.offline.bag_posteriors import BagPosteriors, encode_bag
from smvae_ros.offline.log_writer import MODALITIES, convert_bag
from smvae_ros.parameters.configuration import read_values

STEPS = 6
WRENCH = "geometry_msgs/msg/WrenchStamped"


def _rows() -> list[Row]:
    rows = []
    for topic, message, stamp in small_messages(STEPS):
        kind = message.__msgtype__
        rows.append(Row(stamp, topic, kind, bytes(bag_typestore().serialize_cdr(message, kind))))
    return rows


ROWS = _rows()
FOREIGN = {
    "jsonschema": ("json", ("jsonschema", b'{"type": "object"}')),
    "protobuf": ("protobuf", ("protobuf", b"\x0a\xff\xfe\x80")),
    "ros1": ("ros1", ("ros1msg", b"string data")),
}


def changed(topic: str, **values: Any) -> list[Row]:
    """The run with other values of the rows of a topic."""
    return [replace(row, **values) if row.topic == topic else row for row in ROWS]


def beside(*rows: Row) -> list[Row]:
    """The run with further messages from its second step on."""
    late = [replace(row, stamp=START + 60 * MS) for row in rows]
    return sorted([*ROWS, *late], key=lambda row: row.stamp)


def foreign(name: str) -> Row:
    encoding, definition = FOREIGN[name]
    return Row(0, "/other", "acme.Event", b"{}" + bytes(20), encoding, definition)


def overlapping() -> tuple[list[Row], list[Row]]:
    """The run in two files, of which the second begins before the first ends."""
    middle = len(ROWS) // 2
    return [*ROWS[: middle - 20], *ROWS[middle : middle + 20]], [
        *ROWS[middle - 20 : middle],
        *ROWS[middle + 20 :],
    ]


def split(folder: Path) -> Path:
    for number, rows in enumerate(overlapping()):
        write_mcap(folder / f"run_{number}.mcap", rows)
    return write_metadata(folder, ["run_0.mcap", "run_1.mcap"], ROWS)


def split_sqlite(folder: Path) -> Path:
    for number, rows in enumerate(overlapping()):
        write_sqlite(folder / f"run_{number}.db3", rows)
    return write_metadata(folder, ["run/run_0.db3", "run/run_1.db3"], ROWS)


def numbered_first(folder: Path) -> Path:
    """Named as by rosbag2 of Lyrical and later."""
    names = [f"{number}_run_2026_06_01-09_30_00.mcap" for number in range(12)]
    size = -(-len(ROWS) // len(names))
    for number, name in enumerate(names):
        write_mcap(folder / name, ROWS[number * size : (number + 1) * size])
    return write_metadata(folder, names, ROWS)


def overlapping_chunks(folder: Path) -> Path:
    first, second = overlapping()
    return write_mcap(folder / "run.mcap", [*first, *second], chunk_rows=len(first))


def with_metadata(name: str, called: str = "", **options: Any) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        (write_mcap if name.endswith("mcap") else write_sqlite)(folder / name, ROWS)
        return write_metadata(folder, [called or name], ROWS, **options)

    return build


def compressed(name: str, *, metadata: bool, named: bool = True) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        path = (write_mcap if name.endswith("mcap") else write_sqlite)(folder / name, ROWS)
        path = compress_file(path)
        if not metadata:
            return path
        return write_metadata(folder, [path.name if named else name], ROWS, compression="FILE")

    return build


def compressed_messages(name: str, *, metadata: bool) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        rows = compress_messages(ROWS)
        path = (write_mcap if name.endswith("mcap") else write_sqlite)(folder / name, rows)
        if not metadata:
            return path
        return write_metadata(folder, [name], rows, compression="MESSAGE")

    return build


def mcap(rows: Sequence[Row] = ROWS, **options: Any) -> Callable[[Path], Path]:
    return lambda folder: write_mcap(folder / "run.mcap", rows, **options)


def database(rows: Sequence[Row] = ROWS, **options: Any) -> Callable[[Path], Path]:
    return lambda folder: write_sqlite(folder / "run.db3", rows, **options)


def named(name: str) -> Callable[[Path], Path]:
    return lambda folder: (write_mcap if name.endswith("mcap") else write_sqlite)(
        folder / name, ROWS
    )


def uncommitted(mode: str) -> Callable[[Path], Path]:
    """A database whose recorder was killed: what it wrote last lies in a second file (WAL), or
    what was there before does (a rollback journal)."""

    def build(folder: Path) -> Path:
        live = folder / "live"
        live.mkdir()
        writer = sqlite3.connect(live / "run.db3")
        writer.execute(f"PRAGMA journal_mode={mode}")
        writer.execute("PRAGMA wal_autocheckpoint=0")
        writer.execute("PRAGMA cache_size=1")  # pages go to the disk before they are committed
        create_tables(writer)
        insert(writer, ROWS)
        writer.commit()
        if mode == "DELETE":
            late = [replace(row, stamp=row.stamp + 10**9) for row in ROWS]
            writer.execute("DELETE FROM messages WHERE id < 100")
            insert_again(writer, late)
        killed = folder / "killed"
        killed.mkdir()
        for file in live.iterdir():
            shutil.copy(file, killed)
        assert len(list(killed.iterdir())) > 1
        writer.close()
        return killed / "run.db3"

    return build


def insert_again(writer: sqlite3.Connection, rows: Sequence[Row]) -> None:
    writer.executemany(
        "INSERT INTO messages(topic_id, timestamp, data) VALUES (1, ?, ?)",
        [(row.stamp, row.data) for row in rows],
    )


def idl(text: str) -> tuple[str, bytes]:
    return "ros2idl", text.encode()


def _idl_part(package: str, name: str, fields: str, *includes: str) -> str:
    lines = "".join(f'#include "{include}.idl"\n' for include in includes)
    return (
        f"{'=' * 80}\nIDL: {package}/msg/{name}\n{lines}"
        f"module {package} {{ module msg {{ struct {name} {{ {fields} }}; }}; }};\n"
    )


WRENCH_IDL = (
    _idl_part(
        "geometry_msgs",
        "WrenchStamped",
        "std_msgs::msg::Header header; geometry_msgs::msg::Wrench wrench;",
        "std_msgs/msg/Header",
        "geometry_msgs/msg/Wrench",
    )
    + _idl_part(
        "geometry_msgs",
        "Wrench",
        "geometry_msgs::msg::Vector3 force; geometry_msgs::msg::Vector3 torque;",
        "geometry_msgs/msg/Vector3",
    )
    + _idl_part("geometry_msgs", "Vector3", "double x; double y; double z;")
    + _idl_part(
        "std_msgs",
        "Header",
        "builtin_interfaces::msg::Time stamp; string frame_id;",
        "builtin_interfaces/msg/Time",
    )
    + _idl_part("builtin_interfaces", "Time", "int32 sec; uint32 nanosec;")
)
GRIPPER = Row(
    0,
    "/gripper",
    "acme_msgs/msg/Gripper",
    b"\0\1\0\0" + bytes(9),
    definition=("ros2msg", b"float64 width\nbool closed\n"),
)
UNDEFINED = replace(GRIPPER, definition=("unknown", b""))
STRING = Row(0, "/action", "std_msgs/msg/String", b"\0\1\0\0\2\0\0\0a\0")

OLD_NAMES = [
    Row(
        row.stamp,
        row.topic,
        row.type_name.replace("/msg/", "/"),
        row.data,
        definition=row.defined(),
    )
    for row in ROWS
]

WHOLE: dict[str, Callable[[Path], Path]] = {
    "mcap": mcap(),
    "sqlite": database(),
    "metadata": with_metadata("run.mcap"),
    "split with overlap": split,
    "split sqlite with overlap": split_sqlite,
    "split with numbers first": numbered_first,
    "overlapping chunks": overlapping_chunks,
    "other QoS in metadata": with_metadata("run.mcap", qos=QOS.format(2, 2)),
    "other QoS in metadata, sqlite": with_metadata("run.db3", qos=QOS.format(2, 2)),
    "no message index": mcap(message_index=False),
    "no chunk index": mcap(chunk_index=False),
    "no statistics": mcap(statistics=False),
    "no summary": mcap(summary=False),
    "no chunks": mcap(chunk_rows=0),
    "no chunks, out of order": mcap(ROWS[::-1], chunk_rows=0, summary=False),
    "lz4": mcap(compression="lz4"),
    "zstd": mcap(compression="zstd"),
    "no profile": mcap(profile=""),
    "other profile": mcap(profile="acme"),
    "several channels of a topic": mcap(
        [replace(row, qos=QOS.format(1 + number % 2, 2)) for number, row in enumerate(ROWS)]
    ),
    "definitions in IDL": mcap(changed("/wrench", definition=idl(WRENCH_IDL))),
    "old type names": mcap(OLD_NAMES),
    "old type names, sqlite": database(OLD_NAMES, version=2),
    "sqlite without definitions": database(version=2),
    "sqlite without QoS": database(version=1),
    "empty definitions": database([replace(row, definition=("", b"")) for row in ROWS]),
    "file compressed": compressed("run.mcap", metadata=True),
    "file compressed, sqlite": compressed("run.db3", metadata=True),
    "file compressed, without its name": compressed("run.mcap", metadata=True, named=False),
    "file not compressed yet": with_metadata("run.mcap", "run.mcap.zstd", compression="FILE"),
    "file compressed, file alone": compressed("run.mcap", metadata=False),
    "file compressed, sqlite alone": compressed("run.db3", metadata=False),
    "messages compressed": compressed_messages("run.mcap", metadata=True),
    "messages compressed, sqlite": compressed_messages("run.db3", metadata=True),
    "messages compressed, file alone": compressed_messages("run.mcap", metadata=False),
    "messages compressed, sqlite alone": compressed_messages("run.db3", metadata=False),
    "write-ahead log": uncommitted("WAL"),
    "rollback journal": uncommitted("DELETE"),
    "a strange name": named("a #1? 100% é&=;.mcap"),
    "a strange name, sqlite": named("a #1? 100% é&=;.db3"),
}


def without_metadata(*names: str) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        for name, rows in zip(names, overlapping(), strict=True):
            plain = name.removesuffix(".zstd")
            write = write_mcap if plain.endswith("mcap") else write_sqlite
            path = write(folder / plain, rows)
            if plain != name:
                compress_file(path)
        return folder

    return build


def not_closed(folder: Path) -> Path:
    """A killed recorder's second file has no end."""
    first, second = overlapping()
    write_mcap(folder / "run_0.mcap", first)
    (folder / "run_1.mcap").write_bytes(mcap_bytes(second, closed=False) + b"\x05torn")
    return folder


def not_closed_sqlite(folder: Path) -> Path:
    return uncommitted("WAL")(folder).parent


def compressed_by_halves(folder: Path) -> Path:
    """The recorder was killed while it compressed a file."""
    path = write_mcap(folder / "run.mcap", ROWS)
    path.with_name("run.mcap.zstd").write_bytes(compress_file(path).read_bytes() + b"\x28\xb5\x2f")
    return folder


BROKEN: dict[str, Callable[[Path], Path]] = {
    "no metadata": without_metadata("run_0.mcap", "run_1.mcap"),
    "no metadata, sqlite": without_metadata("run_0.db3", "run_1.db3"),
    "no metadata, compressed": without_metadata("run_0.mcap.zstd", "run_1.mcap.zstd"),
    "no metadata, compressed sqlite": without_metadata("run_0.db3.zstd", "run_1.db3.zstd"),
    "not closed": not_closed,
    "not closed, sqlite": not_closed_sqlite,
    "compressed by halves": compressed_by_halves,
}


@cache
def model() -> Inference:
    return Inference.load(model_path(), "cpu")


def evaluate(path: Path) -> BagPosteriors:
    values = read_values(parameters_path(), model().modalities.values())
    return encode_bag(path, model(), values)


def convert(path: Path, folder: Path) -> dict[str, np.ndarray]:
    values = read_values(parameters_path(), MODALITIES.values())
    (file,) = convert_bag(path, folder / "logs", values).files
    with h5py.File(file, "r") as opened:
        return {key: opened[key][:] for key in opened}


def read(path: Path) -> list[tuple[int, str, str, bytes]]:
    with BagReader(path) as reader:
        return [(stamp, topic, kind, data) for topic, kind, stamp, data in reader.messages()]


def read_as_it_stands(path: Path) -> list[tuple[int, str, str, bytes]]:
    """By another reader, which does not decompress what the bag does not say to be compressed."""
    with Reader(path) as reader:
        return [(stamp, c.topic, c.msgtype, data) for c, stamp, data in reader.messages()]


def replayed(path: Path, node: Any, **options: Any) -> list[tuple[str, int]]:
    from smvae_ros.bags.replayer import Replayer

    published: list[tuple[str, int]] = []
    with BagReader(path) as reader:
        replayer = Replayer(node, reader, rate=20.0, **options)
        replayer.run(threading.Event(), lambda topic, stamp, _: published.append((topic, stamp)))
    return published


def in_order(rows: Sequence[Row]) -> list[tuple[int, str, str, bytes]]:
    return [(row.stamp, row.topic, row.type_name, row.data) for row in rows]


def check_messages(found: Sequence[tuple[int, str, str, bytes]], rows: Sequence[Row]) -> None:
    """All are there, with the times of the bag in their order."""
    assert [stamp for stamp, *_ in found] == sorted(row.stamp for row in rows)
    assert Counter(found) == Counter(in_order(rows))


@contextmanager
def lone_node() -> Iterator[Any]:
    """A node in this process, alone in its domain."""
    rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy)")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ros_environment(unique_domain_id()).items():
            patch.setenv(name, value)
        context = rclpy.Context()
        rclpy.init(context=context)
        node = rclpy.create_node("corpus", context=context)
        yield node
        node.destroy_node()
        rclpy.shutdown(context=context)
