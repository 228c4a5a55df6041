# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The engine of all studies: runs are trained once and measured in stages, and a table is made.

A study is a set of runs, each a model that is trained as its configuration says. What a study says
of itself is :class:`Study`; the rest is the same for all: :func:`complete` here, and the command in
:mod:`training.studies.command`.
"""

from __future__ import annotations

import hashlib
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from smvae_core.checkpoint import Checkpoint, load_checkpoint
from smvae_core.stored_model import CheckpointError
from training.provenance import commit
from training.studies import ledger
from training.studies.ledger import Record

# Model, run and its data → what the section of the run's file holds.
Stage = Callable[[Any, Any, Any], Mapping[str, Any]]


@dataclass(frozen=True)
class Run(ABC):
    """One model to train.

    Attributes:
        method: row of the study's table.
        seed: of all random numbers.
        protocol: what all runs of a table have in common, a dataclass of plain values.
    """

    method: str
    seed: int
    protocol: Any

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.method}, seed {self.seed}"

    @property
    @abstractmethod
    def configuration(self) -> dict[str, Any]:
        """All that decides the result, as plain values."""

    @property
    def key(self) -> str:
        """Hash of the configuration: 16 hexadecimal digits."""
        text = json.dumps(self.configuration, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class Study(ABC):
    """One study with one protocol on its data.

    Attributes:
        program: module of the command.
        methods: rows of the table that there can be.
        protocol: what all runs have in common.
        further: entries of a run's configuration that must be these, too.
        usual_name: of the table's files.
        identity: entries of the table that tell its protocol, and its data, from others.
    """

    program: ClassVar[str]
    methods: ClassVar[Sequence[str]]
    protocol: Any
    further: Mapping[str, Any] = {}
    usual_name: str
    identity: Mapping[str, Any]

    @abstractmethod
    def runs_of(self, method: str, seed: int) -> list[Run]:
        """The runs of a row; most have one."""

    @abstractmethod
    def open(self, run: Run) -> Any:
        """The data of a run, for its training and all of its stages."""

    @abstractmethod
    def train(self, run: Run, data: Any, folder: Path) -> None:
        """Trains, or goes on where an interruption has ended that, and leaves FOLDER/model.

        Raises:
            RunFailed: where training comes to no result.
        """

    @abstractmethod
    def stages(self, run: Run) -> Mapping[str, Stage]:
        """Everything that can be measured of a run, by the names of the sections."""

    @abstractmethod
    def training(self, checkpoint: Checkpoint) -> Mapping[str, Any]:
        """What the section ``training`` holds, beside the weights' hash."""

    @abstractmethod
    def tabulate(self, records: Sequence[Record], command: str, runs: Path) -> dict[str, Any]:
        """The table of these runs, as plain values; ``runs`` is for what stands beside."""

    @abstractmethod
    def to_markdown(self, table: Mapping[str, Any], name: str) -> str:
        """A table as the page NAME.md."""

    @abstractmethod
    def words(self) -> list[str]:
        """Arguments of the command that name data and protocol, but for methods and seeds."""


def complete(
    study: Study, run: Run, runs: Path, work: Path, stages: Sequence[str] | None = None
) -> bool:
    """Trains and measures what is missing of a run; ``measured`` in its file names time, weights
    and code of each section.

    Args:
        study: that the run is part of.
        run: what to do.
        runs: folder of the runs' files.
        work: folder of unfinished runs and of trained models. Without the model the run is trained
            again if there is anything to measure.
        stages: the wanted ones; by default all that there are for such a run.

    Returns:
        Whether there was anything to do.

    Raises:
        RunFailed: where training failed, or another process works on the run.
        ValueError, OSError: where data, configuration or the run's file cannot be used.
    """
    folder, file = work / run.key, runs / f"{run.key}.json"
    possible = study.stages(run)
    with ledger.alone(folder):
        record = ledger.read(file) if file.exists() else {"configuration": run.configuration}
        wanted = [stage for stage in possible if stages is None or stage in stages]
        missing = [stage for stage in wanted if stage not in record]
        if not missing:
            return False
        data = study.open(run)
        checkpoint = _trained(study, run, data, folder)
        # That of the first training stands, even where the model had to be trained again.
        hashed = {"weights": checkpoint.weights_hash}
        record.setdefault("training", {**study.training(checkpoint), **hashed})
        for stage in missing:
            begin = time.monotonic()
            record[stage] = possible[stage](checkpoint.model, run, data)
            record.setdefault("measured", {})[stage] = {
                "seconds": round(time.monotonic() - begin, 1),
                "weights": checkpoint.weights_hash,
                "commit": commit(),
            }
            ledger.write(file, record)
    return True


def _trained(study: Study, run: Run, data: Any, folder: Path) -> Checkpoint:
    """The run's model; trained, or trained to the end, where it is not there."""
    try:
        return load_checkpoint(folder / "model")
    except CheckpointError:
        try:
            study.train(run, data, folder)
        except SystemExit:  # Lightning's way after Ctrl-C; the state is saved
            raise KeyboardInterrupt from None
    return load_checkpoint(folder / "model")
