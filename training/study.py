"""The likelihood study: every method on the same networks, data and budget, each run a small file.

A run is one method with one seed. It is trained once, and its weights stay in WORK/<key>/model.
What was measured of it is in RUNS/<key>.json, a section for each stage. A section that is there is
never computed again, so a study can be interrupted at any time and can grow: by methods, by seeds,
and by stages that did not exist when a run was trained.
"""

from __future__ import annotations

import fcntl
import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from smvae_core.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from smvae_core.multimodal_vae import MultimodalVAE
from smvae_ros.report import write_text
from training.coherence import coherence
from training.data_sets import Folders
from training.likelihoods import log_likelihoods
from training.probe import probe
from training.protocol import METHODS, Protocol, Run, RunFailed
from training.training_run import train
from training.view_errors import view_errors

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
    """Trains and measures what is missing of a run; the file grows by a section after each stage.

    Args:
        run: what to do.
        data: folder of the data set.
        runs: folder of the runs' files.
        work: folder of unfinished runs, of trained models and of what is computed from the data
            once. Without the model the run is trained again if there is anything to measure;
            ``measured`` names the weights of each section.
        stages: of :data:`STAGES`, the wanted ones; by default all that the data set has.

    Returns:
        Whether there was anything to do.

    Raises:
        RunFailed: where training diverged, or another process works on the run.
        DataSetError, ValueError: where data, configuration or the run's file cannot be used.
    """
    path = runs / f"{run.key}.json"
    folder, folders = work / run.key, Folders(data, work / "derived")
    if stages is None:
        stages = run.protocol.data_set.stages
    with alone(folder):
        record = _read(path) if path.exists() else {"configuration": run.configuration}
        missing = [stage for stage in stages if stage not in record]
        if not missing:
            return False
        checkpoint = _trained(run, folders, folder)
        # That of the first training stands, even where the model had to be trained again.
        record.setdefault("training", {**checkpoint.training, "weights": checkpoint.weights_hash})
        for stage in missing:
            begin = time.monotonic()
            record[stage] = STAGES[stage](checkpoint.model, run, folders)
            record.setdefault("measured", {})[stage] = {
                "seconds": round(time.monotonic() - begin, 1),
                "weights": checkpoint.weights_hash,
                "commit": commit(),
            }
            write_text(path, json.dumps(record, indent=1, allow_nan=False) + "\n")
    return True


def _trained(run: Run, folders: Folders, folder: Path) -> Checkpoint:
    """The run's model; trained, or trained to the end, where it is not there."""
    model = folder / "model"
    try:
        return load_checkpoint(model)
    except CheckpointError:
        train(run, folders, folder, commit())
    return load_checkpoint(model)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keeps a second process away from a run until this one is done with it or gone."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunFailed(f"{folder}: another process works on this run") from None
        yield


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        configuration = record["configuration"]
        if "study" not in configuration:  # other studies keep their runs in the same folder
            METHODS[configuration["method"]]
        configuration["protocol"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not the file of a run ({error!r}); remove it") from error
    return record


def finished(runs: Path, protocol: Protocol) -> list[dict[str, Any]]:
    """Records of all runs of this protocol, whatever method and seed; each has those sections that
    have been measured.

    Raises:
        ValueError: for a file that is not a run's.
    """
    wanted: Mapping[str, Any] = json.loads(json.dumps(asdict(protocol)))
    records = [_read(path) for path in sorted(runs.glob("*.json"))]
    return [record for record in records if record["configuration"]["protocol"] == wanted]


@cache
def commit() -> str:
    """The checkout's commit, with `-dirty` where code differs from it, as it was at the first call:
    a process keeps the code it began with. What a study writes to docs/ itself does not count."""

    def git(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )

    head = git("rev-parse", "--short=12", "HEAD").stdout.strip()
    unchanged = git("diff", "--quiet", "HEAD", "--", ":/", ":(exclude,top)docs").returncode == 0
    return f"{head}{'' if unchanged else '-dirty'}" if head else "unknown"
