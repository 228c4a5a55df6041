# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The node's parameters, each described once.

From here come their values' checks, what `ros2 param describe` says, the comments of
``config/perception.yaml`` and the reference in the documentation. No ROS import: offline tools read
the same parameters file.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from enum import Enum
from typing import Any

from smvae_core.health.hysteresis import Thresholds
from smvae_core.inference.choices import AUTO, PRECISIONS, RUNTIMES
from smvae_core.modalities import Kind
from smvae_ros.messages.fields import DEFAULT_QUALITY
from smvae_ros.messages.numbers import NumbersAdapter
from smvae_ros.messages.serialised import MAXIMUM_NAME
from smvae_ros.parameters.checks import (
    Check,
    at_most,
    check_device,
    check_fields,
    check_joints,
    check_rotation,
    check_scale,
    check_topic,
    check_type,
    check_zero,
)
from smvae_ros.sensors.correction import NO_ROTATION, NO_ZERO
from smvae_ros.sensors.settings import TIMER, BufferSettings

MAXIMUM_PATH = 4096  # characters


class Changes(Enum):
    """Times at which a parameter may change, in words.

    Those that decide which model is loaded and what is subscribed only change while the node is
    unconfigured.
    """

    AT_ONCE = "at any time, and acts at once"
    UNCONFIGURED = "only while the node is unconfigured"
    AT_START = "only when the node is started"


def _nothing(value: Any) -> None:
    """The check of a parameter of which every value is right."""


@dataclass(frozen=True)
class Declaration:
    """One parameter.

    Attributes:
        name: with the modality's name in front, where it is one of a modality's.
        default: its type is the parameter's type.
        description: what it does and in which unit.
        limits: smallest and largest value of a number.
        choices: the values that there are; empty where it is free.
        check: returns what else is wrong with a value, or None.
        changes: when it may change.
    """

    name: str
    default: Any
    description: str
    limits: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    check: Check = _nothing
    changes: Changes = Changes.AT_ONCE

    @property
    def type_name(self) -> str:
        """The parameter's type, as `ros2 param describe` calls it."""
        names = {bool: "boolean", int: "integer", float: "double", str: "string"}
        if isinstance(self.default, list):
            return f"{names[type(self.default[0])]} array"
        return names[type(self.default)]

    @property
    def range(self) -> str:
        """The values that it may have, in words; empty where it is free."""
        if self.limits is None:
            return " or ".join(self.choices)
        return "{:g} to {:g}".format(*self.limits)

    def converted(self, value: Any) -> Any:
        """A value as YAML or rclpy has it in the parameter's type: ``max_rate: 30`` is an integer
        there, and numbers are an array."""
        if isinstance(self.default, list) and isinstance(value, (list, tuple, array)):
            if isinstance(self.default[0], float):
                return [float(x) if type(x) is int else x for x in value]
            return list(value)
        return float(value) if isinstance(self.default, float) and type(value) is int else value

    def problem(self, value: Any) -> str | None:
        """The fault of a value of any type, in words, or None."""
        if type(value) is not type(self.default):
            return f"must be of type {type(self.default).__name__}, not {type(value).__name__}"
        if self.limits is not None:
            low, high = self.limits
            if not low <= value <= high:
                return f"must be from {low} to {high}"
        if self.choices and value not in self.choices:
            return f"must be one of {', '.join(self.choices)}"
        return self.check(value)


_POSITIVE_RATE = (0.01, 10_000.0)  # Hz
_COUNT = (1, 1_000_000)
_SCORE = (0.5, 1000.0)

ROBOT = Declaration(
    "robot",
    "",
    "Robot file (docs/reference/robot_file.md), or the name of one of config/robots: gives the "
    "parameters that nothing else gives, and says how the readings of each modality are prepared, "
    "which the checkpoint has to agree with.",
    check=at_most(MAXIMUM_PATH),
    changes=Changes.AT_START,
)
NODE_PARAMETERS = (
    ROBOT,
    Declaration(
        "autostart",
        True,
        "Configure and activate when the node starts; false leaves it to a lifecycle manager.",
        changes=Changes.AT_START,
    ),
    Declaration(
        "model_folder",
        "",
        "Directory that a checkpoint must lie in to be set while the node runs "
        "(docs/explanation/security.md). Empty for the one in which the checkpoint stands that the "
        "node is started with.",
        check=at_most(MAXIMUM_PATH),
        changes=Changes.AT_START,
    ),
    Declaration(
        "checkpoint",
        "",
        "Directory with model.safetensors and model.yaml, in model_folder; empty for the bundled "
        "model. Takes effect on configure, and while the node runs through the service "
        "~/reload_model.",
        check=at_most(MAXIMUM_PATH),
    ),
    Declaration(
        "device",
        "auto",
        "Where the model runs: cpu, cuda, cuda:N, or auto: CUDA where there is one.",
        check=check_device,
        changes=Changes.UNCONFIGURED,
    ),
    Declaration(
        "precision",
        "float32",
        "float32; or bfloat16 or float16 by PyTorch's autocast. A CPU only with instructions for "
        "bfloat16 gains by it, and none has float16.",
        choices=PRECISIONS,
        changes=Changes.UNCONFIGURED,
    ),
    Declaration(
        "runtime",
        AUTO,
        f"How the networks are run: {', '.join(RUNTIMES)}, or auto: onnx on a CPU and where there "
        "is no PyTorch, else eager.",
        choices=(AUTO, *RUNTIMES),
        changes=Changes.UNCONFIGURED,
    ),
    Declaration(
        "cpu_threads",
        1,
        "Threads that the model uses on a CPU. Splitting a small model costs more than it saves, "
        "and takes cores from other nodes.",
        limits=(1, 256),
        changes=Changes.UNCONFIGURED,
    ),
    Declaration(
        "trigger",
        "",
        f"What makes a snapshot: the arrival of this modality, or {TIMER}: max_rate snapshots a "
        "second. Empty for the first live modality in the model's order. While the modality is not "
        "live, the next live one stands in, series last.",
    ),
    Declaration("max_rate", 60.0, "Snapshots per second at most, in Hz.", limits=_POSITIVE_RATE),
    Declaration(
        "idle_rate",
        1.0,
        "Snapshots per second at most while nobody subscribes to any output but /diagnostics, "
        "in Hz.",
        limits=_POSITIVE_RATE,
    ),
    Declaration(
        "lazy",
        True,
        "Subscribe to sensors only while somebody subscribes to an output or to /diagnostics.",
    ),
    Declaration(
        "gather_ms",
        10.0,
        "How long a snapshot waits for the other live modalities of its moment, in ms.",
        limits=(0.0, 10_000.0),
    ),
    Declaration(
        "deadline_ms",
        100.0,
        "A snapshot that is published later than this after its trigger arrived is late, in ms; 0 "
        "for no deadline.",
        limits=(0.0, 3_600_000.0),
    ),
    Declaration(
        "late_warn", 5, "So many late snapshots in a row are a WARN in /diagnostics.", _COUNT
    ),
    Declaration(
        "late_error", 50, "So many late snapshots in a row are an ERROR in /diagnostics.", _COUNT
    ),
    Declaration(
        "max_acceptable_consecutive_delay_ms",
        1000.0,
        "All snapshots may be late for so long before is_consecutive_processing_delay_in_range in "
        "/diagnostics is False, as of Autoware's nodes, in ms.",
        limits=(0.0, 3_600_000.0),
    ),
    Declaration(
        "health_share",
        0.1,
        "Share of the time that may be spent on checking sensors against each other "
        "(docs/explanation/health.md); 0 for no checks, 1 for all sensors in every snapshot.",
        limits=(0.0, 1.0),
    ),
    Declaration(
        "health_warn",
        Thresholds.warn,
        "Score from which on a sensor's health is WARN; a healthy sensor exceeds s in one of 10^s "
        "checks.",
        limits=_SCORE,
    ),
    Declaration(
        "health_error",
        Thresholds.error,
        "Score from which on a sensor's health is ERROR; not below health_warn.",
        limits=_SCORE,
    ),
    Declaration(
        "health_clear",
        Thresholds.clear,
        "How long scores must be lower before a sensor's health is called better again, in s.",
        limits=(0.0, 3600.0),
    ),
    Declaration(
        "tare_force_spread",
        1.0,
        "Largest standard deviation of a force with which ~/tare takes an arm for still, in N.",
        limits=(0.0, 1e6),
    ),
    Declaration(
        "tare_torque_spread",
        0.1,
        "Likewise of a torque, in N m.",
        limits=(0.0, 1e6),
    ),
    Declaration(
        "frame_id",
        "",
        "frame_id of ~/latent and of predictions that are not images.",
        check=at_most(MAXIMUM_NAME),
    ),
    Declaration(
        "camera_frame",
        "camera_color_optical_frame",
        "frame_id of predicted images before any image has arrived.",
        check=at_most(MAXIMUM_NAME),
    ),
    Declaration(
        "jpeg_quality",
        DEFAULT_QUALITY,
        "Quality of the predicted pictures on ~/prediction/<modality>/compressed; the larger, the "
        "better, and the more bytes.",
        limits=(1, 100),
    ),
    Declaration(
        "camera_info_topic",
        "",
        "sensor_msgs/CameraInfo of the camera, which is republished beside the predicted images, "
        "at the model's resolution. Empty for none.",
        check=check_topic,
        changes=Changes.UNCONFIGURED,
    ),
)

_DEFAULT_TYPES: dict[Kind, str] = {
    "image": "sensor_msgs/msg/Image",
    "depth": "sensor_msgs/msg/Image",
    "scan": "sensor_msgs/msg/LaserScan",
    "series": "geometry_msgs/msg/WrenchStamped",
    "vector": "std_msgs/msg/Float64MultiArray",
    "categorical": "std_msgs/msg/Float64MultiArray",
}


def modality_parameters(name: str, kind: Kind) -> tuple[Declaration, ...]:
    """The parameters of one modality of the checkpoint.

    Args:
        name: of the modality, with which the parameters' names begin.
        kind: of the modality; some have parameters of their own.
    """
    defaults = BufferSettings()
    declarations = [
        Declaration(
            f"{name}.topic",
            f"~/input/{name}",
            "Where it comes from, in the node's namespace unless it begins with a slash; empty for "
            "nowhere: the modality is only predicted.",
            check=check_topic,
            changes=Changes.UNCONFIGURED,
        ),
        Declaration(
            f"{name}.type",
            _DEFAULT_TYPES[kind],
            "Message type of the topic.",
            check=check_type(kind),
            changes=Changes.UNCONFIGURED,
        ),
        Declaration(
            f"{name}.reliability",
            "best_effort",
            "best_effort receives from every publisher; reliable repeats what was lost, but "
            "receives nothing from best-effort publishers, as most cameras are.",
            choices=("best_effort", "reliable"),
            changes=Changes.UNCONFIGURED,
        ),
        Declaration(
            f"{name}.queue_size",
            {"series": 100, "image": 1, "depth": 1}.get(kind, 10),
            "Messages kept for a busy node; 1 for images, or they age in the queue. While nobody "
            "listens, the node takes messages 100 times a second.",
            limits=(1, 100_000),
            changes=Changes.UNCONFIGURED,
        ),
        Declaration(
            f"{name}.max_age",
            defaults.max_age,
            "Received longer ago than this, it is not live, in s.",
            limits=(0.001, 3600.0),
        ),
        Declaration(
            f"{name}.max_skew",
            defaults.max_skew,
            "Stamped further than this from the trigger, it is left out of the snapshot, in s.",
            limits=(0.0, 3600.0),
        ),
    ]
    if kind == "series":
        declarations.append(
            Declaration(
                f"{name}.max_gap",
                defaults.max_gap,
                "Of a series, the widest gap between two readings that is interpolated, in s.",
                limits=(0.0, 10.0),
            )
        )
    if kind in ("series", "vector"):
        declarations += [
            Declaration(
                f"{name}.scale",
                1.0,
                "Readings of a series or vector are multiplied by this.",
                check=check_scale,
                changes=Changes.UNCONFIGURED,
            ),
            Declaration(
                f"{name}.joints",
                [""],
                "Of sensor_msgs/JointState, the joints in the model's order.",
                check=check_joints,
                changes=Changes.UNCONFIGURED,
            ),
            Declaration(
                f"{name}.zero",
                list(NO_ZERO),
                "Subtracted from readings before all else, in the messages' unit and axes: one "
                "value for all, or one for each. ~/tare sets it for wrenches.",
                check=check_zero,
            ),
            Declaration(
                f"{name}.rotation",
                list(NO_ROTATION),
                "Quaternion x y z w that turns all vectors of a reading (force and torque, a "
                "twist) from the sensor's axes to those of the training: what `ros2 run tf2_ros "
                "tf2_echo TRAINED SENSOR` shows. Predictions are turned back.",
                check=check_rotation,
                changes=Changes.UNCONFIGURED,
            ),
            Declaration(
                f"{name}.frame_id",
                "",
                "frame_id of messages in the training's axes, or whose rotation is given; another "
                "one is a WARN. Empty for the one that the model was trained on, where it knows.",
                check=at_most(MAXIMUM_NAME),
            ),
        ]
    if kind in NumbersAdapter.kinds:
        declarations.append(
            Declaration(
                f"{name}.fields",
                [""],
                "Fields of the message that are the reading, in this order: angular_velocity.x, "
                "position, axes[0:4], orientation:six (docs/reference/node.md). Empty for the "
                "usual ones of its type.",
                check=check_fields,
                changes=Changes.UNCONFIGURED,
            )
        )
    return tuple(declarations)
