"""Set before anything imports torch: one thread, here and in processes that tests start.

The models of the tests are too small to gain from more, and machines that run tests are busy.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Module | None:
    """Keeps launch_testing's plugin, where it is installed, to the one launch test: it imports
    every module while it lists the directory, and one that skips itself would skip them all."""
    if module_path.name == "test_launch.py":
        return None
    return pytest.Module.from_parent(parent, path=module_path)
