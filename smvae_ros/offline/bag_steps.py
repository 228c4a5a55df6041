# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The steps of a bag, for caches and for logs alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tqdm import tqdm

from smvae_ros.bags import BagReader
from smvae_ros.offline.bag_topics import read_messages
from smvae_ros.offline.step_sampler import LogStep, StepSampler
from smvae_ros.sensors.topic_inputs import TopicInput


class BagSteps:
    """Reads a bag once, in the order in which it was recorded. To be iterated over, once.

    Args:
        reader: of the bag.
        inputs: by modality, those whose topic the bag has.
        leader: the one that lays the grid.
        rate: steps per second.
        values: of the node's parameters.
        bar: shows progress, in messages.

    Attributes:
        sampler: counts what became of the messages, unusable ones too.
        frame_ids: modality → the first frame_id of its messages, where they have one.
    """

    def __init__(
        self,
        reader: BagReader,
        inputs: Mapping[str, TopicInput],
        leader: str,
        rate: float,
        values: Mapping[str, Any],
        bar: bool = False,
    ) -> None:
        self._reader, self._inputs, self._bar = reader, inputs, bar
        modalities = [source.modality for source in inputs.values()]
        self.frame_ids: dict[str, str] = {}
        self.sampler = StepSampler(
            modalities,
            leader,
            rate,
            {name: values[f"{name}.max_age"] for name in inputs},
            {m.name: values[f"{m.name}.max_gap"] for m in modalities if m.kind == "series"},
        )

    def __iter__(self) -> Iterator[LogStep]:
        messages = tqdm(
            read_messages(self._reader, self._inputs),
            desc=self._reader.path.name,
            total=sum(self._reader.topics[source.topic].count for source in self._inputs.values()),
            unit="message",
            disable=None if self._bar else True,
        )
        for name, received_ns, message in messages:
            try:
                value = self._inputs[name].reading(message)
                stamp = message.stamp_ns or received_ns
                yield from self.sampler.add(name, value, stamp, received_ns, message.frame_id)
                if message.frame_id:
                    self.frame_ids.setdefault(name, message.frame_id)
            except ValueError as error:
                self.sampler.refuse(name, error, received_ns)
        yield from self.sampler.finish()


def groups(steps: Iterable[LogStep], size: int) -> Iterator[tuple[int, list[LogStep]]]:
    """Up to so many steps of one trajectory at a time, with the place of the first in it."""
    first, group = 0, list[LogStep]()
    for step in steps:
        ended = bool(group) and step.trajectory != group[0].trajectory
        if ended or len(group) == size:
            yield first, group
            first, group = 0 if ended else first + size, []
        group.append(step)
    if group:
        yield first, group
