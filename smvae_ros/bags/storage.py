# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What a bag's files have in common, whatever their format: channels, and parts of messages.

A channel is a topic in one file. A part is a piece of a file whose messages come in the order of
their times: a chunk of an MCAP file, a whole SQLite file. Parts may overlap in time, within a file
as well as between the files of a bag that was split, so that they are merged.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from smvae_ros.bags.errors import DamagedBagError
from smvae_ros.messages.types import full_type_name

# channel's number, bag time in nanoseconds, what was recorded
Message = tuple[int, int, bytes]
PassOver = Callable[[str], None]

_TRANSIENT_LOCAL = re.compile(r"durability\W+(1\b|transient_local)")


class Definition(NamedTuple):
    """Definition of a message type, as a bag carries it.

    Attributes:
        encoding: ``ros2msg``, ``ros2idl`` or one of other systems, such as ``jsonschema``.
        text: of the definition and all it is made of.
    """

    encoding: str
    text: str


@dataclass(frozen=True)
class Channel:
    """A topic in one file.

    Attributes:
        number: by which the file's messages refer to it.
        topic: its name.
        type_name: in full, such as ``sensor_msgs/msg/Image``.
        encoding: of its messages; ``cdr`` is ROS 2's.
        definition: of its type, where the file carries one.
        latched: whether late subscribers got its last message (transient local, as /tf_static).
        count: number of messages.
    """

    number: int
    topic: str
    type_name: str
    encoding: str
    definition: Definition | None
    latched: bool
    count: int = 0


class Part(NamedTuple):
    """Messages of a file in the order of their times.

    Attributes:
        start_ns: bag time of the first.
        end_ns: bag time of the last.
        read: (channels' numbers, first and last bag time) → those messages.
    """

    start_ns: int
    end_ns: int
    read: Callable[[Collection[int], int, int], Iterator[Message]]


class Storage(Protocol):
    """An open file of a bag.

    Attributes:
        path: of the file.
        channels: in the order of their numbers.
        start_ns: bag time of the first message; later than ``end_ns`` where there are none.
        end_ns: bag time of the last message.
    """

    path: Path
    start_ns: int
    end_ns: int

    @property
    def channels(self) -> Sequence[Channel]: ...

    def parts(self, numbers: Collection[int]) -> list[Part]:
        """The parts that hold messages of these channels."""

    def scan(self, pass_over: PassOver) -> Iterator[Message]:
        """All messages as they stand in the file.

        Args:
            pass_over: given what is wrong with a piece of the file that is left out.

        Raises:
            DamagedBagError: where no more can be read.
        """

    def close(self) -> None:
        """Closes the file."""


def normal_type_name(type_name: str) -> str:
    """``sensor_msgs/Image``, as old and foreign writers say, in full; other names as they are."""
    try:
        return full_type_name(type_name)
    except ValueError:
        return type_name


def is_latched(profiles: object) -> bool:
    """Whether offered QoS profiles, in any of rosbag2's spellings, hold a transient-local one."""
    return _TRANSIENT_LOCAL.search(str(profiles)) is not None


def merge(
    parts: Sequence[tuple[Path, Part, Collection[int]]], start_ns: int, end_ns: int
) -> Iterator[tuple[int, Message]]:
    """Messages of several parts in the order of their times; of equal times, the earlier part's.

    A part is only opened when its time has come, so that no more of them are in memory than
    overlap.

    Args:
        parts: path of the file, part, and numbers of the wanted channels.
        start_ns: first bag time.
        end_ns: last bag time.

    Yields:
        (index of the part, message)

    Raises:
        DamagedBagError: where a file's index tells other times than its messages.
    """
    waiting = [
        index
        for index, (_, part, _) in enumerate(parts)
        if part.start_ns <= end_ns and part.end_ns >= start_ns
    ]
    waiting.sort(key=lambda index: parts[index][1].start_ns, reverse=True)
    # No two entries are of the same part, so that messages are never compared.
    open_parts: list[tuple[int, int, Message, Iterator[Message]]] = []
    last_ns = start_ns
    while waiting or open_parts:
        while waiting and (not open_parts or parts[waiting[-1]][1].start_ns <= open_parts[0][0]):
            index = waiting.pop()
            _, part, numbers = parts[index]
            messages = part.read(numbers, start_ns, end_ns)
            for message in messages:
                heapq.heappush(open_parts, (message[1], index, message, messages))
                break
        if not open_parts:
            return
        stamp_ns, index, message, messages = open_parts[0]
        if stamp_ns < last_ns:
            raise DamagedBagError(parts[index][0], "its index tells other times than its messages")
        last_ns = stamp_ns
        yield index, message
        for following in messages:
            heapq.heapreplace(open_parts, (following[1], index, following, messages))
            break
        else:
            heapq.heappop(open_parts)
