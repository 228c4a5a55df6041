# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The node's subscriptions. Their callbacks only store, serialised as it came what can wait."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import Node
from rclpy.qos import (
    HistoryPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
    qos_policy_name_from_kind,
)
from rclpy.serialization import deserialize_message
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo

from smvae_ros.messages import ForeignMessage, installed_types
from smvae_ros.messages.serialised import SerialisedMessage
from smvae_ros.node.polled_events import PolledEvents
from smvae_ros.node.waiting import SharedSensors
from smvae_ros.sensors.evidence import Connection
from smvae_ros.sensors.topic_inputs import DECODED_LATE, TopicInput

try:
    from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks, UnsupportedEventTypeError

# In seconds. Who listens may restart, and shall not have to wait for the drivers again.
UNHEARD_SECONDS = 2.0
# After the first of them was received, sensors have so long to appear before a snapshot is made
# without them.
FIRST_SECONDS = 1.0
Warn = Callable[[str, str], None]
Read = Callable[[bytes], SerialisedMessage]


class Subscriptions:
    """Subscribes to every topic input that has a topic; at once, and from then on as :meth:`attend`
    is told.

    Args:
        node: the subscriptions' node.
        inputs: by modality.
        profiles: quality of service by modality.
        sensors: where messages go.
        camera_info_topic: empty for none.
        warn: given a subject and a text.

    Attributes:
        inputs: as given; others of the same topics and types may take their place.
        watch: is given each message that was stored: modality, value, and receipt in monotonic
            nanoseconds; None for nobody.
        topics: modality → the topic that is subscribed for it, with remappings applied.
        since: monotonic time in seconds; infinite while nothing is subscribed.

    Raises:
        ValueError: for a topic that cannot be subscribed, saying why.
    """

    def __init__(
        self,
        node: Node,
        inputs: Mapping[str, TopicInput],
        profiles: Mapping[str, QoSProfile],
        sensors: SharedSensors,
        camera_info_topic: str,
        warn: Warn,
    ) -> None:
        self.inputs = inputs
        self.watch: Callable[[str, Any, int], None] | None = None
        self._node, self._sensors, self._warn = node, sensors, warn
        self._profiles, self._camera_info_topic = profiles, camera_info_topic
        self._subscriptions: dict[str, Subscription] = {}
        self.topics: dict[str, str] = {}
        self._events: list[PolledEvents] = []
        self.since = self._awaited_until = math.inf
        self._heard = time.monotonic()  # when somebody last listened
        try:
            self._subscribe_all()
        except InvalidTopicNameException as error:
            self.destroy()
            raise ValueError(f"cannot subscribe: {error}") from error

    def attend(self, heard: bool) -> None:
        """Subscribes as soon as somebody listens to what is made of it, and unsubscribes
        UNHEARD_SECONDS after nobody does, so that drivers can rest, too.

        Args:
            heard: whether anybody listens now.
        """
        now = time.monotonic()
        if heard:
            self._heard = now
            if self.since == math.inf:
                self._subscribe_all()
                self._node.get_logger().info("sensors are subscribed again")
        elif self.since < math.inf and now > self._heard + UNHEARD_SECONDS:
            self.destroy()
            self._node.get_logger().info(
                "nobody listens: sensors are not subscribed meanwhile (lazy)"
            )

    def are_awaited(self) -> bool:
        """Whether sensors that have a publisher may not have been received yet, as the first ones
        after the subscription were received just now."""
        now = time.monotonic()
        if self.since == math.inf or now > self._awaited_until:
            return False
        with self._sensors as sensors:
            live = sensors.live(time.monotonic_ns())
        if not live:
            return False
        self._awaited_until = min(self._awaited_until, now + FIRST_SECONDS)
        return any(
            name not in live and self._node.count_publishers(topic) > 0
            for name, topic in self.topics.items()
        )

    def topic(self, name: str) -> str:
        """The topic of a modality, with remappings applied; empty where there is none."""
        return self.topics.get(name, "")

    def connection(self, name: str, examined: bool) -> Connection:
        """What is known of a modality's topic and publishers; only where they are ``examined`` what
        keeps their messages away, since that takes time."""
        topic = self.topic(name)
        publishers = self._node.count_publishers(topic) if topic else None
        return Connection(topic, publishers, self.mismatch(name) if examined else "")

    def mismatch(self, name: str) -> str:
        """Why publishers on a modality's topic cannot be received from, what they offer, what is
        requested, and what to do; empty where they all can be."""
        subscription = self._subscriptions.get(name)
        if subscription is None:
            return ""
        wanted = self.inputs[name].adapter.type_name
        publishers = self._node.get_publishers_info_by_topic(subscription.topic_name)
        texts = (_mismatch(name, found, wanted, subscription.qos_profile) for found in publishers)
        return "; ".join(dict.fromkeys(text for text in texts if text))

    def poll_events(self) -> None:
        """Counts lost messages and tells of incompatible publishers."""
        for events in self._events:
            events.poll()

    def destroy(self) -> None:
        """Ends all subscriptions."""
        self.since = math.inf
        for events in self._events:
            events.destroy()
        self._events.clear()
        for subscription in self._subscriptions.values():
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

    def _subscribe_all(self) -> None:
        self.since = time.monotonic()
        self._awaited_until = math.inf  # monotonic; known once a sensor is live
        for name, topic_input in self.inputs.items():
            if topic_input.topic:
                self._subscribe(name, topic_input, self._profiles[name])
                self.topics[name] = self._subscriptions[name].topic_name
        if self._camera_info_topic:
            self._subscriptions["camera_info"] = self._node.create_subscription(
                installed_types("sensor_msgs/msg/CameraInfo"),
                self._camera_info_topic,
                self._receive_camera_info,
                make_profile("best_effort", 1),
                event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
            )

    def _subscribe(self, name: str, topic_input: TopicInput, profile: QoSProfile) -> None:
        message_type = installed_types(topic_input.adapter.type_name)
        read = topic_input.reader(partial(deserialize_message, message_type=message_type))
        # What is decoded when it comes may come at 1 kHz.
        late = topic_input.modality.kind in DECODED_LATE
        receive = partial(self._receive if late else self._receive_later, name, read)
        incompatible = partial(self._report_incompatible, name)
        create = partial(
            self._node.create_subscription,
            message_type,
            topic_input.topic,
            receive,
            profile,
            raw=True,
        )
        callbacks = partial(
            SubscriptionEventCallbacks, incompatible_qos=incompatible, use_default_callbacks=False
        )
        try:
            lost = partial(self._count_lost, name)
            subscription = create(event_callbacks=callbacks(message_lost=lost))
        except UnsupportedEventTypeError:  # not every middleware notices lost messages
            subscription = create(event_callbacks=callbacks())
        self._events.append(PolledEvents(self._node, subscription))
        self._subscriptions[name] = subscription

    def _receive(self, name: str, read: Read, data: bytes) -> None:
        self._store(name, read, data, time.monotonic_ns())

    def _receive_later(self, name: str, read: Read, data: bytes) -> None:
        self._sensors.store_later(partial(self._store, name, read, data, time.monotonic_ns()))

    def _store(self, name: str, read: Read, data: bytes, received_ns: int) -> None:
        message = read(data)
        try:
            value = self.inputs[name].incoming(message)
            self._sensors.store(name, value, message.stamp_ns, received_ns, message.frame_id)
            if self.watch is not None:
                self.watch(name, value, received_ns)
        except ValueError as error:
            self._sensors.refuse(name, error, received_ns)
            if not isinstance(error, ForeignMessage):
                self._warn(name, f"unusable message on {self.topic(name)}: {error}")

    def _receive_camera_info(self, message: Any) -> None:
        with self._sensors as sensors:
            sensors.camera_info = message

    def _count_lost(self, name: str, event: Any) -> None:
        self._sensors.lose(name, event.total_count_change)

    def _report_incompatible(self, name: str, event: Any) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        detail = self.mismatch(name) or "change the publisher's quality of service"
        self._warn(
            f"{name} quality of service",
            f"a publisher on {self.topic(name)} offers an incompatible {policy}, nothing will be "
            f"received from it: {detail}",
        )


def _mismatch(
    name: str, publisher: TopicEndpointInfo, type_name: str, requested: QoSProfile
) -> str:
    """What keeps one publisher's messages away, or empty."""
    who = f"{publisher.node_namespace.rstrip('/')}/{publisher.node_name}"
    if publisher.topic_type != type_name:
        return (
            f"{who} publishes {publisher.topic_type}, but {name}.type is {type_name}: set it to "
            "the publisher's type, if docs/reference/node.md lists it, or the topic to another"
        )
    offered = publisher.qos_profile
    reliable = ReliabilityPolicy.RELIABLE
    if requested.reliability == reliable and offered.reliability != reliable:
        return (
            f"{who} offers RELIABILITY {offered.reliability.name}, the node requests RELIABLE: set "
            f"{name}.reliability to best_effort"
        )
    compatible, reason = qos_check_compatible(offered, requested)
    if compatible == QoSCompatibility.ERROR:
        return f"quality of service of {who} does not fit ({reason}): change the publisher's"
    return ""


def make_profile(reliability: str, queue_size: int) -> QoSProfile:
    """The newest ``queue_size`` messages, ``best_effort`` or ``reliable``."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=queue_size,
        reliability=ReliabilityPolicy[reliability.upper()],
    )
