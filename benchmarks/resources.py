# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What a process takes of the machine, as Linux tells it."""

from __future__ import annotations

import os
from pathlib import Path


def resident_megabytes(pid: int) -> float:
    """Memory of a process that is not swapped out (VmRSS of Linux), in MB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(f"process {pid} has ended")


def cpu_seconds(pid: int) -> float:
    """Processor time that all threads of a process have used (utime and stime of Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def scheduling() -> str:
    """How this run's processes compete with others for the cores."""
    policies = {os.SCHED_OTHER: "SCHED_OTHER", os.SCHED_RR: "SCHED_RR", os.SCHED_FIFO: "SCHED_FIFO"}
    policy = os.sched_getscheduler(0)
    return f"{policies.get(policy, policy)}, nice {os.nice(0)}"
