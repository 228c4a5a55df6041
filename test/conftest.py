"""What all tests, and the processes that they start, have in common."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

# Before anything imports torch: the models of the tests are too small to gain from more threads,
# and machines that run tests are busy.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell's background jobs begin with SIGINT ignored and hand that down; what tests interrupt must
# hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def require_simulation() -> None:
    """Skips with the robot's own words on what is missing here."""
    from smvae_ros.simulation.graphics import SimulationUnavailable
    from smvae_ros.simulation.insertion import InsertionRobot

    try:
        with InsertionRobot(0) as robot:
            robot.step()
    except SimulationUnavailable as error:
        pytest.skip(str(error))


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Module | None:
    """Keeps launch_testing's plugin, where it is installed, to the one launch test: it imports
    every module while it lists the directory, and one that skips itself would skip them all."""
    if module_path.name == "test_launch.py":
        return None
    return pytest.Module.from_parent(parent, path=module_path)
