# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""When a snapshot is due: a rule about what is kept of the modalities, and the time.

When the trigger modality arrives, at most ``gather_ms`` are spent waiting for the other live
modalities of the same moment, then whatever is fresh becomes the snapshot. Whether a modality is
live is judged by its monotonic time of receipt alone, and which others are awaited by stamps alone;
so a jumping clock, a looping bag or a missing ``/clock`` change nothing.

Nothing here reads a clock, waits or starts a thread. Times are integer nanoseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from smvae_ros.sensors.buffers import NewestBuffer, nanoseconds
from smvae_ros.sensors.series_history import SeriesHistory
from smvae_ros.sensors.settings import TIMER, SensorSettings


class Outlook(NamedTuple):
    """What there is to decide by at one time.

    Attributes:
        now: that time.
        trigger: the modality that makes snapshots; None where nothing is live.
        pending: what waits to become a snapshot: the trigger, since its newest reading is in none
            yet, or "timer"; None for nothing.
        limited: whether the rate limit allows no snapshot yet.
        awaited: the modalities that what is pending waits for.
    """

    now: int
    trigger: str | None
    pending: str | None
    limited: bool
    awaited: tuple[str, ...]


class DueRule:
    """See the module's description.

    Args:
        buffers: what is kept, by modality in the model's order; read only.
        settings: can be exchanged later with :meth:`configure`.

    Attributes:
        order: the configured trigger, then who stands in for it: the next ones of the model's
            order, and series last, whose every reading would make a snapshot.
        timed: whether snapshots are made by time, and not by arrivals.
    """

    def __init__(self, buffers: Mapping[str, NewestBuffer], settings: SensorSettings) -> None:
        self._buffers = buffers
        self._permitted_ns: int | None = None  # the rate limit allows no snapshot before
        self._gathering: tuple[str, int] | None = None  # the trigger, and since when it is pending
        # Receipt of a trigger found old, and how long its successor is awaited; decided once for
        # each snapshot.
        self._successor: tuple[int, int] | None = None
        self.configure(settings)

    def configure(self, settings: SensorSettings) -> None:
        """Exchanges the settings between two snapshots."""
        self.timed = settings.trigger == TIMER
        self._gather_ns = nanoseconds(settings.gather_ms / 1000)
        self._period_ns = nanoseconds(1.0 / settings.max_rate)
        buffers = self._buffers
        names = sorted(buffers, key=lambda name: isinstance(buffers[name], SeriesHistory))
        start = names.index(settings.trigger) if settings.trigger in self._buffers else 0
        self.order = names[start:] + names[:start]

    def live(self, now: int) -> list[str]:
        """The modalities that are fresh enough to be used, in the model's order."""
        return [name for name, buffer in self._buffers.items() if buffer.is_live(now)]

    def trigger(self, now: int) -> str | None:
        """The modality that makes snapshots now: the configured one or who stands in for it; None
        where nothing is live."""
        return next((name for name in self.order if self._buffers[name].is_live(now)), None)

    def look(self, now: int) -> Outlook:
        """What there is to decide by at one time."""
        trigger = self.trigger(now)
        limited = self._permitted_ns is not None and now < self._permitted_ns
        if self.timed:
            pending = TIMER if trigger is not None and not limited else None
            return Outlook(now, trigger, pending, limited, ())
        if trigger is None or not self._is_pending(trigger):
            return Outlook(now, trigger, None, limited, ())
        return Outlook(now, trigger, trigger, limited, self._awaited(trigger, now))

    def is_due(self, outlook: Outlook) -> bool:
        """Whether a snapshot shall be taken now; where others are awaited, that has begun then."""
        now, pending = outlook.now, outlook.pending
        if pending is None or outlook.limited:
            self._gathering = None
            return False
        if self._successor_until(pending, now) is not None:
            return False
        if self._gathering is None or self._gathering[0] != pending:
            self._gathering = (pending, now)
        return now >= self._gather_until(self._gathering) or not outlook.awaited

    def taken(self, now: int) -> None:
        """Tells that a snapshot has been taken. They keep to a grid of the rate's period, which
        starts anew after a pause."""
        start, period = self._permitted_ns, self._period_ns
        if start is None or now - start >= period:
            start = now
        self._permitted_ns = start + period
        self._gathering = self._successor = None

    def next_wake(self, outlook: Outlook) -> int | None:
        """When a snapshot may be due if nothing arrives before; None if only an arrival can make
        one. Where it is not later than now, one may be due now."""
        now, pending, trigger = outlook.now, outlook.pending, outlook.trigger
        if pending is not None:
            if outlook.limited:
                return self._permitted_ns
            until = self._successor_until(pending, now)
            if until is not None:
                return until
            if self._gathering is None or not outlook.awaited:
                return now
            return self._gather_until(self._gathering)
        if trigger is None:
            return None
        # When it stops being live, arrivals of another modality make snapshots.
        return self._permitted_ns if self.timed else self._buffers[trigger].live_until_ns + 1

    def _is_pending(self, trigger: str) -> bool:
        """Whether the newest reading of the trigger waits to become a snapshot."""
        buffer = self._buffers[trigger]
        if not buffer.unused:
            return False
        # A stand-in makes snapshots of what arrives from now on, not of what it still has.
        missed = (self._buffers[other] for other in self.order[: self.order.index(trigger)])
        since = max((missing.live_until_ns for missing in missed if missing.complete), default=0)
        return buffer.received_ns >= since

    def next_gathering_ns(self, now: int) -> int | None:
        """A moment in the middle of the next gathering if the trigger comes on time; None where
        that is not to be expected any more."""
        trigger = self.trigger(now)
        buffer = None if trigger is None else self._buffers[trigger]
        if buffer is None or buffer.period_ns is None:
            return None
        moment = buffer.received_ns + buffer.period_ns + self._gather_ns // 2
        return moment if moment > now else None

    def _awaited(self, trigger: str, now: int) -> tuple[str, ...]:
        """The live modalities of which a reading nearer to the trigger's moment is due in time.

        With s a modality's newest stamp, P the distance of its stamps and t the trigger's stamp,
        these are those with s < t - P/2 and s + P <= t + gather_ms: a 20 Hz action never delays a
        30 Hz camera in vain. Stamps of another epoch are not awaited.
        """
        moment = self._buffers[trigger].stamp_ns
        if moment is None:
            return ()
        latest = moment + self._gather_ns
        names = []
        for name, buffer in self._buffers.items():
            stamp = buffer.stamp_ns
            if name == trigger or stamp is None or stamp >= moment:
                continue
            period = buffer.period_ns
            if period is None or not buffer.is_live(now) or buffer.is_skewed(moment):
                continue
            if stamp < moment - period / 2 and stamp + period <= latest:
                names.append(name)
        return tuple(names)

    def _gather_until(self, gathering: tuple[str, int]) -> int:
        """Counted from the newest trigger's receipt, so that a busy worker does not wait for what
        has had its time; and from when it became pending, so that a fast trigger cannot put off a
        snapshot for ever."""
        trigger, since = gathering
        received = since if trigger == TIMER else self._buffers[trigger].received_ns
        return min(since, received) + self._gather_ns

    def _successor_until(self, trigger: str, now: int) -> int | None:
        """How long the trigger's next reading is awaited, since this one is so old; None where it
        is not.

        A model that is slower than the trigger can become free just before the next reading is due;
        what it began with then would be a whole period older than need be. With r the receipt of
        the reading, P the distance of its stamps and w the smaller of ``gather_ms`` and P/4, that
        is so from r + P - w until the next one arrives, or until r + P + w, but for ``gather_ms``
        at most. It is asked when a snapshot is first due, and once for each, so that nothing can
        put it off for ever. Readings of a series come too often for it to matter.
        """
        buffer = None if trigger == TIMER else self._buffers[trigger]
        if buffer is None or isinstance(buffer, SeriesHistory) or self._gathering is not None:
            return None
        if self._successor is None:
            period = buffer.period_ns
            wait = 0 if period is None else min(self._gather_ns, period // 4)
            due = buffer.received_ns + (period or 0)
            late = wait > 0 and now >= due - wait
            until = min(due + wait, now + self._gather_ns) if late else 0
            self._successor = (buffer.received_ns, until)
        received, until = self._successor
        return until if buffer.received_ns == received and now < until else None
