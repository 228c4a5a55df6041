# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A second of readings of sensors that nothing touches: what each says then is its zero."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from smvae_core.words import counted
from smvae_ros.messages.serialised import NANOSECONDS

SECOND = 1.0  # of readings, by their time of receipt
NEWTON, NEWTON_METRE = "N", "N m"
FEWEST = 10  # readings; the mean of less says little


@dataclass(frozen=True)
class Stillness:
    """The largest standard deviation that a component may have, for a sensor to be still.

    Attributes:
        force: in N.
        torque: in N m.
    """

    force: float
    torque: float


@dataclass(frozen=True)
class MeasuredZero:
    """What a sensor says while nothing happens.

    Attributes:
        mean: of each value.
        spread: standard deviation of each value.
        units: of each value, N or N m.
        count: of the readings.
    """

    mean: np.ndarray
    spread: np.ndarray
    units: tuple[str, ...]
    count: int

    def describe(self) -> str:
        """In words: forces, then torques."""
        parts = []
        for unit, largest in self._largest().items():
            means = (x for x, own in zip(self.mean, self.units, strict=True) if own == unit)
            numbers = " ".join(f"{x:.3f}" for x in means)
            parts.append(f"{numbers} {unit} (spread {largest:.3f})")
        return f"{', '.join(parts)}, mean of {counted(self.count, 'reading')}"

    def unrest(self, limits: Stillness) -> str:
        """In words, by what it is not still; empty where it is."""
        known = {NEWTON: limits.force, NEWTON_METRE: limits.torque}
        return " and ".join(
            f"a spread of {largest:.3f} {unit} where {known[unit]:g} {unit} is the limit"
            for unit, largest in self._largest().items()
            if largest > known[unit]
        )

    def _largest(self) -> dict[str, float]:
        """The largest spread of the values in each unit."""
        return {
            unit: max(x for x, own in zip(self.spread, self.units, strict=True) if own == unit)
            for unit in dict.fromkeys(self.units)
        }


class StillSecond:
    """Collects readings, given by one thread, until another has waited for a second of each.

    Args:
        names: of the modalities.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._readings: Mapping[str, list[np.ndarray]] = {name: [] for name in names}
        self._began: dict[str, int] = {}
        self._missing = set(names)
        self._complete = threading.Event()

    def add(self, name: str, reading: np.ndarray, received_ns: int) -> None:
        """Takes a reading (n,) of a modality; of others, and after their second, nothing."""
        if name not in self._missing:
            return
        self._readings[name].append(reading)
        began = self._began.setdefault(name, received_ns)
        if received_ns - began >= SECOND * NANOSECONDS:
            self._missing.discard(name)
            if not self._missing:
                self._complete.set()

    def wait(self, seconds: float) -> dict[str, np.ndarray]:
        """Modality → readings (N, n) of its second, once all are complete or the time is over;
        those that gave none are left out.

        Raises:
            ValueError: for a modality with some readings, but less than a second or too few of
                them.
        """
        self._complete.wait(seconds)
        found = {}
        for name, readings in self._readings.items():
            count = len(readings)
            if count and (name in self._missing or count < FEWEST):
                raise ValueError(
                    f"{name} sent only {counted(count, 'message')}, not {FEWEST} and over a "
                    "second: see at which rate it publishes"
                )
            if count:
                found[name] = np.stack(readings)
        return found
