"""Runs the callbacks of a node until somebody has had enough, whatever goes wrong in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.task import Future

from smvae_ros.node.throttle import Throttle

if TYPE_CHECKING:
    from rclpy.executors import Executor
    from rclpy.node import Node


def make_executor() -> Executor:
    """The executor that costs least at 1 kHz, where rclpy has it."""
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor()
    return EventsExecutor()


class Spinning:
    """Runs the callbacks of a node while :meth:`run` is called, until :meth:`close`.

    Exceptions in callbacks are the business of :mod:`smvae_ros.guarded_node`. What rclpy raises
    beside them, such as for an answer that cannot be sent, is logged, once in a while.

    Args:
        node: without another executor.

    Attributes:
        takes_together: whether one call of :meth:`run` receives all that has come, however short it
            is; the SingleThreadedExecutor receives one message.
    """

    def __init__(self, node: Node) -> None:
        self._warn = Throttle(node.get_logger().warning)
        self._executor = make_executor()
        self._executor.add_node(node)
        self.takes_together = not isinstance(self._executor, SingleThreadedExecutor)
        self._never = Future()

    def run(self, seconds: float) -> None:
        """Runs callbacks for so long, or until the context is shut down."""
        # Not spin_once(), which returns after every message.
        try:
            self._executor.spin_until_future_complete(self._never, timeout_sec=seconds)
        except ExternalShutdownException:
            pass
        except Exception as error:  # whatever it is, the next call goes on
            self._warn("spin", f"rclpy failed, and goes on: {error} ({type(error).__name__})")

    def close(self) -> None:
        """Ends it; the node stays."""
        self._executor.shutdown()
