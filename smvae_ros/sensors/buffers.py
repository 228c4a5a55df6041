# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What is kept of one modality: its newest message, and what counts where that proves unusable.

Times are integer nanoseconds. A stamp is the time in a message's header and may be missing, jump or
run backwards; ``received_ns`` is the monotonic time of receipt.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from smvae_ros.messages.serialised import NANOSECONDS
from smvae_ros.sensors.evidence import Window
from smvae_ros.sensors.settings import BufferSettings

PERIODS = 8  # a median of so many ignores single lost messages and jumps
SPARE = 4  # messages kept beside the newest; images are large


def nanoseconds(seconds: float) -> int:
    """Seconds, as they stand in settings, in integer nanoseconds."""
    return round(seconds * NANOSECONDS)


class Received(NamedTuple):
    """One message: whatever was stored of it, its stamp (None where it has none), its receipt."""

    value: Any
    stamp_ns: int | None
    received_ns: int


class NewestBuffer:
    """The newest message of a modality, which always replaces the one before.

    Some values are decoded only when a snapshot uses them, and may prove unusable then. So the last
    one that a snapshot did use is kept until a newer one is used (:meth:`prove`), and some between
    them: where the newest is given up (:meth:`discard`), the one before it is the newest again.

    Args:
        settings: how it is judged; can be exchanged later with :meth:`configure`.

    Attributes:
        max_age_ns: received longer ago than this, it is not fresh enough to be used.
        max_skew_ns: with a stamp further than this from the trigger's, it is left out of a
            snapshot.
        value: whatever was stored; None before anything was.
        stamp_ns: its stamp; None where it has none.
        received_ns: its monotonic time of receipt.
        unused: it has not been part of a snapshot yet.
    """

    def __init__(self, settings: BufferSettings | None = None) -> None:
        self.value: Any = None
        self.stamp_ns: int | None = None
        self.received_ns = 0
        self.unused = False
        self._kept: list[Received] = []  # the newest last
        self._distances: deque[int] = deque(maxlen=PERIODS)
        self.configure(settings or BufferSettings())

    def configure(self, settings: BufferSettings) -> None:
        """Exchanges the settings."""
        self.max_age_ns = nanoseconds(settings.max_age)
        self.max_skew_ns = nanoseconds(settings.max_skew)

    @property
    def complete(self) -> bool:
        """Whether there is something to give out."""
        return self.value is not None

    @property
    def missing(self) -> Window | None:
        """Of a series, what there is of a window that is not complete."""
        return None

    @property
    def live_until_ns(self) -> int:
        """The last moment at which what was received is fresh enough to be used."""
        return self.received_ns + self.max_age_ns

    def is_live(self, now: int) -> bool:
        """Whether there is something to give out that is fresh enough."""
        return self.complete and now <= self.live_until_ns

    @property
    def period_ns(self) -> int | None:
        """Median distance of the latest stamps; None until there are two of one epoch."""
        distances = sorted(self._distances)
        return distances[len(distances) // 2] if distances else None

    def nearest_ns(self, moment_ns: int) -> int | None:
        """The stamp nearest to a moment that this modality can offer; None without stamps."""
        return self.stamp_ns

    def skew_ns(self, moment_ns: int | None) -> int:
        """By how much the best that this modality can offer is behind a moment; 0 where one of the
        two has no stamp."""
        stamp = None if moment_ns is None else self.nearest_ns(moment_ns)
        return 0 if stamp is None or moment_ns is None else moment_ns - stamp

    def is_skewed(self, moment_ns: int | None) -> bool:
        """Whether that is more than a snapshot may mix."""
        return abs(self.skew_ns(moment_ns)) > self.max_skew_ns

    def earlier(self, now: int, moment_ns: int | None) -> list[Received]:
        """The messages before the newest that count where that is unusable, newest first.

        Args:
            now: they are still fresh enough then.
            moment_ns: their stamps are not too far from it; None for no matter.
        """
        oldest, found = now - self.max_age_ns, []
        for message in self._kept[-2::-1]:
            stamp = moment_ns if message.stamp_ns is None else message.stamp_ns
            apart = 0 if stamp is None or moment_ns is None else moment_ns - stamp
            if message.received_ns >= oldest and abs(apart) <= self.max_skew_ns:
                found.append(message)
        return found

    def store(self, value: Any, stamp_ns: int | None, received_ns: int) -> bool:
        """Keeps a message. Returns whether another one, never used, was lost by it."""
        replaced = self.unused
        self._measure(stamp_ns)
        kept = self._kept
        kept.append(Received(value, stamp_ns, received_ns))
        while len(kept) > 1 and kept[0].received_ns < received_ns - self.max_age_ns:
            del kept[0]
        if len(kept) > 1 + SPARE:
            del kept[1]  # not the first: it may be the only one that is usable
        self._show(kept[-1])
        self.unused = True
        return replaced

    def prove(self, value: Any) -> None:
        """Tells that a snapshot has used a message: those before it are not needed any more."""
        place = self._find(value)
        if place is not None:
            del self._kept[:place]

    def discard(self, value: Any) -> None:
        """Tells that a message is unusable: it is as if it had never been stored."""
        place = self._find(value)
        if place is None:
            return
        was_newest = place == len(self._kept) - 1
        del self._kept[place]
        if was_newest:
            self._show(self._kept[-1] if self._kept else Received(None, None, 0))
            self.unused = False

    def forget(self) -> None:
        """As if nothing had ever been stored."""
        self._kept.clear()
        self._distances.clear()
        self._show(Received(None, None, 0))
        self.unused = False

    def _find(self, value: Any) -> int | None:
        for place in range(len(self._kept) - 1, -1, -1):
            if self._kept[place].value is value:
                return place
        return None

    def _show(self, message: Received) -> None:
        self.value, self.stamp_ns, self.received_ns = message

    def _measure(self, stamp_ns: int | None) -> None:
        """Takes a stamp into account for the period."""
        before = self.stamp_ns
        if stamp_ns is not None and before is not None and stamp_ns > before:
            self._distances.append(stamp_ns - before)
        else:  # time runs backwards: what was known of the period is void
            self._distances.clear()
