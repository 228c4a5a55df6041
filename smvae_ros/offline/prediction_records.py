# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Predictions of each snapshot of a bag, held against what the bag has."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from smvae_core.inference.inference import Inference
from smvae_core.modalities import Modality
from smvae_ros.messages.serialised import NANOSECONDS
from smvae_ros.sensors.observations import Observations

VISUAL = ("image", "depth")
SHOWN = (*VISUAL, "scan")  # of which pictures are kept
PICTURES = 24  # kept at most, evenly over the bag


@dataclass(frozen=True)
class Picture:
    """The images and scans of one snapshot, in raw units at the model's size.

    Attributes:
        seconds: since the first snapshot.
        truth: modality → what the bag holds, where it holds it.
        live: modality → predicted from all that was live.
        blind: likewise, from those of them that are no images; empty where there were none.
    """

    seconds: float
    truth: dict[str, np.ndarray]
    live: dict[str, np.ndarray]
    blind: dict[str, np.ndarray]


@dataclass
class PredictionRecords:
    """Rows of numbers, one for each snapshot, and some pictures.

    Attributes:
        inference: the model.
        seconds: since the first snapshot, by recording time, which a clock's jump leaves be.
        subsets: its modalities, joined by +.
        errors: modality → rows of RMSE (all live, without images, training mean), see
            :func:`unit_of`.
        ages: modality → seconds since receipt, NaN where it was not live.
        skews: modality → seconds behind the trigger's stamp, likewise.
        computing: seconds for decoding, preparing, encoding and predicting everything.
        pictures: evenly spread over the bag.
    """

    inference: Inference
    seconds: list[float] = field(default_factory=list)
    subsets: list[str] = field(default_factory=list)
    errors: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)
    ages: dict[str, list[float]] = field(default_factory=dict)
    skews: dict[str, list[float]] = field(default_factory=dict)
    computing: list[float] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    _start_ns: int = 0
    _every: int = 1

    def __post_init__(self) -> None:
        modalities = self.inference.modalities
        self._visual = [name for name, m in modalities.items() if m.kind in VISUAL]
        self._shown = [name for name, m in modalities.items() if m.kind in SHOWN]
        self._means = self.inference.training_means
        for rows in (self.errors, self.ages, self.skews):
            rows.update({name: [] for name in modalities})

    @property
    def used(self) -> tuple[str, ...]:
        """The modalities that at least one snapshot had, in the model's order."""
        seen = {name for subset in set(self.subsets) for name in subset.split("+")}
        return tuple(name for name in self.inference.modalities if name in seen)

    def add(self, observations: Observations) -> None:
        """Predicts every modality, with and without the snapshot's images, and keeps how well."""
        arrays, snapshot = observations.arrays, observations.snapshot
        everything = tuple(self.inference.modalities)
        live = self.inference(arrays, predict=everything)
        rest = {name: array for name, array in arrays.items() if name not in self._visual}
        blind = self.inference(rest, predict=everything).arrays if rest else {}
        if not self.seconds:
            self._start_ns = snapshot.taken_ns
        seconds = (snapshot.taken_ns - self._start_ns) / NANOSECONDS
        for name, modality in self.inference.modalities.items():
            guesses = (live.arrays[name], blind.get(name), self._means[name])
            truth = arrays.get(name)
            first, second, third = (_rmse(modality, guess, truth) for guess in guesses)
            self.errors[name].append((first, second, third))
            entry = snapshot.readings.get(name)
            skew = None if entry is None else entry.skew
            self.ages[name].append(math.nan if entry is None else entry.age)
            self.skews[name].append(math.nan if skew is None else skew)
        if any(name in arrays for name in self._shown) and len(self.seconds) % self._every == 0:
            self._keep(seconds, arrays, live.arrays, blind)
        self.seconds.append(seconds)
        self.subsets.append("+".join(arrays))
        timings = {**observations.timings, **live.timings}
        self.computing.append(sum(timings.values()))

    def _keep(
        self,
        seconds: float,
        truth: dict[str, np.ndarray],
        live: dict[str, np.ndarray],
        blind: dict[str, np.ndarray],
    ) -> None:
        kept = (
            {name: images[name] for name in self._shown if name in images}
            for images in (truth, live, blind)
        )
        self.pictures.append(Picture(seconds, *kept))
        if len(self.pictures) > PICTURES:  # the length of the bag is not known beforehand
            del self.pictures[1::2]
            self._every *= 2


def unit_of(modality: Modality) -> str:
    """Of :attr:`PredictionRecords.errors`; ``std`` is the training data's standard deviation."""
    if modality.kind == "image":
        return "of full scale"
    if modality.has_holes:
        return "mm"
    return "N" if modality.is_wrench else "std"


def _rmse(modality: Modality, guess: np.ndarray | None, truth: np.ndarray | None) -> float:
    """In the unit of :func:`unit_of`; NaN where one is missing."""
    if guess is None or truth is None:
        return math.nan
    difference = guess.astype(np.float64) - truth
    if modality.kind == "image":
        difference /= 255
    elif modality.has_holes:
        difference *= 1000
    elif modality.is_wrench:
        difference = difference[:, :3]  # forces; torques are far smaller
    else:
        difference /= np.array(modality.std)
    return math.sqrt(np.nanmean(difference**2))
