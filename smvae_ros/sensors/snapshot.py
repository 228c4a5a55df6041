# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The messages of one moment, with their ages."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from smvae_ros.sensors.absence import Absence


@dataclass(frozen=True)
class Reading:
    """One modality's part of a snapshot.

    Attributes:
        value: what was stored; for a series float32 (samples, channels) on the model's grid.
        stamp_ns: stamp of the newest reading in it; None where it has no stamp.
        age: seconds since its receipt.
        skew: seconds by which its stamp is behind the trigger's; None where one has no stamp.
        earlier: of what is decoded only now, the ones before it, newest first: the first of them
            that is usable takes its place where it is not.
    """

    value: Any
    stamp_ns: int | None
    age: float
    skew: float | None
    earlier: tuple[Reading, ...] = ()


class Unusable(NamedTuple):
    """A message that a snapshot found to be unusable.

    Attributes:
        name: its modality.
        entry: how it was part of the snapshot.
        reason: why, and what to do.
    """

    name: str
    entry: Reading
    reason: str


@dataclass(frozen=True)
class Snapshot:
    """What was live at one moment.

    Attributes:
        readings: by modality, in the model's order; never empty when it comes out of a sensor set.
        trigger: the modality that caused it, or "timer".
        taken_ns: when it was taken, monotonic.
        waited: seconds between the receipt of the trigger and the taking.
        absent: the modalities that are not among the readings, with the reason.
        frame_ids: modality → frame_id of its latest message, also of those that are absent; empty
            where it has none.
        camera_info: the camera's latest sensor_msgs/CameraInfo; None before any.
    """

    readings: dict[str, Reading]
    trigger: str
    taken_ns: int
    waited: float
    absent: dict[str, Absence]
    frame_ids: Mapping[str, str] = field(default_factory=dict)
    camera_info: Any = None

    @property
    def stamp_ns(self) -> int | None:
        """The moment of the snapshot: the stamp of its newest reading; None where none has one."""
        stamps = [entry.stamp_ns for entry in self.readings.values() if entry.stamp_ns is not None]
        return max(stamps, default=None)

    @property
    def receipts(self) -> dict[str, tuple[int | None, int]]:
        """Modality → stamp and time of receipt, which tell its messages from each other."""
        return {
            name: (entry.stamp_ns, self.taken_ns - round(entry.age * 1e9))
            for name, entry in self.readings.items()
        }

    def without(self, reasons: Mapping[str, Absence]) -> Snapshot:
        """The same snapshot without some readings, for example because they proved unreadable."""
        if not reasons:
            return self
        readings = {name: entry for name, entry in self.readings.items() if name not in reasons}
        return dataclasses.replace(self, readings=readings, absent={**self.absent, **reasons})
