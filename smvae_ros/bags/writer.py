# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Writing rosbag2 bags without ROS, on rosbags."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.rosbag2.storage_mcap import McapWriter
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Writer

from smvae_ros.bags.definitions import text_and_hash
from smvae_ros.bags.errors import RECOVER, BagError
from smvae_ros.bags.files import PARTIAL, storage_files
from smvae_ros.bags.recovery import close_file
from smvae_ros.bags.storage import Definition, normal_type_name
from smvae_ros.messages.types import bag_typestore, define_for_bags, full_type_name

log = logging.getLogger(__name__)

QUEUE_SIZE = 64  # messages handed over, but not written yet
# What may be lost of a recording where its process is killed: so many seconds, and bytes.
FLUSH_PERIOD = 1.0
FLUSH_BYTES = 2**20
STORAGES = ("mcap", "sqlite3")

_LATCHED = Qos(
    history=QosHistory.KEEP_LAST,
    depth=1,
    reliability=QosReliability.RELIABLE,
    durability=QosDurability.TRANSIENT_LOCAL,
    deadline=QosTime(0, 0),
    lifespan=QosTime(0, 0),
    liveliness=QosLiveliness.SYSTEM_DEFAULT,
    liveliness_lease_duration=QosTime(0, 0),
    avoid_ros_namespace_conventions=False,
)


class _Sqlite3Writer(Sqlite3Writer):
    """rosbags' writer, but for the path: it puts it into a URI as it is, where # and ? end it."""

    def __init__(self, path: Path, compression: CompressionMode) -> None:
        self.path = path / f"{path.name}.db3"
        self.conn = sqlite3.connect(self.path)
        try:
            self.conn.executescript(self.SQLITE_SCHEMA)
        except sqlite3.Error:  # on a full disk
            self.conn.close()
            raise
        self.cursor = self.conn.cursor()


class _Writer(Writer):
    STORAGE_PLUGINS: ClassVar = {  # type: ignore[misc]  # which rosbags leaves undeclared
        **Writer.STORAGE_PLUGINS,
        StoragePlugin.SQLITE3: _Sqlite3Writer,
    }


class BagWriter:
    """Writes a new bag; a context manager.

    Until it is closed the bag lies in ``<path>.partial``, so that a half-written bag is never
    mistaken for a whole one. Leaving the context closes it in any case, after Ctrl-C or another
    exception too: what was written until then is kept under ``path``. A bag into which nothing was
    written is removed.

    A thread of its own does the writing: compression then delays nobody, and Ctrl-C, which
    interrupts the main thread anywhere, cannot tear a message apart.

    What is handed over is with the operating system about a second later; so that much is lost at
    most where the process is killed, and :mod:`smvae_ros.bags.recovery` reads the rest. Where the
    disk fills, all that was written before stays readable.

    Args:
        path: folder of the bag; it must not exist.
        storage: ``mcap``, in chunks compressed with zstd, or ``sqlite3``, which is all that ROS 2
            Humble reads without another package.

    Attributes:
        path: of the bag.
        counts: topic → number of messages handed over.

    Raises:
        BagError: where the folder exists or cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], storage: str = "mcap") -> None:
        self.path = Path(path)
        self.counts: dict[str, int] = {}
        self._partial = self.path.with_name(self.path.name + PARTIAL)
        if self.path.exists():
            raise BagError(f"{self.path} exists already; choose another name")
        if self._partial.exists():
            raise BagError(
                f"{self._partial} is left of a recording that was killed: "
                f"{RECOVER.format(self._partial)}. Then remove it, or choose another name"
            )
        self._declared: dict[str, tuple[str, bool, Definition | None]] = {}
        self._connections: dict[str, Connection] = {}
        # Of all queues only this one cannot be torn apart by a signal: one that is interrupted
        # between taking its lock and entering the block stays locked for ever (bpo-29988).
        self._queue: queue.SimpleQueue[tuple[str, int, bytes | memoryview] | None]
        self._queue = queue.SimpleQueue()
        self._opened: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
        self._error: Exception | None = None
        # The older version of the metadata is the one that every ROS 2 from Humble on can read.
        self._writer = _Writer(
            self._partial / self.path.name, version=8, storage_plugin=StoragePlugin[storage.upper()]
        )
        if storage == "mcap":
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        self._thread = threading.Thread(target=self._work, name=f"bag {self.path.name}")

    def __enter__(self) -> BagWriter:
        self._thread.start()
        try:
            error = self._opened.get()
        except BaseException:
            self._queue.put(None)
            raise
        if error is not None:
            raise BagError(
                f"cannot write the bag {self.path}: {error}; choose another folder"
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._queue.put(None)
        self._thread.join()
        self.check()
        if not self.counts:
            log.warning("nothing was written into %s; it is not kept", self.path)

    def declare(
        self,
        topic: str,
        type_name: str,
        latched: bool = False,
        definition: Definition | None = None,
    ) -> None:
        """Announces a topic; only needed for latched ones (see :class:`Topic`), and for types whose
        definition comes with them.

        Args:
            topic: its name.
            type_name: of its messages.
            latched: whether late subscribers got its last message.
            definition: of the type; by default the one that is known here.

        Raises:
            BagError: where the type's definition is not known, or the topic has another type.
        """
        if topic in self._declared:
            if self._declared[topic][0] not in (type_name, normal_type_name(type_name)):
                raise BagError(
                    f"topic {topic} holds {self._declared[topic][0]}, and cannot hold {type_name} "
                    "too; use another topic"
                )
            return
        if definition is None:
            try:
                type_name = full_type_name(type_name)
                define_for_bags(type_name)
            except ValueError as error:
                raise BagError(f"topic {topic} cannot be written: {error}") from error
        self._declared[topic] = (type_name, latched, definition)

    def write(self, topic: str, message: Any, stamp_ns: int) -> None:
        """Writes a message of rosbags' classes (see ``bag_types``).

        Args:
            topic: its name.
            message: what to write.
            stamp_ns: bag time in nanoseconds.

        Raises:
            BagError: where the message cannot be serialised, or an earlier one not be written.
        """
        type_name = getattr(message, "__msgtype__", None)
        if type_name is None:
            raise BagError(
                f"a message on {topic} is a {type(message)}; make it with bag_types, or hand it "
                "over serialised"
            )
        self.declare(topic, type_name)
        try:
            data = bag_typestore().serialize_cdr(message, type_name)
        except Exception as error:
            raise BagError(
                f"a message on {topic} cannot be serialised as {type_name}: {error}"
            ) from error
        self._put(topic, stamp_ns, data)

    def write_raw(
        self, topic: str, type_name: str, serialised: bytes | memoryview, stamp_ns: int
    ) -> None:
        """Writes a message that is already serialised (CDR).

        Raises:
            BagError: where the type's definition is not known, or an earlier message could not be
                written.
        """
        self.declare(topic, type_name)
        self._put(topic, stamp_ns, serialised)

    def _put(self, topic: str, stamp_ns: int, data: bytes | memoryview) -> None:
        if not 0 <= stamp_ns < 2**63:
            raise BagError(f"a message on {topic} has bag time {stamp_ns}; it must not be negative")
        while self._queue.qsize() >= QUEUE_SIZE:  # the disk is slower than who writes
            time.sleep(0.001)
        self.check()
        self._queue.put((topic, int(stamp_ns), data))
        self.counts[topic] = self.counts.get(topic, 0) + 1

    def check(self) -> None:
        """Raises BagError where an earlier message could not be written."""
        if self._error is not None:
            raise BagError(
                f"cannot write the bag {self.path}: {self._error}; what reached the disk before, "
                f"if anything, lies in {self._partial}: {RECOVER.format(self._partial)}"
            ) from self._error

    def _work(self) -> None:
        """Writes until None comes, then closes; after an error it only empties the queue."""
        try:
            self._partial.mkdir(parents=True)
            try:
                self._writer.open()  # here, since SQLite's connections stay in their thread
            except Exception:
                shutil.rmtree(self._partial, ignore_errors=True)  # nothing is in it yet
                raise
        except Exception as error:
            self._opened.put(error)
            return
        self._opened.put(None)
        flushed, waiting = time.monotonic(), 0
        while True:
            with contextlib.suppress(queue.Empty):
                entry = self._queue.get(timeout=FLUSH_PERIOD)
                if entry is None:
                    break
                self._attempt(self._write, *entry)
                waiting += len(entry[-1])
            if waiting > FLUSH_BYTES or time.monotonic() >= flushed + FLUSH_PERIOD:
                self._attempt(self._flush)
                flushed, waiting = time.monotonic(), 0
        self._attempt(self._close)

    def _attempt(self, work: Callable[..., None], *arguments: Any) -> None:
        """Does nothing after an error; the first leaves what was written before readable."""
        if self._error is not None:
            return
        try:
            work(*arguments)
        except Exception as error:  # raised to the one who writes, by check
            with contextlib.suppress(Exception):
                self._writer.abort()
            with contextlib.suppress(BagError):  # `recover` tries it again
                for file in storage_files(self._partial):
                    close_file(file)
            self._error = error

    def _write(self, topic: str, stamp_ns: int, data: bytes | memoryview) -> None:
        if topic not in self._connections:
            type_name, latched, definition = self._declared[topic]
            text, digest = text_and_hash(type_name, definition)
            self._connections[topic] = self._writer.add_connection(
                topic,
                type_name,
                msgdef=text,
                rihs01=digest,
                offered_qos_profiles=[_LATCHED] if latched else [],
            )
        self._writer.write(self._connections[topic], stamp_ns, data)

    def _flush(self) -> None:
        """Hands all messages to the operating system, so that they survive this process."""
        storage = self._writer.storage
        if isinstance(storage, McapWriter):
            if storage.chunk.bio.tell():
                storage.close_chunk()
            storage.bio.flush()
        elif isinstance(storage, Sqlite3Writer):
            storage.conn.commit()

    def _close(self) -> None:
        self._writer.close()
        if self.counts:
            os.replace(self._partial / self.path.name, self.path)
        shutil.rmtree(self._partial)
