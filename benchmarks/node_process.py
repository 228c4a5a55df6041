# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The perception node as a process of its own, for benchmarks that run it for long."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from smvae_ros.bundled import parameters_path


def start_node(
    parameters: Mapping[str, object] | None = None, log: Path | None = None
) -> subprocess.Popen:
    """Starts it with config/perception.yaml and the bundled model.

    Args:
        parameters: name → value, in place of those of the file.
        log: a file that all it says is appended to, in place of the terminal.
    """
    command = [sys.executable, "-m", "smvae_ros.cli.perception_node", "--ros-args"]
    command += ["--params-file", str(parameters_path())]
    for name, value in (parameters or {}).items():
        command += ["-p", f"{name}:={json.dumps(value)}"]  # which is YAML, too
    if log is None:
        return subprocess.Popen(command, start_new_session=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        return subprocess.Popen(
            command, start_new_session=True, stdout=file, stderr=subprocess.STDOUT
        )


def stop_node(node: subprocess.Popen) -> int:
    """Ends it as Ctrl-C would; returns its exit code.

    Raises:
        RuntimeError: where it does not end in time; it is then killed.
    """
    node.send_signal(signal.SIGINT)
    try:
        return node.wait(20)
    except subprocess.TimeoutExpired:
        node.kill()
        node.wait()
        raise RuntimeError("the node did not end within 20 s of Ctrl-C") from None


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
