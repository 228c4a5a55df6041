# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""One MCAP file (mcap.dev/spec), read whatever wrote it.

rosbags' reader wants the profile ``ros2``, schemas of ROS 2 only, and indexes; this one reads the
records themselves. (The library mcap reads the same files at 0.4 of the speed; one without an index
it holds in memory as a whole, and it ends where one is torn.) The summary at the end of a file is
believed where it agrees with itself. Otherwise the file is gone through once when it is opened, and
so is one that was not closed.
"""

from __future__ import annotations

import io
import struct
from array import array
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from rosbags.rosbag2 import ReaderError
from rosbags.rosbag2.storage_mcap import decompress

from smvae_ros.bags.errors import BagFileError, DamagedBagError
from smvae_ros.bags.storage import (
    Channel,
    Definition,
    Message,
    Part,
    PassOver,
    is_latched,
    normal_type_name,
)

MAGIC = b"\x89MCAP0\r\n"
RECORD = struct.Struct("<BQ")  # opcode, length of what follows
FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK = 0x02, 0x03, 0x04, 0x05, 0x06
CHUNK_INDEX, STATISTICS, DATA_END = 0x08, 0x0B, 0x0F
END = (
    RECORD.pack(DATA_END, 4) + bytes(4) + RECORD.pack(FOOTER, 20) + bytes(20) + MAGIC
)  # the shortest end there is, without summary

_FOOTER_SIZE = RECORD.size + 20 + len(MAGIC)
_MESSAGE = struct.Struct("<HIQQ")  # channel, sequence, log time, publish time
_CHUNK = struct.Struct("<QQQI")  # first and last time, size, checksum
_INDEX_HEADER = RECORD.size + 2 + 4  # of a message index: record, channel, length of its entries
_INDEX_ENTRY = 16
_COMPRESSIONS = ("", "lz4", "zstd")


class _Chunk(NamedTuple):
    """Place of a chunk.

    Attributes:
        start_ns: of its first message.
        end_ns: of its last message.
        offset: of its record's content in the file.
        length: of its record's content.
        counts: channel → messages in it.
    """

    start_ns: int
    end_ns: int
    offset: int
    length: int
    counts: dict[int, int]


class McapFile:
    """An open file; see :class:`smvae_ros.bags.storage.Storage`.

    Args:
        path: of the file.
        closed: whether it has to have an end. Without one it is read to its last whole record.

    Raises:
        BagFileError: where it is compressed in a way that cannot be read.
        DamagedBagError: where it is truncated or damaged.
    """

    def __init__(self, path: Path, closed: bool = True) -> None:
        self.path = path
        self._file = path.open("rb")
        self._closed = closed
        self._schemas: dict[int, tuple[str, Definition]] = {}
        self._channels: dict[int, Channel] = {}
        self._chunks: list[_Chunk] = []
        # Messages outside of chunks: times, channels, offsets and lengths of their data.
        self._bare = (array("Q"), array("H"), array("Q"), array("Q"))
        try:
            with self._damage():
                self._open()
        except BaseException:
            self._file.close()
            raise

    @contextmanager
    def _damage(self) -> Iterator[None]:
        """What is raised where records are not what they should be is an error of the file."""
        try:
            yield
        except (struct.error, ValueError) as error:
            raise DamagedBagError(self.path, error) from error

    def _open(self) -> None:
        end = data_end(self._file)
        if end is None and self._closed:
            raise DamagedBagError(self.path, "it has no end")
        if end is not None and self._read_summary():
            self._end = end
            return
        self._schemas.clear()
        self._channels.clear()
        self._chunks.clear()
        self._end = (record_ends(self._file) or [len(MAGIC)])[-1] if end is None else end
        try:
            # Who reads an unclosed file is told of its damage by scan().
            pass_over = None if self._closed else lambda _: None
            for _ in self._walk(lengths_only=True, pass_over=pass_over):
                pass
        except DamagedBagError:
            if self._closed:
                raise
        counts = Counter(self._bare[1])
        for chunk in self._chunks:
            counts.update(chunk.counts)
        parts = self.parts(counts.keys())
        self.start_ns = min((part.start_ns for part in parts), default=0)
        self.end_ns = max((part.end_ns for part in parts), default=-1)
        self._set_counts(counts)

    def _set_counts(self, counts: Counter[int]) -> None:
        self.channels = [
            replace(channel, count=counts[channel.number])
            for channel in sorted(self._channels.values(), key=lambda channel: channel.number)
        ]

    def _read_summary(self) -> bool:
        """Reads the end of the file; False where it is missing, or does not agree with itself."""
        self._file.seek(-_FOOTER_SIZE, 2)
        limit = self._file.tell()
        footer = self._file.read()
        (start,) = struct.unpack_from("<Q", footer, RECORD.size)
        if not len(MAGIC) <= start <= limit:
            return False
        self._file.seek(start)
        statistics: tuple[int, ...] | None = None
        counts: Counter[int] = Counter()
        content = self._file.read(limit - start)
        for opcode, begin, end in _records(content):
            record = io.BytesIO(content[begin:end])
            if opcode == SCHEMA:
                self._add_schema(record)
            elif opcode == CHANNEL:
                self._add_channel(record)
            elif opcode == CHUNK_INDEX:
                self._chunks.append(_read_chunk_index(record))
            elif opcode == STATISTICS:
                statistics = struct.unpack("<QHIIIIQQ", record.read(42))
                counts.update(dict(struct.iter_unpack("<HQ", _read_bytes(record))))
        if statistics is None:
            return False
        total, _, channels, _, _, chunks, self.start_ns, self.end_ns = statistics
        indexed: Counter[int] = Counter()
        for chunk in self._chunks:
            indexed.update(chunk.counts)
        if (channels, chunks) != (len(self._channels), len(self._chunks)) or +indexed != +counts:
            return False
        if not total:
            self.start_ns, self.end_ns = 0, -1
        self._set_counts(counts)
        return total == counts.total()

    def _add_schema(self, record: io.BytesIO) -> None:
        (number,) = struct.unpack("<H", record.read(2))
        name, encoding = _read_text(record), _read_text(record)
        text = _read_bytes(record).decode("utf-8", "replace")  # protobuf's is not text
        self._schemas[number] = (name, Definition(encoding, text))

    def _add_channel(self, record: io.BytesIO) -> None:
        number, schema = struct.unpack("<HH", record.read(4))
        topic, encoding = _read_text(record), _read_text(record)
        metadata = _read_bytes(record).decode("utf-8", "replace")
        name, definition = self._schemas.get(schema, ("", None))
        self._channels[number] = Channel(
            number,
            topic,
            normal_type_name(name),
            encoding,
            definition if definition is not None and definition.text.strip() else None,
            is_latched(metadata),
        )

    def _walk(
        self, lengths_only: bool = False, pass_over: PassOver | None = None
    ) -> Iterator[Message]:
        """The messages as they stand in the file; notes schemas, channels, and where messages lie.

        Args:
            lengths_only: leaves the data of messages outside of chunks in the file.
            pass_over: given what is wrong with a chunk, whose messages are then left out; None
                raises it.
        """
        with self._damage():
            yield from self._records_of_file(lengths_only, pass_over)

    def _records_of_file(self, lengths_only: bool, pass_over: PassOver | None) -> Iterator[Message]:
        place = len(MAGIC)
        while place + RECORD.size <= self._end:
            self._file.seek(place)
            opcode, length = RECORD.unpack(self._file.read(RECORD.size))
            begin, place = place + RECORD.size, place + RECORD.size + length
            if opcode == DATA_END:
                return
            if place > self._end:
                raise DamagedBagError(self.path, f"its record at {begin - RECORD.size} is cut off")
            if opcode == MESSAGE:
                number, _, stamp_ns, _ = _MESSAGE.unpack(self._read(min(length, _MESSAGE.size)))
                data = b"" if lengths_only else self._read(length - _MESSAGE.size)
                if lengths_only:
                    row = (stamp_ns, number, begin + _MESSAGE.size, length - _MESSAGE.size)
                    for column, value in zip(self._bare, row, strict=True):
                        column.append(value)
                yield number, stamp_ns, data
            elif opcode == CHUNK:
                try:
                    messages = self._walk_chunk(begin, length, note=lengths_only)
                except DamagedBagError as error:
                    if pass_over is None:
                        raise
                    pass_over(error.reason)
                    continue
                yield from messages
            elif opcode == SCHEMA:
                self._add_schema(io.BytesIO(self._read(length)))
            elif opcode == CHANNEL:
                self._add_channel(io.BytesIO(self._read(length)))

    def _walk_chunk(self, offset: int, length: int, note: bool) -> list[Message]:
        messages = []
        content = self._read_chunk(offset, length)
        with self._damage():
            for opcode, begin, end in _records(content):
                if opcode == MESSAGE:
                    messages.append(_message(content, begin, end))
                elif opcode == SCHEMA:
                    self._add_schema(io.BytesIO(content[begin:end]))
                elif opcode == CHANNEL:
                    self._add_channel(io.BytesIO(content[begin:end]))
        if note and messages:
            stamps = [stamp_ns for _, stamp_ns, _ in messages]
            counts = dict(Counter(number for number, _, _ in messages))
            self._chunks.append(_Chunk(min(stamps), max(stamps), offset, length, counts))
        return messages

    def _read(self, length: int) -> bytes:
        data = self._file.read(length)
        if len(data) != length:
            raise DamagedBagError(self.path, "it ends within a record")
        return data

    def _read_chunk(self, offset: int, length: int) -> bytes:
        """Content of a chunk, decompressed."""
        self._file.seek(offset)
        record = io.BytesIO(self._read(length))
        try:
            _, _, size, checksum = _CHUNK.unpack(record.read(_CHUNK.size))
            compression = _read_text(record)
            if compression not in _COMPRESSIONS:
                raise BagFileError(
                    self.path,
                    f"its chunks are compressed with {compression}",
                    "`mcap compress` makes a file with zstd of it",
                )
            (packed,) = struct.unpack("<Q", record.read(8))
            return decompress(record.read(packed), compression, size, checksum)
        except BagFileError:
            raise
        except Exception as error:  # the libraries raise anything on damaged data
            name = "" if isinstance(error, ReaderError) else f"{type(error).__name__}: "
            raise DamagedBagError(self.path, f"its chunk at {offset}: {name}{error}") from error

    def parts(self, numbers: Collection[int]) -> list[Part]:
        """See :class:`smvae_ros.bags.storage.Storage`: every chunk is one, and all messages outside
        of chunks together."""
        parts = [
            Part(chunk.start_ns, chunk.end_ns, partial(self._chunk_messages, chunk))
            for chunk in self._chunks
            if not chunk.counts.keys().isdisjoint(numbers)
        ]
        if self._bare[0]:
            parts.append(Part(min(self._bare[0]), max(self._bare[0]), self._bare_messages))
        return parts

    def _chunk_messages(
        self, chunk: _Chunk, numbers: Collection[int], start_ns: int, end_ns: int
    ) -> Iterator[Message]:
        messages = []
        content = self._read_chunk(chunk.offset, chunk.length)
        with self._damage():
            for opcode, begin, end in _records(content):
                if opcode == MESSAGE:
                    message = _message(content, begin, end)
                    if message[0] in numbers and start_ns <= message[1] <= end_ns:
                        messages.append(message)
        messages.sort(key=lambda message: message[1])
        yield from messages

    def _bare_messages(
        self, numbers: Collection[int], start_ns: int, end_ns: int
    ) -> Iterator[Message]:
        stamps, channels, offsets, lengths = (np.asarray(column) for column in self._bare)
        wanted = np.isin(channels, list(numbers)) & (stamps >= start_ns) & (stamps <= end_ns)
        (rows,) = np.nonzero(wanted)
        for row in rows[np.argsort(stamps[rows], kind="stable")]:
            self._file.seek(offsets[row])
            yield int(channels[row]), int(stamps[row]), self._read(int(lengths[row]))

    def scan(self, pass_over: PassOver) -> Iterator[Message]:
        """See :class:`smvae_ros.bags.storage.Storage`."""
        return self._walk(pass_over=pass_over)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def data_end(file: BinaryIO) -> int | None:
    """Where the end of a file's data begins to be looked for; None for a file that has no end."""
    size = file.seek(0, 2)
    if size < len(MAGIC) + _FOOTER_SIZE:
        return None
    file.seek(-_FOOTER_SIZE, 2)
    footer = file.read()
    whole = footer.startswith(RECORD.pack(FOOTER, 20)) and footer.endswith(MAGIC)
    return size - _FOOTER_SIZE if whole else None


def record_ends(file: BinaryIO) -> list[int]:
    """Where the whole records of an unclosed file's data end, from the first to the last."""
    size = _written(file, file.seek(0, 2))
    ends = []
    place = len(MAGIC)
    while place + RECORD.size <= size:
        file.seek(place)
        opcode, length = RECORD.unpack(file.read(RECORD.size))
        place += RECORD.size + length
        if opcode == DATA_END or place > size:  # the end of the data, torn
            break
        ends.append(place)
    return ends


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


def _message(content: bytes, begin: int, end: int) -> Message:
    if end - begin < _MESSAGE.size:
        raise ValueError(f"a message of {end - begin} bytes is too short")
    number, _, stamp_ns, _ = _MESSAGE.unpack_from(content, begin)
    return number, stamp_ns, content[begin + _MESSAGE.size : end]


def _records(content: bytes) -> Iterator[tuple[int, int, int]]:
    """(opcode, begin, end) of each record in ``content``."""
    place = 0
    while place + RECORD.size <= len(content):
        opcode, length = RECORD.unpack_from(content, place)
        begin = place + RECORD.size
        place = begin + length
        if place > len(content):
            raise ValueError(f"a record of {length} bytes is cut off")
        yield opcode, begin, place


def _read_chunk_index(record: io.BytesIO) -> _Chunk:
    start_ns, end_ns, offset, length = struct.unpack("<QQQQ", record.read(32))
    places = dict(struct.iter_unpack("<HQ", _read_bytes(record)))
    indexes = sorted((place, number) for number, place in places.items())
    (indexes_length,) = struct.unpack("<Q", record.read(8))
    # The message indexes follow the chunk one after another: their lengths tell their entries.
    ends = [*(place for place, _ in indexes[1:]), offset + length + indexes_length]
    counts = {
        number: (end - place - _INDEX_HEADER) // _INDEX_ENTRY
        for (place, number), end in zip(indexes, ends, strict=False)
    }
    return _Chunk(start_ns, end_ns, offset + RECORD.size, length - RECORD.size, counts)


def _read_bytes(record: io.BytesIO) -> bytes:
    (length,) = struct.unpack("<I", record.read(4))
    return record.read(length)


def _read_text(record: io.BytesIO) -> str:
    return _read_bytes(record).decode("utf-8", "replace")
