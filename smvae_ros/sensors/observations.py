"""From a snapshot's messages to its observations: prepared arrays, as the model takes them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from smvae_core.preprocessing import prepare
from smvae_ros.sensors.absence import Absence, Cause
from smvae_ros.sensors.snapshot import Input, SensorSample, Unusable
from smvae_ros.sensors.topic_inputs import Source

TOO_LARGE = "its values are so large that the model's latent is not finite"


@dataclass(frozen=True)
class Observations:
    """A frame as the model takes it.

    Attributes:
        sample: the frame with the inputs that were used.
        arrays: modality → prepared array.
        unusable: the messages that proved to be so.
        timings: stage (``convert``: message → array, ``prepare``: → the model's size) → seconds.
    """

    sample: SensorSample
    arrays: dict[str, np.ndarray]
    unusable: tuple[Unusable, ...]
    timings: dict[str, float]

    def without_infinite(self, names: Collection[str]) -> Observations:
        """The same without those that the model makes nothing finite of: they are as unusable as
        what is not finite itself."""
        if not names:
            return self
        inputs = self.sample.inputs
        return Observations(
            self.sample.without(dict.fromkeys(names, Absence(Cause.UNUSABLE, TOO_LARGE))),
            {name: array for name, array in self.arrays.items() if name not in names},
            (*self.unusable, *(Unusable(name, inputs[name], TOO_LARGE) for name in names)),
            self.timings,
        )


def observe(sample: SensorSample, sources: Mapping[str, Source]) -> Observations:
    """Decodes and prepares the inputs of a frame. Values that are arrays already, in raw units, are
    only prepared. Nothing is raised for bad messages: they are named, and where there is an earlier
    one that is good it is used; :meth:`SensorSet.settle` is to be told."""
    arrays: dict[str, np.ndarray] = {}
    inputs: dict[str, Input] = {}
    unusable: list[Unusable] = []
    absent: dict[str, Absence] = {}
    timings = {"convert": 0.0, "prepare": 0.0}
    for name, newest in sample.inputs.items():
        source = sources[name]
        for entry in (newest, *newest.earlier):
            start = time.perf_counter()
            try:
                value = entry.value
                array = value if isinstance(value, np.ndarray) else source.decode(value)
                converted = time.perf_counter()
                arrays[name] = prepare(source.modality, array)
            except ValueError as error:
                unusable.append(Unusable(name, entry, str(error)))
                absent.setdefault(name, Absence(Cause.UNUSABLE, str(error)))
                continue
            inputs[name] = entry
            timings["convert"] += converted - start
            timings["prepare"] += time.perf_counter() - converted
            break
    if unusable:
        absent = {name: reason for name, reason in absent.items() if name not in inputs}
        sample = dataclasses.replace(sample, inputs={**sample.inputs, **inputs}).without(absent)
    return Observations(sample, arrays, tuple(unusable), timings)
