# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Everything that is wrong, or strange, with one log file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from smvae_core.data.logs.plausibility import PartCheck, finite_steps
from smvae_core.data.logs.recording import Problem
from smvae_core.data.logs.vision_touch.layout import (
    DATASETS,
    STEPS_PER_FILE,
    LogError,
    parse_log_name,
)
from smvae_core.data.logs.vision_touch.log_file import EXPECTED, LogFile, open_log


def validate_log(path: str | os.PathLike[str]) -> list[Problem]:
    """Everything that is wrong with one log file; an empty list means that it is good.

    Checks the name, that it is HDF5, keys, shapes, dtypes, lengths, that every known key can be
    read to its end, NaN and infinite values (except in depth, where they mean no reading), and
    whether the values are plausible. Problems with `usable` set don't stop a conversion. Never
    raises for what a file holds.
    """
    path = Path(path)
    problems = []
    try:
        parse_log_name(path)
    except LogError as error:
        problems += error.problems
    try:
        with open_log(path) as log_file:
            problems += log_file.notes
            check = PartCheck(path, log_file.steps, EXPECTED)
            for key in log_file.keys:
                problems += _value_problems(log_file, key, check)
            problems += check.problems()
    except LogError as error:
        problems += error.problems
    return problems


def _value_problems(log_file: LogFile, key: str, check: PartCheck) -> Iterator[Problem]:
    """Reads the whole key, since damage shows only then, one block at a time; shows it `check`."""
    finite = []
    try:
        for start in range(0, log_file.steps, STEPS_PER_FILE):
            values = log_file.read(key, start, start + STEPS_PER_FILE)
            finite.append(finite_steps(values))
            check.add(key, start, values)
    except LogError as error:
        yield from error.problems
        return
    bad = np.flatnonzero(~np.concatenate(finite))
    if DATASETS[key].must_be_finite and len(bad):
        yield Problem(
            log_file.path,
            key,
            "finite values",
            f"NaN or infinite values in {len(bad)} of {log_file.steps} steps, the first in step "
            f"{bad[0]}",
            "the steps are kept and this key counts as missing in them; check the sensor",
            usable=True,
        )
