# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Nodes that nothing which comes over the wire can end.

Callbacks that rclpy itself brings along raise for what others send: those of the parameter services
for a ``ParameterValue.type`` that is none, that of ``/clock`` for negative seconds. An exception
leaves the executor's ``spin`` and ends the process or the thread; caught there, the request would
have no answer, and what became ready together with it would be lost, for the EventsExecutor takes
the messages of an entity together. So each callback of a node, rclpy's as ours, is called by one
that lets no exception through.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.node import Node

from smvae_ros.node.throttle import Throttle

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks


# What it is mixed into.
if TYPE_CHECKING:
    from rclpy.node import Node as _Node
else:
    _Node = object


class GuardedCallbacks(_Node):
    """To be named before a class of rclpy's nodes: ``class MyNode(GuardedCallbacks, Node)``.

    An exception in a callback is logged (once in a while for each topic, service or timer), and the
    node goes on. Who called a service gets an answer all the same: without success, and with the
    reason where the answer has a place for it.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for service in self.services:  # rclpy makes some of them without create_service
            self.__guard_service(service)

    def create_subscription(
        self, msg_type: Any, topic: str, callback: Callable, *arguments: Any, **options: Any
    ) -> Any:
        # For the reason in smvae_ros.node.polled_events; rclpy's own callbacks only log.
        options.setdefault(
            "event_callbacks", SubscriptionEventCallbacks(use_default_callbacks=False)
        )
        guarded = self.__guard(callback, f"a message on {topic}")
        subscription = super().create_subscription(msg_type, topic, guarded, *arguments, **options)
        self.__guard_events(subscription.event_handlers, topic)
        return subscription

    def create_publisher(self, msg_type: Any, topic: str, *arguments: Any, **options: Any) -> Any:
        publisher = super().create_publisher(msg_type, topic, *arguments, **options)
        self.__guard_events(publisher.event_handlers, topic)
        return publisher

    def create_service(self, *arguments: Any, **options: Any) -> Any:
        service = super().create_service(*arguments, **options)
        self.__guard_service(service)
        return service

    def create_timer(
        self, timer_period_sec: float, callback: Callable | None, *arguments: Any, **options: Any
    ) -> Any:
        if callback is not None:
            callback = self.__guard(callback, f"the timer of {timer_period_sec:g} s")
        return super().create_timer(timer_period_sec, callback, *arguments, **options)

    def __guard(self, callback: Callable, subject: str) -> Callable:
        report = self.__report

        @functools.wraps(callback)  # rclpy looks at how many arguments it takes
        def guarded(*arguments: Any) -> Any:
            try:
                return callback(*arguments)
            except Exception as error:  # whatever it is, the node goes on
                return report(subject, error)

        return guarded

    def __guard_events(self, handlers: Iterable[Any], topic: str) -> None:
        for handler in handlers:
            handler.callback = self.__guard(handler.callback, f"an event of {topic}")

    def __guard_service(self, service: Any) -> None:
        if isinstance(service.callback, _Answer):
            return
        report = functools.partial(self.__report, f"a request of {service.srv_name}")
        kind = _AnswerForEach if service.srv_type is SetParameters else _Answer
        service.callback = kind(service.callback, report)

    def __report(self, subject: str, error: Exception) -> None:
        self.__complain(subject, f"{subject} could not be handled: {_reason(error)}")

    @functools.cached_property
    def __complain(self) -> Throttle:  # needed while rclpy is still making the node
        return Throttle(self.get_logger().warning)


class GuardedNode(GuardedCallbacks, Node):
    """An ordinary node with guarded callbacks."""


class _Answer:
    """A service's callback that always answers.

    Args:
        callback: given the request and an empty response; returns the response.
        report: given the exception that it raised.
    """

    def __init__(self, callback: Callable, report: Callable[[Exception], None]) -> None:
        self._callback, self._report = callback, report

    def __call__(self, request: Any, response: Any) -> Any:
        try:
            return self._callback(request, response)
        except Exception as error:  # as above
            self._report(error)
            return _refusal(type(response), _reason(error))


class _AnswerForEach(_Answer):
    """That of set_parameters: one parameter that cannot be read leaves the others as they are."""

    def __call__(self, request: Any, response: Any) -> Any:
        for parameter in request.parameters:
            one = SetParameters.Request(parameters=[parameter])
            answer = super().__call__(one, SetParameters.Response())
            response.results.extend(answer.results)
        return response


def _refusal(response_type: type, reason: str) -> Any:
    """The answer to a request that could not be handled; rclpy's fields are False when new."""
    response = response_type()
    refused = SetParametersResult(successful=False, reason=reason)
    if response_type is SetParameters.Response:
        response.results = [refused]
    elif response_type is SetParametersAtomically.Response:
        response.result = refused
    elif hasattr(response, "message"):
        response.message = reason
    return response


def _reason(error: Exception) -> str:
    return f"{error} ({type(error).__name__})"
