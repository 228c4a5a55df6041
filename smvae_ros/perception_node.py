"""Runs :class:`smvae_ros.node.perception.PerceptionNode`; ``python -m`` works too."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from smvae_ros.programs import deferred_interrupts, end_within, print_error

if TYPE_CHECKING:
    from rclpy.executors import Executor


# For its end, in seconds: `ros2 launch` kills a process ten seconds after Ctrl-C without a word.
SHUTDOWN_SECONDS = 8
# While nobody listens, what came meanwhile is received together, which costs less than waking up
# for each message: the processor's caches are warm. (rclpy's SingleThreadedExecutor cannot; it
# receives one message at a time.)
REST_SECONDS = 0.01


def make_executor() -> Executor:
    """The executor that costs least at 1 kHz, where rclpy has it."""
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:
        from rclpy.executors import SingleThreadedExecutor

        return SingleThreadedExecutor()
    return EventsExecutor()


def main(args: Sequence[str] | None = None) -> int:
    """Runs the node until SIGINT, SIGTERM, or until its context is shut down."""
    with deferred_interrupts() as interrupted:
        # Not before: importing torch takes seconds, in which somebody may press Ctrl-C.
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.signals import SignalHandlerOptions
        from rclpy.task import Future

        from smvae_ros.node.perception import PerceptionNode

        try:
            rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
            node = PerceptionNode()
        except RuntimeError as error:  # a parameters file that is no YAML, keys that are missing
            rclpy.try_shutdown()
            return print_error("perception_node", error)
        executor = make_executor()
        executor.add_node(node)
        try:
            if not interrupted():
                node.autostart()
            # Not spin(): the EventsExecutor's does not return when a signal arrives. Nor
            # spin_once(), which returns after every message.
            never = Future()
            together = not isinstance(executor, SingleThreadedExecutor)
            while rclpy.ok() and not interrupted():
                rests = together and node.rests
                if rests:
                    time.sleep(REST_SECONDS)
                executor.spin_until_future_complete(never, timeout_sec=0.0 if rests else 0.1)
        finally:
            end_within(SHUTDOWN_SECONDS)
            executor.shutdown()
            node.destroy_node()
            rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
