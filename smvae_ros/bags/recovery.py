# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Bags whose recording was cut short, by ``kill -9`` or a full disk: what was written is readable.

An MCAP file that was not closed lacks its footer, without which no program reads it, but all that
stands before is a row of whole records (mcap.dev/spec). SQLite takes back by itself what was never
committed.
"""

from __future__ import annotations

import errno
import logging
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import BinaryIO

from smvae_core.words import counted
from smvae_ros.bags.compression import as_cdr
from smvae_ros.bags.errors import BagError, BagFileError
from smvae_ros.bags.files import missing, open_storage, storage_files
from smvae_ros.bags.mcap import END, MAGIC, data_end, record_ends
from smvae_ros.bags.sqlite import close_sqlite
from smvae_ros.bags.storage import Definition, Storage
from smvae_ros.bags.topics import Topic, group_topics
from smvae_ros.messages.types import define_for_bags

log = logging.getLogger(__name__)


class RecoveredBag:
    """What can be read of a bag, whole or not; a context manager. The bag stays as it is.

    Args:
        path: of a bag's folder, of the ``.partial`` one of a recording, or of one file.
        types: topic → the type to read, where it holds several; by default that of most messages.

    Attributes:
        topics: topic → :class:`Topic`, for those that can be read.
        definitions: topic → definition of its type as the bag carries it; None where it carries
            none and the type is known here.
        left_out: topic → why it cannot be read.
        damage: pieces that are lost, and files that cannot be read to their end: what is wrong.

    Raises:
        BagError: where there is no bag, nothing can be read of it, or a topic does not hold the
            type that it shall be read as.
    """

    def __init__(self, path: Path, types: Mapping[str, str]) -> None:
        self.damage: list[str] = []
        files = storage_files(path)
        if not files:
            raise BagError(
                f"{path} holds no .mcap or .db3 file; check the path"
                if path.exists()
                else missing(path)
            )
        self._stack = ExitStack()
        self._storages: dict[Path, Storage] = {}
        for file in files:
            try:
                self._storages[file] = open_storage(file, self._stack, closed=False)
            except BagFileError as error:
                self.damage.append(f"{file} cannot be recovered: {error.reason}")
        if not self._storages:
            self.close()
            raise BagError("; ".join(self.damage))
        channels = [c for storage in self._storages.values() for c in storage.channels]
        self.topics, self.left_out = group_topics(channels)
        try:
            for name, type_name in types.items():
                self.topics[name] = _chosen(path, self.topics, name, type_name)
        except BagError:
            self.close()
            raise
        definitions = {c.type_name: c.definition for c in channels if c.definition is not None}
        self.definitions = {
            name: definitions.get(topic.type_name) or _definition_here(topic.type_name)
            for name, topic in self.topics.items()
        }

    def messages(self) -> Iterator[tuple[str, int, bytes]]:
        """The messages file by file, from beginning to end.

        Yields:
            (topic, bag time in nanoseconds, serialised message), not always in the order of times.
        """
        unusable: Counter[str] = Counter()
        reasons: dict[str, str] = {}
        for file, storage in self._storages.items():
            chosen = {
                channel.number: channel.topic
                for channel in storage.channels
                if channel.topic in self.topics
                and channel.type_name == self.topics[channel.topic].type_name
            }
            try:
                damaged = partial(self._note_damage, file)
                for number, stamp_ns, data in storage.scan(damaged):
                    topic = chosen.get(number)
                    if topic is None:
                        continue
                    try:
                        data = as_cdr(data)
                    except ValueError as error:
                        unusable[topic] += 1
                        reasons.setdefault(topic, str(error))
                        continue
                    yield topic, stamp_ns, data
            except BagFileError as error:
                self.damage.append(f"{file} cannot be read further: {error.reason}")
        for topic, count in unusable.items():
            log.warning(
                "%s on %s left out; of the first, %s",
                *(counted(count, "message"), topic, reasons[topic]),
            )

    def _note_damage(self, file: Path, reason: str) -> None:
        self.damage.append(f"a piece of {file} is lost: {reason}")

    def close(self) -> None:
        """Closes the bag's files."""
        self._stack.close()

    def __enter__(self) -> RecoveredBag:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _chosen(path: Path, topics: Mapping[str, Topic], name: str, type_name: str) -> Topic:
    """The topic, read as one of its types; BagError where it has none of it."""
    if name not in topics:
        raise BagError(f"{path} has no topic {name}; it has {', '.join(topics)}")
    topic = topics[name].with_type(type_name)
    if topic.type_name != type_name:
        types = ", ".join([topic.type_name, *topic.other_types])
        raise BagError(f"{path}: {name} holds no {type_name}, only {types}")
    return topic


def _definition_here(type_name: str) -> Definition | None:
    """None for the known one; an empty one where there is none, so that messages are kept."""
    try:
        define_for_bags(type_name)
    except ValueError:
        return Definition("ros2msg", "")
    return None


def close_file(path: Path) -> None:
    """Makes a file readable that a recording left open; a whole one stays as it is.

    An MCAP file is cut after its last whole record and given the shortest end there is.

    Raises:
        BagError: where it is no bag's file, or holds nothing that is whole.
    """
    try:
        if path.suffix == ".mcap":
            with path.open("r+b", buffering=0) as file:
                _close_mcap(file)
        else:
            close_sqlite(path)
    except (OSError, ValueError, sqlite3.Error) as error:
        raise BagError(f"{path} cannot be recovered: {error}") from error


def _close_mcap(file: BinaryIO) -> None:
    if file.read(len(MAGIC)) != MAGIC:
        raise ValueError("it is no MCAP file")
    if data_end(file) is not None:
        return
    ends = record_ends(file)
    if not ends:
        raise ValueError("it holds no whole record")
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
