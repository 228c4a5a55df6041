"""Taking publishers and subscriptions out of a node that is spinning."""

from __future__ import annotations

from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription


def destroy_subscription(node: LifecycleNode, subscription: Subscription) -> None:
    """Like the node's method, but safe while quality-of-service events may be under way."""
    _release_event_handlers(node, subscription)
    node.destroy_subscription(subscription)


def destroy_publisher(node: LifecycleNode, publisher: LifecyclePublisher) -> None:
    """Like the node's method, but safe while quality-of-service events may be under way."""
    _release_event_handlers(node, publisher)
    node.destroy_lifecycle_publisher(publisher)


def _release_event_handlers(node: LifecycleNode, entity: Publisher | Subscription) -> None:
    """Takes the handlers away, without destroying them: that happens when the executor lets go of
    them. The EventsExecutor crashes on an event whose handler has been destroyed (ros2/rclpy issue
    1644)."""
    for handler in entity.event_handlers:
        node.remove_waitable(handler)
    entity.event_handlers = []
