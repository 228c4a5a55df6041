# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The perception node in a process of its own, for the demo and for benchmarks."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from smvae_ros.bundled import parameters_path


def node_command(parameters: Mapping[str, object], *files: Path) -> list[str]:
    """The command that starts it with config/perception.yaml.

    Args:
        parameters: name → value, in place of those of the files.
        files: further ones of parameters.
    """
    command = [sys.executable, "-m", "smvae_ros.cli.perception_node", "--ros-args"]
    for path in dict.fromkeys([parameters_path(), *files]):
        command += ["--params-file", str(path)]
    for name, value in parameters.items():  # as JSON, since the values are read as YAML
        command += ["-p", f"{name}:={json.dumps(value)}"]
    return command


def start_node(
    parameters: Mapping[str, object] | None = None, log: Path | None = None, *files: Path
) -> subprocess.Popen[bytes]:
    """Starts it, in a session of its own, so that Ctrl-C reaches it only through us.

    Args:
        parameters: as of :func:`node_command`.
        log: a file that all it says is appended to, in place of the terminal.
        files: as of :func:`node_command`.
    """
    command = node_command(parameters or {}, *files)
    if log is None:
        return subprocess.Popen(command, start_new_session=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        return subprocess.Popen(
            command, start_new_session=True, stdout=file, stderr=subprocess.STDOUT
        )


def stop_node(node: subprocess.Popen[bytes]) -> int:
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
