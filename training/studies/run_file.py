"""The file of one run of a study: what was measured of it, a section for each stage.

A run is trained once, and its file grows by a section after each stage. A section that is there is
never computed again, so a study can be interrupted at any time and can grow: by runs, and by stages
that did not exist when a run was trained.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from smvae_core.checkpoint import Checkpoint
from smvae_core.files import check_output, write_text
from smvae_core.models.multimodal_vae import MultimodalVAE
from training.provenance import commit
from training.studies.labelled_images.protocol import RunFailed


def fill(
    path: Path,
    configuration: Mapping[str, Any],
    folder: Path,
    stages: Mapping[str, Callable[[MultimodalVAE], Mapping[str, Any]]],
    trained: Callable[[], Checkpoint],
    described: Callable[[Checkpoint], Mapping[str, Any]],
) -> bool:
    """Measures what is missing; ``measured`` names time, weights and code of each section.

    Args:
        path: of the file.
        configuration: of the run, plain values.
        folder: of this run alone, while it is worked on.
        stages: name of a section → model → what the section holds.
        trained: gives the run's model; called only if there is anything to measure.
        described: model → what the section ``training`` holds.

    Returns:
        Whether there was anything to do.

    Raises:
        RunFailed: where another process works on the run.
        ValueError: where the file is not a run's.
    """
    with _alone(folder):
        record = read(path) if path.exists() else {"configuration": configuration}
        missing = [stage for stage in stages if stage not in record]
        if not missing:
            return False
        checkpoint = trained()
        # That of the first training stands, even where the model had to be trained again.
        record.setdefault("training", described(checkpoint))
        for stage in missing:
            begin = time.monotonic()
            record[stage] = stages[stage](checkpoint.model)
            record.setdefault("measured", {})[stage] = {
                "seconds": round(time.monotonic() - begin, 1),
                "weights": checkpoint.weights_hash,
                "commit": commit(),
            }
            write_text(path, json.dumps(record, indent=1, allow_nan=False) + "\n")
    return True


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps a second process away from a run until this one is done with it or gone."""
    check_output(folder, folder=True)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunFailed(f"{folder}: another process works on this run") from None
        yield


def read(path: Path) -> dict[str, Any]:
    """The content of a run's file.

    Raises:
        ValueError: where it is none.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        record["configuration"]["protocol"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not the file of a run ({error!r}); move it elsewhere") from error
    return record


def runs_of(runs: Path, protocol: Any) -> list[dict[str, Any]]:
    """Records of all runs of a protocol, a dataclass; each has the sections that were measured.

    Raises:
        ValueError: for a file that is not a run's.
    """
    wanted = json.loads(json.dumps(asdict(protocol)))
    records = [read(path) for path in sorted(runs.glob("*.json"))]
    return [record for record in records if record["configuration"]["protocol"] == wanted]
