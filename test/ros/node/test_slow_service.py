# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A service that takes a while: whoever asks is answered, whatever fails meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from patience import PATIENCE

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_srvs.srv import Trigger

from ros_processes import ros_environment, unique_domain_id
from smvae_ros.node.slow_service import SlowService

pytestmark = pytest.mark.dds


class Failing(SlowService):
    """rclpy raises after it has taken requests, and whenever it shall answer the first of many."""

    failures = 0

    def _take(self, callers: list[Any]) -> None:
        super()._take(callers)
        if callers:
            self.failures += 1
            raise RuntimeError("the next request is none")


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    domain = unique_domain_id()
    for name, value in ros_environment(domain).items():
        monkeypatch.setenv(name, value)
    context = Context()
    rclpy.init(context=context, domain_id=domain)
    yield context
    context.shutdown()


def test_who_was_taken_before_an_exception_is_answered(context: Context) -> None:
    node = Node("loader", context=context)
    service = Failing(node, "reload_model", lambda: "model abc is in use", "it was not replaced")
    client = node.create_client(Trigger, "/loader/reload_model", qos_profile=QoSProfile(depth=100))
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        assert client.wait_for_service(PATIENCE)
        answers = [client.call_async(Trigger.Request()) for _ in range(5)]
        for answer in answers:
            executor.spin_until_future_complete(answer, PATIENCE)
            assert answer.result() is not None
            assert answer.result().success
            assert answer.result().message == "model abc is in use"
        assert service.failures
    finally:
        service.destroy()
        executor.shutdown()
        node.destroy_node()
