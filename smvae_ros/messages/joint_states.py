# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Joint states ↔ vectors and readings of a series, joints by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from smvae_core.modalities import Modality
from smvae_core.words import counted, listed
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

TYPE_NAME = "sensor_msgs/msg/JointState"
STATE = ("position", "velocity", "effort")
MAXIMUM_JOINTS = 1000


class JointStateAdapter(Adapter):
    """sensor_msgs/JointState ↔ of each of the fields the values of the n named joints: (n,) for
    each field, one after the other.

    Several publishers may share a topic (arm, gripper, base): a message with none of the joints is
    somebody else's. Of one with some of them the others are NaN
    (:mod:`smvae_ros.sensors.parts` makes a reading of several).

    Args:
        fields: some of position, velocity and effort. By default position and velocity, or position
            alone where the modality has only so many values.

    Raises:
        MessageError: for other fields.
    """

    type_name = TYPE_NAME
    kinds = ("series", "vector")
    in_parts = True

    def __init__(self, fields: Sequence[str] = ()) -> None:
        if not set(fields) <= set(STATE) or len(set(fields)) != len(fields):
            raise MessageError(
                f"{TYPE_NAME}: fields are some of {', '.join(STATE)}, each once, not "
                f"{', '.join(fields)}"
            )
        self._fields = tuple(fields)

    def check(self, modality: Modality, joint_names: Sequence[str]) -> None:
        values, joints, fields = modality.shape[0], len(joint_names), len(self._fields)
        if values in ((fields * joints,) if fields else (joints, 2 * joints)):
            return
        name = modality.name
        expected = (
            f"{listed(self._fields)} of each joint"
            if fields
            else ("a position and a velocity of each joint, or only a position")
        )
        raise MessageError(
            f"{name}.joints has {joints} names ({', '.join(joint_names)}), but {name} has {values} "
            f"values: {expected}; {name}.fields says which of {', '.join(STATE)}"
        )

    def _used_fields(self, modality: Modality, joint_names: Sequence[str]) -> tuple[str, ...]:
        return self._fields or STATE[: 1 if modality.shape[0] == len(joint_names) else 2]

    def _to_array(self, message: Any, modality: Modality, options: Options) -> np.ndarray:
        joint_names = _required_joint_names(options)
        if len(message.name) > MAXIMUM_JOINTS:
            raise MessageError(
                f"a joint state of {len(message.name)} joints, more than {MAXIMUM_JOINTS}; check "
                "its publisher"
            )
        index = {name: place for place, name in enumerate(message.name)}
        found = [place for place, name in enumerate(joint_names) if name in index]
        if not found:
            raise ForeignMessage(
                f"a joint state of {', '.join(index) or 'no joints'}, with none of "
                f"{', '.join(joint_names)}"
            )
        fields = self._used_fields(modality, joint_names)
        for field in fields:
            if len(getattr(message, field)) != len(message.name):
                raise MessageError(
                    f"joint state has {len(message.name)} names, but "
                    f"{counted(len(getattr(message, field)), 'value')} of {field}; its publisher "
                    f"must fill {listed(fields)}"
                )
        places = [index[joint_names[place]] for place in found]
        values = plausible_vector(
            [getattr(message, field)[place] for field in fields for place in places],
            options,
            lambda n: f"{fields[n // len(found)]} of {joint_names[found[n % len(found)]]}",
        )
        if len(found) == len(joint_names):
            return values
        reading = np.full((len(fields), len(joint_names)), np.nan, dtype=np.float32)
        reading[:, found] = values.reshape(len(fields), -1)
        return reading.reshape(-1)

    def _to_message(
        self, array: np.ndarray, modality: Modality, types: Types, header: Any, options: Options
    ) -> Any:
        joint_names = _required_joint_names(options)
        fields, count = self._used_fields(modality, joint_names), len(joint_names)
        values = np.array(newest_reading(array, len(fields) * count, options.scale))
        given = dict(zip(fields, values.reshape(len(fields), count), strict=True))
        return make_message(
            types,
            self.type_name,
            header=header,
            name=list(joint_names),
            **{field: given.get(field, np.empty(0)) for field in STATE},
        )


def _required_joint_names(options: Options) -> Sequence[str]:
    if not options.joint_names:
        raise MessageError("no joint names are configured; list them in the model's order")
    return options.joint_names
