# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A std_srvs/Trigger that takes a while, answered from a thread of its own.

rclpy runs one callback at a time: in the node's own executor, no message would be received while a
model is loaded, or while a second of readings is awaited. So a hidden node that nobody spins has
the service under the name of the first, and the thread asks it for requests. All that are there are
answered by one run, since it began after they came: with an executor, each would get a run of its
own, and those that came meanwhile would be lost as soon as the queue was full.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_srvs.srv import Trigger

QUEUE_SIZE = 1000  # requests; as for parameters, instead of 10
ASK_PERIOD = 0.1  # seconds
# Between answers, in seconds: a client of many requests keeps ten answers, until it takes them.
ANSWER_PERIOD = 0.002
END_SECONDS = 1.0


class SlowService:
    """Offers the service until it is destroyed.

    Args:
        node: in whose name.
        name: of the service, below the node.
        act: does it and returns what to tell; raises ValueError or RuntimeError with the reason
            where it cannot be done.
        failure: begins the answer then.
    """

    def __init__(self, node: Node, name: str, act: Callable[[], str], failure: str) -> None:
        self._logger = node.get_logger()
        self._name, self._act, self._failure = name, act, failure
        self._node = Node(
            f"_{node.get_name()}_{name}",
            namespace=node.get_namespace(),
            context=node.context,
            use_global_arguments=False,  # a new name for the first is not meant for this one
            start_parameter_services=False,
            enable_rosout=False,
        )
        self._service = self._node.create_service(
            Trigger,
            f"{node.get_fully_qualified_name()}/{name}",
            lambda _, response: response,
            qos_profile=QoSProfile(depth=QUEUE_SIZE),
        )
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def destroy(self) -> None:
        """Ends the service. What is being done is waited for a moment, and then left to itself:
        nobody uses it any more."""
        self._ended.set()
        self._thread.join(END_SECONDS)
        if not self._thread.is_alive():
            self._node.destroy_node()

    def _serve(self) -> None:
        while not self._ended.wait(ASK_PERIOD) and self._node.context.ok():
            callers: list[Any] = []
            self._attempt(partial(self._take, callers))
            if callers:
                answer = self._answer()
                for caller in callers:
                    self._attempt(partial(self._service.send_response, answer, caller))
                    self._ended.wait(ANSWER_PERIOD)

    def _attempt(self, action: Callable[[], None]) -> None:
        """Does what rclpy can fail at; the others that ask are still to be answered."""
        try:
            action()
        except Exception as error:
            if self._node.context.ok():
                self._logger.warning(
                    f"rclpy failed, and goes on: {error}", throttle_duration_sec=10.0
                )

    def _take(self, callers: list[Any]) -> None:
        """Adds who has asked since the last time."""
        handle = self._service.handle
        with handle:
            while True:
                _, header = handle.service_take_request(Trigger.Request)
                if header is None:
                    return
                callers.append(header)

    def _answer(self) -> Trigger.Response:
        try:
            message = self._act()
        except Exception as error:  # whatever it is, who asked is told
            message = f"{self._failure}: {error}"
            self._logger.error(message)
            return Trigger.Response(success=False, message=message)
        self._logger.info(f"{self._name}: {message}")
        return Trigger.Response(success=True, message=message)
