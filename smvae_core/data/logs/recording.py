# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The interface of what can be converted into a cache: logs, data sets, bags.

:mod:`smvae_core.data.logs.conversion` plans, writes and resumes; a :class:`Recording` knows its
files' format. Readings pass through the one :func:`smvae_core.preprocessing.prepare`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from smvae_core.modalities import Modality
from smvae_core.preprocessing import prepare

BLOCK = 50  # steps read at a time: enough to be fast, few enough for any memory


class RecordingError(ValueError):
    """A recording, or a part of one, that cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Problem:
    """Something wrong with one file. `usable` tells whether its other content can be used."""

    path: Path
    key: str | None
    expected: str
    found: str
    advice: str
    usable: bool = False

    @property
    def kind(self) -> tuple[str | None, str]:
        """The same for the same trouble of other files."""
        return self.key, self.advice

    def __str__(self) -> str:
        key = f", key {self.key!r}" if self.key else ""
        return f"{self.path}{key}: expected {self.expected}, found {self.found}; {self.advice}"


# What is read in one go, such as a file: ``name``, unique, and ``steps``, how many it has at most.
# One that belongs to a trajectory of several parts names it by ``trajectory``, its number in
# ``Layout.trajectories``; any other begins trajectories of its own.
Part = Mapping[str, Any]


@dataclass
class Layout:
    """What a recording holds, as far as it shows without reading values. Plain values only.

    Attributes:
        parts: in the order of conversion.
        rate: steps per second.
        held: modality → number of parts that hold it.
        trajectories: (name, number) of those that parts name.
        labels: what evaluations read beside the modalities: array → dtype and shape of a row.
        left_out: part → why it cannot be used.
    """

    parts: list[dict[str, Any]]
    rate: float
    held: Mapping[str, int]
    trajectories: list[tuple[str, int]] = field(default_factory=list)
    labels: dict[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass
class Block:
    """Consecutive steps of one trajectory.

    Attributes:
        rows: modality or label → (t, ...), prepared; where a modality is absent, what
            :func:`absent_rows` gives.
        present: modality → bool (t,).
        step: (t,), ascending within the trajectory.
        trajectory: counted from 0 within the part.
    """

    rows: dict[str, np.ndarray]
    present: dict[str, np.ndarray]
    step: np.ndarray
    trajectory: int = 0


@dataclass
class Notes:
    """What is worth knowing of a part that was read.

    Attributes:
        strange: what is implausible, though it can be used.
        frame_ids: modality → ``frame_id`` of its messages.
    """

    strange: list[Problem] = field(default_factory=list)
    frame_ids: dict[str, str] = field(default_factory=dict)


class Recording(ABC):
    """Something recorded: files whose steps become the rows of a cache.

    Attributes:
        folder: to which the names of :meth:`files` are relative.
        kind: of its files in words, such as ``*.h5 files``.
    """

    folder: Path
    kind: str

    @abstractmethod
    def files(self) -> list[list[Any]]:
        """[name, size in bytes, modification time in ns] of each file, by name.

        Raises:
            RecordingError: where there is none.
        """

    def check(self, modalities: Sequence[Modality]) -> None:  # noqa: B027 (any do)
        """Raises ValueError for modalities that the format does not have, or not in their shape."""

    @abstractmethod
    def layout(self, modalities: Sequence[Modality], progress: bool) -> Layout:
        """Looks at every part, hardly at a value.

        Raises:
            RecordingError: where it does not fit the modalities.
        """

    @abstractmethod
    def read(
        self, part: Part, modalities: Sequence[Modality], labels: Sequence[str], notes: Notes
    ) -> Iterator[Block]:
        """The steps of one of the layout's parts, in blocks of about :data:`BLOCK`.

        Args:
            part: of the layout.
            modalities: those to read.
            labels: of the layout, those to read.
            notes: is filled; complete at the end.

        Raises:
            RecordingError: where the part is damaged; what was yielded of it is not used.
        """

    def read_ahead(self, part: Part) -> None:  # noqa: B027 (nothing to ask for)
        """Asks the system for a part that is read soon."""

    def describe(self, name: str) -> dict[str, Any]:
        """What else decides about a modality's arrays, such as the topic that it comes from, as
        plain values: a cache is only continued with the same."""
        return {}


def absent_rows(modality: Modality, count: int) -> np.ndarray:
    """(count, ``*raw_shape``) for steps without the modality: NaN where it may have holes, else
    zeros."""
    blank = np.nan if modality.has_holes else 0
    return np.full((count, *modality.raw_shape), blank, modality.raw_dtype)


def prepare_rows(
    modality: Modality, raw: Iterable[np.ndarray | None], usable: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Prepared rows (t, ``*raw_shape``) and present bool (t,) of t raw readings.

    Absent is what is not ``usable`` (t,), and what the node would refuse, too.
    """
    rows, present = absent_rows(modality, len(usable)), np.zeros(len(usable), bool)
    for i, reading in enumerate(raw):
        if reading is None or not usable[i]:
            continue
        try:
            rows[i] = prepare(modality, reading)
            present[i] = True
        except ValueError:
            continue
    return rows, present
