# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Serialised messages of live topics, straight from rclpy's subscriptions into a bag."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Collection
from typing import Any

from smvae_ros.bags import BagError, BagWriter
from smvae_ros.messages.types import installed_types

log = logging.getLogger(__name__)

# What every node says by itself; a replay would say it again, in the name of other nodes.
SYSTEM_TOPICS = ("/rosout", "/parameter_events")
DISCOVERY_PERIOD = 0.2  # seconds between two looks at which topics there are
QUEUE_DEPTH = 1000  # messages that a subscription keeps while the program is busy


class Recorder:
    """Subscribes to topics as they appear, and writes what arrives.

    A subscription is reliable where all publishers of its topic are, and best effort otherwise,
    since a reliable one receives nothing from a best-effort publisher. Latched topics (such as
    /tf_static) are subscribed with their history. Bag times are the times of receipt by the system
    clock; header stamps stay as they are.

    Args:
        node: an rclpy node; the caller spins it.
        writer: the open bag.
        topics: names of topics, relative to the node's namespace; ``None`` records all there are
            but outputs.
        on_subscribe: called with topic and type name of each new subscription.
        outputs: with ``topics=None`` records outputs as well: those of the perception node,
            /rosout, /parameter_events and hidden topics (a part of the name begins with ``_``).

    Attributes:
        count: number of messages so far.
        left_out: outputs that were not recorded.
    """

    def __init__(
        self,
        node: Any,
        writer: BagWriter,
        topics: Collection[str] | None,
        on_subscribe: Callable[[str, str], None] | None = None,
        outputs: bool = False,
    ) -> None:
        self._node, self._writer, self._on_subscribe = node, writer, on_subscribe
        self._outputs = outputs
        self.left_out: set[str] = set()
        self._wanted = None if topics is None else {node.resolve_topic_name(t) for t in topics}
        self._subscriptions: dict[str, tuple[Any, bool]] = {}  # with whether it is reliable
        self._refused: set[str] = set()
        self.count = 0
        self._timer = node.create_timer(DISCOVERY_PERIOD, self.discover, clock=_steady_clock())
        self.discover()

    @property
    def missing(self) -> list[str]:
        """Wanted topics that have not appeared yet."""
        return sorted((self._wanted or set()) - self._subscriptions.keys() - self._refused)

    def discover(self) -> None:
        """Subscribes to what has appeared since the last call."""
        found = self._node.get_topic_names_and_types()
        names = {topic for topic, _ in found}
        for topic, type_names in found:
            if (self._wanted is not None and topic not in self._wanted) or topic in self._refused:
                continue
            publishers = self._node.get_publishers_info_by_topic(topic)
            if not publishers:
                continue
            if self._wanted is None and not self._outputs and _is_output(topic, publishers, names):
                self.left_out.add(topic)
                continue
            reliable = all(_is_reliable(publisher) for publisher in publishers)
            if topic in self._subscriptions:
                subscription, was_reliable = self._subscriptions[topic]
                if reliable or not was_reliable:
                    continue
                self._node.destroy_subscription(subscription)
            latched = any(_is_latched(publisher) for publisher in publishers)
            self._subscribe(topic, type_names[0], reliable, latched)

    def _subscribe(self, topic: str, type_name: str, reliable: bool, latched: bool) -> None:
        from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

        try:
            message_class = installed_types(type_name)
            self._writer.declare(topic, type_name, latched)
        except (ValueError, BagError) as error:
            log.warning("%s is left out: %s", topic, error)
            self._refused.add(topic)
            return

        def keep(data: bytes) -> None:
            # What cannot be written is raised by the writer's check, outside of the executor, which
            # would print where it came from.
            with contextlib.suppress(BagError):
                self._writer.write_raw(topic, type_name, data, time.time_ns())
                self.count += 1

        profile = QoSProfile(
            depth=QUEUE_DEPTH,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )
        subscription = self._node.create_subscription(message_class, topic, keep, profile, raw=True)
        self.left_out.discard(topic)
        first = topic not in self._subscriptions
        self._subscriptions[topic] = (subscription, reliable)
        if first and self._on_subscribe is not None:
            self._on_subscribe(topic, type_name)


def _is_output(topic: str, publishers: Collection[Any], names: Collection[str]) -> bool:
    """Whether a topic comes of what is recorded, instead of being worth recording.

    Args:
        topic: its name.
        publishers: of the topic.
        names: of all topics. A perception node is known by ``~/latent``, which it creates first.
    """
    if topic in SYSTEM_TOPICS or any(part.startswith("_") for part in topic.split("/")):
        return True
    nodes = [f"{p.node_namespace.rstrip('/')}/{p.node_name}" for p in publishers]
    return all(topic.startswith(f"{node}/") and f"{node}/latent" in names for node in nodes)


def _is_reliable(publisher: Any) -> bool:
    from rclpy.qos import ReliabilityPolicy

    return publisher.qos_profile.reliability == ReliabilityPolicy.RELIABLE


def _is_latched(publisher: Any) -> bool:
    from rclpy.qos import DurabilityPolicy

    return publisher.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL


def _steady_clock() -> Any:
    """Discovery goes on whatever simulated time does."""
    from rclpy.clock import Clock, ClockType

    return Clock(clock_type=ClockType.STEADY_TIME)
