# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What became of one modality's messages: counted, and remembered to explain an absence."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from smvae_ros.messages.fields import ForeignMessage, PartialMessage
from smvae_ros.messages.serialised import NANOSECONDS
from smvae_ros.sensors.absence import describe_stray
from smvae_ros.sensors.evidence import RECENT, Apart, Came, Evidence, Window


@dataclass
class Counters:
    """What became of a modality's messages since the counters were last reset.

    Attributes:
        received: stored.
        usable: of these, known to be so, as an image is only when a snapshot has used it.
        used: snapshots that it was part of.
        dropped: replaced by a newer one before any snapshot used them.
        lost: never reached a callback, according to the middleware.
        invalid: unusable; of images those, too, that had been stored before a snapshot noticed.
        foreign: good, but about something else, such as another arm's joints.
        strayed: of these, messages of another frame_id than that of the messages that count.
        shared: messages with a joint that came last in one of other joints.
        skewed: snapshots that the modality was left out of because of its stamp.
        last_error: why the latest invalid one was unusable.
        last_stray: of which two frames messages come.
        last_shared: the joint.
    """

    received: int = 0
    usable: int = 0
    used: int = 0
    dropped: int = 0
    lost: int = 0
    invalid: int = 0
    foreign: int = 0
    strayed: int = 0
    shared: int = 0
    skewed: int = 0
    last_error: str = ""
    last_stray: str = ""
    last_shared: str = ""


class Arrivals:
    """See the module's description. Times are integer nanoseconds.

    Attributes:
        counters: since they were last reset.
        apart: of the latest snapshot, where it left the modality out because of its stamp.
        repeated: how often in a row a stamp was the one before.
        frame_id: of the latest one that was kept; empty where it has none, None before any.
    """

    def __init__(self) -> None:
        self.counters = Counters()
        self.apart: Apart | None = None
        self.repeated = 0
        self.frame_id: str | None = None
        self._stamp_ns: int | None = None
        self._received_ns = 0
        # Since the last usable one: how many, why the latest, and when that was received.
        self._unusable: tuple[int, str, int] | None = None
        self._foreign: tuple[int, str, int] | None = None
        self._partial: tuple[int, str, int] | None = None

    def check_frame(self, frame_id: str, received_ns: int) -> None:
        """Refuses a message of another frame than those before it, as long as the last of these is
        not older than two seconds: it is another sensor's, on the same topic by mistake. A driver
        that comes back with another frame is quiet for longer.

        Raises:
            ForeignMessage: for such a message.
        """
        known = self.frame_id
        if known in (None, frame_id) or received_ns - self._received_ns > RECENT * NANOSECONDS:
            return
        stray = ForeignMessage(describe_stray(known, frame_id))
        self.counters.strayed += 1
        self.counters.last_stray = str(stray)
        raise stray

    def store(
        self,
        stamp_ns: int | None,
        received_ns: int,
        frame_id: str = "",
        *,
        dropped: bool,
        ignored: bool,
        usable: bool,
    ) -> None:
        """Counts a message that was kept, or ignored for being late or repeated.

        Args:
            stamp_ns: its stamp; None where it has none.
            received_ns: its receipt.
            frame_id: empty where it has none.
            dropped: whether one was lost by that: the one before, unused, or this one.
            ignored: whether it was not kept.
            usable: whether it is known to be so; otherwise :meth:`use` tells.
        """
        counters = self.counters
        counters.received += 1
        counters.dropped += dropped
        self.repeated = self.repeated + 1 if stamp_ns == self._stamp_ns is not None else 0
        self._stamp_ns = stamp_ns
        self._received_ns = received_ns
        self.frame_id = frame_id
        if usable and not ignored:
            counters.usable += 1
            self._unusable = self._foreign = self._partial = None

    def use(self, proven: bool) -> None:
        """Counts a snapshot that the modality was part of.

        Args:
            proven: whether the snapshot has shown that the newest message is usable.
        """
        self.counters.used += 1
        if proven:
            self.counters.usable += 1
            self._unusable = self._foreign = self._partial = None

    def refuse(self, error: ValueError | str, received_ns: int) -> None:
        """Counts a message that is unusable, or somebody else's; takes note of one that makes no
        reading by itself."""
        if isinstance(error, PartialMessage):
            count = 0 if self._partial is None else self._partial[0]
            self._partial = (count + 1, str(error), received_ns)
        elif isinstance(error, ForeignMessage):
            self.counters.foreign += 1
            count = 0 if self._foreign is None else self._foreign[0]
            self._foreign = (count + 1, str(error), received_ns)
        else:
            self.counters.invalid += 1
            self.counters.last_error = str(error)
            count = 0 if self._unusable is None else self._unusable[0]
            self._unusable = (count + 1, str(error), received_ns)

    def copy_counters(self) -> Counters:
        """The counters as they are now."""
        return dataclasses.replace(self.counters)

    def evidence(
        self, name: str, now: int, received_ns: int | None, live: bool, window: Window | None
    ) -> Evidence:
        """What explains an absence at one time.

        Args:
            name: of the modality.
            now: the time.
            received_ns: when the last usable one was received; None if there never was one.
            live: whether there is something to give out that is fresh enough.
            window: of a series whose fresh readings are no window (yet).
        """
        return Evidence(
            name,
            live,
            None if received_ns is None else (now - received_ns) / NANOSECONDS,
            _came(self._unusable, now),
            _came(self._foreign, now),
            _came(self._partial, now),
            # A driver that has stopped is not to be corrected.
            self.repeated if now - self._received_ns <= RECENT * NANOSECONDS else 0,
            self.apart if live else None,
            window,
        )


def _came(last: tuple[int, str, int] | None, now: int) -> Came | None:
    return None if last is None else Came(last[0], last[1], (now - last[2]) / NANOSECONDS)
