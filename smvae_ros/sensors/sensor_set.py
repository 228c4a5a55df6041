"""The newest sample of each modality, its age, and when a set of them becomes a frame.

There is no synchroniser. Every modality has one newest-wins slot (:mod:`smvae_ros.sensors.buffers`;
a series a short history, :mod:`smvae_ros.sensors.series_history`). When the trigger modality
arrives, at most ``gather_ms`` are spent waiting for the other live modalities of the same moment,
then whatever is fresh becomes the frame. Whether a modality is live is judged by its monotonic time
of receipt alone, and how far apart the inputs of a frame are by their stamps alone; so a jumping
clock, a looping bag or a missing ``/clock`` change nothing.

Protocol
--------
Nothing here reads a clock, waits or starts a thread: every method that depends on time is given
``now``, the monotonic time in nanoseconds. A run is decided by the order of calls and these times,
and so is the same live and offline:

1. ``store(name, value, stamp_ns, received_ns)`` for each message, in order of receipt. Or, where
   they come at 1 kHz, ``store_later(action)``: the action, which stores a message, is done before
   anything is asked of this set, and all is decided as if it had been done at once.
2. ``poll(now)`` after each message, and at the time that ``next_wake(now)`` names. It returns a
   :class:`SensorSample` when a frame is due, otherwise None.
3. ``settle(...)`` when the frame has been decoded, which may show that some values are unusable.

The node's worker calls ``poll`` and sleeps in ``wait`` (:mod:`smvae_ros.node.worker`), offline
tools use :func:`smvae_ros.offline.lockstep.lockstep`. All methods may be called from any thread;
they share ``condition``, which a caller may hold to make several calls one step.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import numpy as np

from smvae_core.modalities import Modality
from smvae_ros.sensors.absence import Connection, Evidence, explain
from smvae_ros.sensors.arrivals import Counters
from smvae_ros.sensors.buffers import NANOSECONDS, nanoseconds
from smvae_ros.sensors.sensor import Sensor
from smvae_ros.sensors.series_history import SeriesHistory
from smvae_ros.sensors.settings import TIMER, SensorSettings, SlotSettings
from smvae_ros.sensors.snapshot import Input, SensorSample, Unusable

TOGETHER = 32  # messages; one after the other they cost less, the processor's caches being warm


class SensorSet:
    """See the module's description.

    Args:
        modalities: in the model's order.
        settings: can be exchanged later with :meth:`configure`.
        connections: modality → where it should come from, to explain its absence.

    Raises:
        ValueError: where settings name a modality that is not there.
    """

    def __init__(
        self,
        modalities: Mapping[str, Modality],
        settings: SensorSettings | None = None,
        connections: Mapping[str, Connection] | None = None,
    ) -> None:
        self.condition = threading.Condition()
        self._later: deque[Callable[[], None]] = deque()
        self._modalities = dict(modalities)
        self._connections = dict(connections or {})
        self._sensors = {name: Sensor(name, modality) for name, modality in modalities.items()}
        self._slots = {name: sensor.slot for name, sensor in self._sensors.items()}
        self._permitted_ns: int | None = None  # the rate limit allows no frame before
        self._gathering: tuple[str, int] | None = None  # the trigger, and since when it is pending
        # Receipt of a trigger found old, and how long its successor is awaited; decided once for
        # each frame.
        self._successor: tuple[int, int] | None = None
        # Modalities any of which ends the waiting by arriving, and those that do when all have.
        self._wakers: Collection[str] = ()
        self._missing: set[str] = set()
        self._sleeps_until: int | None = None  # of the waiting; None for as long as nothing arrives
        self._resting = False
        self.configure(settings or SensorSettings())

    def configure(self, settings: SensorSettings) -> None:
        """Exchanges the settings between two frames.

        Raises:
            ValueError: where settings name a modality that is not there.
        """
        unknown = set(settings.slots) - set(self._slots)
        if settings.trigger not in ("", TIMER):
            unknown |= {settings.trigger} - set(self._slots)
        if unknown:
            raise ValueError(
                f"unknown modality {', '.join(sorted(unknown))}; "
                f"the model has {', '.join(self._slots)}"
            )
        with self.condition:
            self._settings = settings
            self._gather_ns = nanoseconds(settings.gather_ms / 1000)
            self._order = self._trigger_order()
            for name, slot in self._slots.items():
                slot.configure(settings.slots.get(name, SlotSettings()))
            self.condition.notify_all()

    # -- what comes in ---------------------------------------------------------------------------

    def store(self, name: str, value: Any, stamp_ns: int | None, received_ns: int) -> None:
        """Keeps a message as the newest of its modality.

        Args:
            name: the modality.
            value: for a series one reading (channels,), for others whatever the frame shall give
                out, such as a message that is decoded only then.
            stamp_ns: time in the message's header, in nanoseconds; None where it has none.
            received_ns: monotonic time of receipt, in nanoseconds.

        Raises:
            ValueError: for a reading of another length, or with NaN or infinite values. Nothing is
                kept then; :meth:`refuse` counts it.
        """
        with self.condition:
            self._sensors[name].store(value, stamp_ns, received_ns)
            if self._resting:
                self._slots[name].unused = False
            if self._missing == {name} or (name in self._wakers and self._wakes(received_ns)):
                self.condition.notify_all()
            self._missing.discard(name)

    def store_later(self, action: Callable[[], None]) -> None:
        """Stores a message, but while no frame is wanted only together with others, or when
        somebody asks for what it changes.

        Args:
            action: calls :meth:`store` or :meth:`refuse`, in whatever thread asks, which holds
                ``condition`` then.
        """
        self._later.append(action)  # also where it is done at once, so that order is kept
        if not self._resting or len(self._later) >= TOGETHER:
            with self.condition:
                self._store_now()

    def _store_now(self) -> None:
        """Does what was kept for later; the caller holds ``condition``."""
        while self._later:
            self._later.popleft()()

    def refuse(self, name: str, error: ValueError, received_ns: int) -> None:
        """Counts a message that is unusable or, by a ForeignMessage, somebody else's."""
        with self.condition:
            self._sensors[name].arrivals.refuse(error, received_ns)

    def lose(self, name: str, count: int) -> None:
        """Counts messages that never arrived."""
        with self.condition:
            self._sensors[name].arrivals.counters.lost += count

    def settle(self, sample: SensorSample, unusable: Iterable[Unusable]) -> None:
        """Tells what of a frame was used, and which messages are unusable: those count as if they
        had never been stored, so that the last usable one is the newest again.

        Args:
            sample: the frame with the inputs that were used.
            unusable: what was found out with it.
        """
        unusable = list(unusable)
        spoilt = {name for name, _, _ in unusable}
        with self.condition:
            for name, entry in sample.inputs.items():
                self._slots[name].prove(entry.value)
                late = not isinstance(entry.value, np.ndarray)
                self._sensors[name].arrivals.use(proven=late and name not in spoilt)
            for name, entry, reason in unusable:
                self._slots[name].discard(entry.value)
                received_ns = sample.taken_ns - nanoseconds(entry.age)
                self._sensors[name].arrivals.refuse(ValueError(reason), received_ns)

    def counters(self) -> dict[str, Counters]:
        """A copy of the counters of each modality."""
        with self.condition:
            self._store_now()
            return {name: s.arrivals.copy_counters() for name, s in self._sensors.items()}

    def reset_counters(self) -> None:
        """Starts counting anew."""
        with self.condition:
            self._store_now()
            for sensor in self._sensors.values():
                sensor.arrivals.counters = Counters()

    def evidence(self, now: int) -> dict[str, Evidence]:
        """What is known of each modality, to explain why it is in no frame."""
        with self.condition:
            self._store_now()
            return {name: sensor.evidence(now) for name, sensor in self._sensors.items()}

    def age(self, name: str, now: int) -> float | None:
        """Seconds since the modality last arrived; None if it never did."""
        with self.condition:
            self._store_now()
            slot = self._slots[name]
            return None if slot.value is None else (now - slot.received_ns) / NANOSECONDS

    def live(self, now: int) -> list[str]:
        """The modalities that are fresh enough to be used, in the model's order."""
        with self.condition:
            self._store_now()
            return self._live(now)

    # -- what goes out ---------------------------------------------------------------------------

    def poll(self, now: int) -> SensorSample | None:
        """The frame that is due now, or None."""
        with self.condition:
            self._store_now()
            return self._take(now) if self._is_due(now) else None

    def take(self, now: int) -> SensorSample | None:
        """The frame of what is live now, whether or not it is due; None if nothing is."""
        with self.condition:
            self._store_now()
            return self._take(now)

    def next_wake(self, now: int) -> int | None:
        """When to poll again if nothing arrives before; None if only an arrival can make a frame.
        Where it is not later than ``now``, a frame may be due."""
        with self.condition:
            self._store_now()
            return self._next_wake(now, self._pending_trigger(now))

    def wait(self, now: int) -> None:
        """Sleeps until :meth:`poll` may have something: a modality that matters has arrived, or the
        time of :meth:`next_wake` has come. The caller holds ``condition``."""
        pending = self._pending_trigger(now)
        wake = self._next_wake(now, pending)
        if pending is None and wake is not None:
            wake = min(wake, self._expected_gathering(now) or wake)
        self._wakers, self._missing = self._interesting(now, pending)
        self._sleeps_until = wake
        self.condition.wait(None if wake is None else max(0, wake - now) / NANOSECONDS)
        self._wakers, self._missing = (), set()

    def rest(self, seconds: float) -> None:
        """Sleeps while no frame is wanted. What was stored before and is stored meanwhile makes no
        frame and is not dropped when a newer sample replaces it; it stays live as ever. The caller
        holds ``condition``."""
        for slot in self._slots.values():
            slot.unused = False
        self._resting = True
        self.condition.wait(seconds)
        self._store_now()
        self._resting = False

    def _wakes(self, now: int) -> bool:
        """Whether the arrival just now of one of ``_wakers`` has to end the waiting.

        It need not where the others of its moment are awaited and the waiting ends in time anyway:
        the others are then on their way to the thread that this one came from, and two threads
        that run Python hinder each other.
        """
        if self._is_due(now):
            return True
        pending = self._pending_trigger(now)
        wake, until = self._next_wake(now, pending), self._sleeps_until
        if wake is not None and (until is None or wake < until):
            return True
        self._wakers, self._missing = self._interesting(now, pending)
        return False

    def _expected_gathering(self, now: int) -> int | None:
        """A moment in the middle of the next gathering, if the trigger comes on time; None where
        that is not to be expected any more."""
        trigger = self._trigger(now)
        slot = None if trigger is None else self._slots[trigger]
        if slot is None or slot.period_ns is None:
            return None
        moment = slot.received_ns + slot.period_ns + self._gather_ns // 2
        return moment if moment > now else None

    def _is_due(self, now: int) -> bool:
        """Whether a frame shall be taken now; where others are awaited, that has begun then."""
        trigger = self._pending_trigger(now)
        if trigger is None or self._is_limited(now):
            self._gathering = None
            return False
        if self._awaits_successor(trigger, now):
            return False
        if self._gathering is None or self._gathering[0] != trigger:
            self._gathering = (trigger, now)
        return now >= self._gather_until(self._gathering) or not self._awaited(now)

    def _pending_trigger(self, now: int) -> str | None:
        """The modality whose newest sample waits to become a frame, "timer", or None."""
        if self._settings.trigger == TIMER:
            return TIMER if self._live(now) and not self._is_limited(now) else None
        name = self._trigger(now)
        if name is None or not self._slots[name].unused:
            return None
        # A stand-in makes frames of what arrives from now on, not of what it still has.
        missed = (self._slots[other] for other in self._order[: self._order.index(name)])
        since = max((slot.live_until_ns for slot in missed if slot.complete), default=0)
        return name if self._slots[name].received_ns >= since else None

    def _awaited(self, now: int) -> list[str]:
        """The live modalities of which a sample nearer to the trigger's moment is due in time.

        With s a modality's newest stamp, P the distance of its stamps and t the trigger's stamp,
        these are those with s < t - P/2 and s + P <= t + gather_ms: a 20 Hz action never delays a
        30 Hz camera in vain. Stamps of another epoch are not awaited.
        """
        trigger = self._trigger(now)
        if trigger is None or self._settings.trigger == TIMER:
            return []
        moment = self._slots[trigger].stamp_ns
        if moment is None:
            return []
        latest = moment + self._gather_ns
        names = []
        for name, slot in self._slots.items():
            stamp = slot.stamp_ns
            if name == trigger or stamp is None or stamp >= moment:
                continue
            period = slot.period_ns
            if period is None or not slot.is_live(now) or slot.is_skewed(moment):
                continue
            if stamp < moment - period / 2 and stamp + period <= latest:
                names.append(name)
        return names

    def _take(self, now: int) -> SensorSample | None:
        """As :meth:`take`."""
        live = self._live(now)
        trigger = self._trigger(now)
        if trigger is None:
            return None
        sensors, leader = self._sensors, self._sensors[self._leader(trigger, live)]
        names = [name for name in live if sensors[name].fits(leader)]
        inputs = self._inputs(names, trigger, leader.slot.stamp_ns, now)
        absent = {
            name: explain(sensor.evidence(now), self._connections.get(name))
            for name, sensor in sensors.items()
            if name not in inputs
        }
        for name in inputs:
            self._slots[name].unused = False
        self._count_rate(now)
        self._gathering = self._successor = None
        timed = self._settings.trigger == TIMER
        waited = 0.0 if timed else (now - self._slots[trigger].received_ns) / NANOSECONDS
        return SensorSample(inputs, TIMER if timed else trigger, now, waited, absent)

    def _inputs(
        self, names: list[str], trigger: str, moment: int | None, now: int
    ) -> dict[str, Input]:
        """Values of the modalities; windows of series end at the newest stamp among the others."""
        series = [name for name in names if isinstance(self._slots[name], SeriesHistory)]
        stamps = [self._slots[name].stamp_ns for name in names if name not in series] + [moment]
        end = max((stamp for stamp in stamps if stamp is not None), default=None)
        return {n: self._sensors[n].input(now, moment, end, n == trigger) for n in names}

    # -- the rules, each in one place; the caller holds `condition` ------------------------------

    def _live(self, now: int) -> list[str]:
        return [name for name, slot in self._slots.items() if slot.is_live(now)]

    def _trigger_order(self) -> list[str]:
        """The configured trigger, then who stands in for it: the next ones of the model's order,
        and series last, whose every reading would make a frame."""
        names = sorted(self._slots, key=lambda name: self._modalities[name].kind == "series")
        first = self._settings.trigger
        start = names.index(first) if first in self._slots else 0
        return names[start:] + names[:start]

    def _trigger(self, now: int) -> str | None:
        """The modality that makes frames now: the configured one or who stands in for it."""
        return next((name for name in self._order if self._slots[name].is_live(now)), None)

    def _leader(self, trigger: str, live: list[str]) -> str:
        """The modality whose stamp is the frame's moment: the trigger, or the first with a stamp;
        the trigger also where none has one."""
        names = (trigger, *live)
        return next((name for name in names if self._slots[name].stamp_ns is not None), trigger)

    def _gather_until(self, gathering: tuple[str, int]) -> int:
        """Counted from the newest trigger's receipt, so that a busy worker does not wait for what
        has had its time; and from when it became pending, so that a fast trigger cannot put off a
        frame for ever."""
        trigger, since = gathering
        received = since if trigger == TIMER else self._slots[trigger].received_ns
        return min(since, received) + self._gather_ns

    def _awaits_successor(self, trigger: str, now: int) -> bool:
        """Whether the trigger's sample is so old that the next one is awaited instead.

        A model that is slower than the trigger can become free just before the next sample is due;
        what it began with then would be a whole period older than need be. With r the receipt of
        the sample, P the distance of its stamps and w the smaller of ``gather_ms`` and P/4, that is
        so from r + P - w until the next one arrives, or until r + P + w, but for ``gather_ms`` at
        most. It is asked when a frame is first due, and once for each frame, so that nothing can
        put it off for ever. Readings of a series come too often for it to matter.
        """
        slot = None if trigger == TIMER else self._slots[trigger]
        if slot is None or isinstance(slot, SeriesHistory) or self._gathering is not None:
            return False
        if self._successor is None:
            period = slot.period_ns
            wait = 0 if period is None else min(self._gather_ns, period // 4)
            due = slot.received_ns + (period or 0)
            late = wait > 0 and now >= due - wait
            until = min(due + wait, now + self._gather_ns) if late else 0
            self._successor = (slot.received_ns, until)
        received, until = self._successor
        return slot.received_ns == received and now < until

    def _is_limited(self, now: int) -> bool:
        return self._permitted_ns is not None and now < self._permitted_ns

    def _count_rate(self, now: int) -> None:
        """Frames keep to a grid of the rate's period, which starts anew after a pause."""
        period = nanoseconds(1.0 / self._settings.max_rate)
        on_grid = self._permitted_ns is not None and now - self._permitted_ns < period
        self._permitted_ns = (self._permitted_ns if on_grid else now) + period

    def _next_wake(self, now: int, pending: str | None) -> int | None:
        """As :meth:`next_wake`, given the pending trigger."""
        if pending is not None:
            if self._is_limited(now):
                return self._permitted_ns
            if self._awaits_successor(pending, now):
                return self._successor[1]
            if self._gathering is None or not self._awaited(now):
                return now
            return self._gather_until(self._gathering)
        if self._settings.trigger == TIMER:
            return self._permitted_ns if self._live(now) else None
        trigger = self._trigger(now)
        # When it stops being live, arrivals of another modality make frames.
        return None if trigger is None else self._slots[trigger].live_until_ns + 1

    def _interesting(self, now: int, pending: str | None) -> tuple[Collection[str], set[str]]:
        """Modalities any of which can make a frame by arriving, and those that do only when all of
        them have; a 1 kHz sensor need not wake the worker."""
        trigger = self._trigger(now)
        if trigger is None:
            return self._slots, set()
        if self._settings.trigger == TIMER or (pending is not None and self._is_limited(now)):
            return (), set()  # only time can make one
        first = self._order[: self._order.index(trigger) + 1]
        return first, set() if pending is None else set(self._awaited(now))
