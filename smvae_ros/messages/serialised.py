# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A message as it came over the wire, of which only what is used is decoded.

Decoding costs more than receiving: a camera at 30 Hz of which a frame uses every third image, or a
node that nobody listens to, should not pay for it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from smvae_ros.messages.cdr import Fields, byte_order, read_frame_id, read_stamp

NANOSECONDS = 1_000_000_000
MAXIMUM_NAME = 256  # characters of a frame, a joint, ...; longer ones are attacks or garbage


def join_stamp(seconds: int, nanoseconds: int) -> int | None:
    """The fields of a builtin_interfaces/Time in nanoseconds; None as in
    :func:`smvae_ros.messages.stamp_ns`.

    Nanoseconds of a second or more are no time, and together with the last seconds that the type
    has they make one that no output could be stamped with.
    """
    total = seconds * NANOSECONDS + nanoseconds
    return total if total > 0 and nanoseconds < NANOSECONDS else None


class PlainImage(NamedTuple):
    """The fields of a sensor_msgs/Image after its header."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: memoryview


class SerialisedMessage:
    """One message.

    Args:
        data: as a subscription with ``raw=True`` gives it.
        deserialise: makes a message of it.
        has_header: whether its first field is a std_msgs/Header.
    """

    __slots__ = ("_data", "_deserialise", "_has_header", "_order")

    def __init__(
        self, data: bytes, deserialise: Callable[[bytes], Any], has_header: bool = True
    ) -> None:
        self._data, self._deserialise, self._has_header = data, deserialise, has_header
        self._order = byte_order(data)

    @property
    def stamp_ns(self) -> int | None:
        """As :func:`smvae_ros.messages.stamp_ns`."""
        if not self._has_header or not self._order:
            return None
        stamp = read_stamp(self._data)
        return None if stamp is None else join_stamp(*stamp)

    @property
    def frame_id(self) -> str:
        """As :func:`smvae_ros.messages.frame_id`; empty where it is cut off."""
        if not self._has_header or not self._order:
            return ""
        return read_frame_id(self._data, self._order)[:MAXIMUM_NAME]

    def values(self, count: int) -> tuple[float, ...]:
        """The content of a message of nothing but ``count`` float64 after the header, if any.

        Raises:
            ValueError: where the message is too short.
        """
        try:
            if self._order:
                return Fields(self._data, self._order, self._has_header).doubles(count)
            raise ValueError("the message is not plain CDR")
        except struct.error as error:
            raise ValueError(f"{len(self._data)} bytes are too few") from error

    def image(self) -> PlainImage:
        """The content of a sensor_msgs/Image, its data where they lie.

        Raises:
            ValueError: where the message is too short for what it says of itself.
        """
        try:
            fields = Fields(self._data, self._order, self._has_header)
            height, width = fields.integers(2)
            encoding = fields.text()
            is_bigendian = fields.byte()
            step, count = fields.integers(2)
        except (struct.error, IndexError) as error:
            raise ValueError(f"{len(self._data)} bytes are too few") from error
        pixels = fields.bytes(count)
        if len(pixels) < count:
            raise ValueError(f"{len(self._data)} bytes are too few for {count} of pixels")
        return PlainImage(height, width, encoding, is_bigendian, step, pixels)

    def message(self) -> Any:
        """The whole message; whatever the middleware raises where the bytes are none."""
        return self._deserialise(self._data)

    @property
    def is_plain(self) -> bool:
        """True where stamp, frame_id and values can be read."""
        return bool(self._order)
