# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A sensor set that one thread fills, and another waits for.

When a snapshot is due is the sensor set's rule (:mod:`smvae_ros.sensors.due`). Here is only how the
worker sleeps until then: it is woken by what makes a snapshot and by nothing else, since two
threads that run Python hinder each other.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection
from typing import Any

from smvae_ros.messages.serialised import NANOSECONDS
from smvae_ros.sensors.due import Outlook
from smvae_ros.sensors.sensor_set import SensorSet
from smvae_ros.sensors.settings import SensorSettings

TOGETHER = 32  # messages; one after the other they cost less, the processor's caches being warm


class SharedSensors:
    """Use it as a context to make several calls of the sensor set one step, from any thread:

    >>> with shared as sensors:
    ...     counters = sensors.counters()

    Args:
        sensors: used by nobody else.
        condition: for tests, what is slept on.
    """

    def __init__(self, sensors: SensorSet, condition: threading.Condition | None = None) -> None:
        self._sensors = sensors
        self._condition = condition or threading.Condition()
        self._later: deque[Callable[[], None]] = deque()
        # Modalities any of which ends the waiting by arriving, and those that do when all have.
        self._wakers: Collection[str] = ()
        self._missing: set[str] = set()
        self._sleeps_until: int | None = None  # of the waiting; None for as long as nothing arrives
        self._resting = False

    def __enter__(self) -> SensorSet:
        self._condition.acquire()
        self._store_now()
        return self._sensors

    def __exit__(self, *_: object) -> None:
        self._condition.release()

    def configure(self, settings: SensorSettings) -> None:
        """As :meth:`SensorSet.configure`, and wakes who waits by the settings before."""
        with self._condition:
            self._sensors.configure(settings)
            self._condition.notify_all()

    # -- by the thread that receives ---------------------------------------------------------------

    def store(
        self, name: str, value: Any, stamp_ns: int | None, received_ns: int, frame_id: str = ""
    ) -> None:
        """As :meth:`SensorSet.store`."""
        with self._condition:
            self._sensors.store(name, value, stamp_ns, received_ns, frame_id)
            if self._resting:
                self._sensors.skip(name)
            if self._missing == {name} or (name in self._wakers and self._wakes(received_ns)):
                self._condition.notify_all()
            self._missing.discard(name)

    def store_later(self, action: Callable[[], None]) -> None:
        """Stores a message; but while no snapshot is wanted only together with others, or when
        somebody asks for what it changes. All is decided as if it had been done at once.

        Args:
            action: calls :meth:`store` or :meth:`refuse`, in whatever thread asks.
        """
        self._later.append(action)  # also where it is done at once, so that order is kept
        if not self._resting or len(self._later) >= TOGETHER:
            with self._condition:
                self._store_now()

    def refuse(self, name: str, error: ValueError, received_ns: int) -> None:
        """As :meth:`SensorSet.refuse`."""
        with self._condition:
            self._sensors.refuse(name, error, received_ns)

    def lose(self, name: str, count: int) -> None:
        """As :meth:`SensorSet.lose`."""
        with self._condition:
            self._sensors.lose(name, count)

    def _store_now(self) -> None:
        """Does what was kept for later, with the lock held."""
        while self._later:
            self._later.popleft()()

    def _wakes(self, now: int) -> bool:
        """Whether the arrival just now of one of ``_wakers`` has to end the waiting.

        It need not where the others of its moment are awaited and the waiting ends in time anyway:
        the others are then on their way to the thread that this one came from.
        """
        rule = self._sensors.rule
        outlook = rule.look(now)
        if rule.is_due(outlook):
            return True
        wake, until = rule.next_wake(outlook), self._sleeps_until
        if wake is not None and (until is None or wake < until):
            return True
        self._wakers, self._missing = self._interesting(outlook)
        return False

    # -- by the thread that works ------------------------------------------------------------------

    def wait(self, now: int) -> None:
        """Sleeps until a snapshot may be due: a modality that matters has arrived, or the time has
        come. In the context; others may use the sensor set meanwhile."""
        rule = self._sensors.rule
        outlook = rule.look(now)
        wake = rule.next_wake(outlook)
        if outlook.pending is None and wake is not None:
            wake = min(wake, rule.next_gathering_ns(now) or wake)
        self._wakers, self._missing = self._interesting(outlook)
        self._sleeps_until = wake
        self._condition.wait(None if wake is None else max(0, wake - now) / NANOSECONDS)
        self._wakers, self._missing = (), set()

    def rest(self, seconds: float) -> None:
        """Sleeps while no snapshot is wanted. What was stored before and is stored meanwhile makes
        none and is not dropped when something newer replaces it. In the context, as :meth:`wait`.
        """
        for name in self._sensors.names:
            self._sensors.skip(name)
        self._resting = True
        self._condition.wait(seconds)
        self._store_now()
        self._resting = False
        self._store_now()  # what was put off just before

    def wake(self) -> None:
        """Ends the sleep."""
        with self._condition:
            self._condition.notify_all()

    def _interesting(self, outlook: Outlook) -> tuple[Collection[str], set[str]]:
        """Modalities any of which can make a snapshot by arriving, and those that do only when all
        of them have; a 1 kHz sensor need not wake the worker."""
        rule = self._sensors.rule
        if outlook.trigger is None:
            return self._sensors.names, set()
        if rule.timed or (outlook.pending is not None and outlook.limited):
            return (), set()  # only time can make one
        return rule.order[: rule.order.index(outlook.trigger) + 1], set(outlook.awaited)
