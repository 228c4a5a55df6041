# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Distances are found by their angle, whichever way a sensor counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smvae_core.modalities import Modality
from smvae_core.preprocessing import prepare
from smvae_core.scans import angles_of, resample
from smvae_core.tensors import to_raw, to_tensor

HALF = Modality("scan", "scan", (1, 8), angles=(-1.4, 1.4), minimum=0.1, maximum=20.0)


def room(angles: np.ndarray) -> np.ndarray:
    """Distances to what is around, another one at each angle."""
    return (5 + 2 * np.sin(angles) + np.cos(3 * angles)).astype(np.float32)


@given(
    count=st.integers(600, 2000),
    start=st.floats(-math.pi, math.pi),
    clockwise=st.booleans(),
    first=st.floats(-3.0, 0.0),
    width=st.floats(0.5, 6.0),
)
def test_a_whole_turn_looks_the_same_however_it_is_counted(
    count: int, start: float, clockwise: bool, first: float, width: float
) -> None:
    increment = math.tau / count * (-1 if clockwise else 1)
    measured = room(start + increment * np.arange(count))
    modality = Modality("scan", "scan", (1, 50), angles=(first, first + width))
    found = resample(modality, measured, start, increment)
    np.testing.assert_allclose(found, room(angles_of(modality)), atol=5 * math.tau / count)
    assert set(found.tolist()) <= set(measured.tolist()), "nothing is averaged"


@given(st.integers(2, 300), st.integers(2, 300))
def test_what_lies_outside_of_the_measured_angles_is_a_hole(count: int, wanted: int) -> None:
    modality = Modality("scan", "scan", (1, wanted), angles=(-2.0, 2.0))
    increment = 2.0 / (count - 1)
    found = resample(modality, np.ones(count, np.float32), -1.0, increment)
    beyond = np.abs(angles_of(modality)) - 1.0
    assert np.isnan(found[beyond > 0.501 * increment]).all()
    assert (found[beyond < 0.499 * increment] == 1).all()


def test_holes_stay_holes() -> None:
    distances = np.array([1, np.nan, np.inf, -np.inf, 0.05, 0.1, 20.0, 19.0], np.float32)
    prepared = prepare(HALF, distances)
    assert prepared.dtype == np.float32
    np.testing.assert_array_equal(prepared, [1, *[np.nan] * 6, 19])
    tensor = to_tensor(HALF, prepared[None])
    assert tensor.shape == (1, 1, 8)
    np.testing.assert_array_equal(to_raw(HALF, tensor)[0], prepared)


def test_of_a_log_any_number_is_spread_over_the_angles() -> None:
    fine = np.linspace(*HALF.angles, 71)
    np.testing.assert_array_equal(prepare(HALF, room(fine)), room(fine)[::10])


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (np.full(8, np.inf), "no reading at any angle; valid are 0.1 to 20 m"),
        (np.full(8, 1500.0), "no reading at any angle"),
        (np.ones((8, 1)), r"a scan of shape \(n,\), got \(8, 1\)"),
        (np.ones(0), r"got \(0,\)"),
    ],
)
def test_what_is_no_scan_is_refused(array: np.ndarray, complaint: str) -> None:
    with pytest.raises(ValueError, match=f"^scan: .*{complaint}"):
        prepare(HALF, array)
