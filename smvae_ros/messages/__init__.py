# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""message ↔ array: an adapter for each message type, by the type's ROS name.

Images and joint states have one of their own; of all other types named fields are read
(:mod:`smvae_ros.messages.numbers`).

>>> adapter("sensor_msgs/msg/Image").to_array(message, rgb)          # uint8 (H, W, 3)
>>> adapter("geometry_msgs/msg/TwistStamped").to_message(
...     displacement, action, bag_types, stamp_ns=stamp, scale=0.05)
>>> adapter("sensor_msgs/msg/Imu", ("angular_velocity.z", "orientation:six"))

rclpy's and rosbags' messages both fit. For a type whose reading is more than some of its numbers,
write an :class:`Adapter` and add it to :data:`ADAPTERS`; fields that are read unless others are
named stand in :data:`USUAL_FIELDS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

from smvae_core.modalities import Kind
from smvae_ros.messages.camera_info import make_camera_info, scale_camera_info
from smvae_ros.messages.clouds import PointCloudAdapter
from smvae_ros.messages.compressed import CompressedImageAdapter
from smvae_ros.messages.definitions import Definition, Definitions, known_definition
from smvae_ros.messages.fields import (
    Adapter,
    ForeignMessage,
    MessageError,
    frame_id,
    make_header,
    make_message,
    make_stamp,
    stamp_ns,
)
from smvae_ros.messages.images import ImageAdapter
from smvae_ros.messages.joint_states import JointStateAdapter
from smvae_ros.messages.numbers import NumbersAdapter, UnknownAdapter
from smvae_ros.messages.scans import LaserScanAdapter
from smvae_ros.messages.taxels import TaxelsAdapter
from smvae_ros.messages.types import Types, bag_types, full_type_name, installed_types
from smvae_ros.messages.usual_fields import USUAL_FIELDS

__all__ = [
    "ADAPTERS",
    "USUAL_FIELDS",
    "Adapter",
    "ForeignMessage",
    "MessageError",
    "Types",
    "adapter",
    "bag_types",
    "can_carry",
    "frame_id",
    "full_type_name",
    "installed_types",
    "known_types",
    "listed_types",
    "make_camera_info",
    "make_header",
    "make_message",
    "make_stamp",
    "scale_camera_info",
    "stamp_ns",
]

ADAPTERS: dict[str, Adapter] = {
    known.type_name: known
    for known in (
        ImageAdapter(),
        CompressedImageAdapter(),
        PointCloudAdapter(),
        LaserScanAdapter(),
        JointStateAdapter(),
    )
}


def adapter(
    type_name: str, fields: Sequence[str] = (), definitions: Definitions | None = None
) -> Adapter:
    """The adapter of a message type; ``sensor_msgs/Image`` and ``sensor_msgs/msg/Image`` are one.

    Args:
        type_name: of the messages.
        fields: that are the reading, see :mod:`smvae_ros.messages.field_names`; by default the
            usual ones of the type.
        definitions: what has the type's definition, as a bag does. For a type that it does not have
            the adapter stands for messages that are not there either. By default those that are
            known here.

    Raises:
        MessageError: for a type that nobody knows; lists those that are known. For fields that the
            type does not have, or where they must be named; says which there are.
    """
    try:
        name = full_type_name(type_name)
    except ValueError as error:
        raise MessageError(str(error)) from error
    if name in ADAPTERS:
        return _with_fields(ADAPTERS[name], fields)
    if definitions is None:
        return _known(name, tuple(fields))
    definition = definitions(name)
    return UnknownAdapter(name) if definition is None else _of_numbers(name, fields, definition)


def _with_fields(known: Adapter, fields: Sequence[str]) -> Adapter:
    if not fields:
        return known
    if isinstance(known, JointStateAdapter):
        return JointStateAdapter(fields)
    raise MessageError(f"{known.type_name} is read as a whole: leave its fields out")


@cache
def _known(name: str, fields: tuple[str, ...]) -> Adapter:
    definition = known_definition(name)
    if definition is None:
        raise MessageError(
            f"nobody here knows the message type {name}: install its package, and source the "
            f"workspace that has it. {_LISTED}"
        )
    return _of_numbers(name, fields, definition)


def _of_numbers(name: str, fields: Sequence[str], definition: Definition) -> Adapter:
    fields = fields or USUAL_FIELDS.get(name, ())
    if not fields:
        raise MessageError(
            f"no fields of {name} are named that are the reading; it has "
            f"{', '.join(map(str, definition[name]))}. {_LISTED}"
        )
    return _class_of(name)(name, fields, definition)


def _class_of(name: str) -> type[NumbersAdapter]:
    return TaxelsAdapter if name in _ARRAYS else NumbersAdapter


def can_carry(type_name: str, kind: Kind) -> bool:
    """Whether messages of a type may be readings of a modality of a kind; of types of named fields
    their definition decides."""
    name = full_type_name(type_name)
    return kind in (ADAPTERS[name] if name in ADAPTERS else _class_of(name)).kinds


def known_types(kind: Kind) -> list[str]:
    """The types that can carry a modality of a kind without fields being named."""
    return sorted(name for name in (*ADAPTERS, *USUAL_FIELDS) if can_carry(name, kind))


def listed_types(names: Iterable[str]) -> str:
    """Message types in words, each package once: geometry_msgs/Pose, Wrench; std_msgs/Float32."""
    packages: dict[str, list[str]] = {}
    for name in sorted(names):
        packages.setdefault(name.split("/")[0], []).append(name.split("/")[2])
    return "; ".join(f"{package}/{', '.join(words)}" for package, words in packages.items())


_ARRAYS = {name for name in USUAL_FIELDS if name.endswith("MultiArray")}
_LISTED = f"Without naming fields there are {listed_types((*ADAPTERS, *USUAL_FIELDS))}"
