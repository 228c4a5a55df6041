# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""How far two ways to the same number may lie apart in single precision."""

from __future__ import annotations

import numpy as np

from smvae_core.modalities import Modality

# Another batch, thread count, processor or library adds up in another order. A number of order one
# is rounded to 6e-8, a small network adds some hundred of them in each of a few layers, and each
# layer passes on what the one before it lost: about 1e-5. What is wrong is wrong by far more.
FLOAT32 = {"rtol": 1e-4, "atol": 1e-4}


def assert_same_readings(found: np.ndarray, expected: np.ndarray, modality: Modality) -> None:
    """Of predictions in raw units: they agree as :data:`FLOAT32` in units of the modality's
    standard deviation, which is what its networks compute in."""
    assert found.dtype == expected.dtype
    found, expected = found.astype(float), expected.astype(float)
    if modality.kind == "image":  # a count of colour may be rounded either way
        np.testing.assert_allclose(found, expected, rtol=0, atol=1)
    else:
        np.testing.assert_allclose(found / modality.std, expected / modality.std, **FLOAT32)
