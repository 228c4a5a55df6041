# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Bags byte by byte, as other recorders, options and versions write them.

Only for tests: nothing of it knows how the package reads.
"""

from __future__ import annotations

import json
import sqlite3
import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import lz4.frame
from rosbags.rosbag2.reader import zstd

from smvae_ros.messages.types import bag_typestore

MAGIC = b"\x89MCAP0\r\n"
QOS = "- history: 3\n  depth: 0\n  reliability: {}\n  durability: {}\n  deadline:\n    sec: 0\n"
QOS += "    nsec: 0\n  lifespan:\n    sec: 0\n    nsec: 0\n  liveliness: 1\n"
QOS += "  liveliness_lease_duration:\n    sec: 0\n    nsec: 0\n"
QOS += "  avoid_ros_namespace_conventions: false"


@dataclass(frozen=True)
class Row:
    """One recorded message.

    Attributes:
        stamp: bag time in nanoseconds.
        topic: its name.
        type_name: as the file spells it; empty for none.
        data: as it is recorded.
        encoding: of the message.
        definition: (encoding, text) of its type; rosbags' by default.
        qos: offered; further channels are made for further ones.
    """

    stamp: int
    topic: str
    type_name: str
    data: bytes
    encoding: str = "cdr"
    definition: tuple[str, bytes] | None = None
    qos: str = QOS.format(1, 2)

    @property
    def channel(self) -> tuple[str, str, str, str]:
        return self.topic, self.type_name, self.encoding, self.qos

    def defined(self) -> tuple[str, bytes]:
        if self.definition is not None:
            return self.definition
        text, _ = bag_typestore().generate_msgdef(self.type_name, ros_version=2)
        return "ros2msg", text.encode()


def _record(opcode: int, content: bytes) -> bytes:
    return struct.pack("<BQ", opcode, len(content)) + content


def _text(text: str | bytes) -> bytes:
    content = text.encode() if isinstance(text, str) else text
    return struct.pack("<I", len(content)) + content


def mcap_bytes(
    rows: Sequence[Row],
    *,
    profile: str = "ros2",
    compression: str = "",
    chunk_rows: int = 50,
    message_index: bool = True,
    chunk_index: bool = True,
    statistics: bool = True,
    summary: bool = True,
    closed: bool = True,
) -> bytes:
    """An MCAP file (mcap.dev/spec). ``chunk_rows`` of 0 writes messages without chunks; ``closed``
    False ends after the last message, as where the recorder was killed."""
    schemas: dict[tuple[str, tuple[str, bytes]], int] = {}
    channels: dict[tuple[str, str, str, str], int] = {}
    described: list[bytes] = []
    counts: Counter[int] = Counter()
    file = MAGIC + _record(0x01, _text(profile) + _text("by hand"))
    indexes: list[bytes] = []

    def describe(row: Row) -> bytes:
        """Records of schema and channel where a row is the first that needs them."""
        if row.channel in channels:
            return b""
        new, schema = b"", 0
        if row.type_name:
            key = (row.type_name, row.defined())
            if key not in schemas:
                schemas[key] = len(schemas) + 1
                number = struct.pack("<H", schemas[key])
                content = number + _text(key[0]) + _text(key[1][0]) + _text(key[1][1])
                new += _record(0x03, content)
            schema = schemas[key]
        channels[row.channel] = len(channels) + 1
        metadata = _text("offered_qos_profiles") + _text(row.qos)
        numbers = struct.pack("<HH", channels[row.channel], schema)
        new += _record(0x04, numbers + _text(row.topic) + _text(row.encoding) + _text(metadata))
        described.append(new)
        return new

    def message(row: Row) -> bytes:
        number = channels[row.channel]
        counts[number] += 1
        return _record(0x05, struct.pack("<HIQQ", number, 0, row.stamp, row.stamp) + row.data)

    for begin in range(0, len(rows), chunk_rows or len(rows)):
        group = rows[begin : begin + (chunk_rows or len(rows))]
        content, entries = b"", {}
        for row in group:
            content += describe(row)
            entries.setdefault(channels[row.channel], []).append((row.stamp, len(content)))
            content += message(row)
        if not chunk_rows:
            file += content
            continue
        packed = {"": bytes, "lz4": lz4.frame.compress, "zstd": zstd.compress}[compression](content)
        times = struct.pack("<QQ", min(r.stamp for r in group), max(r.stamp for r in group))
        chunk = times + struct.pack("<QI", len(content), zlib.crc32(content)) + _text(compression)
        start = len(file)
        file += _record(0x06, chunk + struct.pack("<Q", len(packed)) + packed)
        end, places = len(file), b""
        for number, stamps in entries.items() if message_index else ():
            places += struct.pack("<HQ", number, len(file))
            content_index = b"".join(struct.pack("<QQ", *entry) for entry in stamps)
            file += _record(0x07, struct.pack("<H", number) + _text(content_index))
        indexes.append(
            times
            + struct.pack("<QQ", start, end - start)
            + _text(places)
            + struct.pack("<Q", len(file) - end)
            + _text(compression)
            + struct.pack("<QQ", len(packed), len(content))
        )
    if not closed:
        return file
    file += _record(0x0F, bytes(4))
    summary_start = len(file) if summary else 0
    if summary:
        file += b"".join(described)
        if chunk_index:
            file += b"".join(_record(0x08, index) for index in indexes)
        if statistics:
            stamps = [row.stamp for row in rows] or [0]
            numbers = (len(rows), len(schemas), len(channels), 0, 0, len(indexes))
            content = struct.pack("<QHIIIIQQ", *numbers, min(stamps), max(stamps))
            per_channel = b"".join(struct.pack("<HQ", *entry) for entry in counts.items())
            file += _record(0x0B, content + _text(per_channel))
    return file + _record(0x02, struct.pack("<QQI", summary_start, 0, 0)) + MAGIC


def write_mcap(path: Path, rows: Sequence[Row], **options: object) -> Path:
    path.write_bytes(mcap_bytes(rows, **options))
    return path


def write_sqlite(path: Path, rows: Iterable[Row], *, version: int = 4) -> Path:
    """A rosbag2 database; before version 4 there were no definitions in it, before 2 no QoS."""
    database = sqlite3.connect(path)
    create_tables(database, version)
    insert(database, rows, version)
    database.commit()
    database.close()
    return path


def create_tables(database: sqlite3.Connection, version: int = 4) -> None:
    later = ", offered_qos_profiles TEXT NOT NULL" if version >= 2 else ""
    later += ", type_description_hash TEXT NOT NULL" if version >= 4 else ""
    tables = f"""
        CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL,
            serialization_format TEXT NOT NULL{later});
        CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL,
            timestamp INTEGER NOT NULL, data BLOB NOT NULL);
        CREATE INDEX timestamp_idx ON messages (timestamp ASC);
    """
    if version >= 4:
        tables += """
        CREATE TABLE schema(schema_version INTEGER PRIMARY KEY, ros_distro TEXT NOT NULL);
        INSERT INTO schema VALUES (4, 'jazzy');
        CREATE TABLE message_definitions(id INTEGER PRIMARY KEY, topic_type TEXT NOT NULL,
            encoding TEXT NOT NULL, encoded_message_definition TEXT NOT NULL,
            type_description_hash TEXT NOT NULL);
        """
    database.executescript(tables)


def insert(database: sqlite3.Connection, rows: Iterable[Row], version: int = 4) -> None:
    topics: dict[tuple[str, str, str, str], int] = {}
    defined: set[str] = set()
    for row in rows:
        if row.channel not in topics:
            topics[row.channel] = len(topics) + 1
            values = [topics[row.channel], row.topic, row.type_name, row.encoding]
            values += [row.qos] * (version >= 2) + [""] * (version >= 4)
            marks = ",".join("?" for _ in values)
            database.execute(f"INSERT OR IGNORE INTO topics VALUES ({marks})", values)
        if version >= 4 and row.type_name not in defined:
            defined.add(row.type_name)
            encoding, text = row.defined()
            database.execute(
                "INSERT INTO message_definitions(topic_type, encoding, encoded_message_definition,"
                " type_description_hash) VALUES (?, ?, ?, '')",
                (row.type_name, encoding, text.decode()),
            )
        database.execute(
            "INSERT INTO messages(topic_id, timestamp, data) VALUES (?, ?, ?)",
            (topics[row.channel], row.stamp, row.data),
        )


def write_metadata(
    folder: Path,
    files: Sequence[str],
    rows: Sequence[Row],
    *,
    qos: str | None = None,
    compression: str = "",
    counted: int = 1,
) -> Path:
    """metadata.yaml beside the files; ``counted`` times as many messages as there are."""
    stamps = [row.stamp for row in rows]
    counts = Counter((row.topic, row.type_name, row.encoding) for row in rows)
    profiles = {row.topic: row.qos for row in rows}
    described = {
        "version": 8,
        "storage_identifier": "mcap",
        "relative_file_paths": list(files),
        "duration": {"nanoseconds": max(stamps) - min(stamps)},
        "starting_time": {"nanoseconds_since_epoch": min(stamps)},
        "message_count": len(rows) * counted,
        "topics_with_message_count": [
            {
                "topic_metadata": {
                    "name": topic,
                    "type": type_name,
                    "serialization_format": encoding,
                    "offered_qos_profiles": profiles[topic] if qos is None else qos,
                },
                "message_count": count * counted,
            }
            for (topic, type_name, encoding), count in counts.items()
        ],
        "compression_format": "zstd" if compression else "",
        "compression_mode": compression,
    }
    text = json.dumps({"rosbag2_bagfile_information": described})  # which is YAML, too
    (folder / "metadata.yaml").write_text(text)
    return folder


def compress_file(path: Path) -> Path:
    """Replaces a file by NAME.zstd."""
    compressed = path.with_name(path.name + ".zstd")
    compressed.write_bytes(zstd.compress(path.read_bytes()))
    path.unlink()
    return compressed


def compress_messages(rows: Iterable[Row]) -> list[Row]:
    return [Row(**{**vars(row), "data": zstd.compress(row.data)}) for row in rows]
