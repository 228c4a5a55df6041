# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Runs the callbacks of a node until somebody has had enough, whatever goes wrong in them.

One long call of the executor, not many short ones: rclpy's EventsExecutor keeps 32 bytes of each
call of ``spin_until_future_complete`` for ever, and ``spin_once`` returns after every message. So
what has to be asked meanwhile is asked by timers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.task import Future

from smvae_ros.node.throttle import Throttle

if TYPE_CHECKING:
    from rclpy.executors import Executor
    from rclpy.node import Node

ASK_PERIOD = 0.1  # seconds
# While nobody listens, what came meanwhile is received together, which costs less than waking up
# for each message: the processor's caches are warm.
REST_PERIOD = 0.01  # seconds
LONG = 3600.0  # seconds; without a limit, rclpy's EventsExecutor calls nothing at all


def make_executor() -> Executor:
    """The executor that costs least at 1 kHz, where rclpy has it."""
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor()
    return EventsExecutor()


class Spinning:
    """Runs the callbacks of a node while :meth:`run` is called, until :meth:`close`.

    Exceptions in callbacks are the business of :mod:`smvae_ros.node.guarded_node`. What rclpy
    raises beside them, such as for an answer that cannot be sent, is logged, once in a while.

    Args:
        node: without another executor.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._warn = Throttle(node.get_logger().warning)
        self._executor = make_executor()
        self._executor.add_node(node)

    def run(self, is_over: Callable[[], bool], rests: Callable[[], bool] | None = None) -> None:
        """Runs callbacks, in this thread, until it is over or the context is shut down.

        Args:
            is_over: asked ten times a second, in this thread; what it raises is raised here.
            rests: whether messages may wait a moment for each other now; None for never.
        """
        over, errors = Future(), []
        if isinstance(self._executor, SingleThreadedExecutor):
            rests = None  # it takes one message of each topic at a time

        def ask() -> None:
            try:
                ended = is_over()
            except BaseException as error:  # must not be lost in the executor
                errors.append(error)
                ended = True
            if ended and not over.done():
                over.set_result(None)
            elif rests is not None and rests():
                resting.reset()

        def rest() -> None:
            if rests is not None and rests():
                time.sleep(REST_PERIOD)  # meanwhile the messages queue up
            else:
                resting.cancel()

        steady = Clock(clock_type=ClockType.STEADY_TIME)
        resting = self._node.create_timer(REST_PERIOD, rest, clock=steady)
        resting.cancel()
        asking = self._node.create_timer(ASK_PERIOD, ask, clock=steady)
        try:
            while not over.done() and self._node.context.ok():
                self._spin(over)
        finally:
            for timer in (asking, resting):
                self._node.destroy_timer(timer)
        if errors:
            raise errors[0]

    def _spin(self, over: Future) -> None:
        try:
            self._executor.spin_until_future_complete(over, timeout_sec=LONG)
        except ExternalShutdownException:
            pass
        except Exception as error:  # whatever it is, the next call goes on
            self._warn("spin", f"rclpy failed, and goes on: {error} ({type(error).__name__})")

    def close(self) -> None:
        """Ends it; the node stays."""
        self._executor.shutdown()
