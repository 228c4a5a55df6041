# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The newest reading of each modality, its age, and when a set of them becomes a snapshot.

There is no synchroniser. Every modality has one newest-wins buffer
(:mod:`smvae_ros.sensors.buffers`; a series a short history,
:mod:`smvae_ros.sensors.series_history`), and when what is fresh becomes a snapshot is for
:mod:`smvae_ros.sensors.due` to say. How far apart the readings of a snapshot are is judged by their
stamps alone.

Protocol
--------
Nothing here reads a clock, waits or starts a thread: every method that depends on time is given
``now``, the monotonic time in nanoseconds. A run is decided by the order of calls and these times,
and so is the same live and offline:

1. ``store(name, value, stamp_ns, received_ns)`` for each message, in order of receipt.
2. ``poll(now)`` after each message, and at the time that ``next_wake(now)`` names. It returns a
   :class:`Snapshot` when one is due, otherwise None.
3. ``settle(...)`` when it has been decoded, which may show that some values are unusable.

Offline tools do so in :func:`smvae_ros.offline.lockstep.lockstep`; in the node one thread stores
and another polls, see :mod:`smvae_ros.node.waiting`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from smvae_core.modalities import Modality
from smvae_ros.messages.serialised import NANOSECONDS
from smvae_ros.sensors.absence import explain
from smvae_ros.sensors.arrivals import Counters
from smvae_ros.sensors.buffers import nanoseconds
from smvae_ros.sensors.due import DueRule
from smvae_ros.sensors.evidence import Connection, Evidence
from smvae_ros.sensors.sensor import Sensor
from smvae_ros.sensors.series_history import SeriesHistory
from smvae_ros.sensors.settings import TIMER, BufferSettings, SensorSettings
from smvae_ros.sensors.snapshot import Reading, Snapshot, Unusable


class SensorSet:
    """See the module's description.

    Args:
        modalities: in the model's order.
        settings: can be exchanged later with :meth:`configure`.
        connections: modality → where it should come from, to explain its absence.

    Attributes:
        rule: when a snapshot is due.
        camera_info: the camera's latest CameraInfo, which goes with every snapshot.

    Raises:
        ValueError: where settings name a modality that is not there.
    """

    def __init__(
        self,
        modalities: Mapping[str, Modality],
        settings: SensorSettings | None = None,
        connections: Mapping[str, Connection] | None = None,
    ) -> None:
        self.camera_info: Any = None
        self._connections = dict(connections or {})
        self._sensors = {name: Sensor(name, modality) for name, modality in modalities.items()}
        self._buffers = {name: sensor.buffer for name, sensor in self._sensors.items()}
        settings = settings or SensorSettings()
        self.rule = DueRule(self._buffers, settings)
        self.configure(settings)

    def configure(self, settings: SensorSettings) -> None:
        """Exchanges the settings between two snapshots.

        Raises:
            ValueError: where settings name a modality that is not there.
        """
        unknown = set(settings.buffers) - set(self._buffers)
        if settings.trigger not in ("", TIMER):
            unknown |= {settings.trigger} - set(self._buffers)
        if unknown:
            raise ValueError(
                f"unknown modality {', '.join(sorted(unknown))}; "
                f"the model has {', '.join(self._buffers)}"
            )
        self.rule.configure(settings)
        for name, buffer in self._buffers.items():
            buffer.configure(settings.buffers.get(name, BufferSettings()))

    # -- what comes in ---------------------------------------------------------------------------

    def store(
        self, name: str, value: Any, stamp_ns: int | None, received_ns: int, frame_id: str = ""
    ) -> None:
        """Keeps a message as the newest of its modality.

        Args:
            name: the modality.
            value: for a series one reading (channels,), for others whatever the snapshot shall give
                out, such as a message that is decoded only then.
            stamp_ns: time in the message's header, in nanoseconds; None where it has none.
            received_ns: monotonic time of receipt, in nanoseconds.
            frame_id: of the message's header.

        Raises:
            ValueError: for a reading of another length, or with NaN or infinite values. Nothing is
                kept then; :meth:`refuse` counts it.
        """
        self._sensors[name].store(value, stamp_ns, received_ns, frame_id)

    def skip(self, name: str) -> None:
        """The newest message of a modality makes no snapshot by itself, and is not counted as
        dropped when a newer one replaces it; it stays live as ever."""
        self._buffers[name].unused = False

    def refuse(self, name: str, error: ValueError, received_ns: int) -> None:
        """Counts a message that is unusable or, by a ForeignMessage, somebody else's."""
        self._sensors[name].arrivals.refuse(error, received_ns)

    def lose(self, name: str, count: int) -> None:
        """Counts messages that never arrived."""
        self._sensors[name].arrivals.counters.lost += count

    def forget(self, name: str) -> None:
        """Starts a modality anew, as where its readings mean something else from now on."""
        self._buffers[name].forget()

    def settle(self, snapshot: Snapshot, unusable: Iterable[Unusable]) -> None:
        """Tells what of a snapshot was used, and which messages are unusable: those count as if
        they had never been stored, so that the last usable one is the newest again.

        Args:
            snapshot: the snapshot with the readings that were used.
            unusable: what was found out with it.
        """
        unusable = list(unusable)
        spoilt = {name for name, _, _ in unusable}
        for name, entry in snapshot.readings.items():
            self._buffers[name].prove(entry.value)
            late = not isinstance(entry.value, np.ndarray)
            self._sensors[name].arrivals.use(proven=late and name not in spoilt)
        for name, entry, reason in unusable:
            self._buffers[name].discard(entry.value)
            received_ns = snapshot.taken_ns - nanoseconds(entry.age)
            self._sensors[name].arrivals.refuse(ValueError(reason), received_ns)

    # -- what is known ---------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """The modalities, in the model's order."""
        return tuple(self._sensors)

    def counters(self) -> dict[str, Counters]:
        """A copy of the counters of each modality."""
        return {name: sensor.arrivals.copy_counters() for name, sensor in self._sensors.items()}

    def reset_counters(self) -> None:
        """Starts counting anew."""
        for sensor in self._sensors.values():
            sensor.arrivals.counters = Counters()

    def frame_ids(self) -> dict[str, str]:
        """frame_id of each modality's latest message; empty where it has none, or none came."""
        return {name: sensor.arrivals.frame_id or "" for name, sensor in self._sensors.items()}

    def evidence(self, now: int) -> dict[str, Evidence]:
        """What is known of each modality, to explain why it is in no snapshot."""
        return {name: sensor.evidence(now) for name, sensor in self._sensors.items()}

    def live(self, now: int) -> list[str]:
        """The modalities that are fresh enough to be used, in the model's order."""
        return self.rule.live(now)

    # -- what goes out ---------------------------------------------------------------------------

    def poll(self, now: int) -> Snapshot | None:
        """The snapshot that is due now, or None."""
        return self.take(now) if self.rule.is_due(self.rule.look(now)) else None

    def next_wake(self, now: int) -> int | None:
        """When to poll again if nothing arrives before; None if only an arrival can make a
        snapshot. Where it is not later than ``now``, one may be due."""
        return self.rule.next_wake(self.rule.look(now))

    def take(self, now: int) -> Snapshot | None:
        """The snapshot of what is live now, whether or not it is due; None if nothing is."""
        trigger = self.rule.trigger(now)
        if trigger is None:
            return None
        live, sensors = self.live(now), self._sensors
        leader = self._leader(trigger, live)
        names = [name for name in live if sensors[name].fits(leader)]
        readings = self._readings(names, trigger, leader.buffer.stamp_ns, now)
        absent = {
            name: explain(sensor.evidence(now), self._connections.get(name))
            for name, sensor in sensors.items()
            if name not in readings
        }
        for name in readings:
            self._buffers[name].unused = False
        self.rule.taken(now)
        timed = self.rule.timed
        waited = 0.0 if timed else (now - self._buffers[trigger].received_ns) / NANOSECONDS
        return Snapshot(
            readings,
            TIMER if timed else trigger,
            now,
            waited,
            absent,
            self.frame_ids(),
            self.camera_info,
        )

    def _leader(self, trigger: str, live: list[str]) -> Sensor:
        """The one whose stamp is the snapshot's moment: the trigger, or the first with a stamp; the
        trigger also where none has one."""
        names = (trigger, *live)
        stamped = (name for name in names if self._buffers[name].stamp_ns is not None)
        return self._sensors[next(stamped, trigger)]

    def _readings(
        self, names: list[str], trigger: str, moment: int | None, now: int
    ) -> dict[str, Reading]:
        """Values of the modalities; windows of series end at the newest stamp among the others."""
        series = [name for name in names if isinstance(self._buffers[name], SeriesHistory)]
        stamps = [self._buffers[name].stamp_ns for name in names if name not in series] + [moment]
        end = max((stamp for stamp in stamps if stamp is not None), default=None)
        return {n: self._sensors[n].reading(now, moment, end, n == trigger) for n in names}
