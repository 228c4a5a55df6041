# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Where things lie in the checkout."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HELPERS = ROOT / "test" / "helpers"
DOCS = ROOT / "docs"
RESULTS = DOCS / "results"
PYTHONPATH = os.pathsep.join([str(ROOT), str(HELPERS)])  # of processes that import from both
