# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Real processes over real DDS for tests, each test in a domain of its own."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import IO

from patience import PATIENCE
from smvae_ros.bundled import parameters_path

FIRST_DOMAIN, LAST_DOMAIN = 1, 101  # above 101 the ports may collide with ephemeral ones (Linux)
MOST_HELD = 16  # so that six test processes have enough; no test is that many behind another
_held: list[tuple[int, IO[str]]] = []  # a lock lives as long as its file is open


def unique_domain_id() -> int:
    """A ROS_DOMAIN_ID that no other test process holds, nor any of the tests before in this one."""
    if len(_held) == MOST_HELD:
        _held.append(_held.pop(0))  # the oldest, whose test has ended
        return _held[-1][0]
    folder = Path(tempfile.gettempdir()) / "smvae_ros_test_domains"
    folder.mkdir(exist_ok=True)
    count = LAST_DOMAIN - FIRST_DOMAIN + 1
    for attempt in range(count):
        domain = FIRST_DOMAIN + (os.getpid() + attempt) % count
        lock = (folder / str(domain)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        _held.append((domain, lock))
        return domain
    raise RuntimeError(f"all {count} ROS domains are in use by other tests")


def ros_environment(domain: int) -> dict[str, str]:
    """Environment of a process that only talks to its own domain on this machine."""
    return {
        **os.environ,
        "ROS_DOMAIN_ID": str(domain),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "RMW_IMPLEMENTATION": "rmw_fastrtps_cpp",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
    }


def surviving_kills() -> dict[str, str]:
    """Environment with which Fast DDS hears a process that was killed and started again.

    Fast DDS 2 (Humble, Jazzy) on a busy machine now and then writes for ever into the shared memory
    that a killed reader left behind.
    """
    with contextlib.suppress(metadata.PackageNotFoundError):
        metadata.version("ros-fastdds")  # of Kilted's wheels: Fast DDS 3
        return {}
    if os.environ.get("ROS_DISTRO", "jazzy") not in ("humble", "jazzy"):
        return {}
    return {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}


_libc = ctypes.PyDLL(None)  # loaded before the fork that it is called after
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_with_parent(how: int = signal.SIGKILL) -> None:
    """Has this process end when the thread that started it does, also by a crash (Linux).

    Args:
        how: the signal that it gets.
    """
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_PDEATHSIG, how)


class Process:
    """A running program whose output can be awaited. It ends with the test process, also where that
    one crashes; on Linux.

    Attributes:
        output: all lines so far, standard output and standard error together.
    """

    def __init__(self, command: list[str], environment: Mapping[str, str]) -> None:
        self.output: list[str] = []
        self._unread: queue.Queue[str | None] = queue.Queue()
        self._popen = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # so that interrupts reach only whom they are meant for
            preexec_fn=end_with_parent,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            self.output.append(line.rstrip("\n"))
            self._unread.put(self.output[-1])
        self._unread.put(None)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def text(self) -> str:
        return "\n".join(self.output)

    def wait_for_line(self, pattern: str, timeout: float = PATIENCE) -> re.Match[str]:
        """The first line not yet looked at in which ``pattern`` occurs.

        Raises:
            AssertionError: where the process ends or the time is over before; shows its output.
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                line = self._unread.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(
                    f"no line with {pattern!r} within {timeout} s:\n{self.text}"
                ) from None
            if line is None:
                self._unread.put(None)
                raise AssertionError(f"ended without a line with {pattern!r}:\n{self.text}")
            if match := re.search(pattern, line):
                return match

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def wait(self, seconds: float) -> None:
        """Until it has ended, or for so long."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(seconds)

    def interrupt(self, times: int = 1) -> None:
        """Ctrl-C, ``times`` times in quick succession."""
        for _ in range(times):
            self._popen.send_signal(signal.SIGINT)

    def finish(self, timeout: float = PATIENCE) -> int:
        """Waits for the process to end and returns its exit code.

        Raises:
            AssertionError: where it does not end in time; it is then killed.
        """
        try:
            code = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not end within {timeout} s:\n{self.text}") from None
        self._reader.join(5.0)
        return code

    def kill(self) -> None:
        """Ends it at once, if it is still running, and whatever it has started itself."""
        if self._popen.poll() is None:
            os.killpg(self._popen.pid, signal.SIGKILL)  # it leads its session
            self._popen.wait()
        self._reader.join(5.0)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def start(module: str, *arguments: str, env: Mapping[str, str]) -> Process:
    """Runs ``python -m module arguments`` (see :class:`Process`)."""
    return Process([sys.executable, "-m", module, *map(str, arguments)], env)


def start_script(path: str | Path, *arguments: str, env: Mapping[str, str]) -> Process:
    """Runs ``python path arguments`` (see :class:`Process`)."""
    return Process([sys.executable, str(path), *map(str, arguments)], env)


def start_node(
    domain: int,
    *parameters: str,
    arguments: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
) -> Process:
    """The perception node with config/perception.yaml, parameters such as ``max_rate:=5.0``, more
    arguments for ROS, and variables beside those of :func:`ros_environment`."""
    words = ["--ros-args", "--params-file", str(parameters_path()), *arguments]
    for parameter in parameters:
        words += ["-p", parameter]
    environment = {**ros_environment(domain), **(variables or {})}
    return start("smvae_ros.cli.perception_node", *words, env=environment)
