"""Completes one run of the robot study: trains its model, measures it, and writes it down.

What was measured of a run is in RUNS/<key>.json, see :mod:`training.studies.run_file`; its training
is an ordinary run of `training.train` in WORK/<key>, which an interruption does not harm.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from smvae_core.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from smvae_core.files import write_text
from smvae_core.models.multimodal_vae import MultimodalVAE
from training import train
from training.provenance import commit
from training.studies.insertion.measures import DEDICATED_STAGES, STAGES, Caches
from training.studies.insertion.protocol import Run
from training.studies.labelled_images.protocol import RunFailed
from training.studies.run_file import fill


def complete(
    run: Run, caches: Caches, runs: Path, work: Path, stages: Sequence[str] | None = None
) -> bool:
    """Trains and measures what is missing of a run.

    Args:
        run: what to do.
        caches: the data.
        runs: folder of the runs' files.
        work: folder of unfinished runs and of trained models.
        stages: of :data:`training.studies.insertion.measures.STAGES`, the wanted ones; by default
        all that
            there are for such a run.

    Returns:
        Whether there was anything to do.

    Raises:
        RunFailed: where training failed, or another process works on the run.
        ValueError: where data or the run's file cannot be used.
    """
    folder = work / run.key
    possible = DEDICATED_STAGES if run.given else tuple(STAGES)
    chosen = [stage for stage in possible if stages is None or stage in stages]
    return fill(
        runs / f"{run.key}.json",
        run.configuration,
        folder,
        {stage: _stage(stage, run, caches) for stage in chosen},
        partial(trained, run, caches, folder),
        _training,
    )


def _stage(name: str, run: Run, caches: Caches) -> Callable[[MultimodalVAE], Any]:
    return lambda model: _rounded(STAGES[name](model, run, caches))


def trained(run: Run, caches: Caches, folder: Path) -> Checkpoint:
    """The run's model; trained, or trained to the end, where it is not there.

    Raises:
        RunFailed: where training ends without a model.
    """
    model = folder / "model"
    try:
        return load_checkpoint(model)
    except CheckpointError:
        configuration = folder / "study.yaml"
        content = run.training(str(caches.training.path))
        write_text(configuration, yaml.safe_dump(content, sort_keys=False))
        arguments = ["--config", str(configuration), "--output", str(folder)]
        resume = ["--resume"] if train.last_state(folder).exists() else []
        try:
            with redirect_stdout(sys.stderr):
                failed = train.main([*arguments, *resume])
        except SystemExit as end:
            if end.code == 1:  # Lightning's way after Ctrl-C; the state is saved
                raise KeyboardInterrupt from None
            failed = True
        if failed == 130:
            raise KeyboardInterrupt from None
        if failed:
            raise RunFailed(f"{run.title}: training failed") from None
    return load_checkpoint(model)


def _training(checkpoint: Checkpoint) -> dict[str, Any]:
    own = {key: checkpoint.training[key] for key in ("epochs", "steps", "metrics")}
    parameters = sum(parameter.numel() for parameter in checkpoint.model.parameters())
    weights = checkpoint.weights_hash
    return {**_rounded(own), "parameters": parameters, "weights": weights, "commit": commit()}


def _rounded(value: Any) -> Any:
    """Six significant digits: the files are read by people and kept in git."""
    if isinstance(value, Mapping):
        return {key: _rounded(entry) for key, entry in value.items()}
    return float(f"{value:.6g}") if isinstance(value, float) else value
