# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Four sensors for tests of the sensor set, and the times that they are told in."""

from __future__ import annotations

from smvae_core.modalities import Modality

MS = 1_000_000  # nanoseconds
SECOND = 1000 * MS
EPOCH = 1_700_000_000 * SECOND  # a stamp

MODALITIES = {
    modality.name: modality
    for modality in (
        Modality("rgb", "image", (3, 4, 4)),
        Modality("depth", "depth", (1, 4, 4)),
        Modality("force", "series", (2, 8), rate=1000.0),
        Modality("action", "vector", (4,)),
    )
}
