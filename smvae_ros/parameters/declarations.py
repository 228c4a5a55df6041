"""Which parameters there are: defaults, descriptions, ranges, and when they may change.

No ROS import: offline tools read the same parameters file.

Those of a modality (``rgb.topic``, …) are declared for the modalities that the checkpoint holds.
Structural parameters decide which model is loaded and what is subscribed, so they only change while
the node is unconfigured; all others act at once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from smvae_core.health.hysteresis import Thresholds
from smvae_core.health.monitor import HealthSettings
from smvae_core.inference.inference import PRECISIONS
from smvae_core.inference.runtimes import AUTO, RUNTIMES
from smvae_core.modalities import Modality
from smvae_ros.messages import ADAPTERS, full_type_name
from smvae_ros.messages.fields import MAXIMUM_NAME
from smvae_ros.messages.vectors import MAXIMUM_JOINTS
from smvae_ros.sensors.settings import TIMER, SensorSettings, SlotSettings

JOINT_STATE = "sensor_msgs/msg/JointState"
MAXIMUM_PATH = 4096  # characters


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

    def problem(self, value: Any) -> str | None:
        """What is wrong with a value of any type, or None."""
        if type(value) is not type(self.default):
            return f"must be of type {type(self.default).__name__}, not {type(value).__name__}"
        if self.limits is not None:
            low, high = self.limits
            if not low <= value <= high:
                return f"must be from {low} to {high}"
        return self.check(value)


def _one_of(*choices: str) -> Callable[[str], str | None]:
    def check(value: str) -> str | None:
        return None if value in choices else f"must be one of {', '.join(choices)}"

    return check


def _check_length(most: int) -> Callable[[str], str | None]:
    def check(value: str) -> str | None:
        return None if len(value) <= most else f"must have at most {most} characters"

    return check


def _check_device(value: str) -> str | None:
    if re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", value):
        return None
    return "must be auto, cpu, cuda or cuda:N"


def _check_topic(value: str) -> str | None:
    if not value:
        return None
    try:
        from rclpy.exceptions import InvalidTopicNameException
        from rclpy.validate_topic_name import validate_topic_name
    except ImportError:  # offline: a name that no bag has is noticed there
        return None
    try:
        validate_topic_name(value)
    except InvalidTopicNameException as error:
        return f"is no topic name: {error}"
    return None


def _check_scale(value: float) -> str | None:
    return None if value and math.isfinite(value) else "must be a finite number other than 0"


def _check_joints(value: list[Any]) -> str | None:
    if len(value) > MAXIMUM_JOINTS:
        return f"must have at most {MAXIMUM_JOINTS} names"
    if not all(isinstance(name, str) and len(name) <= MAXIMUM_NAME for name in value):
        return f"must be a list of names of at most {MAXIMUM_NAME} characters"
    return None


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
        "model_folder",
        "",
        "Directory that a checkpoint must lie in to be set while the node runs. Empty for the one "
        "in which the checkpoint stands that the node is started with.",
        check=_check_length(MAXIMUM_PATH),
        read_only=True,
    ),
    Specification(
        "checkpoint",
        "",
        "Directory of the model, in model_folder; empty for the bundled one. Read on configure and "
        "by ~/reload_model.",
        check=_check_length(MAXIMUM_PATH),
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
        "float32, or bfloat16/float16 through autocast. A CPU only with instructions for bfloat16 "
        "gains by it, and none has float16.",
        check=_one_of(*PRECISIONS),
        structural=True,
    ),
    Specification(
        "runtime",
        AUTO,
        f"How the networks are run: {', '.join(RUNTIMES)}, or auto: the fastest that works on "
        "every machine. compiled needs a C++ compiler, and up to minutes to configure.",
        check=_one_of(AUTO, *RUNTIMES),
        structural=True,
    ),
    Specification(
        "cpu_threads",
        1,
        "Threads that the model uses on a CPU. Splitting a small model costs more than it saves, "
        "and takes cores from other nodes.",
        limits=(1, 256),
        structural=True,
    ),
    Specification(
        "trigger",
        "",
        f"What makes a frame: the arrival of this modality, or '{TIMER}': max_rate frames a "
        "second. Empty for the first live modality in the model's order. While the modality is not "
        "live, the next live one stands in, series last.",
    ),
    Specification("max_rate", 60.0, "Frames per second at most, in Hz.", limits=(0.01, 10_000.0)),
    Specification(
        "idle_rate",
        1.0,
        "Frames per second at most while nobody subscribes to any output but /diagnostics, in Hz.",
        limits=(0.01, 10_000.0),
    ),
    Specification(
        "lazy",
        True,
        "Whether sensors are subscribed only while somebody subscribes to an output or to "
        "/diagnostics.",
    ),
    Specification(
        "gather_ms",
        10.0,
        "How long a frame waits for the other live modalities of its moment, in ms.",
        limits=(0.0, 10_000.0),
    ),
    Specification(
        "deadline_ms",
        100.0,
        "A frame that is published later than this after its trigger arrived is late, in ms; 0 for "
        "no deadline.",
        limits=(0.0, 3_600_000.0),
    ),
    Specification(
        "late_warn",
        5,
        "So many late frames in a row are a WARN in /diagnostics.",
        limits=(1, 1_000_000),
    ),
    Specification(
        "late_error",
        50,
        "So many late frames in a row are an ERROR in /diagnostics.",
        limits=(1, 1_000_000),
    ),
    Specification(
        "health_share",
        0.1,
        "Share of the time that may be spent on checking sensors against each other; 0 for no "
        "checks, 1 for all sensors in every frame.",
        limits=(0.0, 1.0),
    ),
    Specification(
        "health_warn",
        Thresholds.warn,
        "Score from which on a sensor's health is WARN; a healthy sensor exceeds s in one of 10^s "
        "checks.",
        limits=(0.5, 1000.0),
    ),
    Specification(
        "health_error",
        Thresholds.error,
        "Score from which on a sensor's health is ERROR; not below health_warn.",
        limits=(0.5, 1000.0),
    ),
    Specification(
        "health_clear",
        Thresholds.clear,
        "How long scores must be lower before a sensor's health is called better again, in s.",
        limits=(0.0, 3600.0),
    ),
    Specification(
        "frame_id",
        "",
        "frame_id of ~/latent and of predictions that are no images.",
        check=_check_length(MAXIMUM_NAME),
    ),
    Specification(
        "camera_frame",
        "camera_color_optical_frame",
        "frame_id of predicted images before any image has arrived.",
        check=_check_length(MAXIMUM_NAME),
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
            {"series": 100, "image": 1, "depth": 1}.get(kind, 10),
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
                check=_check_joints,
                structural=True,
            )
        )
    return tuple(specifications)


def health_settings(values: Mapping[str, Any]) -> HealthSettings:
    """The health monitor's part of the parameters' values.

    Raises:
        ValueError: where health_error is below health_warn.
    """
    warn, error = values["health_warn"], values["health_error"]
    if error < warn:
        raise ValueError(f"health_error ({error}) must not be below health_warn ({warn})")
    return HealthSettings(values["health_share"], Thresholds(warn, error, values["health_clear"]))


def sensor_settings(modalities: Iterable[str], values: Mapping[str, Any]) -> SensorSettings:
    """The sensor set's part of the parameters' values."""
    slots = {
        name: SlotSettings(
            max_age=values[f"{name}.max_age"],
            max_skew=values[f"{name}.max_skew"],
            max_gap=values.get(f"{name}.max_gap", SlotSettings.max_gap),
        )
        for name in modalities
    }
    return SensorSettings(values["trigger"], values["max_rate"], values["gather_ms"], slots)
