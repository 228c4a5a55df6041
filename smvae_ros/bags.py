"""Reading and writing rosbag2 bags without ROS, on rosbags."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from smvae_ros.message_types import bag_typestore, full_type_name

log = logging.getLogger(__name__)


class BagError(RuntimeError):
    """A bag that cannot be read or written. Its text says what is wrong and what to do."""


class BagWriter:
    """Writes a new bag (mcap, chunks compressed with zstd); a context manager.

    Until it is closed the bag lies in ``<path>.partial``, so that a half-written bag is never
    mistaken for a whole one. Leaving the context closes it in any case, after Ctrl-C or another
    exception too: what was written until then is kept under ``path``. A bag into which nothing was
    written is removed.

    Args:
        path: folder of the bag; it must not exist.

    Raises:
        BagError: where it exists or cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.counts: dict[str, int] = {}
        self._partial = self.path.with_name(self.path.name + ".partial")
        for taken in (self.path, self._partial):
            if taken.exists():
                raise BagError(f"{taken} exists already; remove it or choose another name")
        self._connections: dict[tuple[str, str], Connection] = {}
        # Version 8 is what every ROS 2 from Humble on can read.
        self._writer = Writer(
            self._partial / self.path.name, version=8, storage_plugin=StoragePlugin.MCAP
        )
        self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)

    def __enter__(self) -> BagWriter:
        try:
            self._writer.open()
        except OSError as error:
            raise BagError(f"cannot write the bag {self.path}: {error}") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()
        if self.counts:
            os.replace(self._partial / self.path.name, self.path)
        else:
            log.warning("nothing was written into %s; it is not kept", self.path)
        shutil.rmtree(self._partial)

    def write(self, topic: str, message: Any, stamp_ns: int) -> None:
        """Writes a message of rosbags' classes (see ``bag_types``)."""
        type_name = message.__msgtype__
        data = bag_typestore().serialize_cdr(message, type_name)
        self.write_raw(topic, type_name, data, stamp_ns)

    def write_raw(
        self, topic: str, type_name: str, serialised: bytes | memoryview, stamp_ns: int
    ) -> None:
        """Writes a message that is already serialised (CDR).

        Raises:
            BagError: where the type's definition is not known.
        """
        type_name = full_type_name(type_name)
        key = (topic, type_name)
        if key not in self._connections:
            self._connections[key] = self._writer.add_connection(
                topic, type_name, typestore=bag_typestore()
            )
        self._writer.write(self._connections[key], stamp_ns, serialised)
        self.counts[topic] = self.counts.get(topic, 0) + 1
