# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""One modality of a sensor set: what is kept of it, and what became of its messages."""

from __future__ import annotations

from typing import Any

import numpy as np

from smvae_core.modalities import Modality
from smvae_ros.messages.serialised import NANOSECONDS
from smvae_ros.sensors.arrivals import Arrivals
from smvae_ros.sensors.buffers import NewestBuffer
from smvae_ros.sensors.evidence import Apart, Evidence
from smvae_ros.sensors.parts import NewestParts, Part
from smvae_ros.sensors.series_history import SeriesHistory
from smvae_ros.sensors.snapshot import Reading


class Sensor:
    """See the module's description. Times are integer nanoseconds.

    Args:
        name: of the modality.
        modality: of which a series has a history, others the newest message.

    Attributes:
        name: as given.
        buffer: what is kept.
        arrivals: what became of the messages.
    """

    def __init__(self, name: str, modality: Modality) -> None:
        self.name = name
        self.arrivals = Arrivals()
        self.buffer = SeriesHistory(modality) if modality.kind == "series" else NewestBuffer()
        self._parts = NewestParts()

    def store(self, value: Any, stamp_ns: int | None, received_ns: int, frame_id: str = "") -> None:
        """Keeps a message; ValueError refuses it, to be counted by whoever hears that."""
        if isinstance(value, Part) and self.arrivals.frame_id is not None:
            frame_id = self.arrivals.frame_id  # joints are told apart by their names
        self.arrivals.check_frame(frame_id, received_ns)
        value = self._parts.whole(value, stamp_ns, received_ns, self.buffer.max_age_ns)
        if self._parts.shared:
            self.arrivals.counters.shared += 1
            self.arrivals.counters.last_shared = self._parts.shared
        if value is None:
            return
        dropped = self.buffer.store(value, stamp_ns, received_ns)
        ignored = dropped and isinstance(self.buffer, SeriesHistory)
        usable = isinstance(value, np.ndarray)  # what is decoded later is not known to be
        self.arrivals.store(
            stamp_ns, received_ns, frame_id, dropped=dropped, ignored=ignored, usable=usable
        )

    def fits(self, leader: Sensor) -> bool:
        """Whether its stamp is near enough to the leader's, whose stamp is the snapshot's moment.
        Where not, that is counted, and remembered as long as snapshots find it so."""
        buffer, moment = self.buffer, leader.buffer.stamp_ns
        self.arrivals.apart = None
        if moment is None or leader is self or not buffer.is_skewed(moment):
            return True
        self.arrivals.counters.skewed += 1
        self.arrivals.apart = Apart(
            leader.name,
            buffer.skew_ns(moment) / NANOSECONDS,
            buffer.max_skew_ns / NANOSECONDS,
            "max_skew",
            buffer.nearest_ns(moment) or 0,
            moment,
            leader.arrivals.repeated,
        )
        return False

    def reading(self, now: int, moment: int | None, end: int | None, is_trigger: bool) -> Reading:
        """Its part of a snapshot.

        Args:
            now: when the snapshot is taken.
            moment: the stamp that skew is measured from.
            end: when the window of a series shall end.
            is_trigger: its stamp may then be as far from the moment as it likes.
        """
        buffer = self.buffer
        if isinstance(buffer, SeriesHistory):
            return _reading(*buffer.window(end), buffer.received_ns, now, moment)
        earlier: tuple[Reading, ...] = ()
        if not isinstance(buffer.value, np.ndarray):  # arrays are known to be usable
            near = buffer.earlier(now, None if is_trigger else moment)
            earlier = tuple(_reading(*message, now, moment) for message in near)
        return _reading(buffer.value, buffer.stamp_ns, buffer.received_ns, now, moment, earlier)

    def evidence(self, now: int) -> Evidence:
        """What explains that it is in no snapshot."""
        buffer = self.buffer
        stored = buffer.value is not None
        return self.arrivals.evidence(
            self.name,
            now,
            buffer.received_ns if stored else None,
            live=buffer.is_live(now),
            window=buffer.missing if stored and now <= buffer.live_until_ns else None,
        )


def _reading(
    value: Any,
    stamp_ns: int | None,
    received_ns: int,
    now: int,
    moment: int | None,
    earlier: tuple[Reading, ...] = (),
) -> Reading:
    skew = None if stamp_ns is None or moment is None else (moment - stamp_ns) / NANOSECONDS
    return Reading(value, stamp_ns, (now - received_ns) / NANOSECONDS, skew, earlier)
