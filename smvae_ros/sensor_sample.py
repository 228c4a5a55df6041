"""A frame: the set of observations of one moment, with their ages."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Input:
    """One modality's part of a frame.

    Attributes:
        value: what was stored; for a series float32 (samples, channels) on the model's grid.
        stamp_ns: stamp of the newest reading in it; None where it has no stamp.
        age: seconds since its receipt.
        skew: seconds by which its stamp is behind the trigger's; None where one has no stamp.
    """

    value: Any
    stamp_ns: int | None
    age: float
    skew: float | None


@dataclass(frozen=True)
class SensorSample:
    """A frame: what was live at one moment.

    Attributes:
        inputs: by modality, in the model's order; never empty when it comes out of a sensor set.
        trigger: the modality that caused it, or "timer".
        taken_ns: when it was taken, monotonic.
        waited: seconds between the receipt of the trigger and the taking.
        left_out: live modalities that are not among the inputs, with the reason.
    """

    inputs: dict[str, Input]
    trigger: str
    taken_ns: int
    waited: float
    left_out: dict[str, str]

    @property
    def stamp_ns(self) -> int | None:
        """The moment of the frame: the stamp of its newest input; None where none has a stamp."""
        stamps = [entry.stamp_ns for entry in self.inputs.values() if entry.stamp_ns is not None]
        return max(stamps, default=None)

    def without(self, reasons: Mapping[str, str]) -> SensorSample:
        """The same frame without some inputs, for example because they proved unreadable."""
        if not reasons:
            return self
        inputs = {name: entry for name, entry in self.inputs.items() if name not in reasons}
        return dataclasses.replace(self, inputs=inputs, left_out={**self.left_out, **reasons})
