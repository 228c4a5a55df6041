# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Scans: distances by angle, brought to the angles of a modality."""

from __future__ import annotations

import math

import numpy as np

from smvae_core.modalities import Modality


def angles_of(modality: Modality) -> np.ndarray:
    """The angles of a scan's values, (n,) in rad, evenly from the first to the last."""
    assert modality.angles is not None  # a scan has them
    return np.linspace(*modality.angles, modality.shape[1])


def resample(
    modality: Modality, distances: np.ndarray, first: float, increment: float
) -> np.ndarray:
    """The distance that is nearest to each of a modality's angles, as float32 (n,).

    Averages across an edge or a hole would be distances to nothing. Angles are compared modulo a
    turn, so that a sensor that counts from 0 to 2π and one from -π to π look the same. An angle
    further than half an increment from all that were measured is a hole, NaN.

    Args:
        modality: a scan.
        distances: (N,) in metres.
        first: the first one's angle, in rad.
        increment: from one to the next, in rad; negative where the sensor turns clockwise.
    """
    turn = math.tau / abs(increment)  # in increments
    places = (angles_of(modality) - first) / increment % turn
    nearest = np.rint(places)
    nearest[(nearest >= len(distances)) & (turn - places <= 0.5)] = 0  # just before the first
    measured = nearest < len(distances)
    found = np.full(modality.shape[1], np.nan, np.float32)
    found[measured] = distances[nearest[measured].astype(int)]
    return found
