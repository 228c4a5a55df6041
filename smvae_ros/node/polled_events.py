# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Quality-of-service events of a subscription, asked for instead of delivered.

rclpy's EventsExecutor crashes or hangs when such an event comes while its subscription is being
destroyed (ros2/rclpy issue 1644), so the handlers are kept away from the executor.
"""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.subscription import Subscription


class PolledEvents:
    """Takes over the event handlers of a subscription that was created just now, in a callback of
    the node's executor or before it spins.

    To the handlers this is a wait set in which everything is always ready.
    """

    def __init__(self, node: Node, subscription: Subscription) -> None:
        self._handlers = list(subscription.event_handlers)
        subscription.event_handlers.clear()
        for handler in self._handlers:
            node.remove_waitable(handler)
            handler.add_to_wait_set(self)

    def add_event(self, event: Any) -> int:
        return 0

    def is_ready(self, kind: str, index: int) -> bool:
        return True

    def poll(self) -> None:
        """Calls the callbacks of the events that happened since the last time."""
        for handler in self._handlers:
            handler.is_ready(self)
            event = handler.take_data()
            if event is not None and event.total_count_change > 0:
                handler.callback(event)

    def destroy(self) -> None:
        """To be called before the subscription is destroyed."""
        for handler in self._handlers:
            handler.destroy()
        self._handlers.clear()
