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
    for field in definition[type_name]:
        inside = {steps[1:]: value for steps, value in given.items() if steps[0] == field.name}
        if field.name in values or (has_defaults and not inside):
            continue
        values[field.name] = _value(types, definition, field, inside)
    if type_name == QUATERNION and not given:
        values["w"] = 1.0
    return make_message(types, type_name, **values)


def _value(
    types: Types, definition: Definition, field: Field, inside: Mapping[Steps, float]
) -> Any:
    if field.kind in NUMBERS:
        return _numbers(field, inside)
    if field.is_message and field.length is None:
        return fill_message(types, definition, field.kind, inside)
    single = (
        fill_message(types, definition, field.kind, {})
        if field.is_message and field.length
        else ("" if "string" in field.kind else 0)
    )
    return single if field.length is None else [single] * field.length


def _numbers(field: Field, inside: Mapping[Steps, float]) -> Any:
    """A number, or an array of them in the type of their field."""
    placed = {int(steps[0]) if steps else 0: value for steps, value in inside.items()}
    shortest = 1 if field.length is None else field.length
    values = np.zeros(max(shortest, *(place + 1 for place in placed), 0))
    values[list(placed)] = list(placed.values())
    kind = np.dtype(field.kind)
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        values = np.clip(np.rint(values), limits.min, limits.max)
    array = values > 0.5 if kind.kind == "b" else values.astype(kind)
    return array[0].item() if field.length is None else array
