# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A recorded run through the sensor set, without threads and clocks: the same snapshots every
time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from smvae_ros.sensors.sensor_set import SensorSet
from smvae_ros.sensors.snapshot import Snapshot

# received_ns, modality, value, stamp_ns, and where there is one the frame_id
Event = tuple[int, str, Any, "int | None"] | tuple[int, str, Any, "int | None", str]


def lockstep(events: Iterable[Event], sensors: SensorSet) -> Iterator[Snapshot]:
    """The snapshots that a worker makes of these arrivals if it is never busy.

    Messages received at the same time are stored together, before the sensor set is asked.

    Args:
        events: (received_ns, modality, value, stamp_ns[, frame_id]) as :meth:`SensorSet.store`
            takes them, in order of ``received_ns``; for a bag, the time at which it was recorded.
        sensors: a fresh sensor set. Unusable readings are counted in it.

    Yields:
        every snapshot, in order.

    Raises:
        ValueError: where ``received_ns`` runs backwards.
    """
    now: int | None = None
    for received_ns, name, value, stamp_ns, *frame_id in events:
        if now is not None and received_ns < now:
            raise ValueError(
                f"{name} at {received_ns} ns comes after {now} ns; sort the events by receipt"
            )
        if now is not None and received_ns > now:
            yield from _until(received_ns, now, sensors)
        now = received_ns
        try:
            sensors.store(name, value, stamp_ns, received_ns, *frame_id)
        except ValueError as error:
            sensors.refuse(name, error, received_ns)
    if now is not None:
        yield from _until(None, now, sensors)


def _until(end: int | None, now: int | None, sensors: SensorSet) -> Iterator[Snapshot]:
    """Snapshots from ``now`` on and before ``end``; None runs on until no further one is due."""
    while now is not None and (end is None or now < end):
        snapshot = sensors.poll(now)
        if snapshot is not None:
            yield snapshot
        else:
            now = sensors.next_wake(now)
