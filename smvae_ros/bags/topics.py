# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The topics of a bag, over all its files, and why some of them cannot be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from smvae_ros.bags.storage import Channel

CDR = "cdr"


@dataclass(frozen=True)
class Topic:
    """One topic of a bag.

    Attributes:
        type_name: for example ``sensor_msgs/msg/Image``.
        count: number of messages.
        latched: whether late subscribers got its last message (transient local, as /tf_static).
        other_types: further types that the topic holds → number of their messages.
    """

    type_name: str
    count: int
    latched: bool = False
    other_types: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Number of messages of all types."""
        return self.count + sum(self.other_types.values())

    def with_type(self, type_name: str) -> Topic:
        """The same topic, read as another of its types; unchanged where that is none of them."""
        if type_name not in self.other_types:
            return self
        others = {**self.other_types, self.type_name: self.count}
        return replace(self, type_name=type_name, count=others.pop(type_name), other_types=others)


def group_topics(channels: Iterable[Channel]) -> tuple[dict[str, Topic], dict[str, str]]:
    """Topics by their names, and those that hold no messages of ROS 2, with the reason.

    Of a topic with several types, the one with most messages counts.

    Returns:
        topic → :class:`Topic`, and topic → why it cannot be read, both in alphabetical order.
    """
    types: dict[str, dict[str, list[Channel]]] = {}
    foreign: dict[str, str] = {}
    beside: dict[str, Counter[str]] = {}  # messages of other systems
    for channel in channels:
        if reason := _foreign(channel):
            foreign[channel.topic] = reason
            kind = f"{channel.type_name or 'no type'} ({channel.encoding})"
            beside.setdefault(channel.topic, Counter())[kind] += channel.count
        else:
            kinds = types.setdefault(channel.topic, {})
            kinds.setdefault(channel.type_name, []).append(channel)
    topics = {}
    for name, kinds in sorted(types.items()):
        counts = {kind: sum(c.count for c in kinds[kind]) for kind in kinds}
        most = max(counts, key=lambda kind: counts[kind])
        others = {**counts, **beside.get(name, {})}
        others = {kind: count for kind, count in others.items() if kind != most and count}
        latched = any(channel.latched for channel in kinds[most])
        topics[name] = Topic(most, counts[most], latched, others)
    return topics, {name: foreign[name] for name in sorted(foreign.keys() - topics.keys())}


def _foreign(channel: Channel) -> str:
    """Why a channel's messages are none of ROS 2; empty where they are."""
    if channel.encoding != CDR:
        return f"its messages are encoded as {channel.encoding or 'nothing known'}, not as CDR"
    if not channel.type_name:
        return "its messages have no type"
    return ""
