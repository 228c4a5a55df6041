# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A converted cache of small logs, in which sensors fail now and then."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from log_files import STAMP, log_arrays
from small_models import small_modalities
from smvae_core.data.logs.vision_touch.layout import log_file_name, write_log
from smvae_core.data.logs.vision_touch.recording import convert_logs


def make_cache(
    folder: Path,
    trajectories: int = 5,
    parts: int = 2,
    steps: int = 5,
    gaps: bool = True,
    first: int = 0,
    rate: float = 20.0,
) -> Path:
    """Writes logs and converts them at the size of `small_modalities`; returns the cache's path.

    first: number of the first trajectory.
    rate: steps per second, as the logs say.
    gaps: the force is NaN in the first step of every file, and the depth image of the second is
    empty; so these are absent there.
    """
    logs = folder / "logs"
    logs.mkdir(parents=True)
    for trajectory in range(first, first + trajectories):
        for part in range(parts):
            arrays = log_arrays(steps, seed=100 * trajectory + part)
            if gaps:
                arrays["ee_forces_continuous"][0, 40] = np.nan
                arrays["depth_data"][1] = np.nan
            write_log(logs / log_file_name(STAMP, trajectory, part), arrays, {"rate": rate})
    convert_logs(logs, folder / "cache", small_modalities(), progress=False)
    return folder / "cache"
