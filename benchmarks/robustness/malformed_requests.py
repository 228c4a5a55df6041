# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Requests that nobody should send to a node, out of a seed, for :mod:`benchmarks.robustness.fuzz`.

Parameters of every type and name, transitions of every id but those that end the node, reloads; and
the way back to where the node was before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetAvailableTransitions, GetState
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    GetParameterTypes,
    ListParameters,
    SetParameters,
    SetParametersAtomically,
)
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_srvs.srv import Trigger

from benchmarks.robustness.malformed import fill

PATIENCE = 120.0  # seconds
STRANGE_NAMES = ("", ".", "nobody", "rgb.", "\N{SNOWMAN}", "n" * 5000, "qos_overrides./clock")
SHUTDOWNS = (
    Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
    Transition.TRANSITION_INACTIVE_SHUTDOWN,
    Transition.TRANSITION_ACTIVE_SHUTDOWN,
)
# The queue of the life cycle's services is short: what comes while a model is being loaded is lost.
SERVICES: dict[str, tuple[Any, float, bool]] = {  # type, how often, whether each is answered
    "set_parameters": (SetParameters, 0.4, True),
    "set_parameters_atomically": (SetParametersAtomically, 0.25, True),
    "get_parameters": (GetParameters, 0.06, True),
    "get_parameter_types": (GetParameterTypes, 0.06, True),
    "describe_parameters": (DescribeParameters, 0.06, True),
    "list_parameters": (ListParameters, 0.06, True),
    "reload_model": (Trigger, 0.01, True),
    "get_state": (GetState, 0.03, False),
    "get_available_transitions": (GetAvailableTransitions, 0.03, False),
    "change_state": (ChangeState, 0.04, False),
}


class Requests:
    """Sends them, and sets right what they did.

    Args:
        node: of the sender; somebody spins it.
        name: of the node that is asked, fully qualified.
        random: decides everything.
        spin_until: spins until a condition is true, for so many seconds at most.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        random: np.random.Generator,
        spin_until: Callable[[Callable[[], bool], float], None],
    ) -> None:
        self._random, self._spin_until = random, spin_until
        profile = QoSProfile(depth=1000)
        self._clients = {
            service: node.create_client(kind, f"{name}/{service}", qos_profile=profile)
            for service, (kind, _, _) in SERVICES.items()
        }
        self._open: list[Any] = []
        self._names: list[str] = []
        self._before: list[Parameter] = []

    def remember(self) -> None:
        """Takes down the parameters, which :meth:`restore` sets again."""
        listed = self._call("list_parameters", ListParameters.Request())
        self._names = list(listed.result.names)
        values = self._call("get_parameters", GetParameters.Request(names=self._names)).values
        self._before = [
            Parameter(name=name, value=value)
            for name, value in zip(self._names, values, strict=True)
        ]

    def reload(self) -> None:
        """Loads the model again."""
        self._call("reload_model", Trigger.Request())

    def send(self) -> None:
        """One request."""
        services, shares = list(SERVICES), [share for _, share, _ in SERVICES.values()]
        service = str(self._random.choice(services, p=shares))
        kind, _, answered = SERVICES[service]
        future = self._clients[service].call_async(self._make(kind))
        if answered:
            self._open.append(future)

    def restore(self) -> None:
        """Waits for all answers that have to come, and brings the node back to where it was.

        Raises:
            RuntimeError: where an answer does not come, or the node does not become active.
        """
        self._spin_until(lambda: all(future.done() for future in self._open), PATIENCE)
        self._open.clear()
        before = SetParameters.Request(parameters=self._before)
        self._call("set_parameters", before)  # those that decide about the model
        for state, transition in (
            (State.PRIMARY_STATE_UNCONFIGURED, Transition.TRANSITION_CONFIGURE),
            (State.PRIMARY_STATE_INACTIVE, Transition.TRANSITION_ACTIVATE),
        ):
            if self._call("get_state", GetState.Request()).current_state.id == state:
                request = ChangeState.Request(transition=Transition(id=transition))
                self._call("change_state", request)
        state = self._call("get_state", GetState.Request()).current_state
        if state.id != State.PRIMARY_STATE_ACTIVE:
            raise RuntimeError(f"the node did not become active again, but is {state.label}")
        self._call("set_parameters", before)  # those of its modalities

    def _call(self, service: str, request: Any) -> Any:
        client = self._clients[service]
        self._spin_until(client.service_is_ready, PATIENCE)
        future = client.call_async(request)
        self._spin_until(future.done, PATIENCE)
        return future.result()

    def _make(self, kind: Any) -> Any:
        request, random = kind.Request(), self._random
        if hasattr(request, "parameters"):
            request.parameters = [self._parameter() for _ in range(int(random.integers(0, 4)))]
        elif hasattr(request, "names"):
            request.names = [self._name() for _ in range(int(random.integers(0, 4)))]
        elif kind is ListParameters:
            request.prefixes = [self._name()]
            request.depth = int(random.choice([0, 1, 2**63 - 1]))
        elif kind is ChangeState:
            number = int(random.integers(256) if random.random() < 0.5 else random.integers(10))
            request.transition.id = 0 if number in SHUTDOWNS else number
            request.transition.label = str(random.choice(["", "", "", "nonsense", "\N{SNOWMAN}"]))
        return request

    def _name(self) -> str:
        known = self._random.random() < 0.7
        return str(self._random.choice(self._names if known else STRANGE_NAMES))

    def _parameter(self) -> Parameter:
        random = self._random
        if random.random() < 0.05:  # so that somebody listens to /clock
            on = ParameterValue(type=1, bool_value=bool(random.random() < 0.8))
            return Parameter(name="use_sim_time", value=on)
        value = ParameterValue()
        fill(random, value, 3)
        value.type = int(random.integers(10) if random.random() < 0.6 else random.integers(256))
        return Parameter(name=self._name(), value=value)
