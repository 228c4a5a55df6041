"""One modality of a sensor set: what is kept of it, and what became of its messages."""

from __future__ import annotations

from typing import Any

import numpy as np

from smvae_core.modalities import Modality
from smvae_ros.sensors.arrivals import Arrivals
from smvae_ros.sensors.buffers import NANOSECONDS, NewestSlot
from smvae_ros.sensors.evidence import Apart, Evidence
from smvae_ros.sensors.series_history import SeriesHistory
from smvae_ros.sensors.snapshot import Input


class Sensor:
    """See the module's description. Times are integer nanoseconds.

    Args:
        name: of the modality.
        modality: of which a series has a history, others the newest sample.

    Attributes:
        name: as given.
        slot: what is kept.
        arrivals: what became of the messages.
    """

    def __init__(self, name: str, modality: Modality) -> None:
        self.name = name
        self.arrivals = Arrivals()
        self.slot = SeriesHistory(modality) if modality.kind == "series" else NewestSlot()

    def store(self, value: Any, stamp_ns: int | None, received_ns: int, frame_id: str = "") -> None:
        """Keeps a message; ValueError refuses it, to be counted by whoever hears that."""
        self.arrivals.check_frame(frame_id, received_ns)
        dropped = self.slot.store(value, stamp_ns, received_ns)
        ignored = dropped and isinstance(self.slot, SeriesHistory)
        usable = isinstance(value, np.ndarray)  # what is decoded later is not known to be
        self.arrivals.store(
            stamp_ns, received_ns, frame_id, dropped=dropped, ignored=ignored, usable=usable
        )

    def fits(self, leader: Sensor) -> bool:
        """Whether its stamp is near enough to the leader's, whose stamp is the frame's moment.
        Where not, that is counted, and remembered as long as frames find it so."""
        slot, moment = self.slot, leader.slot.stamp_ns
        self.arrivals.apart = None
        if moment is None or leader is self or not slot.is_skewed(moment):
            return True
        self.arrivals.counters.skewed += 1
        self.arrivals.apart = Apart(
            leader.name,
            slot.skew_ns(moment) / NANOSECONDS,
            slot.max_skew_ns / NANOSECONDS,
            "max_skew",
            slot.nearest_ns(moment) or 0,
            moment,
            leader.arrivals.repeated,
        )
        return False

    def input(self, now: int, moment: int | None, end: int | None, is_trigger: bool) -> Input:
        """Its part of a frame.

        Args:
            now: when the frame is taken.
            moment: the stamp that skew is measured from.
            end: when the window of a series shall end.
            is_trigger: its stamp may then be as far from the moment as it likes.
        """
        slot = self.slot
        if isinstance(slot, SeriesHistory):
            return _input(*slot.window(end), slot.received_ns, now, moment)
        earlier: tuple[Input, ...] = ()
        if not isinstance(slot.value, np.ndarray):  # arrays are known to be usable
            near = slot.earlier(now, None if is_trigger else moment)
            earlier = tuple(_input(*sample, now, moment) for sample in near)
        return _input(slot.value, slot.stamp_ns, slot.received_ns, now, moment, earlier)

    def evidence(self, now: int) -> Evidence:
        """What explains that it is in no frame."""
        slot = self.slot
        stored = slot.value is not None
        return self.arrivals.evidence(
            self.name,
            now,
            slot.received_ns if stored else None,
            live=slot.is_live(now),
            window=slot.missing if stored and now <= slot.live_until_ns else None,
        )


def _input(
    value: Any,
    stamp_ns: int | None,
    received_ns: int,
    now: int,
    moment: int | None,
    earlier: tuple[Input, ...] = (),
) -> Input:
    skew = None if stamp_ns is None or moment is None else (moment - stamp_ns) / NANOSECONDS
    return Input(value, stamp_ns, (now - received_ns) / NANOSECONDS, skew, earlier)
