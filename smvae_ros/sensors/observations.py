# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""From a snapshot's messages to its observations: prepared arrays, as the model takes them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from smvae_core.preprocessing import prepare
from smvae_ros.sensors.absence import Absence, Cause
from smvae_ros.sensors.snapshot import Reading, Snapshot, Unusable
from smvae_ros.sensors.topic_inputs import TopicInput

TOO_LARGE = "its values are so large that the model's latent is not finite"


@dataclass(frozen=True)
class Observations:
    """A snapshot as the model takes it.

    Attributes:
        snapshot: the snapshot with the readings that were used.
        arrays: modality → prepared array.
        unusable: the messages that proved to be so.
        timings: stage (``convert``: message → array, ``prepare``: → the model's size) → seconds.
    """

    snapshot: Snapshot
    arrays: dict[str, np.ndarray]
    unusable: tuple[Unusable, ...]
    timings: dict[str, float]

    def without_infinite(self, names: Collection[str]) -> Observations:
        """The same without those that the model makes nothing finite of: they are as unusable as
        what is not finite itself."""
        if not names:
            return self
        readings = self.snapshot.readings
        return Observations(
            self.snapshot.without(dict.fromkeys(names, Absence(Cause.UNUSABLE, TOO_LARGE))),
            {name: array for name, array in self.arrays.items() if name not in names},
            (*self.unusable, *(Unusable(name, readings[name], TOO_LARGE) for name in names)),
            self.timings,
        )


def observe(snapshot: Snapshot, inputs: Mapping[str, TopicInput]) -> Observations:
    """Decodes and prepares the readings of a snapshot. Values that are arrays already, in raw
    units, are only prepared. Nothing is raised for bad messages: they are named, and where there is
    an earlier one that is good it is used; :meth:`SensorSet.settle` is to be told."""
    arrays: dict[str, np.ndarray] = {}
    readings: dict[str, Reading] = {}
    unusable: list[Unusable] = []
    absent: dict[str, Absence] = {}
    timings = {"convert": 0.0, "prepare": 0.0}
    for name, newest in snapshot.readings.items():
        topic_input = inputs[name]
        for entry in (newest, *newest.earlier):
            start = time.perf_counter()
            try:
                value = entry.value
                array = value if isinstance(value, np.ndarray) else topic_input.decode(value)
                converted = time.perf_counter()
                arrays[name] = prepare(topic_input.modality, array)
            except ValueError as error:
                unusable.append(Unusable(name, entry, str(error)))
                absent.setdefault(name, Absence(Cause.UNUSABLE, str(error)))
                continue
            readings[name] = entry
            timings["convert"] += converted - start
            timings["prepare"] += time.perf_counter() - converted
            break
    if unusable:
        absent = {name: reason for name, reason in absent.items() if name not in readings}
        readings = {**snapshot.readings, **readings}
        snapshot = dataclasses.replace(snapshot, readings=readings).without(absent)
    return Observations(snapshot, arrays, tuple(unusable), timings)
