"""The node's parameters: defaults, descriptions, ranges, and when they may change.

Those of a modality (``rgb.topic``, …) are declared for the modalities that the checkpoint holds.
Structural parameters decide which model is loaded and what is subscribed, so they only change while
the node is unconfigured; all others act at once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.validate_topic_name import validate_topic_name

from smvae_core.inference import PRECISIONS
from smvae_core.modalities import Modality
from smvae_ros.messages import ADAPTERS, full_type_name
from smvae_ros.sensor_settings import TIMER, SensorSettings, SlotSettings

JOINT_STATE = "sensor_msgs/msg/JointState"


@dataclass(frozen=True)
class Specification:
    """One parameter.

    Attributes:
        name: with the modality's name in front, where it is one of a modality's.
        default: its type is the parameter's type.
        description: what it does and in which unit.
        limits: smallest and largest value of a number.
        check: returns what is wrong with a value, or None.
        structural: changes only while the node is unconfigured.
        read_only: changes never, only when the node is started.
    """

    name: str
    default: Any
    description: str
    limits: tuple[float, float] | None = None
    check: Callable[[Any], str | None] = lambda value: None
    structural: bool = False
    read_only: bool = False

    @property
    def descriptor(self) -> ParameterDescriptor:
        """For `ros2 param describe`; rclpy enforces type, range and read_only itself."""
        descriptor = ParameterDescriptor(
            name=self.name, description=self.description, read_only=self.read_only
        )
        if self.structural:
            descriptor.additional_constraints = "Changes only while the node is unconfigured."
        if self.limits is not None and isinstance(self.default, float):
            low, high = self.limits
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
        elif self.limits is not None:
            low, high = (int(limit) for limit in self.limits)
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
        return descriptor


def _one_of(*choices: str) -> Callable[[str], str | None]:
    def check(value: str) -> str | None:
        return None if value in choices else f"must be one of {', '.join(choices)}"

    return check


def _check_device(value: str) -> str | None:
    if re.fullmatch(r"auto|cpu|cuda(:\d+)?", value):
        return None
    return "must be auto, cpu, cuda or cuda:N"


def _check_topic(value: str) -> str | None:
    if not value:
        return None
    try:
        validate_topic_name(value)
    except InvalidTopicNameException as error:
        return f"is no topic name: {error}"
    return None


def _check_scale(value: float) -> str | None:
    return None if value and math.isfinite(value) else "must be a finite number other than 0"


def _check_names(value: list[Any]) -> str | None:
    return None if all(isinstance(name, str) for name in value) else "must be a list of names"


def _check_type(kind: str) -> Callable[[str], str | None]:
    """Known message types that can carry a modality of that kind."""
    known = sorted(name for name, adapter in ADAPTERS.items() if kind in adapter.kinds)

    def check(value: str) -> str | None:
        try:
            return None if full_type_name(value) in known else f"must be one of {', '.join(known)}"
        except ValueError as error:
            return str(error)

    return check


NODE_PARAMETERS = (
    Specification(
        "autostart",
        True,
        "Configure and activate when the node starts, without a lifecycle manager.",
        read_only=True,
    ),
    Specification(
        "checkpoint",
        "",
        "Directory of the model; empty for the bundled one. Read on configure and by "
        "~/reload_model.",
    ),
    Specification(
        "device",
        "auto",
        "Where the model runs: cpu, cuda, cuda:N, or auto: CUDA where there is one.",
        check=_check_device,
        structural=True,
    ),
    Specification(
        "precision",
        "float32",
        "float32, or bfloat16/float16 through autocast.",
        check=_one_of(*PRECISIONS),
        structural=True,
    ),
    Specification(
        "trigger",
        "",
        f"What makes a frame: the arrival of this modality, or '{TIMER}': max_rate frames a "
        "second. Empty for the first live modality in the model's order. While the modality is not "
        "live, the next live one stands in.",
    ),
    Specification("max_rate", 60.0, "Frames per second at most, in Hz.", limits=(0.01, 10_000.0)),
    Specification(
        "gather_ms",
        10.0,
        "How long a frame waits for the other live modalities of its moment, in ms.",
        limits=(0.0, 10_000.0),
    ),
    Specification("frame_id", "", "frame_id of ~/latent and of predictions that are no images."),
    Specification(
        "camera_frame",
        "camera_color_optical_frame",
        "frame_id of predicted images before any image has arrived.",
    ),
    Specification(
        "camera_info_topic",
        "",
        "sensor_msgs/CameraInfo of the camera; republished at the model's resolution beside the "
        "predicted images. Empty for none.",
        check=_check_topic,
        structural=True,
    ),
)

_DEFAULT_TYPES = {
    "image": "sensor_msgs/msg/Image",
    "depth": "sensor_msgs/msg/Image",
    "series": "geometry_msgs/msg/WrenchStamped",
    "vector": "std_msgs/msg/Float64MultiArray",
    "categorical": "std_msgs/msg/Float64MultiArray",
}


def modality_parameters(modality: Modality) -> tuple[Specification, ...]:
    """What can be set for one modality of the checkpoint."""
    name, kind = modality.name, modality.kind
    slot = SlotSettings()
    specifications = [
        Specification(
            f"{name}.topic",
            f"~/input/{name}",
            "Topic to subscribe to; empty for none.",
            check=_check_topic,
            structural=True,
        ),
        Specification(
            f"{name}.type",
            _DEFAULT_TYPES[kind],
            "Message type of the topic.",
            check=_check_type(kind),
            structural=True,
        ),
        Specification(
            f"{name}.reliability",
            "best_effort",
            "best_effort (receives from every publisher) or reliable (repeats lost messages).",
            check=_one_of("best_effort", "reliable"),
            structural=True,
        ),
        Specification(
            f"{name}.queue_size",
            100 if kind == "series" else 1,
            "Messages that the middleware keeps for a busy node; for images 1, so that they do not "
            "age in a queue.",
            limits=(1, 100_000),
            structural=True,
        ),
        Specification(
            f"{name}.max_age",
            slot.max_age,
            "Received longer ago than this, it is not live, in s.",
            limits=(0.001, 3600.0),
        ),
        Specification(
            f"{name}.max_skew",
            slot.max_skew,
            "With a stamp further than this from the trigger's, it is left out of a frame, in s.",
            limits=(0.0, 3600.0),
        ),
    ]
    if kind == "series":
        specifications.append(
            Specification(
                f"{name}.max_gap",
                slot.max_gap,
                "The widest gap between two readings that is interpolated, in s.",
                limits=(0.0, 10.0),
            )
        )
    if kind in ("series", "vector"):
        specifications.append(
            Specification(
                f"{name}.scale",
                1.0,
                "Readings are multiplied by this, for example to get metres per step from m/s.",
                check=_check_scale,
                structural=True,
            )
        )
        specifications.append(
            Specification(
                f"{name}.joints",
                [""],
                f"For {JOINT_STATE}: the joints in the model's order.",
                check=_check_names,
                structural=True,
            )
        )
    return tuple(specifications)


class NodeParameters:
    """Declares parameters, holds their values, and decides about changes.

    A value in a parameters file that is wrong does not end the node: the default is declared
    instead, and :attr:`problem` names it until it is set right.

    Args:
        node: whose parameters these are.
        is_configured: whether structural parameters are in use.
        apply: called with the new values of all parameters before they are accepted; raises
            ValueError to refuse them.
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
        self._specifications: dict[str, Specification] = {}
        self._values: dict[str, Any] = {}
        self._problems: dict[str, str] = {}
        node.add_on_set_parameters_callback(self._on_set)
        self._declare(NODE_PARAMETERS)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    @property
    def problem(self) -> str | None:
        """What is wrong with the values that the node was started with."""
        return "; ".join(self._problems.values()) or None

    def declare_modalities(self, modalities: Iterable[Modality]) -> None:
        """Declares what can be set for these modalities, and takes back what is of no other use."""
        wanted = {
            specification.name: specification
            for modality in modalities
            for specification in modality_parameters(modality)
        }
        for name in [name for name in self._specifications if "." in name and name not in wanted]:
            self._node.undeclare_parameter(name)
            for table in (self._specifications, self._values, self._problems):
                table.pop(name, None)
        self._declare(s for name, s in wanted.items() if name not in self._specifications)

    def unknown(self) -> list[str]:
        """Parameters in the parameters file that have no use with this model: misspelt ones, and
        those of a modality that it does not have."""
        return sorted(
            name
            for name in self._overrides
            if not name.startswith("qos_overrides.") and not self._node.has_parameter(name)
        )

    def settings(self, modalities: Iterable[str], values: dict[str, Any]) -> SensorSettings:
        """The sensor set's part of the values."""
        slots = {
            name: SlotSettings(
                max_age=values[f"{name}.max_age"],
                max_skew=values[f"{name}.max_skew"],
                max_gap=values.get(f"{name}.max_gap", SlotSettings.max_gap),
            )
            for name in modalities
        }
        return SensorSettings(values["trigger"], values["max_rate"], values["gather_ms"], slots)

    @property
    def values(self) -> dict[str, Any]:
        """A copy of all values."""
        return dict(self._values)

    @property
    def _overrides(self) -> dict[str, Parameter]:
        # rclpy offers no public way to see what a parameters file holds before it is declared.
        return self._node._parameter_overrides

    def _declare(self, specifications: Iterable[Specification]) -> None:
        for specification in specifications:
            name = specification.name
            self._specifications[name] = specification
            value, problem = specification.default, None
            if name in self._overrides:
                value, problem = self._started_with(specification, self._overrides[name].value)
            if problem is not None:
                self._problems[name] = problem
            self._node.declare_parameter(
                name, value, specification.descriptor, ignore_override=True
            )

    def _started_with(self, specification: Specification, value: Any) -> tuple[Any, str | None]:
        """The value to declare, and what is wrong with the given one."""
        default = specification.default
        if isinstance(default, float) and type(value) is int:
            value = float(value)  # `max_rate: 30` in YAML is an integer
        problem = None
        if type(value) is not type(default):
            problem = f"must be of type {type(default).__name__}, not {type(value).__name__}"
        elif specification.limits is not None:
            low, high = specification.limits
            if not low <= value <= high:
                problem = f"must be from {low} to {high}"
        problem = problem or specification.check(value)
        if problem is None:
            return value, None
        name = specification.name
        return default, (
            f"parameter {name} {problem}, but is {value!r}: correct the parameters file, or "
            f"`ros2 param set {self._node.get_fully_qualified_name()} {name} VALUE`"
        )

    def _on_set(self, parameters: list[Parameter]) -> SetParametersResult:
        changes = {parameter.name: parameter.value for parameter in parameters}
        known = {name: value for name, value in changes.items() if name in self._specifications}
        try:
            for name, value in known.items():
                self._check_change(self._specifications[name], value)
            self._apply({**self._values, **known})
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        for name in known:
            if name in self._values:  # not when it is only being declared
                self._problems.pop(name, None)
        self._values.update(known)
        return SetParametersResult(successful=True)

    def _check_change(self, specification: Specification, value: Any) -> None:
        name = specification.name
        problem = specification.check(value)
        if problem is not None:
            raise ValueError(f"{name} {problem}, not {value!r}")
        changes = name in self._values and self._values[name] != value
        if specification.structural and changes and self._is_configured():
            node = self._node.get_fully_qualified_name()
            raise ValueError(
                f"{name} only changes while the node is unconfigured: `ros2 lifecycle set {node} "
                "deactivate` and `cleanup` first, then set it, `configure` and `activate`"
            )
