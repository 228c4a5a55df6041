"""Set before anything imports torch: one thread, here and in processes that tests start.

The models of the tests are too small to gain from more, and machines that run tests are busy.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
