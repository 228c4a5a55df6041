"""Serialised messages of live topics, straight from rclpy's subscriptions into a bag."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from typing import Any

from smvae_ros.bags import BagError, BagWriter
from smvae_ros.messages.types import installed_types

log = logging.getLogger(__name__)

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
        topics: names of topics, relative to the node's namespace; ``None`` records all there are.
        on_subscribe: called with topic and type name of each new subscription.

    Attributes:
        count: number of messages so far.
    """

    def __init__(
        self,
        node: Any,
        writer: BagWriter,
        topics: Collection[str] | None,
        on_subscribe: Callable[[str, str], None] | None = None,
    ) -> None:
        self._node, self._writer, self._on_subscribe = node, writer, on_subscribe
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
        for topic, type_names in self._node.get_topic_names_and_types():
            if (self._wanted is not None and topic not in self._wanted) or topic in self._refused:
                continue
            publishers = self._node.get_publishers_info_by_topic(topic)
            if not publishers:
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
            self._writer.write_raw(topic, type_name, data, time.time_ns())
            self.count += 1

        profile = QoSProfile(
            depth=QUEUE_DEPTH,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )
        subscription = self._node.create_subscription(message_class, topic, keep, profile, raw=True)
        first = topic not in self._subscriptions
        self._subscriptions[topic] = (subscription, reliable)
        if first and self._on_subscribe is not None:
            self._on_subscribe(topic, type_name)


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
