# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Fields of a message by name, as parameters and robot files have them, found in a definition.

``angular_velocity.x``      a number, wherever in the message
``pose.pose.position``      all numbers of a sub-message, in the order of its definition
``axes``, ``covariance``    all numbers of a sequence or an array
``axes[0]``, ``axes[1:4]``  of a sequence or an array the first number; the second to the fourth
``legs[2].force.z``         of one message in a sequence of them
``orientation:six``         a quaternion as six numbers, which do not jump as its four may

The six numbers are the first two columns of the rotation matrix (Zhou et al., *On the Continuity of
Rotation Representations in Neural Networks*, CVPR 2019). A quaternion and its negative are the same
rotation, so that its four numbers may change their signs at any time.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NamedTuple

from smvae_ros.messages.definitions import NUMBERS, QUATERNION, Definition, Field

MAXIMUM_FIELDS = 1000
SIX = ":six"
_STEP = r"[A-Za-z]\w*(?:\[\d{1,6}\])?"
_NAME = re.compile(
    rf"(?P<path>{_STEP}(?:\.{_STEP})*)(?:\[(?P<first>\d{{0,6}}):(?P<last>\d{{0,6}})\])?(?P<six>{SIX})?"
)

Steps = tuple["str | int", ...]


class Number(NamedTuple):
    """One number of a message.

    Attributes:
        steps: names of fields and places in arrays that lead to it.
        kind: its type, such as ``float64``.
    """

    steps: Steps
    kind: str


@dataclass(frozen=True)
class Numbers:
    """The numbers that one named field stands for.

    Attributes:
        name: as given.
        single: each of them; empty for those of a sequence.
        sequence: steps to a sequence whose numbers they are.
        first: place of the first of these.
        count: how many there are; None for all from there on, whose count only a message tells.
        quaternions: places among them at which the four numbers of one begin.
        six: they are one quaternion, and shall be six numbers.
    """

    name: str
    single: tuple[Number, ...] = ()
    sequence: Steps = ()
    first: int = 0
    count: int | None = None
    quaternions: tuple[int, ...] = ()
    six: bool = False

    def label(self, place: int) -> str:
        """The name of one of the values."""
        if self.sequence:
            return f"{written(self.sequence)}[{self.first + place}]"
        return self.name if self.six else written(self.single[place].steps)

    def placed(self, values: Sequence[float]) -> dict[Steps, float]:
        """Steps to each number → its value."""
        if self.sequence:
            places = enumerate(values, self.first)
            return {(*self.sequence, place): value for place, value in places}
        return {number.steps: value for number, value in zip(self.single, values, strict=True)}


def check_name(name: str) -> str | None:
    """What is wrong with how a field is written, or None."""
    match = _NAME.fullmatch(name)
    if match is None:
        return (
            f"{name[:100]!r} is not the name of a field: write angular_velocity.x, position, "
            f"axes[0], axes[1:4] or orientation{SIX}"
        )
    first, last = int(match["first"] or 0), match["last"]
    return f"{name!r} has no numbers in it" if last and int(last) <= first else None


def find(name: str, definition: Definition, type_name: str) -> Numbers:
    """The numbers that a field stands for.

    Args:
        name: as in the module's description.
        definition: of the type.
        type_name: for example ``sensor_msgs/msg/Imu``.

    Raises:
        ValueError: for a name that is none, that the type does not have (with the nearest, and
            those there are), or whose field is not made of numbers; says which.
    """
    if problem := check_name(name):
        raise ValueError(problem)
    match = _NAME.fullmatch(name)
    assert match is not None  # it was just checked
    steps, field = _walk(match["path"], definition, type_name)
    if match["first"] is not None:
        return _slice(name, steps, field, int(match["first"] or 0), match["last"])
    if field.length == 0:
        if field.kind not in NUMBERS:
            raise ValueError(_no_numbers(name, field))
        return Numbers(name, sequence=steps)
    numbers: list[Number] = []
    quaternions: list[int] = []
    for path, part in _leaves(steps, field, definition):
        if part == QUATERNION:
            quaternions.append(len(numbers))
        elif part in NUMBERS:
            numbers.append(Number(path, part))
        else:
            raise ValueError(
                f"{name} is not made of numbers alone: {written(path)} is a {part}; name those "
                "of its fields that are"
                if field.is_message
                else _no_numbers(name, field)
            )
    if match["six"] and (field.kind, field.length) != (QUATERNION, None):
        raise ValueError(f"{name}: only a {QUATERNION} can be six numbers, not {field}")
    return Numbers(
        name,
        tuple(numbers),
        count=len(numbers),
        quaternions=tuple(quaternions),
        six=bool(match["six"]),
    )


def _walk(path: str, definition: Definition, type_name: str) -> tuple[Steps, Field]:
    """The steps of a path, and the field at its end; of an element of an array a single one."""
    steps: list[str | int] = []
    field = Field("", type_name)
    for part in path.split("."):
        name, _, place = part.rstrip("]").partition("[")
        if not field.is_message or field.length is not None:
            raise ValueError(f"{path}: {written(tuple(steps))} has no fields, it is {field}")
        fields = {candidate.name: candidate for candidate in definition[field.kind]}
        if name not in fields:
            raise ValueError(_describe_missing(name, written(tuple(steps)), fields.values()))
        field = fields[name]
        steps.append(name)
        if place:
            if field.length is None:
                raise ValueError(f"{path}: {field} has no elements")
            if field.length and int(place) >= field.length:
                raise ValueError(f"{path}: {field} has no element {place}; the first is 0")
            steps.append(int(place))
            field = field._replace(length=None)
    return tuple(steps), field


def _describe_missing(name: str, where: str, fields: Collection[Field]) -> str:
    nearest = get_close_matches(name, [field.name for field in fields], 1, 0.5)
    meant = f"; did you mean {nearest[0]}?" if nearest else "."
    return f"{where or 'it'} has no field {name}{meant} There are {', '.join(map(str, fields))}"


def _no_numbers(name: str, field: Field) -> str:
    return f"{name} is not made of numbers: it is {field}"


def _slice(name: str, steps: Steps, field: Field, first: int, last: str) -> Numbers:
    if field.length is None or field.kind not in NUMBERS:
        raise ValueError(f"{name}: {field} is no sequence of numbers")
    if not field.length:
        count = int(last) - first if last else None
        return Numbers(name, sequence=steps, first=first, count=count)
    end = int(last or field.length)
    if not first < end <= field.length:
        raise ValueError(f"{name}: {field} has no such numbers; the first is 0")
    single = tuple(Number((*steps, place), field.kind) for place in range(first, end))
    return Numbers(name, single, count=len(single))


def _leaves(steps: Steps, field: Field, definition: Definition) -> Iterator[tuple[Steps, str]]:
    """Steps and kind of all that a field is made of; before the numbers of a quaternion its type.
    Of a sequence, which may have any length, the kind is that with brackets."""
    if field.length == 0:
        yield steps, f"{field.kind}[]"
    elif field.length is not None:
        for place in range(field.length):
            yield from _leaves((*steps, place), field._replace(length=None), definition)
    elif field.is_message:
        if field.kind == QUATERNION:
            yield steps, QUATERNION
        for part in definition[field.kind]:
            yield from _leaves((*steps, part.name), part, definition)
    else:
        yield steps, field.kind


def written(steps: Steps) -> str:
    """Steps as they stand in the name of a field: ``legs[2].force.z``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return text.lstrip(".")


def leading_doubles(definition: Definition, type_name: str, header: bool) -> list[Steps]:
    """The steps to the float64 with which a message begins after its header, if it has one; as far
    as there are no others between them."""
    found: list[Steps] = []
    for field in definition[type_name][header:]:
        for steps, kind in _leaves((field.name,), field, definition):
            if kind not in ("float64", QUATERNION):
                return found
            if kind == "float64":
                found.append(steps)
    return found
