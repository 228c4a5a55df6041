# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Wrenches, twists, joint states and bare number arrays ↔ vectors and readings of a series."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from smvae_core.modalities import Modality
from smvae_core.words import counted
from smvae_ros.messages.fields import (
    Adapter,
    ForeignMessage,
    MessageError,
    Options,
    make_message,
    newest_reading,
    plausible_vector,
)
from smvae_ros.messages.types import Types

STATE = ("position", "velocity")
MAXIMUM_JOINTS = 1000


class TwoVectorsAdapter(Adapter):
    """A message of geometry_msgs with two Vector3, bare or stamped ↔ some of their six values.

    Of a wrench all: fx fy fz tx ty tz in N and N m. Of a twist linear x y z and angular z; with
    ``scale`` the period of control, velocities become displacements per step.

    Args:
        name: of the bare message.
        parts: its two fields.
        places: of the values in the array among the six.
        has_header: for the stamped message, which holds the bare one.
    """

    kinds = ("series", "vector")
    values = 6

    def __init__(
        self, name: str, parts: tuple[str, str], places: Sequence[int], has_header: bool
    ) -> None:
        self.type_name = f"geometry_msgs/msg/{name}{'Stamped' * has_header}"
        self.has_header = has_header
        self._bare = f"geometry_msgs/msg/{name}"
        self._field = name.lower()
        self._parts, self._places = parts, places
        self._chosen = itemgetter(*places)

    def _from_values(self, values: tuple[float, ...], options: Options) -> np.ndarray:
        return plausible_vector(self._chosen(values), options, self._field)

    def _to_array(self, message: Any, modality: Modality, options: Options) -> np.ndarray:
        bare = getattr(message, self._field) if self.has_header else message
        vectors = [getattr(bare, part) for part in self._parts]
        values = tuple(getattr(vector, axis) for vector in vectors for axis in "xyz")
        return self._from_values(values, options)

    def _to_message(
        self, array: np.ndarray, modality: Modality, types: Types, header: Any, options: Options
    ) -> Any:
        reading = newest_reading(array, len(self._places), options.scale)
        given = dict(zip(self._places, reading, strict=True))
        vectors = {
            part: make_message(
                types,
                "geometry_msgs/msg/Vector3",
                **{axis: given.get(3 * number + place, 0.0) for place, axis in enumerate("xyz")},
            )
            for number, part in enumerate(self._parts)
        }
        bare = make_message(types, self._bare, **vectors)
        if not self.has_header:
            return bare
        return make_message(types, self.type_name, header=header, **{self._field: bare})


class JointStateAdapter(Adapter):
    """sensor_msgs/JointState ↔ (2n,): positions of the n named joints, then their velocities; or
    (n,), where the modality has only that many values: positions alone.

    Several publishers may share a topic (arm, gripper, base): a message with none of the joints is
    somebody else's. One with some of them is unusable, since the others of its moment are missing,
    and parts of two moments are no reading.
    """

    type_name = "sensor_msgs/msg/JointState"
    kinds = ("series", "vector")

    def _to_array(self, message: Any, modality: Modality, options: Options) -> np.ndarray:
        joint_names = _required_joint_names(options)
        if len(message.name) > MAXIMUM_JOINTS:
            raise MessageError(
                f"a joint state of {len(message.name)} joints, more than {MAXIMUM_JOINTS}; check "
                "its publisher"
            )
        index = {name: place for place, name in enumerate(message.name)}
        missing = [name for name in joint_names if name not in index]
        if len(missing) == len(joint_names):
            raise ForeignMessage(
                f"a joint state of {', '.join(index) or 'no joints'}, with none of "
                f"{', '.join(joint_names)}"
            )
        if missing:
            raise MessageError(
                f"joint {', '.join(missing)} is not in the joint state, which has "
                f"{', '.join(index)}; correct the configured joint names, or have all of them "
                "published in one message (joint_state_publisher with source_list merges several)"
            )
        fields = ("position",) if _has_positions_only(modality, joint_names) else STATE
        for field in fields:
            if len(getattr(message, field)) != len(message.name):
                raise MessageError(
                    f"joint state has {len(message.name)} names, but "
                    f"{counted(len(getattr(message, field)), 'value')} of {field}; its publisher "
                    f"must fill {' and '.join(fields)}"
                )
        places = [index[name] for name in joint_names]
        values = [getattr(message, field)[place] for field in fields for place in places]
        return plausible_vector(values, options, "joint state")

    def _to_message(
        self, array: np.ndarray, modality: Modality, types: Types, header: Any, options: Options
    ) -> Any:
        joint_names = _required_joint_names(options)
        count = len(joint_names)
        length = count if _has_positions_only(modality, joint_names) else 2 * count
        values = np.array(newest_reading(array, length, options.scale))
        return make_message(
            types,
            self.type_name,
            header=header,
            name=list(joint_names),
            position=values[:count],
            velocity=values[count:],
            effort=np.empty(0),
        )


def _has_positions_only(modality: Modality, joint_names: Sequence[str]) -> bool:
    return modality.shape[0] == len(joint_names)


def _required_joint_names(options: Options) -> Sequence[str]:
    if not options.joint_names:
        raise MessageError("no joint names are configured; list them in the model's order")
    return options.joint_names


class Float64MultiArrayAdapter(Adapter):
    """std_msgs/Float64MultiArray ↔ (n,): its data in order; the layout is not looked at."""

    type_name = "std_msgs/msg/Float64MultiArray"
    kinds = ("categorical", "series", "vector")
    has_header = False

    def _to_array(self, message: Any, modality: Modality, options: Options) -> np.ndarray:
        count, expected = len(message.data), modality.shape[0]
        if count != expected:
            raise MessageError(
                f"the array has {counted(count, 'value')}, but {modality.name} has {expected}; "
                "configure a topic with so many"
            )
        return plausible_vector(message.data, options, "array")

    def _to_message(
        self, array: np.ndarray, modality: Modality, types: Types, header: Any, options: Options
    ) -> Any:
        values = np.array(newest_reading(array, array.shape[-1], options.scale))
        layout = make_message(types, "std_msgs/msg/MultiArrayLayout", dim=[], data_offset=0)
        return make_message(types, self.type_name, layout=layout, data=values)
