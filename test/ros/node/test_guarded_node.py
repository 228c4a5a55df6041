# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Whatever comes over the wire, a node goes on, and who asked is answered. Over real DDS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from patience import PATIENCE

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")

import rclpy
from builtin_interfaces.msg import Time
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    GetParameterTypes,
    ListParameters,
    SetParameters,
    SetParametersAtomically,
)
from rclpy.clock import Clock, ClockType
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock as ClockMessage
from std_msgs.msg import Int32
from std_srvs.srv import SetBool

from ros_processes import Process, ros_environment, start, start_node
from small_models import save_small_checkpoint
from smvae_ros.node.guarded_node import GuardedNode
from smvae_ros.node.spinning import Spinning

pytestmark = pytest.mark.dds

TYPES = range(256)
KNOWN_TYPES = range(10)
FAILS = 13  # what the callbacks of the node under test refuse


class Caller:
    """Who sends and asks, in a context of its own.

    Args:
        domain: ROS_DOMAIN_ID.
        name: of the node that is called.
    """

    def __init__(self, domain: int, name: str) -> None:
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain)
        self.node = Node("caller", context=self._context, start_parameter_services=False)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._name = name

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.shutdown()

    def spin_until(
        self, condition: Callable[[], Any], what: str, timeout: float = PATIENCE
    ) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, f"no {what} within {timeout} s"
            self._executor.spin_once(timeout_sec=0.05)

    def call(self, service_type: Any, service: str, *requests: Any) -> list[Any]:
        """The answers to requests that are sent at once, so that they are taken together."""
        client = self.node.create_client(
            service_type, f"{self._name}/{service}", qos_profile=QoSProfile(depth=1000)
        )
        assert client.wait_for_service(PATIENCE), f"no service {service}"
        futures = [client.call_async(request) for request in requests]
        self.spin_until(lambda: all(f.done() for f in futures), f"answer of {service}")
        self.node.destroy_client(client)
        return [future.result() for future in futures]

    def set(self, name: str, **value: Any) -> Any:
        (answer,) = self.call(
            SetParameters, "set_parameters", SetParameters.Request(parameters=[_set(name, **value)])
        )
        return answer.results[0]

    def publish_until(
        self, condition: Callable[[], Any], message_type: Any, topic: str, *messages: Any
    ) -> None:
        publisher = self.node.create_publisher(message_type, topic, 10)
        self.spin_until(lambda: publisher.get_subscription_count(), f"subscriber of {topic}")

        def sent() -> Any:
            for message in messages:
                publisher.publish(message)
            return condition()

        self.spin_until(sent, f"effect of {topic}")
        self.node.destroy_publisher(publisher)


def _set(name: str, **value: Any) -> Parameter:
    return Parameter(name=name, value=ParameterValue(**value))


class Suspect(GuardedNode):
    """Has one of everything that can fail.

    Attributes:
        heard: what came on ~/numbers and was taken.
        ticks: of a timer, which fails once something was heard.
    """

    def __init__(self) -> None:
        super().__init__("suspect")
        self.heard: list[int] = []
        self.ticks = 0
        self.declare_parameter("number", 0)
        self.create_subscription(Int32, "~/numbers", self._hear, 10)
        self.create_service(SetBool, "~/answer", self._answer)
        self.create_timer(0.02, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _hear(self, message: Int32) -> None:
        if message.data == FAILS:
            raise LookupError("an unlucky number")
        self.heard.append(message.data)

    def _answer(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if request.data:
            raise LookupError("an unlucky question")
        response.success = True
        return response

    def _tick(self) -> None:
        self.ticks += 1
        if self.heard:
            raise LookupError("an unlucky moment")


@pytest.fixture(params=["as chosen", "SingleThreadedExecutor"])
def suspect(
    request: pytest.FixtureRequest, domain: int, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Suspect]:
    """A node that is spun in a thread of its own, by either executor."""
    if request.param != "as chosen":
        monkeypatch.setattr("smvae_ros.node.spinning.make_executor", SingleThreadedExecutor)
    rclpy.init(domain_id=domain)
    node = Suspect()
    spinning = Spinning(node)
    ended = threading.Event()
    thread = threading.Thread(target=spinning.run, args=(ended.is_set,))
    thread.start()
    yield node
    ended.set()
    thread.join()
    spinning.close()
    node.destroy_node()
    rclpy.shutdown()


@pytest.fixture
def caller(suspect: Suspect, domain: int) -> Iterator[Caller]:
    caller = Caller(domain, "/suspect")
    yield caller
    caller.close()


def test_parameters_of_a_type_that_there_is_not_are_refused_with_the_reason(
    caller: Caller, capfd: pytest.CaptureFixture[str]
) -> None:
    requests = [SetParameters.Request(parameters=[_set("number", type=kind)]) for kind in TYPES]
    for kind, answer in zip(
        TYPES, caller.call(SetParameters, "set_parameters", *requests), strict=True
    ):
        (result,) = answer.results
        # Setting it to nothing undeclares it; NOT_SET and INTEGER are all that it may be.
        assert kind in KNOWN_TYPES or (not result.successful and str(kind) in result.reason)
    lines = capfd.readouterr().err
    assert lines.count("set_parameters could not be handled") == 1
    requests = [
        SetParametersAtomically.Request(parameters=[_set("number", type=kind)]) for kind in TYPES
    ]
    answers = caller.call(SetParametersAtomically, "set_parameters_atomically", *requests)
    for kind, answer in zip(TYPES, answers, strict=True):
        result = answer.result
        assert kind in KNOWN_TYPES or (not result.successful and str(kind) in result.reason)


def test_one_parameter_of_no_type_leaves_the_others_of_its_request(
    caller: Caller, suspect: Suspect
) -> None:
    parameters = [
        _set("number", type=200),
        _set("number", type=2, integer_value=5),
        _set("nobody", type=2),
    ]
    (answer,) = caller.call(
        SetParameters, "set_parameters", SetParameters.Request(parameters=parameters)
    )
    assert [result.successful for result in answer.results] == [False, True, False]
    assert suspect.get_parameter("number").value == 5


def test_a_clock_before_its_beginning_is_passed_over(caller: Caller, suspect: Suspect) -> None:
    assert caller.set("use_sim_time", type=1, bool_value=True).successful
    bad = [ClockMessage(clock=Time(sec=sec)) for sec in (-1, -(2**31))]
    largest = ClockMessage(clock=Time(sec=2**31 - 1, nanosec=2**32 - 1))
    good = ClockMessage(clock=Time(sec=1234))

    def is_good() -> bool:
        return suspect.get_clock().now().nanoseconds == 1234 * 10**9

    caller.publish_until(is_good, ClockMessage, "/clock", *bad, b"\0\1\0\0\xff", largest, good)
    assert caller.set("use_sim_time", type=1, bool_value=False).successful


def test_one_callback_that_fails_loses_nothing_else(
    caller: Caller, suspect: Suspect, capfd: pytest.CaptureFixture[str]
) -> None:
    numbers = [Int32(data=number) for number in (1, FAILS, 2, FAILS, 3)]
    caller.publish_until(
        lambda: suspect.heard[-3:] == [1, 2, 3], Int32, "/suspect/numbers", *numbers
    )
    questions = [SetBool.Request(data=fails) for fails in (False, True, True, False, True)]
    answers = caller.call(SetBool, "answer", *questions)
    assert [answer.success for answer in answers] == [True, False, False, True, False]
    assert "an unlucky question" in answers[1].message
    ticks = suspect.ticks
    caller.spin_until(lambda: suspect.ticks > ticks + 3, "tick")
    lines = capfd.readouterr().err
    for reason in ("number", "question", "moment"):
        assert lines.count(f"an unlucky {reason} (LookupError)") == 1, "each is told once"
    assert "Traceback" not in lines


def _attack(caller: Caller) -> None:
    """Everything that can be asked of a node with parameters, and absurd."""
    strange = ["", "use_sim_time", "qos_overrides", "a" * 5000, "\N{SNOWMAN}", "nobody..", "."]
    values = [ParameterValue(type=kind) for kind in (*KNOWN_TYPES, 10, 255)]
    parameters = [Parameter(name=name, value=value) for name in strange for value in values]
    (answer,) = caller.call(
        SetParameters, "set_parameters", SetParameters.Request(parameters=parameters)
    )
    assert len(answer.results) == len(parameters)
    caller.call(
        SetParametersAtomically,
        "set_parameters_atomically",
        *(SetParametersAtomically.Request(parameters=[one]) for one in parameters),
    )
    caller.call(GetParameters, "get_parameters", GetParameters.Request(names=strange))
    caller.call(GetParameterTypes, "get_parameter_types", GetParameterTypes.Request(names=strange))
    caller.call(
        DescribeParameters, "describe_parameters", DescribeParameters.Request(names=strange)
    )
    caller.call(
        ListParameters,
        "list_parameters",
        *(ListParameters.Request(prefixes=strange, depth=depth) for depth in (0, 1, 2**64 - 1)),
    )
    for value in (True, False, True):
        assert caller.set("use_sim_time", type=1, bool_value=value).successful
    negative = ClockMessage(clock=Time(sec=-5))
    sent = iter(range(100))
    caller.publish_until(lambda: next(sent) == 20, ClockMessage, "/clock", negative)
    assert caller.set("use_sim_time", type=1, bool_value=False).successful


def _absurd_transitions(caller: Caller) -> None:
    requests = [
        ChangeState.Request(transition=Transition(id=number, label=label))
        for number in (0, 8, 9, 60, 99, 200, 255)
        for label in ("", "nonsense", "\N{SNOWMAN}" * 100)
    ]
    for request in requests:
        caller.call(ChangeState, "change_state", request)


def _check_goes_on(process: Process) -> None:
    assert process.running, process.text
    process.interrupt()
    assert process.finish() == 0, process.text
    for word in ("Traceback", "FATAL", "rclpy failed"):
        assert word not in process.text, "no exception reaches the executor"
    assert "a message on /clock could not be handled: Seconds value must not" in process.text


def test_no_request_ends_the_perception_node(domain: int, tmp_path: Path) -> None:
    path = save_small_checkpoint(tmp_path / "small")
    with start_node(domain, f"checkpoint:={path}") as process:
        process.wait_for_line("active")
        caller = Caller(domain, "/smvae_perception")
        try:
            _attack(caller)
            _absurd_transitions(caller)
            (state,) = caller.call(GetState, "get_state", GetState.Request())
            assert state.current_state.label == "active"
            assert caller.set("max_rate", type=3, double_value=5.0).successful
        finally:
            caller.close()
        _check_goes_on(process)


def test_no_request_ends_the_simulation_or_its_services(domain: int) -> None:
    with start("smvae_ros.cli.simulation_node", env=ros_environment(domain)) as process:
        process.wait_for_line("running|EGL|MuJoCo|graphics")
        if not process.running or "running" not in process.text:
            pytest.skip(process.text)
        caller = Caller(domain, "/smvae_simulation")
        try:
            _attack(caller)
            assert caller.set("cut.rgb", type=1, bool_value=True).successful
        finally:
            caller.close()
        _check_goes_on(process)
