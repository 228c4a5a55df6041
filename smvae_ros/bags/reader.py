# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Reading rosbag2 bags without ROS: what every tool reads them with."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from rosbags.typesys.store import Typestore

from smvae_core.words import counted
from smvae_ros.bags.compression import as_cdr
from smvae_ros.bags.definitions import make_typestore
from smvae_ros.bags.errors import BagError, BagFileError
from smvae_ros.bags.files import find_bag, open_storage
from smvae_ros.bags.storage import Channel, Part, merge
from smvae_ros.bags.topics import Topic, group_topics
from smvae_ros.messages.definitions import Definition, known_definition, stored_definition
from smvae_ros.messages.fields import MessageError
from smvae_ros.messages.serialised import NANOSECONDS
from smvae_ros.messages.types import deserialise

log = logging.getLogger(__name__)


class BagReader:
    """A rosbag2 bag: its folder, or one of its files; a context manager.

    The bag may be split, compressed as a whole or message by message, without indexes, or hold
    messages of other systems beside those of ROS 2.

    Attributes:
        path: of the bag.
        topics: topic → :class:`Topic`, in alphabetical order.
        left_out: topic → why it cannot be read.
        start_ns: bag time of the first message, in nanoseconds.
        end_ns: bag time of the last message, in nanoseconds.

    Raises:
        BagError: where the bag is missing, truncated, empty, or of another format.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._warned: set[str] = set()
        self._typestores: dict[str, Typestore | ValueError] = {}
        self._stack = ExitStack()
        try:
            self._open()
        except BagFileError as error:
            self.close()
            raise error.of(self.path) from error
        except OSError as error:
            self.close()
            raise BagError(f"{self.path} cannot be read: {error.strerror or error}") from error
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        metadata = find_bag(self.path)
        if not any(file.stat().st_size for file in metadata.files):
            raise BagError(f"{self.path} cannot be read: it is empty; nothing was written into it")
        self._storages = [open_storage(file, self._stack) for file in metadata.files]
        self.topics, self.left_out = group_topics(self._channels())
        for name in metadata.latched & self.topics.keys():
            self.topics[name] = replace(self.topics[name], latched=True)
        # The metadata count messages, not types.
        self._counted = {name: topic.total for name, topic in self.topics.items()}
        for name, count in metadata.counts.items():
            if name in self.topics:
                self._counted[name] = max(count, self._counted[name])
            elif count and name not in self.left_out:
                self.left_out[name] = (
                    f"metadata.yaml counts {counted(count, 'message')}, its files have none"
                )
        holding = [storage for storage in self._storages if storage.start_ns <= storage.end_ns]
        if not holding:
            raise BagError(f"{self.path} holds no messages; check what was recorded")
        if not self.topics:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self.left_out.items())
            raise BagError(f"{self.path} holds no messages of ROS 2: {reasons}")
        self.start_ns = min(storage.start_ns for storage in holding)
        self.end_ns = max(storage.end_ns for storage in holding)

    def _channels(self) -> Iterator[Channel]:
        for storage in self._storages:
            yield from storage.channels

    @property
    def duration(self) -> float:
        """Seconds from the first to the last message."""
        return (self.end_ns - self.start_ns) / NANOSECONDS

    def choose_type(self, topic: str, type_name: str) -> None:
        """Reads the messages of this type from a topic that holds several types.

        By default those of the type with most messages are read. Does nothing where the topic holds
        none of the type.
        """
        if topic in self.topics:
            self.topics[topic] = self.topics[topic].with_type(type_name)

    def messages(
        self,
        topics: Collection[str] | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> Iterator[tuple[str, str, int, bytes]]:
        """The messages in the order of their bag times, serialised (CDR).

        Messages of equal times come in the order of the files. Topics that cannot be read are
        logged at once; single messages that cannot be, and topics of which the bag counts more
        messages than it holds, at the end.

        Args:
            topics: only these; all by default.
            start_ns: only from this bag time on.
            end_ns: only up to this bag time, included.

        Yields:
            (topic, type name, bag time in nanoseconds, serialised message)

        Raises:
            BagError: for a topic that is not in the bag, and where the bag is damaged.
        """
        wanted = set(self.topics if topics is None else topics)
        if absent := sorted(wanted - self.topics.keys()):
            raise BagError(f"{self.path} {self.describe_absent(absent[0])}")
        for topic, reason in self.left_out.items():
            self._warn(f"topic {topic} is left out: {reason}")
        first = self.start_ns if start_ns is None else max(start_ns, self.start_ns)
        last = self.end_ns if end_ns is None else min(end_ns, self.end_ns)
        return self._messages({name: self.topics[name] for name in wanted}, first, last)

    def describe_absent(self, topic: str) -> str:
        """Why there are no messages of a topic, as the end of a sentence about the bag."""
        if topic in self.left_out:
            return f"has messages on {topic} that cannot be read: {self.left_out[topic]}"
        return f"has no topic {topic}; it has {', '.join(self.topics)}"

    def _messages(
        self, wanted: dict[str, Topic], first: int, last: int
    ) -> Iterator[tuple[str, str, int, bytes]]:
        parts: list[tuple[Path, Part, Collection[int]]] = []
        channels: list[dict[int, Channel]] = []
        for storage in self._storages:
            chosen = {
                channel.number: channel
                for channel in storage.channels
                if channel.topic in wanted and channel.type_name == wanted[channel.topic].type_name
            }
            for part in storage.parts(chosen.keys()) if chosen else ():
                parts.append((storage.path, part, chosen.keys()))
                channels.append(chosen)
        found: Counter[str] = Counter()
        unusable: Counter[str] = Counter()
        reasons: dict[str, str] = {}
        try:
            for index, (number, stamp_ns, data) in merge(parts, first, last):
                channel = channels[index][number]
                found[channel.topic] += 1
                try:
                    data = as_cdr(data)
                except ValueError as error:
                    unusable[channel.topic] += 1
                    reasons.setdefault(channel.topic, str(error))
                    continue
                yield channel.topic, channel.type_name, stamp_ns, data
        except BagFileError as error:
            raise error.of(self.path) from error
        for name, count in unusable.items():
            self._warn(
                f"{count} of {found[name]} messages on {name} cannot be read; of the first, "
                f"{reasons[name]}"
            )
        if first <= self.start_ns and last >= self.end_ns:
            self._compare(wanted, found)

    def _compare(self, wanted: dict[str, Topic], found: Counter[str]) -> None:
        """Names what a topic holds besides, and topics that hold less than the bag says."""
        for name, topic in wanted.items():
            for type_name, count in topic.other_types.items():
                self._warn(
                    f"{counted(count, 'message')} of {type_name} on {name} left out, where "
                    f"{topic.count} "
                    f"are {topic.type_name}"
                )
            expected = self._counted[name] - sum(topic.other_types.values())
            if found[name] < expected:
                self._warn(
                    f"only {found[name]} of {expected} messages on {name} are in its files; the "
                    "recorder lost the others, or a file was replaced"
                )

    def _warn(self, text: str) -> None:
        """Says a thing once, however often the bag is read."""
        if text not in self._warned:
            self._warned.add(text)
            log.warning("%s: %s", self.path, text)

    def deserialise(self, type_name: str, serialised: bytes) -> Any:
        """A message of rosbags' classes, by the definition in the bag, if it has one.

        Raises:
            MessageError: where the bytes are no such message, or its definition is unknown.
        """
        try:
            return deserialise(self._typestore(type_name), serialised, type_name)
        except Exception as error:  # on damaged data the generated code raises anything
            raise MessageError(
                f"{self.path}: no readable {type_name} ({type(error).__name__}: {error}); "
                "check how the bag was recorded"
            ) from error

    def read(
        self,
        topics: Collection[str] | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> Iterator[tuple[str, int, Any]]:
        """Like :meth:`messages`, deserialised: (topic, bag time in nanoseconds, message)."""
        for topic, type_name, stamp, data in self.messages(topics, start_ns, end_ns):
            yield topic, stamp, self.deserialise(type_name, data)

    def _typestore(self, type_name: str) -> Typestore:
        """One store for each type, so that a strange definition spoils no other type."""
        if type_name not in self._typestores:
            definitions = [
                channel.definition
                for channel in self._channels()
                if channel.type_name == type_name and channel.definition is not None
            ]
            try:
                self._typestores[type_name] = make_typestore(type_name, definitions)
            except ValueError as error:
                self._typestores[type_name] = error
        store = self._typestores[type_name]
        if isinstance(store, ValueError):
            raise store
        return store

    def definition(self, type_name: str) -> Definition | None:
        """The definition in the bag of a type, if it has one, else the one that is known here; None
        where there is none."""
        try:
            return stored_definition(self._typestore(type_name), type_name)
        except ValueError:
            return known_definition(type_name)

    def close(self) -> None:
        """Closes the bag's files."""
        self._stack.close()

    def __enter__(self) -> BagReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
