# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Converted logs: opening a cache, reading it, and splitting it by trajectory.

A cache is what `smvae_core.data.logs.conversion` writes: one .npy file for each array, a row for
each step, and a manifest that exists only when all of it is complete. Rows of one trajectory are
consecutive and in the order of time.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smvae_core.data.logs.cache_folder import (
    MANIFEST_NAME,
    UNSAID_RATE,
    CacheError,
    changed_sources,
    describe_modality,
    open_array,
    read_manifest,
)
from smvae_core.modalities import Modality

if TYPE_CHECKING:
    from smvae_core.data.batches import Batch

log = logging.getLogger(__name__)

_ADVICE = "convert the logs again, into another folder"
_LARGE = 4096  # bytes in a row, a page


@dataclass(frozen=True, eq=False)
class LogCache:
    """An open cache of N steps with M modalities; see `open_cache`.

    Attributes:
        names: the modalities, in the order of the columns of `present`.
        arrays: name -> (N, ...), read-only: the modalities' arrays (memory-mapped), `trajectory`
            int32 (N,), `step` int32 (N,), and where the logs have them `contact` bool (N,) and
            `ee_pos` float32 (N, 3) in metres, NaN in steps where the log holds no finite position.
        present: bool (N, M); where it is False, the modality's row holds zeros (depth: NaN).
        trajectories: (stamp, number) of the trajectories, indexed by `arrays["trajectory"]`.
        manifest: the content of cache.yaml.
    """

    path: Path
    names: tuple[str, ...]
    arrays: dict[str, np.ndarray]
    present: np.ndarray
    trajectories: tuple[tuple[str, int], ...]
    manifest: dict[str, Any]

    def __len__(self) -> int:
        return len(self.present)

    @property
    def rate(self) -> float:
        """Steps per second; caches of before it was kept count as 20 Hz."""
        return float(self.manifest.get("rate", UNSAID_RATE))

    @property
    def frame_ids(self) -> dict[str, str]:
        """Modality → frame_id of the messages that it was made of, where it was made of some."""
        return dict(self.manifest.get("frame_ids") or {})

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker process opens the files itself; pickled memory maps would copy all the data.
        return open_cache, (self.path,)

    def read(self, rows: np.ndarray, names: Iterable[str] | None = None, epoch: int = 0) -> Batch:
        """Some rows, in this order, repeats allowed; the same in all epochs.

        Args:
            rows: (B,).
            names: any of `arrays`; all modalities by default. `present` has a column for each
                modality among them, in that order.
            epoch: unused here, so that data sets are interchangeable.

        Raises:
            IndexError: for rows that do not exist.
            KeyError: for unknown names.
        """
        # Conversion, which opens what it has written, does without PyTorch, which takes seconds.
        import torch

        from smvae_core.data.batches import Batch

        names = self.names if names is None else tuple(names)
        rows = np.array(rows, dtype=np.int64)
        if len(rows) and not (rows.min() >= 0 and rows.max() < len(self)):
            raise IndexError(f"{self.path}: rows are 0..{len(self) - 1}, asked for {rows}")
        arrays = {name: torch.from_numpy(_gather(self.arrays[name], rows)) for name in names}
        columns = [self.names.index(name) for name in names if name in self.names]
        present = torch.from_numpy(self.present[rows[:, None], columns])
        return Batch(arrays, present, torch.from_numpy(rows))

    def complete(self, names: Iterable[str]) -> np.ndarray:
        """Rows in which all of these modalities are present, ascending."""
        return np.flatnonzero(self.present[:, [self.names.index(name) for name in names]].all(1))

    def check(self, modalities: Sequence[Modality]) -> None:
        """Raises CacheError where a model's modality is not held, or was prepared otherwise."""
        held = {entry["name"]: entry for entry in self.manifest["modalities"]}
        for modality in modalities:
            expected, found = describe_modality(modality), held.get(modality.name)
            if found is None:
                raise CacheError(
                    f"{self.path}: no modality {modality.name!r}, it holds {', '.join(held)}; "
                    "convert logs that have it, or leave it out of the model"
                )
            if found != expected:
                raise CacheError(
                    f"{self.path}: modality {modality.name!r}: expected {expected}, found {found}; "
                    "convert again into another folder (for images: with --image-size) or change "
                    "the model's configuration"
                )

    def describe(self) -> dict[str, Any]:
        """Values that tell the cache from others, wherever it lies: sizes, and a digest of some of
        its content: ``steps``, ``trajectories`` and ``digest``."""
        digest = hashlib.sha256()
        for name in sorted(self.names):
            # Some rows of all: reading everything would take longer than it is worth.
            digest.update(self.arrays[name][:: max(1, len(self) // 64)].tobytes())
        return {
            "steps": len(self),
            "trajectories": len(set(self.arrays["trajectory"].tolist())),
            "digest": digest.hexdigest()[:16],
        }


def _gather(array: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """array[indices], touching the pages of large rows once and in the order of the disk."""
    if array[0].nbytes < _LARGE:
        return array[indices]
    rows = np.empty((len(indices), *array.shape[1:]), array.dtype)
    for place in np.argsort(indices, kind="stable"):
        rows[place] = array[indices[place]]  # copied once, right to its place
    return rows


def open_cache(
    path: str | os.PathLike[str], modalities: Sequence[Modality] | None = None
) -> LogCache:
    """Open a complete cache.

    Logs a warning when the files that it was made from have changed since.

    Args:
        modalities: what a model wants to read; size and valid range are compared with the cache.

    Raises:
        CacheError: when there is none, its conversion has not finished, files are missing or
            damaged, it is of another format version, or does not hold `modalities`.
    """
    path = Path(path)
    manifest = read_manifest(path)
    try:
        steps = int(manifest["steps"])
        # A file that failed late leaves unused rows at the end.
        arrays = {
            # Still the map, without the class that copies itself into pickles.
            name: np.asarray(open_array(path / f"{name}.npy", entry, _ADVICE))[:steps]
            for name, entry in manifest["arrays"].items()
        }
        names = tuple(entry["name"] for entry in manifest["modalities"])
        trajectories = tuple((str(stamp), int(n)) for stamp, n in manifest["trajectories"])
        # Small ones live in memory.
        for name in set(arrays) - set(names):
            arrays[name] = np.array(arrays[name])
            arrays[name].flags.writeable = False
        cache = LogCache(path, names, arrays, arrays.pop("present"), trajectories, manifest)
        if not 0 < cache.rate < np.inf:
            raise ValueError(f"a rate of {cache.rate} Hz")
        changed = changed_sources(manifest)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CacheError(
            f"{path / MANIFEST_NAME}: damaged ({error!r}); convert the logs again, into another "
            "folder"
        ) from error
    if "rate" not in manifest:
        log.warning(
            "%s was made before caches said how many steps a second they have, and counts as %g "
            "Hz: if its logs have another rate (bag_to_log --rate), convert them again with "
            "--restart, or give training.calibrate --rate",
            *(path, UNSAID_RATE),
        )
    if changed:
        log.warning(
            "%s: %d of the files it was made from have changed since, the first is %s; convert "
            "again with --restart to use them",
            path,
            len(changed),
            changed[0],
        )
    if modalities is not None:
        cache.check(modalities)
    return cache


def split_by_trajectory(
    cache: LogCache,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    seed: int = 0,
    names: Sequence[str] | None = None,
) -> dict[str, np.ndarray]:
    """Rows of "training", "validation" and "test", ascending; no trajectory is in two of them.

    Steps of one trajectory resemble each other so much that a random split of steps or files
    measures memory instead of generalisation. The fractions count trajectories; a fraction above
    0 gets at least one. Steps in which none of the modalities `names` (all by default) is present
    are in no split.

    Raises:
        ValueError: for fractions that leave no training data, and for too few trajectories.
    """
    fractions = {"validation": validation_fraction, "test": test_fraction}
    if min(fractions.values()) < 0 or sum(fractions.values()) >= 1:
        raise ValueError(
            f"validation fraction {validation_fraction} and test fraction {test_fraction}: both "
            "must be at least 0, and together less than 1"
        )
    trajectory = cache.arrays["trajectory"]
    columns = [cache.names.index(name) for name in (cache.names if names is None else names)]
    usable = cache.present[:, columns].any(axis=1)
    found = np.unique(trajectory[usable])
    counts = {
        name: max(1, round(fraction * len(found))) if fraction > 0 else 0
        for name, fraction in fractions.items()
    }
    needed = 1 + sum(count > 0 for count in counts.values())
    if len(found) < needed:
        raise ValueError(
            f"{cache.path}: {len(found)} trajectories are too few for a split into {needed} parts; "
            "convert more logs, or set a fraction to 0"
        )
    while sum(counts.values()) >= len(found):  # rounding left nothing to train on
        counts[max(counts, key=counts.__getitem__)] -= 1
    shuffled = np.random.default_rng(seed).permutation(found)
    ends = np.cumsum(list(counts.values()))
    parts = dict(zip(("validation", "test", "training"), np.split(shuffled, ends), strict=True))
    return {
        name: np.flatnonzero(usable & np.isin(trajectory, parts[name]))
        for name in ("training", "validation", "test")
    }
