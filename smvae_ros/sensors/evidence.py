# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What is known of a modality's messages: from it :mod:`smvae_ros.sensors.absence` explains why it
is absent."""

from __future__ import annotations

from dataclasses import dataclass

# Seconds for which what a message was like is what matters, and not that it was the last.
RECENT = 2.0


@dataclass(frozen=True)
class Apart:
    """A stamp too far from a snapshot's.

    Attributes:
        other: the modality that the snapshot's moment comes from.
        seconds: by which the stamp is behind that moment; negative where it is ahead.
        limit: that is allowed, in seconds.
        setting: the parameter that says so, without the modality's name.
        stamp_ns: the stamp.
        moment_ns: the snapshot's.
        other_repeated: as :attr:`Evidence.repeated`, of the other.
    """

    other: str
    seconds: float
    limit: float
    setting: str
    stamp_ns: int
    moment_ns: int
    other_repeated: int = 0


@dataclass(frozen=True)
class Window:
    """What a series has of the window that it shall give out, in seconds.

    Attributes:
        covered: from its first reading to its newest.
        length: needed.
        jump: between the stamps where it began anew last: a gap, or negative where time ran
            backwards; 0 where it never did.
        max_gap: the widest gap that is interpolated.
    """

    covered: float
    length: float
    jump: float
    max_gap: float


@dataclass(frozen=True)
class Came:
    """Messages that came since the last usable one, and were none.

    Attributes:
        count: of them.
        why: of the latest.
        age: seconds since its receipt.
    """

    count: int
    why: str
    age: float


@dataclass(frozen=True)
class Evidence:
    """What is known of a modality's messages at one time.

    Attributes:
        name: of the modality.
        live: whether there is something to give out that is fresh enough.
        age: seconds since the last usable message was received; None if there never was one.
        unusable: messages since then that could not be used.
        foreign: messages since then that were good, but about something else.
        partial: messages since then that had some of the joints, and others are missing.
        repeated: how often in a row a stamp was the one before; 0 where no message came lately.
        apart: of the latest snapshot, where it left the modality out because of its stamp.
        window: of a series whose fresh readings are no window (yet).
    """

    name: str
    live: bool = False
    age: float | None = None
    unusable: Came | None = None
    foreign: Came | None = None
    partial: Came | None = None
    repeated: int = 0
    apart: Apart | None = None
    window: Window | None = None


@dataclass(frozen=True)
class Connection:
    """What is known of where messages should come from.

    Attributes:
        topic: empty where none is configured.
        publishers: on it; None where that cannot be known, as of a recording.
        problem: why nothing can be received from it, and what to do, or empty.
    """

    topic: str
    publishers: int | None = None
    problem: str = ""
