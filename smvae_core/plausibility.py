# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Readings that no sensor gives, from a cable that is loose or a driver that misreads its device.

They are finite, and one of 1e12 N in a snapshot would make all its other sensors look wrong. Two
judges share this rule: of messages the statistics of the model's training data
(:attr:`smvae_core.modalities.Modality.largest`), of logs, which statistics are made of, the steps
around a reading (:mod:`smvae_core.data.logs.plausibility`).
"""

from __future__ import annotations

from collections.abc import Sequence

# In whatever unit; where nothing is known of a sensor, this alone is beyond reason.
LARGEST = 1e9
# So many standard deviations of the training data from zero, beside their mean. A collision is ten
# to a hundred times what a careful task shows, and a unit taken wrongly (mN for N) a thousand
# times, where sensor health still tells which sensor it is; broken bytes are mostly far beyond.
DEVIATIONS = 1000.0
# A deviation counts as at least this, in N, N m, m or rad: what hardly moved in training may move.
SMALLEST = 1.0
ADVICE = "check the sensor, its cable and its driver"


def largest_reading(mean: Sequence[float], std: Sequence[float]) -> float:
    """The largest absolute value, in raw units, that a sensor can have measured.

    Args:
        mean: of the training data, of each channel or of all.
        std: their standard deviation, likewise; with a mean of 0 and 1 it says nothing.
    """
    if not any(mean) and all(deviation == 1.0 for deviation in std):
        return LARGEST
    return max(map(abs, mean)) + DEVIATIONS * max(SMALLEST, *std)


def describe_implausible(what: str, value: float, largest: float) -> str:
    """In words what is wrong with a reading, and what to do."""
    return (
        f"{what} has a reading beyond all reason, {value:.3g} where {largest:.3g} is the most that "
        f"can be believed: {ADVICE}, and its unit"
    )
