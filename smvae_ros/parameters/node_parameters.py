# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The parameters of a node: declared for the modalities of its model, changed or refused."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from smvae_core.modalities import Modality
from smvae_core.robot import Robot, RobotError
from smvae_ros.bundled import parameters_path
from smvae_ros.parameters.declarations import (
    NODE_PARAMETERS,
    ROBOT,
    Changes,
    Declaration,
    modality_parameters,
)
from smvae_ros.parameters.parameters_file import read_parameters
from smvae_ros.parameters.robot_values import load_robot, robot_defaults
from smvae_ros.parameters.unknown import describe_unknown


def make_descriptor(declaration: Declaration) -> ParameterDescriptor:
    """For `ros2 param describe`; rclpy enforces type, range and read_only itself."""
    constraints = [f"One of {', '.join(declaration.choices)}."] if declaration.choices else []
    if declaration.changes is Changes.UNCONFIGURED:
        constraints.append(f"Changes {declaration.changes.value}.")
    descriptor = ParameterDescriptor(
        name=declaration.name,
        description=declaration.description,
        additional_constraints=" ".join(constraints),
        read_only=declaration.changes is Changes.AT_START,
    )
    if declaration.limits is not None and isinstance(declaration.default, float):
        low, high = declaration.limits
        descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    elif declaration.limits is not None:
        low, high = (int(limit) for limit in declaration.limits)
        descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
    return descriptor


def _plain(value: Any) -> Any:
    """A parameter's value as YAML has it; rclpy has other sequences than lists."""
    return value if isinstance(value, (bool, int, float, str)) else list(value)


class NodeParameters:
    """Declares parameters, holds their values, and decides about changes.

    A value in a parameters file that is wrong does not end the node: the default is declared
    instead, and :attr:`problem` names it until it is set right.

    Args:
        node: whose parameters these are.
        is_configured: whether the parameters that decide about subscriptions and model are in use.
        apply: called with the new values of all parameters before they are accepted; raises
            ValueError to refuse them.

    Attributes:
        robot: that of the robot file, whose values are the defaults; None without such a file.
    """

    def __init__(
        self,
        node: Node,
        is_configured: Callable[[], bool],
        apply: Callable[[dict[str, Any]], None],
    ) -> None:
        self._node = node
        self._is_configured = is_configured
        self._apply = apply
        self._declarations: dict[str, Declaration] = {}
        self._values: dict[str, Any] = {}
        self._problems: dict[str, str] = {}
        self._changing = threading.RLock()  # ~/tare sets some from a thread of its own
        self.robot: Robot | None = None
        node.add_on_set_parameters_callback(self._on_set)
        self._declare([ROBOT])
        self._load_robot()
        self._declare(NODE_PARAMETERS)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    @property
    def problem(self) -> str | None:
        """The faults of the values that the node was started with, in words, or None."""
        return "; ".join(self._problems.values()) or None

    def declare_modalities(self, modalities: Iterable[Modality]) -> None:
        """Declares what can be set for these modalities, and takes back what is of no other use."""
        kinds = {modality.name: modality.kind for modality in modalities}
        wanted = {
            declaration.name: declaration
            for modality, kind in kinds.items()
            for declaration in modality_parameters(modality, kind)
        }
        for name in [name for name in self._declarations if "." in name and name not in wanted]:
            self._node.undeclare_parameter(name)
            for table in (self._declarations, self._values, self._problems):
                table.pop(name, None)
        self._declare(wanted.values(), kinds)

    def describe_unknown(self, modalities: Iterable[str]) -> str:
        """In words, which parameters of the parameters file have no use with this model: misspelt
        ones, and those of a modality that it does not have. Those that config/perception.yaml gives
        as they are, are not told: launch lays every file over it, unless there is a robot file."""
        node = self._node
        unknown = {name for name in self._overrides if not node.has_parameter(name)}
        if unknown and self.robot is None:
            standard = read_parameters([parameters_path()], node.get_fully_qualified_name())
            unknown = {n for n in unknown if standard.get(n) != _plain(self._overrides[n].value)}
        return describe_unknown(unknown, self._declarations, modalities)

    @property
    def values(self) -> dict[str, Any]:
        """A copy of all values."""
        return dict(self._values)

    @property
    def _overrides(self) -> dict[str, Parameter]:
        # rclpy offers no public way to see what a parameters file holds before it is declared.
        return self._node._parameter_overrides

    def _load_robot(self) -> None:
        if not self["robot"]:
            return
        try:
            self.robot = load_robot(self["robot"])
        except RobotError as error:
            self._problems["robot"] = f"{error}; correct it, and start the node again"

    def _declare(
        self, declarations: Iterable[Declaration], modalities: Collection[str] = ()
    ) -> None:
        """Declares those that are not yet; the modalities are those of the model."""
        defaults = robot_defaults(self.robot, modalities) if self.robot else {}
        for declaration in declarations:
            name = declaration.name
            if name in self._declarations:
                continue
            self._declarations[name] = declaration
            value = declaration.converted(defaults.get(name, declaration.default))
            problem = None
            if name in self._overrides:
                value, problem = self._started_with(declaration, self._overrides[name].value)
            if problem is not None:
                self._problems[name] = problem
            self._node.declare_parameter(
                name, value, make_descriptor(declaration), ignore_override=True
            )

    def _started_with(self, declaration: Declaration, value: Any) -> tuple[Any, str | None]:
        """The value to declare, and what is wrong with the given one."""
        value = declaration.converted(value)
        problem = declaration.problem(value)
        if problem is None:
            return value, None
        name = declaration.name
        return declaration.default, (
            f"parameter {name} {problem}, but is {value!r}: correct the parameters file, or "
            f"`ros2 param set {self._node.get_fully_qualified_name()} {name} VALUE`"
        )

    def _on_set(self, parameters: list[Parameter]) -> SetParametersResult:
        with self._changing:
            return self._change(parameters)

    def _change(self, parameters: list[Parameter]) -> SetParametersResult:
        changes = {parameter.name: parameter.value for parameter in parameters}
        known = {
            name: self._declarations[name].converted(value)
            for name, value in changes.items()
            if name in self._declarations
        }
        try:
            for name, value in known.items():
                self._check_change(self._declarations[name], value)
            if known and known.keys() <= self._values.keys():  # not while one is being declared
                self._apply({**self._values, **known})
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        for name in known.keys() & self._values.keys():
            self._problems.pop(name, None)
        self._values.update(known)
        return SetParametersResult(successful=True)

    def _check_change(self, declaration: Declaration, value: Any) -> None:
        name = declaration.name
        if problem := declaration.problem(value):
            raise ValueError(f"{name} {problem}, not {repr(value)[:200]}")
        changes = name in self._values and self._values[name] != value
        structural = declaration.changes is Changes.UNCONFIGURED
        if structural and changes and self._is_configured():
            node = self._node.get_fully_qualified_name()
            raise ValueError(
                f"{name} changes {declaration.changes.value}: `ros2 lifecycle set {node} "
                "deactivate` and `cleanup` first, then set it, `configure` and `activate`"
            )
