# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Ctrl-C while a program is still loading: no traceback, and the exit code that shells expect."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from patience import PATIENCE
from places import ROOT

LIBRARIES = ("torch", "numpy", "yaml")
HANGS = "import time\nprint('loading', flush=True)\ntime.sleep(600)\n"
RUNS = """\
import smvae_ros.cli
def work():
    import hanging
try:
    work()
except KeyboardInterrupt:
    print("cleaned up")
"""


def modules() -> list[str]:
    """Those that `python -m` runs."""
    found = []
    for package in ("training", "benchmarks", "smvae_ros"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if '__name__ == "__main__"' in path.read_text(encoding="utf-8"):
                parts = path.relative_to(ROOT).with_suffix("").parts
                found.append(".".join(parts[:-1] if parts[-1] == "__main__" else parts))
    return found


def interrupted(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """How a program ends that is interrupted while it loads the modules of a folder."""
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    return subprocess.CompletedProcess(command, process.returncode, line + output, errors)


@pytest.mark.parametrize("module", modules())
def test_a_module_ends_without_a_word(module: str, tmp_path: Path) -> None:
    for library in LIBRARIES:
        (tmp_path / f"{library}.py").write_text(HANGS)
    ended = interrupted(["-m", module], tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "loading\n", "")


@pytest.mark.parametrize("command", ["evaluate", "demo", "recover", "perception_node"])
def test_a_command_ends_without_a_word(command: str, tmp_path: Path) -> None:
    for library in LIBRARIES:
        (tmp_path / f"{library}.py").write_text(HANGS)
    ended = interrupted([str(ROOT / "scripts" / command)], tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "loading\n", "")


def test_once_a_program_runs_it_is_interrupted_as_ever(tmp_path: Path) -> None:
    """So that it can clean up, also while it imports something itself."""
    (tmp_path / "hanging.py").write_text(HANGS)
    program = tmp_path / "demo"  # as a command of ours
    program.write_text(RUNS)
    ended = interrupted([str(program)], tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "loading\ncleaned up\n", "")


def test_who_only_uses_the_packages_keeps_pythons_own_handler(tmp_path: Path) -> None:
    code = "import signal, training, benchmarks, smvae_ros.cli.programs as p\n"
    code += "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
