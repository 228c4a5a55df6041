"""Reading rosbag2 bags without ROS, on rosbags."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rosbags.interfaces import Connection, MessageDefinitionFormat, QosDurability
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from smvae_ros.messages.fields import NANOSECONDS, MessageError
from smvae_ros.messages.types import bag_typestore, define_for_bags, deserialise

log = logging.getLogger(__name__)

PARTIAL = ".partial"  # appended to the name of a bag until it is closed
STORAGE_SUFFIXES = (".mcap", ".db3")
RECOVER = "`ros2 run smvae_ros recover {} OUTPUT` makes a whole bag of what was written"


class BagError(RuntimeError):
    """A bag that cannot be read or written. Its text says what is wrong and what to do."""


@dataclass(frozen=True)
class Topic:
    """One topic of a bag.

    Attributes:
        type_name: for example ``sensor_msgs/msg/Image``.
        count: number of messages.
        latched: whether late subscribers got its last message (transient local, as /tf_static).
    """

    type_name: str
    count: int
    latched: bool = False


class BagReader:
    """A rosbag2 bag: its folder, or one .mcap or .db3 file; a context manager.

    Attributes:
        path: of the bag.
        topics: topic → :class:`Topic`, in alphabetical order.
        start_ns: bag time of the first message, in nanoseconds.
        end_ns: bag time of the last message, in nanoseconds.

    Raises:
        BagError: where the bag is missing, truncated, empty, or of another format.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._typestores: dict[str, Typestore] = {}
        self._check_path()
        try:
            self._reader = Reader(self.path)
            self._reader.open()
        except Exception as error:  # rosbags lets pass what its libraries raise on damaged files
            raise BagError(self._unreadable(error)) from error
        if not self._reader.message_count:
            self.close()
            raise BagError(f"{self.path} holds no messages; check what was recorded")
        self.start_ns = self._reader.start_time
        self.end_ns = self._reader.end_time - 1  # rosbags counts one past the last message
        self.topics: dict[str, Topic] = {}
        for name, topic in self._reader.topics.items():
            if topic.msgtype is None:
                log.warning("%s: topic %s has several types and is left out", self.path, name)
                continue
            self.topics[name] = Topic(
                topic.msgtype,
                topic.msgcount,
                any(is_latched(connection) for connection in topic.connections),
            )

    @property
    def duration(self) -> float:
        """Seconds from the first to the last message."""
        return (self.end_ns - self.start_ns) / NANOSECONDS

    def messages(
        self,
        topics: Collection[str] | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> Iterator[tuple[str, str, int, bytes]]:
        """The messages in the order of their bag times, serialised (CDR).

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
        if missing := sorted(wanted - self.topics.keys()):
            raise BagError(
                f"{self.path} has no topic {', '.join(missing)}; it has {', '.join(self.topics)}"
            )
        return self._messages(wanted, start_ns, None if end_ns is None else end_ns + 1)

    def _messages(
        self, wanted: Collection[str], start_ns: int | None, stop_ns: int | None
    ) -> Iterator[tuple[str, str, int, bytes]]:
        connections = [c for c in self._reader.connections if c.topic in wanted]
        if not connections:  # rosbags would take none for all
            return
        messages = self._reader.messages(connections, start_ns, stop_ns)
        while True:
            try:
                connection, stamp, data = next(messages)
            except StopIteration:
                return
            except Exception as error:
                raise BagError(self._unreadable(error)) from error
            yield connection.topic, connection.msgtype, stamp, data

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
            self._typestores[type_name] = self._make_typestore(type_name)
        return self._typestores[type_name]

    def _make_typestore(self, type_name: str) -> Typestore:
        for connection in self._reader.connections:
            form, text = connection.msgdef
            if connection.msgtype != type_name or form == MessageDefinitionFormat.NONE:
                continue
            store = get_typestore(Stores.EMPTY)
            if form == MessageDefinitionFormat.MSG:
                store.register(get_types_from_msg(text, type_name))
            else:
                for definition in _idl_definitions(text):
                    store.register(get_types_from_idl(definition))
            return store
        # Bags from before Iron carry no definitions; the common interfaces are still the same.
        define_for_bags(type_name)
        return bag_typestore()

    def _check_path(self) -> None:
        if not self.path.exists():
            partial = self.path.with_name(self.path.name + PARTIAL)
            raise BagError(
                f"there is no bag {self.path}, only {partial}: it is still being recorded, or was "
                f"not closed; {RECOVER.format(partial)}"
                if partial.exists()
                else f"there is no bag {self.path}; check the path"
            )
        if self.path.is_dir() and not (self.path / "metadata.yaml").exists():
            if files := storage_files(self.path):
                raise BagError(
                    f"{self.path} has no metadata.yaml, so it was not closed after recording; "
                    f"try its file instead ({files[0]}), or {RECOVER.format(self.path)}"
                )
            raise BagError(f"{self.path} is no bag: it has no metadata.yaml; check the path")
        if self.path.is_file() and self.path.suffix not in STORAGE_SUFFIXES:
            advice = (
                "bags of ROS 1 are converted by `rosbags-convert`"
                if self.path.suffix == ".bag"
                else "give the folder of a rosbag2 bag, or its .mcap or .db3 file"
            )
            raise BagError(f"{self.path} is no rosbag2 bag; {advice}")

    def _unreadable(self, error: Exception) -> str:
        return (
            f"{self.path} cannot be read ({type(error).__name__}: {error}); it is damaged, "
            f"truncated or still being written; {RECOVER.format(self.path)}"
        )

    def close(self) -> None:
        """Closes the bag's files."""
        if self._reader.is_open:
            self._reader.close()

    def __enter__(self) -> BagReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def storage_files(path: Path) -> list[Path]:
    """The .mcap and .db3 files of a bag: those in its folder, or the path itself if it is one."""
    if path.is_file():
        return [path] if path.suffix in STORAGE_SUFFIXES else []
    return sorted(file for suffix in STORAGE_SUFFIXES for file in path.glob(f"**/*{suffix}"))


def is_latched(connection: Connection) -> bool:
    """Whether late subscribers got a topic's last message (transient local)."""
    profiles = getattr(connection.ext, "offered_qos_profiles", [])
    return any(profile.durability is QosDurability.TRANSIENT_LOCAL for profile in profiles)


def _idl_definitions(text: str) -> list[str]:
    """The single definitions in an IDL text; rosbag2 begins each with a rule and its name."""
    rule = "=" * 80 + "\n"
    if not text.startswith(rule):
        return [text]
    return [part.split("\n", 1)[1] for part in text.split(rule)[1:]]
