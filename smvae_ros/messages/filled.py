# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A message of any type of which some numbers are given, and all else is as by default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from smvae_ros.messages.definitions import NUMBERS, QUATERNION, Definition, Field
from smvae_ros.messages.field_names import Steps
from smvae_ros.messages.fields import make_message
from smvae_ros.messages.types import Types


def fill_message(
    types: Types,
    definition: Definition,
    type_name: str,
    given: Mapping[Steps, float],
    header: Any = None,
) -> Any:
    """A message of either library. Of rclpy's, what is not given has the default of the definition;
    rosbags does not know that: numbers are 0, texts and sequences empty, rotations none.

    Args:
        types: lookup of message classes.
        definition: of the type.
        type_name: for example ``sensor_msgs/msg/Imu``.
        given: steps to a number → its value. Integers are rounded, and brought into the range of
            their type; sequences are as long as they must be.
        header: what a field of that name is.
    """
    has_defaults = hasattr(types(type_name), "get_fields_and_field_types")
    values = {} if header is None else {"header": header}
    parts: dict[str | int, dict[Steps, float]] = {}
    for steps, value in given.items():
        parts.setdefault(steps[0], {})[steps[1:]] = value
    for field in definition[type_name]:
        if field.name not in values and (field.name in parts or not has_defaults):
            part = parts.get(field.name, {})
            values[field.name] = _value(types, definition, field, part)
    if type_name == QUATERNION and not given:
        values["w"] = 1.0
    return make_message(types, type_name, **values)


def _value(types: Types, definition: Definition, field: Field, part: Mapping[Steps, float]) -> Any:
    if field.kind in NUMBERS:
        if field.length is None:
            return _number(part.get((), 0.0), field.kind)
        return _numbers(field, {int(place): value for (place,), value in part.items()})
    if field.is_message and field.length is None:
        return fill_message(types, definition, field.kind, part)
    single = (
        fill_message(types, definition, field.kind, {})
        if field.is_message and field.length
        else ("" if "string" in field.kind else 0)
    )
    return single if field.length is None else [single] * field.length


def _number(value: float, kind: str) -> float | int | bool:
    if "float" in kind:
        return float(value)
    if kind == "bool":
        return value > 0.5
    limits = np.iinfo(kind)
    return min(max(round(value), int(limits.min)), int(limits.max))


def _numbers(field: Field, placed: Mapping[int, float]) -> np.ndarray:
    """An array in the type of its field: as long as that says, or as it must be."""
    length = field.length or max(placed, default=-1) + 1
    values = [_number(placed.get(place, 0.0), field.kind) for place in range(length)]
    return np.array(values, dtype=field.kind)
