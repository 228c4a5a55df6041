"""Writing rosbag2 bags without ROS, on rosbags."""

from __future__ import annotations

import logging
import os
import queue
import shutil
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

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

from smvae_ros.bags.reader import BagError
from smvae_ros.messages.types import bag_typestore, define_for_bags, full_type_name

log = logging.getLogger(__name__)

QUEUE_SIZE = 64  # messages handed over, but not written yet

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


class BagWriter:
    """Writes a new bag (mcap, chunks compressed with zstd); a context manager.

    Until it is closed the bag lies in ``<path>.partial``, so that a half-written bag is never
    mistaken for a whole one. Leaving the context closes it in any case, after Ctrl-C or another
    exception too: what was written until then is kept under ``path``. A bag into which nothing was
    written is removed.

    A thread of its own does the writing: compression then delays nobody, and Ctrl-C, which
    interrupts the main thread anywhere, cannot tear a message apart.

    Args:
        path: folder of the bag; it must not exist.

    Attributes:
        path: of the bag.
        counts: topic → number of messages handed over.

    Raises:
        BagError: where the folder exists or cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.counts: dict[str, int] = {}
        self._partial = self.path.with_name(self.path.name + ".partial")
        if self.path.exists():
            raise BagError(f"{self.path} exists already; remove it or choose another name")
        if self._partial.exists():
            raise BagError(
                f"{self._partial} is left of a recording that was killed; save what it holds with "
                "`mcap recover`, or remove it"
            )
        self._declared: dict[str, tuple[str, bool]] = {}
        # Of all queues only this one cannot be torn apart by a signal: one that is interrupted
        # between taking its lock and entering the block stays locked for ever (bpo-29988).
        self._queue: queue.SimpleQueue[tuple[str, int, bytes | memoryview] | None]
        self._queue = queue.SimpleQueue()
        self._error: Exception | None = None
        # The older version of the metadata is the one that every ROS 2 from Humble on can read.
        self._writer = Writer(
            self._partial / self.path.name, version=8, storage_plugin=StoragePlugin.MCAP
        )
        self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        self._thread = threading.Thread(target=self._work, name=f"bag {self.path.name}")

    def __enter__(self) -> BagWriter:
        try:
            self._writer.open()
        except OSError as error:
            raise BagError(
                f"cannot write the bag {self.path}: {error}; choose another folder"
            ) from error
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._queue.put(None)
        self._thread.join()
        self._raise_error()
        if not self.counts:
            log.warning("nothing was written into %s; it is not kept", self.path)

    def declare(self, topic: str, type_name: str, latched: bool = False) -> None:
        """Announces a topic; only needed for latched ones (see :class:`Topic`).

        Raises:
            BagError: where the type's definition is not known, or the topic has another type.
        """
        type_name = full_type_name(type_name)
        if topic in self._declared:
            if self._declared[topic][0] != type_name:
                raise BagError(
                    f"topic {topic} holds {self._declared[topic][0]}, and cannot hold {type_name} "
                    "too; use another topic"
                )
            return
        try:
            define_for_bags(type_name)
        except ValueError as error:
            raise BagError(f"topic {topic} cannot be written: {error}") from error
        self._declared[topic] = (type_name, latched)

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
        self._raise_error()
        self._queue.put((topic, int(stamp_ns), data))
        self.counts[topic] = self.counts.get(topic, 0) + 1

    def _raise_error(self) -> None:
        if self._error is not None:
            raise BagError(
                f"cannot write the bag {self.path}: {self._error}; what was written lies in "
                f"{self._partial}, save it with `mcap recover`"
            ) from self._error

    def _work(self) -> None:
        """Writes until None comes, then closes; after an error it only empties the queue."""
        connections: dict[str, Connection] = {}
        while (entry := self._queue.get()) is not None:
            if self._error is not None:
                continue
            topic, stamp_ns, data = entry
            try:
                if topic not in connections:
                    type_name, latched = self._declared[topic]
                    connections[topic] = self._writer.add_connection(
                        topic,
                        type_name,
                        typestore=bag_typestore(),
                        offered_qos_profiles=[_LATCHED] if latched else [],
                    )
                self._writer.write(connections[topic], stamp_ns, data)
            except Exception as error:  # raised to the one who writes, by _raise_error
                self._error = error
        try:
            if self._error is None:
                self._close()
        except Exception as error:
            self._error = error

    def _close(self) -> None:
        self._writer.close()
        if self.counts:
            os.replace(self._partial / self.path.name, self.path)
        shutil.rmtree(self._partial)
