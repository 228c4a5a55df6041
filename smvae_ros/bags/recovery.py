"""Bags whose recording was cut short, by ``kill -9`` or a full disk: what was written is readable.

An MCAP file that was not closed lacks its footer, without which no program reads it, but all that
stands before is a row of whole records (mcap.dev/spec). It is cut after the last of them and given
the shortest footer there is, one without an index. SQLite takes back by itself what was never
committed.
"""

from __future__ import annotations

import errno
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from rosbags.rosbag2.storage_mcap import McapReader
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Reader

from smvae_ros.bags.reader import BagError, is_latched, storage_files

MAGIC = b"\x89MCAP0\r\n"
_DATA_END = struct.pack("<BQI", 0x0F, 4, 0)
_FOOTER = struct.pack("<BQQQI", 0x02, 20, 0, 0, 0)
END = _DATA_END + _FOOTER + MAGIC
_RECORD = struct.Struct("<BQ")  # opcode, length of what follows


def close_file(path: Path) -> None:
    """Makes a file readable that a recording left open; a whole one stays as it is.

    Raises:
        BagError: where it is no bag's file, or holds nothing that is whole.
    """
    try:
        if path.suffix == ".mcap":
            with path.open("r+b", buffering=0) as file:
                _close_mcap(file)
        else:
            with closing(sqlite3.connect(path)) as database:  # rolls back what was not committed
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                database.execute("SELECT count(*) FROM messages")
    except (OSError, ValueError, sqlite3.Error) as error:
        raise BagError(f"{path} cannot be recovered: {error}") from error


def recovered_messages(path: Path) -> Iterator[tuple[str, str, bool, int, bytes]]:
    """Closes the files of a bag, if need be, and reads them from their beginning to their end.

    Args:
        path: of a bag's folder, of the ``.partial`` one of a recording, or of one file.

    Yields:
        (topic, type name, whether it is latched, bag time in nanoseconds, serialised message), not
        always in the order of bag times.

    Raises:
        BagError: where there is no bag, or its files cannot be read.
    """
    files = storage_files(path)
    if not files:
        raise BagError(f"{path} holds no .mcap or .db3 file; check the path")
    for file in files:
        close_file(file)
        reader = McapReader(file) if file.suffix == ".mcap" else Sqlite3Reader(file)
        try:
            reader.open()
            # rosbags reads files without an index only if times never run backwards; clocks do.
            read = reader.messages_scan if isinstance(reader, McapReader) else reader.messages
            for connection, stamp, data in read(reader.connections):
                yield connection.topic, connection.msgtype, is_latched(connection), stamp, data
            reader.close()
        except Exception as error:  # rosbags lets pass what its libraries raise on damaged files
            raise BagError(
                f"{file} cannot be read further ({type(error).__name__}: {error}); it is damaged"
            ) from error


def _close_mcap(file: BinaryIO) -> None:
    ends = _record_ends(file)
    if not ends:
        return
    while ends:  # where the disk is full, one record more makes room
        end = ends.pop()
        file.truncate(end)
        file.seek(end)
        try:
            if file.write(END) == len(END):
                return
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
    raise OSError(errno.ENOSPC, "there is no room for the end of the file; free some")


def _written(file: BinaryIO, size: int) -> int:
    """The size without zeros at the end: after a crash they stand for what was never written, and
    would pass for the rest of a torn record."""
    while size:
        block = min(size, 2**16)
        file.seek(size - block)
        rest = file.read(block).rstrip(b"\0")
        size -= block - len(rest)
        if rest:
            break
    return size


def _record_ends(file: BinaryIO) -> list[int]:
    """Where the whole records of the data section end; empty for a file that was closed.

    Raises:
        ValueError: where there is none.
    """
    size = file.seek(0, 2)
    file.seek(0)
    if file.read(len(MAGIC)) != MAGIC:
        raise ValueError("it is no MCAP file")
    if size >= len(END):
        file.seek(-len(MAGIC), 2)
        if file.read() == MAGIC:
            return []
    size = _written(file, size)
    ends = []
    place = len(MAGIC)
    while place + _RECORD.size <= size:
        file.seek(place)
        opcode, length = _RECORD.unpack(file.read(_RECORD.size))
        place += _RECORD.size + length
        if opcode == 0x0F or place > size:  # the end of the data, torn
            break
        ends.append(place)
    if not ends:
        raise ValueError("it holds no whole record")
    return ends
