# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A bag's serialised messages, straight to rclpy's publishers with their recorded timing."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import chain, islice
from typing import Any

from smvae_core.words import counted
from smvae_ros.bags import BagError, BagReader, Topic
from smvae_ros.messages.cdr import read_stamp, write_stamp
from smvae_ros.messages.fields import MessageError, make_message, make_stamp
from smvae_ros.messages.serialised import NANOSECONDS
from smvae_ros.messages.types import installed_types

log = logging.getLogger(__name__)

CLOCK_PERIOD = 0.01  # seconds of real time between two messages on /clock
SETTLING_TIME = 1.0  # seconds without a new subscriber after which nobody else is expected
SHORTEST_LOOP = 0.1  # seconds, so that looping a bag of one message does not flood

OnPublish = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Cut:
    """A part of a topic that is not published, as if the sensor had failed.

    Attributes:
        topic: its name in the bag; ``*`` and ``?`` stand for any characters.
        start: seconds from the beginning of the bag.
        end: likewise; messages at this time are published again.
    """

    topic: str
    start: float = 0.0
    end: float = float("inf")

    @classmethod
    def parse(cls, text: str) -> Cut:
        """``TOPIC:FROM:TO``; FROM and TO may be empty.

        Raises:
            ValueError: for anything else.
        """
        topic, *times = text.rsplit(":", 2)
        try:
            start, end = (float(seconds) if seconds else None for seconds in times)
            cut = cls(topic, start or 0.0, float("inf") if end is None else end)
        except ValueError:
            cut = None
        if cut is None or not topic or not cut.start < cut.end:
            raise ValueError(
                f"{text!r} is no cut; write TOPIC:FROM:TO with seconds from the beginning of the "
                "bag, for example /camera/*:2.5:6"
            )
        return cut


class Replayer:
    """Publishes the messages of a bag.

    Args:
        node: an rclpy node; it need not spin.
        reader: the open bag.
        rate: 2 replays twice as fast.
        loop: begins again at the end, until stopped.
        clock: publishes bag time on /clock.
        cuts: parts of topics that are left out.
        topics: only topics that fit one of these patterns; all by default.
        remap: topic in the bag → topic to publish on.
        start: seconds from the beginning of the bag.
        duration: seconds of the bag from ``start`` on; to its end by default.
        best_effort: publishes with best-effort QoS instead of reliable.
        restamp: moves header stamps, so that a message stamped when it was recorded is stamped now.

    Attributes:
        topics: topic in the bag → :class:`Topic`, for those that are published.

    Raises:
        BagError: where nothing would be published.
        ValueError: for a rate, start or duration that makes no sense.
    """

    def __init__(
        self,
        node: Any,
        reader: BagReader,
        *,
        rate: float = 1.0,
        loop: bool = False,
        clock: bool = False,
        cuts: Iterable[Cut] = (),
        topics: Collection[str] | None = None,
        remap: Mapping[str, str] | None = None,
        start: float = 0.0,
        duration: float | None = None,
        best_effort: bool = False,
        restamp: bool = False,
    ) -> None:
        if not 0 < rate < float("inf"):
            raise ValueError(f"rate must be positive, not {rate}")
        if start < 0 or (duration is not None and duration <= 0):
            raise ValueError("start must not be negative, and duration must be positive")
        if start > reader.duration:
            raise ValueError(f"start is {start} s, but the bag has only {reader.duration:.3f} s")
        self._node, self._reader = node, reader
        self._rate, self._loop, self._restamp = rate, loop, restamp
        self._cuts = list(cuts)
        self._remap = dict(remap or {})
        self.start_ns = reader.start_ns + round(start * NANOSECONDS)
        self.end_ns = reader.end_ns
        if duration is not None:
            self.end_ns = min(self.end_ns, self.start_ns + round(duration * NANOSECONDS))
        self.topics = _select(reader, topics)
        if clock:
            self.topics.pop("/clock", None)  # a recorded one would contradict ours
        self._publishers: dict[str, Any] = {}
        self._stamped: set[str] = set()
        self._checked: set[str] = set()  # types whose messages can be looked at
        self._unusable: Counter[str] = Counter()
        self._reasons: dict[str, str] = {}
        for name, topic in list(self.topics.items()):
            self._create_publisher(name, topic, best_effort)
        if not self._publishers:
            raise BagError(f"{reader.path} holds no topic that can be published")
        self._clock = node.create_publisher(_clock_type(), "/clock", 10) if clock else None
        self._next_clock = 0.0

    def _create_publisher(self, name: str, topic: Topic, best_effort: bool) -> None:
        from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

        try:
            message_class = installed_types(topic.type_name)
            self._check_fields(topic.type_name)
        except ValueError as error:
            log.warning("%s is left out: %s", name, error)
            del self.topics[name]
            return
        # A reliable publisher keeps one second of messages for subscribers that fall behind.
        seconds = max(self._reader.duration, 1.0)
        profile = QoSProfile(
            depth=min(max(10, round(topic.count / seconds * self._rate)), 10_000),
            reliability=ReliabilityPolicy.BEST_EFFORT
            if best_effort and not topic.latched
            else ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL
            if topic.latched
            else DurabilityPolicy.VOLATILE,
        )
        self._publishers[name] = self._node.create_publisher(
            message_class, self._remap.get(name, name), profile
        )
        fields = list(message_class.get_fields_and_field_types().values())
        if fields and fields[0] == "std_msgs/Header":
            self._stamped.add(name)

    def _check_fields(self, type_name: str) -> None:
        """Raises ValueError where the bag defines a type otherwise than it is installed here."""
        definition = self._reader.definition(type_name) or {}
        for name, fields in definition.items():
            names = [field.name for field in fields]
            installed = list(installed_types(name).get_fields_and_field_types())
            if installed and names != installed:
                raise ValueError(
                    f"the bag defines {name} with the fields {', '.join(names)}, but here it has "
                    f"{', '.join(installed)}"
                )
        self._checked.add(type_name)

    def wait_for_subscribers(self, stop: threading.Event) -> bool:
        """Waits until somebody subscribes to one of the topics and for a second nobody else came.

        Returns:
            False where ``stop`` was set before.
        """
        counts: list[int] = []
        changed = time.monotonic()
        while not stop.is_set():
            now = [publisher.get_subscription_count() for publisher in self._publishers.values()]
            if now != counts:
                counts, changed = now, time.monotonic()
            elif any(counts) and time.monotonic() - changed >= SETTLING_TIME:
                return True
            stop.wait(0.02)
        return False

    def run(self, stop: threading.Event, on_publish: OnPublish | None = None) -> int:
        """Replays until the end of the bag (with ``loop`` for ever) or until ``stop`` is set.

        Times are kept against one monotonic clock, so that delays do not add up; gaps in the
        recording are kept too.

        Args:
            stop: set from another thread to end the replay.
            on_publish: called after each message with the topic it was published on, its bag time
                in nanoseconds, and ``time.monotonic_ns()`` right before it was published.

        Returns:
            How many messages were published.

        Raises:
            BagError: where the bag turns out to be damaged.
        """
        published = 0
        seconds = (self.end_ns - self.start_ns) / NANOSECONDS / self._rate
        messages = self._load()
        begin = self._next_clock = time.monotonic()
        try:
            while not stop.is_set():
                published += self._run_once(messages, begin, stop, on_publish)
                if not self._loop:
                    break
                messages = self._load()
                begin += max(seconds, SHORTEST_LOOP)
        finally:
            for topic, count in self._unusable.items():
                log.warning(
                    "%s on %s not published; of the first: %s",
                    *(counted(count, "message"), topic, self._reasons[topic]),
                )
        if not stop.is_set():
            self._wait_until_delivered()
        return published

    def _load(self) -> Iterator[tuple[str, str, int, bytes]]:
        """The messages, of which the first is already in memory, so that it is not late."""
        messages = self._reader.messages(self._publishers, self.start_ns, self.end_ns)
        return chain(list(islice(messages, 1)), messages)

    def _run_once(
        self,
        messages: Iterator[tuple[str, str, int, bytes]],
        begin: float,
        stop: threading.Event,
        on_publish: OnPublish | None,
    ) -> int:
        published = 0
        # What header stamps are moved by: bag time start_ns is the real time at monotonic `begin`.
        real_begin = time.time_ns() + round((begin - time.monotonic()) * NANOSECONDS)
        for topic, type_name, stamp, data in messages:
            if self._is_cut(topic, stamp) or not self._is_message(topic, type_name, data):
                continue
            due = begin + (stamp - self.start_ns) / NANOSECONDS / self._rate
            if not self._wait_until(due, begin, stop):
                break
            if self._restamp and topic in self._stamped:
                data = move_stamp(data, self.start_ns, real_begin, self._rate)
            moment = time.monotonic_ns()
            self._publishers[topic].publish(data)
            published += 1
            if on_publish is not None:
                on_publish(self._remap.get(topic, topic), stamp, moment)
        return published

    def _is_message(self, topic: str, type_name: str, data: bytes) -> bool:
        """Whether the bytes are a message of the type; subscribers would have to trust them."""
        if type_name in self._checked:
            try:
                self._reader.deserialise(type_name, data)
            except MessageError as error:
                self._unusable[topic] += 1
                self._reasons.setdefault(topic, str(error))
                return False
        return True

    def _is_cut(self, topic: str, stamp: int) -> bool:
        seconds = (stamp - self._reader.start_ns) / NANOSECONDS
        return any(
            cut.start <= seconds < cut.end and fnmatchcase(topic, cut.topic) for cut in self._cuts
        )

    def _wait_until(self, due: float, begin: float, stop: threading.Event) -> bool:
        """Waits for monotonic time ``due``, publishing /clock meanwhile; False once stopped."""
        while not stop.is_set():
            now = time.monotonic()
            if self._clock is not None and now >= self._next_clock:
                self._publish_clock(now - begin)
                self._next_clock = max(self._next_clock + CLOCK_PERIOD, now)
            if now >= due:
                return True
            wake = due if self._clock is None else min(due, self._next_clock)
            stop.wait(max(0.0, wake - now))
        return False

    def _publish_clock(self, seconds: float) -> None:
        assert self._clock is not None
        nanoseconds = self.start_ns + round(seconds * self._rate * NANOSECONDS)
        self._clock.publish(
            make_message(
                installed_types,
                "rosgraph_msgs/msg/Clock",
                clock=make_stamp(installed_types, nanoseconds),
            )
        )

    def _wait_until_delivered(self) -> None:
        """Gives reliable subscribers at most two seconds to fetch the last messages."""
        from rclpy.duration import Duration

        deadline = time.monotonic() + 2.0
        for publisher in self._publishers.values():
            left = max(0.0, deadline - time.monotonic())
            if not publisher.wait_for_all_acked(Duration(nanoseconds=round(left * NANOSECONDS))):
                log.warning("a subscriber of %s did not fetch all messages", publisher.topic_name)


def _clock_type() -> Any:
    return installed_types("rosgraph_msgs/msg/Clock")


def _select(reader: BagReader, patterns: Collection[str] | None) -> dict[str, Topic]:
    if patterns is None:
        return dict(reader.topics)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in reader.topics):
            raise BagError(f"{reader.path} {reader.describe_absent(pattern)}")
    return {
        name: topic
        for name, topic in reader.topics.items()
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    }


def move_stamp(data: bytes, start_ns: int, real_start_ns: int, rate: float) -> bytes:
    """A serialised message whose type begins with a header, with its stamp moved.

    CDR begins with four bytes, the second of which tells the endianness; then come
    header.stamp.sec (int32) and nanosec (uint32).

    Args:
        data: the serialised message.
        start_ns: the stamp that becomes ``real_start_ns``, in nanoseconds.
        real_start_ns: in nanoseconds.
        rate: by which differences from ``start_ns`` are divided.
    """
    stamp = read_stamp(data)
    if stamp is None:
        return data
    elapsed = stamp[0] * NANOSECONDS + stamp[1] - start_ns
    moved = real_start_ns + round(elapsed / rate)
    if not 0 <= moved < 2**31 * NANOSECONDS:
        return data
    changed = bytearray(data)
    write_stamp(changed, *divmod(moved, NANOSECONDS))
    return bytes(changed)
