# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The study of labelled images: every method on the same networks, data and budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from smvae_core.checkpoint import Checkpoint
from training.provenance import commit
from training.studies.labelled_images.coherence import coherence
from training.studies.labelled_images.data_sets import Folders
from training.studies.labelled_images.likelihood_table import identity, tabulate, to_markdown
from training.studies.labelled_images.likelihoods import log_likelihoods
from training.studies.labelled_images.options import page_name, protocol_options
from training.studies.labelled_images.probe import probe
from training.studies.labelled_images.protocol import METHODS, Protocol, Run
from training.studies.labelled_images.run_data import RunData
from training.studies.labelled_images.training_run import train
from training.studies.labelled_images.view_errors import view_errors
from training.studies.ledger import Record, runs_of
from training.studies.study import Stage, Study

STAGES: dict[str, Stage] = {
    "likelihoods": log_likelihoods,
    "coherence": coherence,
    "probe": probe,
}
STAGES_OF_VIEWS: dict[str, Stage] = {"views": view_errors}


class LabelledImages(Study):
    """The study of one data set.

    Args:
        protocol: what all runs have in common.
        folders: of the data.
    """

    program = "training.studies.labelled_images"
    methods = tuple(METHODS)

    def __init__(self, protocol: Protocol, folders: Folders) -> None:
        self.protocol = protocol
        self.folders = folders
        self.usual_name = page_name(protocol)
        self.identity = identity(protocol)

    def runs_of(self, method: str, seed: int) -> list[Run]:
        return [Run(method, seed, self.protocol)]

    def open(self, run: Run) -> RunData:
        return RunData(run, self.folders)

    def train(self, run: Run, data: RunData, folder: Path) -> None:
        train(run, data, folder)

    def stages(self, run: Run) -> Mapping[str, Stage]:
        return STAGES if run.protocol.data_set.label else STAGES_OF_VIEWS

    def training(self, checkpoint: Checkpoint) -> dict[str, Any]:
        return dict(checkpoint.training)

    def tabulate(self, records: Sequence[Record], command: str, runs: Path) -> dict[str, Any]:
        legacy = self.protocol.legacy
        beside = runs_of(runs, legacy) if legacy else ()
        return tabulate(self.protocol, records, command, commit(), beside)

    def to_markdown(self, table: Mapping[str, Any], name: str) -> str:
        return to_markdown(self.protocol, table)

    def words(self) -> list[str]:
        dataset, own, *options = protocol_options(self.protocol)
        return [dataset, own, "--data-dir", "DIR", *options]
