# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The robot study: every run is an ordinary training of `training.train`, measured in stages."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

from smvae_core.checkpoint import Checkpoint
from training import train
from training.programs import EXPECTED
from training.provenance import commit
from training.studies.command import changed_options
from training.studies.insertion.measures import DEDICATED_STAGES, STAGES, Caches
from training.studies.insertion.protocol import (
    DEDICATED,
    DEDICATED_NETWORKS,
    METHODS,
    Protocol,
    Run,
)
from training.studies.insertion.table import tabulate, to_markdown
from training.studies.ledger import Record, RunFailed
from training.studies.study import Stage, Study


class Insertion(Study):
    """The study of two caches.

    Args:
        protocol: what all runs have in common.
        caches: logs to train on and logs to measure on.

    Raises:
        ValueError: where a trajectory is in both.
    """

    program = "training.studies.insertion"
    methods = (*METHODS, DEDICATED)
    usual_name = "insertion"

    def __init__(self, protocol: Protocol, caches: Caches) -> None:
        shared = set(caches.training.trajectories) & set(caches.test.trajectories)
        if shared:
            raise ValueError(
                f"{len(shared)} trajectories are in both caches, the first is {min(shared)}; "
                "what is measured must not have been trained on"
            )
        self.protocol = protocol
        self.caches = caches
        self.data = caches.describe()
        self.further = {"data": self.data}
        self.identity = {"protocol": asdict(protocol), **self.further}

    def runs_of(self, method: str, seed: int) -> list[Run]:
        networks = DEDICATED_NETWORKS if method == DEDICATED else [((), "")]
        return [Run(method, seed, self.protocol, self.data, *network) for network in networks]

    def open(self, run: Run) -> Caches:
        return self.caches

    def train(self, run: Run, data: Caches, folder: Path) -> None:
        try:
            with redirect_stdout(sys.stderr):
                train.train(run.training(str(data.training.path)), folder)
        except (*EXPECTED, *train.EXPECTED) as error:
            raise RunFailed(f"{run.title}: training failed: {error}") from error

    def stages(self, run: Run) -> Mapping[str, Stage]:
        chosen = DEDICATED_STAGES if run.given else STAGES
        return {name: _rounding(STAGES[name]) for name in chosen}

    def training(self, checkpoint: Checkpoint) -> dict[str, Any]:
        own = {key: checkpoint.training[key] for key in ("epochs", "steps", "metrics")}
        parameters = sum(parameter.numel() for parameter in checkpoint.model.parameters())
        return {**_rounded(own), "parameters": parameters, "commit": commit()}

    def tabulate(self, records: Sequence[Record], command: str, runs: Path) -> dict[str, Any]:
        return tabulate(self.protocol, records, command, commit())

    def to_markdown(self, table: Mapping[str, Any], name: str) -> str:
        return to_markdown(table, name)

    def words(self) -> list[str]:
        caches = ["data/insertion/train_cache", "data/insertion/test_cache"]
        return [*caches, *changed_options(self.protocol, Protocol())]


def _rounding(stage: Stage) -> Stage:
    return lambda model, run, data: _rounded(stage(model, run, data))


def _rounded(value: Any) -> Any:
    """Six significant digits: the files are read by people and kept in git."""
    if isinstance(value, Mapping):
        return {key: _rounded(entry) for key, entry in value.items()}
    return float(f"{value:.6g}") if isinstance(value, float) else value
