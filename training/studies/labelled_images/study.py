"""The likelihood study: every method on the same networks, data and budget, each run a small file.

A run is one method with one seed. Its weights stay in WORK/<key>/model, and what was measured of it
is in RUNS/<key>.json, see :mod:`training.studies.run_file`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from smvae_core.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from smvae_core.models.multimodal_vae import MultimodalVAE
from training.provenance import commit
from training.studies.labelled_images.coherence import coherence
from training.studies.labelled_images.data_sets import Folders
from training.studies.labelled_images.likelihoods import log_likelihoods
from training.studies.labelled_images.probe import probe
from training.studies.labelled_images.protocol import Run
from training.studies.labelled_images.training_run import train
from training.studies.labelled_images.view_errors import view_errors
from training.studies.run_file import fill

# Model, run and folders of the data → what the section holds.
Stage = Callable[[MultimodalVAE, Run, Folders], dict[str, Any]]
STAGES: dict[str, Stage] = {
    "likelihoods": log_likelihoods,
    "coherence": coherence,
    "probe": probe,
    "views": view_errors,
}


def complete(
    run: Run, data: Path, runs: Path, work: Path, stages: Sequence[str] | None = None
) -> bool:
    """Trains and measures what is missing of a run.

    Args:
        run: what to do.
        data: folder of the data set.
        runs: folder of the runs' files.
        work: folder of unfinished runs, of trained models and of what is computed from the data
            once. Without the model the run is trained again if there is anything to measure.
        stages: of :data:`STAGES`, the wanted ones; by default all that the data set has.

    Returns:
        Whether there was anything to do.

    Raises:
        RunFailed: where training diverged, or another process works on the run.
        DataSetError, ValueError: where data, configuration or the run's file cannot be used.
    """
    folder, folders = work / run.key, Folders(data, work / "derived")
    chosen = run.protocol.data_set.stages if stages is None else stages
    return fill(
        runs / f"{run.key}.json",
        run.configuration,
        folder,
        {stage: _stage(stage, run, folders) for stage in chosen},
        lambda: _trained(run, folders, folder),
        lambda checkpoint: {**checkpoint.training, "weights": checkpoint.weights_hash},
    )


def _stage(name: str, run: Run, folders: Folders) -> Callable[[MultimodalVAE], dict[str, Any]]:
    return lambda model: STAGES[name](model, run, folders)


def _trained(run: Run, folders: Folders, folder: Path) -> Checkpoint:
    """The run's model; trained, or trained to the end, where it is not there."""
    model = folder / "model"
    try:
        return load_checkpoint(model)
    except CheckpointError:
        train(run, folders, folder, commit())
    return load_checkpoint(model)
