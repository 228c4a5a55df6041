# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Named fields of a message of any type ↔ vectors, readings of a series, and classes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cache, partial
from operator import attrgetter, itemgetter
from typing import Any

import numpy as np

from smvae_core.modalities import Modality
from smvae_core.words import counted
from smvae_ros.messages.definitions import Definition, has_header, known_definition
from smvae_ros.messages.field_names import Numbers, Steps, find, leading_doubles, written
from smvae_ros.messages.fields import (
    Adapter,
    MessageError,
    Options,
    newest_reading,
    plausible_vector,
)
from smvae_ros.messages.filled import fill_message
from smvae_ros.messages.rotations import check_quaternion, from_six, to_six
from smvae_ros.messages.types import Types

KINDS: Collection[str] = ("categorical", "series", "vector")


class NumbersAdapter(Adapter):
    """The numbers that some fields of a message stand for, one after the other.

    Of a categorical modality they are one-hot, or a single integer: the class, counted from 0.

    Args:
        type_name: for example ``sensor_msgs/msg/Imu``.
        fields: as in :mod:`smvae_ros.messages.field_names`.
        definition: of the type.

    Raises:
        MessageError: for a field that is not there, or not made of numbers.
    """

    kinds = KINDS

    def __init__(self, type_name: str, fields: Sequence[str], definition: Definition) -> None:
        self.type_name = type_name
        self.has_header = has_header(definition, type_name)
        self._definition = definition
        try:
            self._fields = [find(name, definition, type_name) for name in fields]
        except ValueError as error:
            raise MessageError(f"{type_name}: {error}") from error
        open_ends = [field.name for field in self._fields if field.count is None]
        if len(open_ends) > 1:
            raise MessageError(
                f"{type_name}: of {' and '.join(open_ends)} only one can have any length; say "
                f"which part of the others, such as {open_ends[0]}[0:4]"
            )
        self._has_open_end = bool(open_ends)
        # Of the values of an array, as far as that does not depend on the message.
        self._count = sum(_count(field) for field in self._fields)
        self._readers = [(field, _reader(field)) for field in self._fields]
        self.values, self._choosers = _find_values(self._fields, definition, type_name)
        self._rotates = any(field.quaternions for field in self._fields)
        chosen = [place for places in self._choosers for place in places]
        is_all = chosen == list(range(self.values))
        self._choose = tuple if is_all else _getter(itemgetter, chosen)

    def labels(self, count: int) -> list[str]:
        return [self._name(place) for place in range(count)]

    @property
    def for_predictions(self) -> Adapter:
        """Of fields in a sequence of messages, of which only some would be known, the numbers
        alone."""
        steps = [number.steps for field in self._fields for number in field.single]
        steps += [(*field.sequence, 0) for field in self._fields if field.sequence]
        inside = any(isinstance(step, int) for path in steps for step in path[:-1])
        return _float64_array() if inside else self

    def check(self, modality: Modality, joint_names: Sequence[str]) -> None:
        self._check_kind(modality)
        expected = modality.shape[0]
        fits = self._count < expected if self._has_open_end else self._count == expected
        if fits or self._is_class(modality):
            return
        parts = ", ".join(f"{field.name} {_count(field) or 'any number'}" for field in self._fields)
        raise MessageError(
            f"{modality.name} has {counted(expected, 'value')}, but of {self.type_name} come "
            f"{self._count}{' and more' * self._has_open_end} ({parts}): set {modality.name}.fields"
            " to those that are the reading"
        )

    def _is_class(self, modality: Modality) -> bool:
        """Whether the message has the number of a class."""
        if modality.kind != "categorical" or modality.shape == (1,) or len(self._fields) != 1:
            return False
        single = self._fields[0].single
        return len(single) == 1 and "int" in single[0].kind

    def _from_values(self, values: tuple[float, ...], options: Options) -> np.ndarray:
        if not self._rotates:
            return plausible_vector(self._choose(values), options, self._name)
        chosen = [
            number
            for field, places in zip(self._fields, self._choosers, strict=True)
            for number in _checked(field, [values[place] for place in places])
        ]
        return plausible_vector(chosen, options, self._name)

    def _to_array(self, message: Any, modality: Modality, options: Options) -> np.ndarray:
        if self._is_class(modality):
            ((field, read),) = self._readers
            return _one_hot(read(message)[0], field.name, modality)
        values: list[Any] = []
        for field, read in self._readers:
            found = read(message)
            if field.sequence:
                rest = modality.shape[0] - self._count
                found = _part(found, field, rest, modality)
            values.extend(_checked(field, found))
        if len(values) != modality.shape[0]:
            self.check(modality, ())
        return plausible_vector(values, options, self._name)

    def _name(self, place: int) -> str:
        """Of the value at a place of an array; of what follows an open end that of the field."""
        for field in self._fields:
            if field.count is None or place < _count(field):
                return field.label(place)
            place -= _count(field)
        return self.type_name

    def _to_message(
        self, array: np.ndarray, modality: Modality, types: Types, header: Any, options: Options
    ) -> Any:
        if self._is_class(modality):
            values = [float(np.argmax(newest_reading(array, modality.shape[0], 1.0)))]
        else:
            length = modality.shape[0] if self._has_open_end else self._count
            values = newest_reading(array, length, options.scale)
        rest = len(values) - self._count
        given: dict[Steps, float] = {}
        for field in self._fields:
            count = rest if field.count is None else _count(field)
            own, values = values[:count], values[count:]
            given.update(field.placed(from_six(own) if field.six else own))
        return fill_message(
            types, self._definition, self.type_name, given, header if self.has_header else None
        )


class UnknownAdapter(Adapter):
    """Of a type whose definition is nowhere: it stands for a topic that is not there either."""

    kinds = KINDS

    def __init__(self, type_name: str) -> None:
        self.type_name = type_name

    def _to_array(self, message: Any, modality: Modality, options: Options) -> np.ndarray:
        raise MessageError(f"the definition of {self.type_name} is nowhere")

    def _to_message(
        self, array: np.ndarray, modality: Modality, types: Types, header: Any, options: Options
    ) -> Any:
        raise MessageError(f"the definition of {self.type_name} is nowhere")


def _count(field: Numbers) -> int:
    """Of the values of an array; 0 where only a message tells."""
    return 6 if field.six else field.count or 0


def _getter(kind: Callable[..., Any], items: Sequence[Any]) -> Callable[[Any], Sequence[Any]]:
    """Getters of :mod:`operator` give a tuple of several, but not of one."""
    get = kind(*items)
    return get if len(items) > 1 else lambda item: (get(item),)


def _reader(field: Numbers) -> Callable[[Any], Sequence[Any]]:
    """What reads a field's numbers off a message, of a sequence all that it has."""
    if field.sequence:
        return partial(_follow, field.sequence)
    steps = [number.steps for number in field.single]
    if any(isinstance(step, int) for path in steps for step in path):
        return lambda message: [_follow(path, message) for path in steps]
    return _getter(attrgetter, [".".join(map(str, path)) for path in steps])


def _follow(steps: Steps, message: Any) -> Any:
    value = message
    for step in steps:
        if isinstance(step, str):
            value = getattr(value, step)
        elif step < len(value):
            value = value[step]
        else:
            raise MessageError(f"{written(steps)} is not there, only {len(value)} of them are")
    return value


def _find_values(
    fields: Sequence[Numbers], definition: Definition, type_name: str
) -> tuple[int, list[list[int]]]:
    """Where all that is read are some of the float64 that a message begins with: how many of these
    to read, and of each field the places among them; 0 otherwise."""
    if any(field.sequence for field in fields):
        return 0, []
    header = has_header(definition, type_name)
    doubles = enumerate(leading_doubles(definition, type_name, header))
    places = {steps: place for place, steps in doubles}
    if not all(number.steps in places for field in fields for number in field.single):
        return 0, []
    chosen = [[places[number.steps] for number in field.single] for field in fields]
    return 1 + max(place for own in chosen for place in own), chosen


def _part(found: Sequence[Any], field: Numbers, rest: int, modality: Modality) -> Sequence[Any]:
    """The wanted values of a sequence; the rest of the array's where it has no end.

    Raises:
        MessageError: where it has not so many, or, without an end, more.
    """
    wanted, there = (rest if field.count is None else field.count), len(found) - field.first
    if there < wanted or (field.count is None and there > wanted):
        raise MessageError(
            f"{field.name} has {counted(max(there, 0), 'value')}, where {wanted} are needed; "
            f"configure a topic with so many, or other {modality.name}.fields"
        )
    return found[field.first : field.first + wanted]


def _checked(field: Numbers, numbers: Sequence[Any]) -> Sequence[Any]:
    """The numbers of a field, its quaternions being some; as six where that is asked for."""
    for place in field.quaternions:
        check_quaternion(numbers[place : place + 4], field.name)
    return to_six(numbers) if field.six else numbers


def _one_hot(value: Any, name: str, modality: Modality) -> np.ndarray:
    classes = modality.shape[0]
    if not 0 <= value < classes:
        raise MessageError(f"{name} is {value}, but the classes are 0 to {classes - 1}")
    array = np.zeros(classes, dtype=np.float32)
    array[value] = 1.0
    return array


@cache
def _float64_array() -> NumbersAdapter:
    """Of the type in which numbers are published that go into no other."""
    name = "std_msgs/msg/Float64MultiArray"
    definition = known_definition(name)
    assert definition is not None  # rosbags has it
    return NumbersAdapter(name, ("data",), definition)
