# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""When a sensor set makes snapshots, and how it judges each modality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

TIMER = "timer"


@dataclass(frozen=True)
class BufferSettings:
    """How one modality is judged, in seconds.

    Attributes:
        max_age: received longer ago than this, it is not live.
        max_skew: with a stamp further than this from the trigger's, it is left out of the snapshot.
        max_gap: the widest gap between the readings of a series that is interpolated.
    """

    max_age: float = 0.3
    max_skew: float = 0.2
    max_gap: float = 0.02


@dataclass(frozen=True)
class SensorSettings:
    """When snapshots are made.

    Attributes:
        trigger: the modality whose arrival makes a snapshot; "" for the first live one in the
            model's order; "timer" for ``max_rate`` snapshots a second. While the trigger modality
            is not live, the next live one in the model's order stands in.
        max_rate: snapshots per second at most.
        gather_ms: how long the others of the same moment are awaited, in milliseconds.
        buffers: settings by modality; those not named have the defaults.
    """

    trigger: str = ""
    max_rate: float = 60.0
    gather_ms: float = 10.0
    buffers: Mapping[str, BufferSettings] = field(default_factory=dict)
