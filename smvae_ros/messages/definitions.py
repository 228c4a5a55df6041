# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The definition of a message type as data: its fields, and those of all that it is made of.

It comes from the installed package, from rosbags or a sourced workspace, or from a bag that carries
it, whichever the messages will be read with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from smvae_ros.messages.types import (
    bag_typestore,
    define_for_bags,
    full_type_name,
    installed_types,
)

NUMBERS = frozenset(
    ["bool", "float32", "float64"]
    + [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
)
QUATERNION = "geometry_msgs/msg/Quaternion"
_HEADER = "std_msgs/msg/Header"
_PYTHON_NAMES = {"boolean": "bool", "double": "float64", "float": "float32", "char": "uint8"}
_SEQUENCE = re.compile(r"sequence<(?P<of>.+?)(?:, \d+)?>|(?P<array>.+)\[(?P<length>\d+)\]")


class Field(NamedTuple):
    """One field of a message type.

    Attributes:
        name: as it is written in the definition.
        kind: one of :data:`NUMBERS`, another simple type, or the full name of a message type.
        length: of an array; 0 for a sequence of any length, None for a single one.
    """

    name: str
    kind: str
    length: int | None = None

    @property
    def is_message(self) -> bool:
        """Whether it has fields itself."""
        return "/" in self.kind

    def __str__(self) -> str:
        if self.length is None:
            return f"{self.name} ({self.kind})"
        return f"{self.name} ({self.kind}[{self.length or ''}])"


# Type → its fields, of a type and of all it is made of.
Definition = Mapping[str, tuple[Field, ...]]
Definitions = Callable[[str], "Definition | None"]


def has_header(definition: Definition, type_name: str) -> bool:
    """True where a message begins with a std_msgs/Header."""
    return definition[type_name][:1] == (Field("header", _HEADER),)


@cache
def known_definition(type_name: str) -> Definition | None:
    """Of the installed package, else as rosbags or a sourced workspace has it; None where nobody
    here knows the type.

    Raises:
        ValueError: where the name is none of a message type.
    """
    name = full_type_name(type_name)
    try:
        return _installed_definition(name)
    except ValueError:
        pass
    try:
        define_for_bags(name)
    except ValueError:
        return None
    return stored_definition(bag_typestore(), name)


def stored_definition(store: Any, type_name: str) -> Definition:
    """As a store of rosbags has it.

    Raises:
        ValueError: where the store lacks a type.
    """

    def fields(name: str) -> list[Field]:
        if name not in store.fielddefs:
            raise ValueError(f"it lacks {name}")
        return [_stored(*field) for field in store.fielddefs[name][1]]

    return _collect(type_name, fields)


def _installed_definition(type_name: str) -> Definition:
    def fields(name: str) -> list[Field]:
        message_class = installed_types(name)
        if not hasattr(message_class, "get_fields_and_field_types"):  # a service, or anything
            raise ValueError(f"{name} is no message type")
        kinds = message_class.get_fields_and_field_types()
        return [_installed(field, kind) for field, kind in kinds.items()]

    return _collect(type_name, fields)


def _collect(type_name: str, fields: Callable[[str], list[Field]]) -> Definition:
    wanted, found = [type_name], {}
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = tuple(fields(name))
            wanted += [field.kind for field in found[name] if field.is_message]
    return found


def _installed(name: str, kind: str) -> Field:
    """A field as rclpy's classes describe it: double, sequence<float>, sequence<uint8, 3>,
    double[9], geometry_msgs/Vector3."""
    length = None
    if match := _SEQUENCE.fullmatch(kind):
        kind = match["of"] or match["array"]
        length = int(match["length"] or 0)
    if "/" in kind:
        return Field(name, full_type_name(kind), length)
    return Field(name, _PYTHON_NAMES.get(kind, kind), length)


def _stored(name: str, descriptor: tuple[Any, Any]) -> Field:
    """A field as rosbags describes it: (BASE, (kind, bound)), (NAME, type), (ARRAY, (of, length)),
    (SEQUENCE, (of, bound))."""
    kind, length = descriptor, None
    if kind[0].name in ("ARRAY", "SEQUENCE"):
        length = kind[1][1] if kind[0].name == "ARRAY" else 0
        kind = kind[1][0]
    if kind[0].name == "NAME":
        return Field(name, kind[1], length)
    return Field(name, _PYTHON_NAMES.get(kind[1][0], kind[1][0]), length)
