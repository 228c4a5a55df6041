# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What values of parameters must be, beside their type and limits: each check says what is wrong
with a value, in words, or None."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from smvae_core.modalities import Kind
from smvae_core.plausibility import LARGEST
from smvae_ros.messages import can_carry, known_types, listed_types
from smvae_ros.messages.field_names import MAXIMUM_FIELDS, check_name
from smvae_ros.messages.joint_states import MAXIMUM_JOINTS
from smvae_ros.messages.numbers import NumbersAdapter
from smvae_ros.messages.serialised import MAXIMUM_NAME
from smvae_ros.sensors.correction import check_quaternion

Check = Callable[[Any], "str | None"]


def at_most(characters: int) -> Check:
    """A check of the length of a text."""

    def check(value: str) -> str | None:
        return None if len(value) <= characters else f"must have at most {characters} characters"

    return check


def check_device(value: str) -> str | None:
    """Of a device of torch, or auto."""
    if re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", value):
        return None
    return "must be auto, cpu, cuda or cuda:N"


def check_topic(value: str) -> str | None:
    """Of a topic, absolute or relative; or empty."""
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
        return f"is not a valid topic name: {error}"
    return None


def check_scale(value: float) -> str | None:
    """Of a factor that can be undone."""
    return None if value and math.isfinite(value) else "must be a finite number other than 0"


def check_joints(value: list[Any]) -> str | None:
    """Of names of joints; an empty one stands for none."""
    if len(value) > MAXIMUM_JOINTS:
        return f"must have at most {MAXIMUM_JOINTS} names"
    if not all(isinstance(name, str) and len(name) <= MAXIMUM_NAME for name in value):
        return f"must be a list of names of at most {MAXIMUM_NAME} characters"
    twice = next((name for name in value if name and value.count(name) > 1), None)
    return None if twice is None else f"must have each name once, and has {twice} twice"


def check_zero(value: list[Any]) -> str | None:
    """Of numbers that a sensor may say at rest."""
    if not 1 <= len(value) <= MAXIMUM_JOINTS:
        return f"must have 1 to {MAXIMUM_JOINTS} values"
    if not all(isinstance(x, float) and abs(x) <= LARGEST for x in value):
        return f"must be a list of numbers of at most {LARGEST:g}"
    return None


def check_rotation(value: list[Any]) -> str | None:
    """Of a quaternion x y z w."""
    numbers = all(isinstance(x, float) for x in value)
    return check_quaternion(value if numbers else ())


def check_fields(value: list[Any]) -> str | None:
    """Of names of fields; an empty one stands for none."""
    if len(value) > MAXIMUM_FIELDS:
        return f"must have at most {MAXIMUM_FIELDS} names"
    if not all(isinstance(name, str) for name in value):
        return "must be a list of names"
    problems = (check_name(name) for name in value if name)
    return next((f"must be names of fields: {problem}" for problem in problems if problem), None)


def check_type(kind: Kind) -> Check:
    """A check for the message types that can carry a modality of that kind. Those of named fields
    are as many as there are; whether one is known here is seen when it is configured."""

    def check(value: str) -> str | None:
        try:
            if can_carry(value, kind):
                return None
        except ValueError as error:
            return str(error)
        others = ", or another whose fields are numbers" if kind in NumbersAdapter.kinds else ""
        return f"must be one of {listed_types(known_types(kind))}{others}"

    return check
