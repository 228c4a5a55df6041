# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What console programs share."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from smvae_ros.cli.programs import split_arguments


def run(code: str, seconds: int = 1) -> subprocess.CompletedProcess[str]:
    """A program that has so many seconds to end."""
    begin = "import threading; from smvae_ros.cli.programs import end_within; "
    code = f"{begin}end_within({seconds}); {code}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_a_program_that_does_not_end_says_where_it_stands_and_is_ended() -> None:
    ended = run("threading.Event().wait()")
    assert ended.returncode == -signal.SIGALRM
    assert "threading.py" in ended.stderr
    assert "in wait" in ended.stderr


def test_so_is_one_that_does_not_end_after_python_has() -> None:
    ended = run("import atexit, time; atexit.register(time.sleep, 60)")
    assert ended.returncode == -signal.SIGALRM


def test_a_program_that_ends_in_time_is_left_alone() -> None:
    ended = run("raise SystemExit(3)", 60)
    assert (ended.returncode, ended.stderr) == (3, "")


@pytest.mark.parametrize(
    ("argv", "ours", "for_ros"),
    [
        (["a", "b:=c"], ["a", "b:=c"], []),
        (
            ["a", "--ros-args", "-r", "x:=y", "--", "b"],
            ["a", "b"],
            ["--ros-args", "-r", "x:=y", "--"],
        ),
        (["--ros-args", "-p", "a:=1"], [], ["--ros-args", "-p", "a:=1"]),
    ],
)
def test_ros_arguments_are_told_from_ours(
    argv: list[str], ours: list[str], for_ros: list[str]
) -> None:
    assert split_arguments(argv) == (ours, for_ros)


@pytest.mark.parametrize(
    "program", ["perception_node", "simulation_node", "record", "recover", "replay"]
)
def test_help_is_answered_and_what_is_not_known_is_refused(program: str) -> None:
    """Of ROS arguments, too, where `--ros-args` has been forgotten before them."""
    pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")
    command = [sys.executable, "-m", f"smvae_ros.cli.{program}"]
    answer = subprocess.run([*command, "--help"], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.startswith(f"usage: {program} ")
    command += ["--params-file", "robot.yaml"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert f"{program}: error: " in refused.stderr


DROPPED = """
import os, signal, threading, weakref
from smvae_ros.cli.programs import interruptible

class Thing:
    pass

thing = Thing()
watch = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGINT))
try:
    with interruptible():
        del thing
        threading.Event().wait(60)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_an_interrupt_that_python_drops_comes_again() -> None:
    """Exceptions in the callback of a weak reference are printed and forgotten."""
    ended = subprocess.run([sys.executable, "-c", DROPPED], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "interrupted\n")
    assert ended.stderr == ""


TORN = """
import os, signal, tqdm
from smvae_ros.cli.programs import interruptible

tqdm.tqdm._get_free_pos = classmethod(lambda *_: os.kill(os.getpid(), signal.SIGINT))
try:
    with interruptible():
        tqdm.tqdm(total=1)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_a_progress_bar_that_is_torn_apart_does_not_complain() -> None:
    """It would when it is deleted, in a traceback."""
    ended = subprocess.run([sys.executable, "-c", TORN], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "interrupted\n", "")
