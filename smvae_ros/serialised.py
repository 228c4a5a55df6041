"""A message as it came over the wire, of which only what is used is decoded.

Decoding costs more than receiving: a camera at 30 Hz of which a frame uses every third image, or a
node that nobody listens to, should not pay for it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from smvae_ros.messages.fields import NANOSECONDS, MessageError

# After the encapsulation, of which byte 1 says the byte order (OMG DDSI-RTPS, CDR).
HEADER_START = 4


class SerialisedMessage:
    """One message.

    Args:
        data: as a subscription with ``raw=True`` gives it.
        deserialise: makes a message of it.
        has_header: whether its first field is a std_msgs/Header.
    """

    __slots__ = ("_data", "_deserialise", "_has_header")

    def __init__(
        self, data: bytes, deserialise: Callable[[bytes], Any], has_header: bool = True
    ) -> None:
        self._data, self._deserialise, self._has_header = data, deserialise, has_header

    @property
    def stamp_ns(self) -> int | None:
        """As :func:`smvae_ros.messages.stamp_ns`."""
        if not self._has_header or len(self._data) < HEADER_START + 8:
            return None
        seconds, nanoseconds = struct.unpack_from(self._order + "iI", self._data, HEADER_START)
        total = seconds * NANOSECONDS + nanoseconds
        return total if total > 0 else None

    @property
    def frame_id(self) -> str:
        """As :func:`smvae_ros.messages.frame_id`; empty where it is cut off."""
        start = HEADER_START + 12
        if not self._has_header or len(self._data) < start:
            return ""
        (length,) = struct.unpack_from(self._order + "I", self._data, start - 4)
        text = bytes(self._data[start : start + length])
        return text.rstrip(b"\0").decode("utf-8", "replace") if len(text) == length else ""

    def message(self) -> Any:
        """The whole message.

        Raises:
            MessageError: where the bytes are none of its type.
        """
        try:
            return self._deserialise(self._data)
        except Exception as error:  # the middleware's own types
            raise MessageError(
                f"{len(self._data)} bytes that are no such message ({error}); check its publisher"
            ) from error

    @property
    def _order(self) -> str:
        return "<" if self._data[1] & 1 else ">"
