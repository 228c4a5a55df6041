# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Native libraries that meet in one process, and processes whose test has died."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from places import HELPERS, ROOT
from ros_processes import PATIENCE

RENDERS_THEN_LOADS_TORCH = """\
from smvae_ros.simulation.insertion import InsertionRobot
with InsertionRobot(0) as robot:
    assert robot.step().image is not None
import triton._C.libtriton
import torch._dynamo
"""
STARTS_AND_CRASHES = """\
import os, signal, sys
from ros_processes import Process
process = Process([sys.executable, "-c", "import time; print('up'); time.sleep(1000)"], os.environ)
process.wait_for_line("up")
print(process.pid, flush=True)
os.kill(os.getpid(), signal.SIGSEGV)
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), str(HELPERS), *filter(None, [os.getenv("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
    )


@pytest.mark.skipif(find_spec("triton") is None, reason="this torch brings no second LLVM")
@pytest.mark.usefixtures("require_simulation")
def test_a_process_that_has_rendered_can_load_a_model() -> None:
    """Mesa and triton have an LLVM each (see smvae_ros/simulation/graphics.py)."""
    done = run(RENDERS_THEN_LOADS_TORCH)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_what_a_test_has_started_ends_with_it_also_when_it_crashes() -> None:
    done = run(STARTS_AND_CRASHES)
    assert done.returncode < 0, done.stderr
    process = Path("/proc") / done.stdout.strip()
    deadline = time.monotonic() + PATIENCE
    while _runs(process):
        assert time.monotonic() < deadline, f"{process} is still there"
        time.sleep(0.05)


def _runs(process: Path) -> bool:
    """Whether there is such a process, and not only its exit code that nobody has asked for."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
