# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A bag through sensor set and model: the posteriors that the live node makes of its messages."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from smvae_core.inference.inference import Inference, NotFiniteError
from smvae_ros.bags import BagError, BagReader
from smvae_ros.offline.absences import Absences, describe_strayed, describe_unusable, strays
from smvae_ros.offline.bag_topics import missing_sources, read_messages
from smvae_ros.offline.lockstep import Event, lockstep
from smvae_ros.parameters.configuration import make_topic_inputs, sensor_settings
from smvae_ros.sensors.absence import Cause
from smvae_ros.sensors.evidence import Connection
from smvae_ros.sensors.observations import Observations, observe
from smvae_ros.sensors.sensor_set import SensorSet
from smvae_ros.sensors.topic_inputs import TopicInput
from smvae_ros.sensors.trained_frames import describe_other_frame

if TYPE_CHECKING:  # which needs PyTorch
    from smvae_core.metrics.subset_errors import SubsetErrors

log = logging.getLogger(__name__)

BATCH = 32  # snapshots whose errors are taken together


@dataclass(frozen=True)
class BagPosteriors:
    """A row for each snapshot of a bag.

    Attributes:
        stamps: (N,) int64, nanoseconds.
        means: (N, D) float32.
        log_variances: (N, D) float32.
        subsets: the modalities of each snapshot, joined by +.
        invalid: modality → messages that were unusable.
        last_errors: modality → why the last of them was.
        absences: why modalities were in no snapshot.
        failed: snapshots that are left out, since what the model makes of them is not finite.
        strays: modality → messages of another frame, and in words of which.
        other_frames: modality → why its frame_id is not that of the training.
    """

    stamps: np.ndarray
    means: np.ndarray
    log_variances: np.ndarray
    subsets: tuple[str, ...]
    invalid: dict[str, int]
    last_errors: dict[str, str]
    absences: Absences
    failed: int = 0
    strays: dict[str, tuple[int, str]] = field(default_factory=dict)
    other_frames: dict[str, str] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """Counts for a file: snapshots (``frames``), their subsets, and what was left out."""
        return {
            "frames": len(self.stamps),
            "live_subsets": dict(Counter(self.subsets)),
            "invalid": self.invalid,
            "failed": self.failed,
            "last_errors": self.last_errors,
            "strayed": {
                name: {"messages": count, "reason": why}
                for name, (count, why) in self.strays.items()
            },
            "absent": self.absences.summary(),
        }

    def notes(self) -> Iterator[str]:
        """Sentences about what was unusable, and why sensors are missing that no snapshot has."""
        for name, error in self.last_errors.items():
            yield describe_unusable(name, self.invalid[name], error)
        for name, (count, why) in self.strays.items():
            yield describe_strayed(name, count, why)
        for name, why in self.other_frames.items():
            yield f"{name}: {why}"
        used = {name for subset in set(self.subsets) for name in subset.split("+")}
        for name in self.absences.counts:
            absence = self.absences.main(name)
            if name not in used and absence.cause != Cause.NO_TOPIC:
                yield f"no snapshot has {name}: {absence.text}"


def encode_bag(
    path: Path,
    inference: Inference,
    values: Mapping[str, Any],
    errors: SubsetErrors | None = None,
    *watchers: Callable[[Observations], object],
) -> BagPosteriors:
    """Encodes every snapshot of a bag, without DDS and without waiting.

    Args:
        path: of the bag.
        inference: the model.
        values: of the node's parameters, see
            :func:`smvae_ros.parameters.configuration.read_values`.
        errors: the bag's errors are added to it.
        watchers: are called with the observations of each snapshot.

    Raises:
        BagError: where the bag cannot be read, or holds none of the configured topics.
    """
    modalities = inference.modalities
    with BagReader(path) as reader:
        sources = make_topic_inputs(modalities, values, inference.frame_ids, reader.definition)
        missing = missing_sources(reader, sources)
        for name, source in missing.items():
            log.warning("%s has no topic %s, so there is no %s", path, source.topic, name)
        problems = {
            name: reader.left_out.get(source.topic, "the bag has no such topic")
            for name, source in missing.items()
        }
        connections = {
            name: Connection(source.topic, problem=problems.get(name, ""))
            for name, source in sources.items()
        }
        sensors = SensorSet(modalities, sensor_settings(modalities, values), connections)
        rows, waiting, absences, failed = [], [], Absences(), 0
        snapshots = lockstep(_events(reader, sources, sensors), sensors)
        for snapshot in tqdm(snapshots, desc=path.name, unit="snapshot", disable=None):
            try:
                observations = observe(snapshot, sources)
                encoding, broken = inference.encode_finite(observations.arrays)
                observations = observations.without_infinite(broken)
                if encoding is not None:
                    for watch in watchers:
                        watch(observations)
            except NotFiniteError as error:
                if not failed:
                    log.warning("%s: snapshots are left out: %s", path, error)
                failed += 1
                continue
            sensors.settle(observations.snapshot, observations.unusable)
            absences.add(observations.snapshot.absent)
            if encoding is None:
                continue
            subset = "+".join(observations.arrays)
            stamp = observations.snapshot.stamp_ns or 0
            rows.append((stamp, encoding.mean, encoding.log_variance, subset))
            if errors is not None:
                waiting.append(observations)
                if len(waiting) == BATCH:
                    _add(errors, waiting)
                    waiting.clear()
        if errors is not None and waiting:
            _add(errors, waiting)
    if not rows:
        raise BagError(f"{path}: no snapshot came of it; check the topics in the parameters file")
    stamps, means, log_variances, subsets = zip(*rows, strict=True)
    counters = sensors.counters()
    others = {
        name: describe_other_frame(name, frame_id, sources[name].frame_id)
        for name, frame_id in sensors.frame_ids().items()
    }
    return BagPosteriors(
        np.array(stamps),
        np.stack(means),
        np.stack(log_variances),
        subsets,
        {name: counter.invalid for name, counter in counters.items()},
        {name: counter.last_error for name, counter in counters.items() if counter.invalid},
        absences,
        failed,
        strays(counters),
        {name: text for name, text in others.items() if text},
    )


def recorded_modalities(
    paths: Sequence[Path], inference: Inference, values: Mapping[str, Any]
) -> tuple[str, ...]:
    """The modalities of which at least one bag has the topic, in the model's order.

    Raises:
        BagError: where a bag cannot be read, or holds none of the configured topics.
    """
    found: set[str] = set()
    for path in paths:
        with BagReader(path) as reader:
            sources = make_topic_inputs(inference.modalities, values, definitions=reader.definition)
            found |= sources.keys() - missing_sources(reader, sources).keys()
    return tuple(name for name in inference.modalities if name in found)


def _events(
    reader: BagReader, sources: Mapping[str, TopicInput], sensors: SensorSet
) -> Iterator[Event]:
    """The bag's messages as arrivals at the times at which they were recorded."""
    for name, received_ns, message in read_messages(reader, sources):
        try:
            value = sources[name].incoming(message)
        except ValueError as error:
            sensors.refuse(name, error, received_ns)
        else:
            yield received_ns, name, value, message.stamp_ns, message.frame_id


def _add(errors: SubsetErrors, batch: Sequence[Observations]) -> None:
    """Adds the observations of some snapshots to the errors."""
    modalities = errors.model.modalities
    prepared, present = {}, np.zeros((len(batch), len(modalities)), dtype=bool)
    for column, (name, modality) in enumerate(modalities.items()):
        arrays = np.zeros((len(batch), *modality.raw_shape), modality.raw_dtype)
        for row, observations in enumerate(batch):
            if name in observations.arrays:
                arrays[row] = observations.arrays[name]
                present[row, column] = True
        prepared[name] = arrays
    errors.add(prepared, present)
