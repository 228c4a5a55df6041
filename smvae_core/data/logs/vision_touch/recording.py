# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A folder of Vision&Touch logs as a recording: each file a part of a trajectory."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from smvae_core.data.logs.cache_folder import describe_modality, list_sources, read_ahead
from smvae_core.data.logs.conversion import ConversionReport, convert
from smvae_core.data.logs.plausibility import PartCheck, finite_steps
from smvae_core.data.logs.recording import (
    BLOCK,
    Block,
    Layout,
    Notes,
    Part,
    Recording,
    RecordingError,
    absent_rows,
    prepare_rows,
)
from smvae_core.data.logs.vision_touch.layout import (
    DATASETS,
    FORCE_RATE,
    STEPS_PER_FILE,
    LogError,
    parse_log_name,
)
from smvae_core.data.logs.vision_touch.log_file import EXPECTED, LogFile, open_log
from smvae_core.modalities import Modality

log = logging.getLogger(__name__)

# Modality -> key of the log and kind.
SOURCES = {
    "rgb": ("image", "image"),
    "depth": ("depth_data", "depth"),
    "force": ("ee_forces_continuous", "series"),
    "action": ("action", "vector"),
    "proprio": ("proprio", "vector"),
}
# What evaluations read beside the modalities: dtype and shape of a row.
LABELS: dict[str, tuple[str, tuple[int, ...]]] = {
    "contact": ("bool", ()),
    "ee_pos": ("float32", (3,)),
}


def convert_logs(
    logs_folder: str | os.PathLike[str],
    cache_folder: str | os.PathLike[str],
    modalities: Sequence[Modality],
    restart: bool = False,
    progress: bool = True,
) -> ConversionReport:
    """Convert every *.h5 of a folder into a cache, or continue doing so.

    Files that cannot be used are named in the report and by the log, and left out. Steps in which
    a reading holds NaN, infinite or impossible values, or a depth image no valid pixel, are kept
    with that modality marked absent. What is implausible, see `smvae_core.data.logs.plausibility`,
    is named once and counted.

    Args:
        modalities: any of `SOURCES`, with the shapes that the arrays shall have. One that no log
            holds (proprio is optional) is left out of the cache.
        restart: throw away what the cache folder holds and convert everything.

    Raises:
        ValueError: for modalities that logs do not have.
        CacheError: see :func:`smvae_core.data.logs.conversion.convert`.
    """
    recording = VisionTouchRecording(Path(logs_folder))
    return convert(recording, cache_folder, modalities, restart, progress)


class VisionTouchRecording(Recording):
    """All *.h5 of a folder, see :mod:`smvae_core.data.logs.vision_touch.layout`."""

    kind = "*.h5 files"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self) -> list[list[Any]]:
        folder = self.folder
        if not folder.is_dir():
            raise RecordingError(
                f"{folder}: no such folder; give the folder that holds the *.h5 logs"
            )
        files = list_sources(folder)
        if not files:
            below = next(folder.rglob("*.h5"), None)
            hint = f"; did you mean {below.parent}?" if below else ""
            raise RecordingError(f"{folder}: no *.h5 files in this folder{hint}")
        return files

    def check(self, modalities: Sequence[Modality]) -> None:
        for modality in modalities:
            if modality.name not in SOURCES:
                raise ValueError(f"modality {modality.name!r}: logs hold only {', '.join(SOURCES)}")
            key, kind = SOURCES[modality.name]
            step = DATASETS[key].shapes[0]
            fits = modality.kind == kind and {
                "image": modality.raw_shape[-1] == 3,
                "series": modality.raw_shape[1:] == step[1:]
                and modality.raw_shape[0] <= step[0]
                and modality.rate == FORCE_RATE,
                "vector": modality.raw_shape == step,
            }.get(kind, True)
            if not fits:
                raise ValueError(
                    f"modality {modality.name!r}: logs hold it as {kind}, {step} a step"
                    + (f" at {FORCE_RATE:g} Hz" if kind == "series" else "")
                    + f"; configured are {describe_modality(modality)}"
                )

    def layout(self, modalities: Sequence[Modality], progress: bool) -> Layout:
        files, left_out = [], {}
        rates: dict[float, str] = {}  # and the first file of each
        keys_held: Counter[str] = Counter()
        keys = [SOURCES[modality.name][0] for modality in modalities] + list(LABELS)
        names = [name for name, *_ in self.files()]
        for name in tqdm(names, "checking files", unit="file", disable=not progress):
            try:
                log_name = parse_log_name(self.folder / name)
                with open_log(self.folder / name, keys) as file:
                    files.append((log_name, name, file.steps))
                    rates.setdefault(file.rate, name)
                    keys_held.update(file.keys)
            except LogError as error:
                left_out[name] = str(error)
                log.warning("left out: %s", error)
        if len(rates) > 1:
            found = " and ".join(f"{rate:g} Hz ({name})" for rate, name in rates.items())
            raise RecordingError(
                f"{self.folder}: logs of several rates, {found}: a model and its sensor health are "
                "for one rate; put them into folders of their own, or run bag_to_log again with "
                "one --rate"
            )
        files.sort()
        trajectories = sorted({log_name[:2] for log_name, _, _ in files})
        number = {trajectory: i for i, trajectory in enumerate(trajectories)}
        labels = {}
        for name, label in LABELS.items():
            if keys_held[name] == len(files):
                labels[name] = label
            elif keys_held[name]:
                log.warning(
                    "only %d of %d logs hold %r: the cache does without",
                    *(keys_held[name], len(files), name),
                )
        return Layout(
            parts=[
                {
                    "name": name,
                    "steps": steps,
                    "trajectory": number[log_name[:2]],
                    "part": log_name.part,
                }
                for log_name, name, steps in files
            ],
            rate=next(iter(rates), 0.0),
            held={m.name: keys_held[SOURCES[m.name][0]] for m in modalities},
            trajectories=trajectories,
            labels=labels,
            left_out=left_out,
        )

    def read_ahead(self, part: Part) -> None:
        read_ahead(self.folder / part["name"])

    def read(
        self, part: Part, modalities: Sequence[Modality], labels: Sequence[str], notes: Notes
    ) -> Iterator[Block]:
        keys = [SOURCES[modality.name][0] for modality in modalities] + list(labels)
        with open_log(self.folder / part["name"], keys) as file:
            if file.steps != part["steps"]:
                raise LogError(f"{file.path}: changed while it was converted")
            check = PartCheck(file.path, file.steps, EXPECTED)
            # Longer files than the original ones must not run into the next part's numbers.
            first = part["part"] * max(STEPS_PER_FILE, file.reserved)
            # In parts of the usual length: a long file needs no more memory than a short one.
            for start in range(0, file.steps, BLOCK):
                stop = min(start + BLOCK, file.steps)
                rows, present = {}, {}
                for modality in modalities:
                    rows[modality.name], present[modality.name] = _prepare_steps(
                        modality, file, start, stop, check
                    )
                for name in labels:
                    rows[name] = _label(name, file.read(name, start, stop))
                yield Block(rows, present, np.arange(first + start, first + stop))
            notes.strange += [*file.notes, *check.problems()]


def _label(name: str, values: np.ndarray) -> np.ndarray:
    if name == "contact":
        return np.asarray(((values != 0) & ~np.isnan(values)).any(axis=1))
    return np.where(finite_steps(values)[:, None], values, np.nan)


def _prepare_steps(
    modality: Modality, file: LogFile, start: int, stop: int, check: PartCheck
) -> tuple[np.ndarray, np.ndarray]:
    """Prepared rows and present; absent is also what is beyond all reason."""
    key = SOURCES[modality.name][0]
    if key not in file.keys:
        return absent_rows(modality, stop - start), np.zeros(stop - start, bool)
    raw = file.read(key, start, stop)
    if modality.kind == "series":
        raw = raw[:, -modality.raw_shape[0] :]  # the newest readings of the step
    return prepare_rows(modality, raw, check.add(key, start, raw))
