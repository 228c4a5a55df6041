"""A message as it came over the wire, of which only what is used is decoded.

Decoding costs more than receiving: a camera at 30 Hz of which a frame uses every third image, or a
node that nobody listens to, should not pay for it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

NANOSECONDS = 1_000_000_000
MAXIMUM_NAME = 256  # characters of a frame, a joint, ...; longer ones are attacks or garbage
# OMG DDSI-RTPS 10.2: the first two bytes name the encoding. Plain CDR is what every middleware of
# ROS 2 sends; anything else is left to it to decode.
_ORDERS = {b"\0\0": ">", b"\0\1": "<"}
START = 4  # of the message; its fields are aligned to multiples of their sizes, counted from here


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
        self._order = _ORDERS.get(data[:2], "")

    @property
    def stamp_ns(self) -> int | None:
        """As :func:`smvae_ros.messages.stamp_ns`."""
        if not self._has_header or not self._order or len(self._data) < START + 8:
            return None
        return join_stamp(*struct.unpack_from(self._order + "iI", self._data, START))

    @property
    def frame_id(self) -> str:
        """As :func:`smvae_ros.messages.frame_id`; empty where it is cut off."""
        start = START + 12
        text = bytes(self._data[start : start + self._frame_id_length])
        return text.rstrip(b"\0").decode("utf-8", "replace")[:MAXIMUM_NAME]

    def values(self, count: int) -> tuple[float, ...]:
        """The content of a message of nothing but ``count`` float64 after the header, if any.

        Raises:
            ValueError: where the message is too short.
        """
        start = START
        if self._has_header:
            start += -(-(12 + self._frame_id_length) // 8) * 8
        if not self._order or len(self._data) < start + 8 * count:
            raise ValueError(f"{len(self._data)} bytes are too few")
        return struct.unpack_from(f"{self._order}{count}d", self._data, start)

    def image(self) -> PlainImage:
        """The content of a sensor_msgs/Image, its data where they lie.

        Raises:
            ValueError: where the message is too short for what it says of itself.
        """
        data, order = self._data, self._order
        try:
            start = _align(START + 12 + self._frame_id_length)
            height, width, length = struct.unpack_from(order + "III", data, start)
            name = start + 12
            start = name + length
            is_bigendian = data[start]
            step, count = struct.unpack_from(order + "II", data, _align(start + 1))
        except (struct.error, IndexError) as error:
            raise ValueError(f"{len(data)} bytes are too few") from error
        begin = _align(start + 1) + 8
        if len(data) < begin + count:
            raise ValueError(f"{len(data)} bytes are too few for {count} of pixels")
        encoding = bytes(data[name:start]).rstrip(b"\0").decode("utf-8", "replace")
        pixels = memoryview(data)[begin : begin + count]
        return PlainImage(height, width, encoding, is_bigendian, step, pixels)

    def message(self) -> Any:
        """The whole message; whatever the middleware raises where the bytes are none."""
        return self._deserialise(self._data)

    @property
    def is_plain(self) -> bool:
        """Whether stamp, frame_id and values can be read."""
        return bool(self._order)

    @property
    def _frame_id_length(self) -> int:
        if not self._has_header or not self._order or len(self._data) < START + 12:
            return 0
        return struct.unpack_from(self._order + "I", self._data, START + 8)[0]


def _align(offset: int) -> int:
    """The next offset at which a field of four bytes may begin."""
    return offset + -(offset - START) % 4
