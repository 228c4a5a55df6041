"""What console programs share."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from smvae_ros.programs import split_arguments

WAITS = "import threading; from smvae_ros.programs import end_within; end_within(1); "


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", WAITS + code], capture_output=True, text=True)


def test_a_program_that_does_not_end_says_where_it_stands_and_is_ended() -> None:
    ended = run("threading.Event().wait()")
    assert ended.returncode == -signal.SIGALRM
    assert "threading.py" in ended.stderr
    assert "in wait" in ended.stderr


def test_so_is_one_that_does_not_end_after_python_has() -> None:
    ended = run("import atexit, time; atexit.register(time.sleep, 60)")
    assert ended.returncode == -signal.SIGALRM


def test_a_program_that_ends_in_time_is_left_alone() -> None:
    ended = run("raise SystemExit(3)")
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
