# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The layout of CDR, in which messages travel and lie in bags.

The first two of four bytes name the encoding; fields follow, each aligned to a multiple of its
size, counted from there (OMG DDSI-RTPS 10.2, DDS-XTypes 7.6.3.1.2). A std_msgs/Header begins with
the seconds (int32) and nanoseconds (uint32) of its stamp; the length (uint32) and the characters of
its frame_id, with a zero at their end, follow.
"""

from __future__ import annotations

import struct
from typing import Any

_START = 4  # of the first field
_NAME = _START + 12  # of a header's frame_id
_ENCODINGS = frozenset(bytes((0, number)) for number in range(12))  # CDR, and its later versions
_ORDERS = {b"\0\0": ">", b"\0\1": "<"}
_STAMPS = struct.Struct(">iI"), struct.Struct("<iI")
_LENGTHS = {">": struct.Struct(">I"), "<": struct.Struct("<I")}


def is_serialised(data: bytes) -> bool:
    """True where bytes begin as a serialised message does, in whichever version."""
    return data[:2] in _ENCODINGS and len(data) >= _START


def byte_order(data: bytes) -> str:
    """``<`` or ``>`` of plain CDR, which every middleware of ROS 2 sends; empty for anything else,
    which is left to it to decode."""
    return _ORDERS.get(data[:2], "")


def read_stamp(data: bytes) -> tuple[int, int] | None:
    """Seconds and nanoseconds in the header that a message begins with; None where it is cut off.

    That place is the same in all encodings, of which those with odd numbers are little-endian.
    """
    return _STAMPS[data[1] & 1].unpack_from(data, _START) if len(data) >= _START + 8 else None


def write_stamp(data: bytearray, seconds: int, nanoseconds: int) -> None:
    """Replaces what :func:`read_stamp` reads."""
    _STAMPS[data[1] & 1].pack_into(data, _START, seconds, nanoseconds)


def read_frame_id(data: bytes, order: str) -> str:
    """The frame_id in the header that a message begins with; empty where it is cut off."""
    return "" if len(data) < _NAME else _text(data[_NAME : _end_of_header(data, order)])


def _end_of_header(data: bytes, order: str) -> int:
    return _NAME + _LENGTHS[order].unpack_from(data, _NAME - 4)[0]


def _text(data: bytes) -> str:
    return bytes(data).rstrip(b"\0").decode("utf-8", "replace")


class Fields:
    """The fields of a message, one after the other.

    Args:
        data: of the message, in plain CDR.
        order: its :func:`byte_order`.
        has_header: whether the message begins with a std_msgs/Header, which is passed over.
    """

    __slots__ = ("_data", "_order", "_place")

    def __init__(self, data: bytes, order: str, has_header: bool) -> None:
        self._data, self._order = data, order
        self._place = _end_of_header(data, order) if has_header else _START

    def integers(self, count: int) -> tuple[int, ...]:
        """The next uint32."""
        return self._numbers("I", 4, count)

    def doubles(self, count: int) -> tuple[float, ...]:
        """The next float64."""
        return self._numbers("d", 8, count)

    def byte(self) -> int:
        """The next uint8."""
        self._place += 1
        return self._data[self._place - 1]

    def text(self) -> str:
        """The next string; less of it where it is cut off."""
        (length,) = self.integers(1)
        self._place += length
        return _text(self._data[self._place - length : self._place])

    def bytes(self, count: int) -> memoryview:
        """The next bytes where they lie; fewer where they are cut off."""
        self._place += count
        return memoryview(self._data)[self._place - count : self._place]

    def _numbers(self, kind: str, size: int, count: int) -> tuple[Any, ...]:
        begin = self._place + -(self._place - _START) % size
        self._place = begin + count * size
        return struct.unpack_from(f"{self._order}{count}{kind}", self._data, begin)
