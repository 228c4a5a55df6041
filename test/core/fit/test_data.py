# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What training on robot logs needs of the project."""

from __future__ import annotations

import os
import subprocess
import sys

from places import PYTHONPATH, ROOT


def test_training_on_robot_logs_does_without_the_papers_image_data_sets() -> None:
    code = "import sys, training.train; print([m for m in sys.modules if 'data.images' in m])"
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "[]"
