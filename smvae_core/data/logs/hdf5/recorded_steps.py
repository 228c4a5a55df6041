# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""How far the recorder of an HDF5 file came: one that was killed leaves what it reserved, one that
is at work has more to come."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from smvae_core.data.logs.recording import BLOCK, Problem


def blank_from(dataset: h5py.Dataset, steps: int, first: int = 0) -> int:
    """The step from which on, up to `steps`, all is zero, NaN or HDF5's fill value; `first` or
    later."""
    while steps > first:
        begin = max(first, steps - BLOCK)
        values = dataset[begin:steps].reshape(steps - begin, -1)
        blank = (values == 0) | (values == dataset.fillvalue) | (values != values)
        written = np.flatnonzero(~blank.all(axis=1))
        if len(written):
            return begin + int(written[-1]) + 1
        steps = begin
    return first


def never_written(path: Path, steps: int, reserved: int, where: str) -> Problem:
    """Of the reserved steps only these were recorded; the others are blank in what is named."""
    return Problem(
        path,
        None,
        f"{reserved} recorded steps",
        f"{steps}; the others hold nothing but zeros in {where}",
        "the recorder reserved the file and was killed before it filled it; "
        + ("the steps before are used" if steps else "there is nothing to use"),
        usable=steps > 0,
    )


def still_recorded(path: Path, steps: int) -> Problem:
    """A file that is open for SWMR writing."""
    return Problem(
        path,
        None,
        "a file that its recorder has closed",
        f"one that is open for SWMR writing, with {steps} steps so far",
        "these are used. Wait for the others; if the recorder was killed there are no others",
        usable=True,
    )
