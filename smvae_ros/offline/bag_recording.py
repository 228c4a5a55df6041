# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Rosbag2 bags as a recording: their steps, on an even grid, go straight into a cache.

Readings are decoded and prepared as in the live node (:mod:`smvae_ros.sensors.topic_inputs`), and
each step takes the newest of each sensor (:mod:`smvae_ros.offline.step_sampler`).
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from smvae_core.data.logs.recording import (
    BLOCK,
    Block,
    Layout,
    Notes,
    Part,
    Problem,
    Recording,
    RecordingError,
    absent_rows,
)
from smvae_core.modalities import Modality
from smvae_core.words import counted
from smvae_ros.bags import BagError, BagReader
from smvae_ros.bags.files import find_bag, storage_files
from smvae_ros.messages import MessageError
from smvae_ros.messages.definitions import known_definition
from smvae_ros.offline.bag_steps import BagSteps, groups
from smvae_ros.offline.bag_topics import missing_sources, read_messages
from smvae_ros.offline.grid import Grid
from smvae_ros.offline.step_sampler import LogStep, StepSampler
from smvae_ros.parameters.configuration import make_topic_inputs
from smvae_ros.sensors.buffers import nanoseconds
from smvae_ros.sensors.settings import TIMER
from smvae_ros.sensors.topic_inputs import TopicInput

log = logging.getLogger(__name__)

# Unusable messages of the leader can part a trajectory in two, of which each begins a step early.
_SPARE = 16


class BagRecording(Recording):
    """Bags of one robot; each is a part with trajectories of its own.

    Args:
        paths: of the bags.
        modalities: of the robot.
        values: of the node's parameters for them, see
            :func:`smvae_ros.parameters.configuration.read_values`. ``trigger`` names the modality
            that leads; where a bag lacks it, and by default, the first in order that the bag has
            does, series last.
        rate: steps per second.

    Raises:
        ValueError: for a trigger that is none of them, and values that do not fit them.
    """

    kind = "bags"

    def __init__(
        self,
        paths: Sequence[Path],
        modalities: Sequence[Modality],
        values: Mapping[str, Any],
        rate: float,
    ) -> None:
        self._paths = {_name(path, paths): path for path in paths}
        self.folder = Path(os.path.commonpath([path.resolve().parent for path in paths]))
        self._modalities = {modality.name: modality for modality in modalities}
        self._values, self._rate = values, rate
        if (trigger := values["trigger"]) not in ("", TIMER, *self._modalities):
            raise ValueError(f"trigger is {trigger!r}; there are {', '.join(self._modalities)}")
        # What can be said without a bag, which may define types that are not known here.
        make_topic_inputs(self._modalities, values, definitions=known_definition)

    def files(self) -> list[list[Any]]:
        """The bags' storage files."""
        found = []
        for path in self._paths.values():
            try:
                find_bag(path)
            except BagError as error:
                raise RecordingError(str(error)) from error
            for file in storage_files(path):
                status = file.stat()
                name = os.path.relpath(file.resolve(), self.folder)
                found.append([name, status.st_size, status.st_mtime_ns])
        return sorted(found)

    def describe(self, name: str) -> dict[str, Any]:
        """The parameters that decide about a modality's readings, and the rate."""
        ours = {
            setting.partition(".")[2]: value
            for setting, value in self._values.items()
            if setting.startswith(f"{name}.")
        }
        for judged_live in ("reliability", "queue_size", "max_skew"):
            ours.pop(judged_live, None)
        return {"steps_per_second": self._rate, "trigger": self._values["trigger"], **ours}

    def layout(self, modalities: Sequence[Modality], progress: bool) -> Layout:
        """Counts the steps that each bag has at most."""
        parts, held, left_out = [], Counter[str](), {}
        for name, path in self._paths.items():
            try:
                with BagReader(path) as reader:
                    inputs = self._used(reader)
                    steps = self._count_steps(reader, inputs)
            except BagError as error:
                left_out[name] = str(error)
                log.warning("left out: %s", error)
                continue
            if not steps:
                left_out[name] = f"{path}: no message of {self._leader(inputs)} has a stamp"
                continue
            parts.append({"name": name, "steps": steps})
            held.update(inputs.keys())
        return Layout(parts, self._rate, held, left_out=left_out)

    def read(
        self, part: Part, modalities: Sequence[Modality], labels: Sequence[str], notes: Notes
    ) -> Iterator[Block]:
        """The steps of a bag."""
        path = self._paths[part["name"]]
        wanted = {modality.name for modality in modalities}
        try:
            with BagReader(path) as reader:
                inputs = {n: i for n, i in self._used(reader).items() if n in wanted}
                leader = self._leader(inputs)
                found = BagSteps(reader, inputs, leader, self._rate, self._values)
                steps = iter(found)
                for first, group in groups(islice(steps, part["steps"]), BLOCK):
                    yield _block(group, first, modalities)
                if next(steps, None) is not None:
                    notes.strange.append(_too_many(path, part["steps"]))
                notes.frame_ids |= found.frame_ids
                notes.strange += _strange(found.sampler, path, inputs, leader)
        except BagError as error:
            raise RecordingError(str(error)) from error

    def _used(self, reader: BagReader) -> dict[str, TopicInput]:
        """The inputs whose topics the bag has."""
        try:
            inputs = make_topic_inputs(
                self._modalities, self._values, definitions=reader.definition
            )
        except MessageError as error:
            raise BagError(f"{reader.path}: {error}") from error
        missing = missing_sources(reader, inputs)
        return {name: i for name, i in inputs.items() if name not in missing}

    def _leader(self, inputs: Mapping[str, TopicInput]) -> str:
        trigger = self._values["trigger"]
        if trigger in inputs:
            return str(trigger)
        return min(inputs, key=lambda name: self._modalities[name].kind == "series")

    def _max_age_ns(self, name: str) -> int:
        return nanoseconds(self._values[f"{name}.max_age"])

    def _count_steps(self, reader: BagReader, inputs: Mapping[str, TopicInput]) -> int:
        """So many steps at most; only stamps are read."""
        leader = self._leader(inputs)
        grid, steps, messages = Grid(self._rate, self._max_age_ns(leader)), 0, 0
        for _, received_ns, message in read_messages(reader, {leader: inputs[leader]}):
            stamp = message.stamp_ns or received_ns
            messages += 1
            if not grid.is_late(stamp):
                steps += len(grid.add(stamp))
        return steps + (_SPARE + messages // 100 if messages else 0)


def _name(path: Path, paths: Sequence[Path]) -> str:
    """The bag's name; with its folders where two have one name."""
    alike = sum(other.resolve().name == path.resolve().name for other in paths)
    return path.resolve().name if alike == 1 else str(path.resolve())


def _strange(
    sampler: StepSampler, path: Path, inputs: Mapping[str, TopicInput], leader: str
) -> Iterator[Problem]:
    for name, counters in sampler.counters.items():
        if counters.invalid:
            count = counted(counters.invalid, "unusable message")
            found = f"{count}, the latest: {counters.last_error}"
            advice = "what they would have told counts as not there"
            yield Problem(path, inputs[name].topic, "usable messages", found, advice, usable=True)
    if sampler.problem:
        advice = "its messages make no more steps"
        topic = inputs[leader].topic
        yield Problem(path, topic, "stamps that go on", sampler.problem, advice, usable=True)


def _too_many(path: Path, steps: int) -> Problem:
    found = f"more than {counted(steps, 'step')}"
    advice = "the rest is left out: too many messages of its leading sensor are unusable"
    return Problem(path, None, "the steps that its stamps make", found, advice, usable=True)


def _block(steps: Sequence[LogStep], first: int, modalities: Sequence[Modality]) -> Block:
    """Steps of one trajectory, of which the first is its `first`-th."""
    rows, present = {}, {}
    for modality in modalities:
        name = modality.name
        rows[name] = absent_rows(modality, len(steps))
        present[name] = np.array([name in step.arrays for step in steps])
        for row, step in enumerate(steps):
            if name in step.arrays:
                rows[name][row] = step.arrays[name]
    numbers = np.arange(first, first + len(steps))
    return Block(rows, present, numbers, steps[0].trajectory)
