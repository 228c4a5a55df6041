# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The sensors that a recording lacks, counted over its snapshots or steps, and said at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from smvae_core.words import counted
from smvae_ros.sensors.absence import Absence, Cause
from smvae_ros.sensors.arrivals import Counters


@dataclass
class Absences:
    """The reasons why modalities were not in snapshots or steps, counted over a recording.

    Attributes:
        counts: modality → cause → snapshots without it.
    """

    counts: dict[str, Counter[Cause]] = field(default_factory=dict)
    _latest: dict[tuple[str, Cause], Absence] = field(default_factory=dict)

    def add(self, absent: Mapping[str, Absence]) -> None:
        """Counts the modalities that one snapshot is without."""
        for name, absence in absent.items():
            self.counts.setdefault(name, Counter())[absence.cause] += 1
            self._latest[name, absence.cause] = absence

    def count(self, name: str) -> int:
        """The number of snapshots without a modality."""
        return sum(self.counts.get(name, {}).values())

    def main(self, name: str) -> Absence:
        """The latest of the most frequent reasons; of a modality that was not always there."""
        ((cause, _),) = self.counts[name].most_common(1)
        return self._latest[name, cause]

    def summary(self) -> dict[str, dict[str, object]]:
        """Modality → ``frames`` without it, ``causes`` with their counts, ``reason`` in words."""
        return {
            name: {
                "frames": self.count(name),
                "causes": {cause.value: count for cause, count in causes.most_common()},
                "reason": self.main(name).text,
            }
            for name, causes in self.counts.items()
        }


def strays(counters: Mapping[str, Counters]) -> dict[str, tuple[int, str]]:
    """Modality → messages of another frame, and in words of which, where there were some."""
    return {
        name: (counter.strayed, counter.last_stray)
        for name, counter in counters.items()
        if counter.strayed
    }


def describe_unusable(name: str, count: int, why: str) -> str:
    """The line about a modality's unusable messages at the end of a program."""
    return f"{counted(count, 'unusable message')} of {name}, the last: {why}"


def describe_strayed(name: str, count: int, why: str) -> str:
    """The line about a modality's messages of another frame at the end of a program."""
    return f"{counted(count, 'message')} of {name} left out: {why}"
