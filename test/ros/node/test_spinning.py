# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A node is spun in one long call, until it is over, fails, or the context is shut down."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.executors import SingleThreadedExecutor

from ros_processes import ros_environment, unique_domain_id
from smvae_ros.node import spinning
from smvae_ros.node.guarded_node import GuardedNode
from smvae_ros.node.spinning import Spinning

pytestmark = pytest.mark.dds


class CountingExecutor:
    """An executor that counts how often it was spun."""

    def __init__(self, executor: object) -> None:
        self._executor = executor
        self.calls = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._executor, name)

    def spin_until_future_complete(self, *arguments: object, **options: object) -> None:
        self.calls += 1
        self._executor.spin_until_future_complete(*arguments, **options)


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[GuardedNode]:
    domain = unique_domain_id()
    for name, value in ros_environment(domain).items():
        monkeypatch.setenv(name, value)
    rclpy.init(domain_id=domain)
    node = GuardedNode("spun")
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


@pytest.fixture(params=["as chosen", "SingleThreadedExecutor"])
def executor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param != "as chosen":
        monkeypatch.setattr(spinning, "make_executor", SingleThreadedExecutor)
    return request.param


@pytest.mark.usefixtures("executor")
@pytest.mark.parametrize("rests", [False, True])
def test_callbacks_run_until_it_is_over(node: GuardedNode, rests: bool) -> None:
    ticks: list[None] = []
    node.create_timer(
        0.01, lambda: ticks.append(None), clock=Clock(clock_type=ClockType.STEADY_TIME)
    )
    spun = Spinning(node)
    for wanted in (5, 10):  # it can go on
        spun.run(lambda wanted=wanted: len(ticks) >= wanted, lambda: rests)
        assert len(ticks) >= wanted
    spun.close()
    assert len(list(node.timers)) == 1


def test_asking_is_no_further_call_of_the_executor(
    node: GuardedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them costs memory that rclpy never gives back."""
    counting = CountingExecutor(spinning.make_executor())
    monkeypatch.setattr(spinning, "make_executor", lambda: counting)
    asked: list[None] = []

    def is_over() -> bool:
        asked.append(None)
        return len(asked) == 10

    spun = Spinning(node)
    spun.run(is_over, lambda: True)
    spun.close()
    assert (len(asked), counting.calls) == (10, 1)


@pytest.mark.usefixtures("executor")
def test_what_goes_wrong_in_asking_is_raised(node: GuardedNode) -> None:
    def is_over() -> bool:
        raise OSError("the disk is full")

    spun = Spinning(node)
    with pytest.raises(OSError, match="the disk is full"):
        spun.run(is_over)
    spun.close()


@pytest.mark.usefixtures("executor")
def test_it_ends_with_the_context(node: GuardedNode) -> None:
    spun = Spinning(node)
    asked = threading.Event()
    thread = threading.Thread(target=spun.run, args=(asked.set,))  # which returns None
    thread.start()
    assert asked.wait(60)
    rclpy.shutdown()
    thread.join(60)
    assert not thread.is_alive()
    spun.close()
