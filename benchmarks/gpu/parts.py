# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A part of the measurement: its cases, one after the other, in a process of their own.

What goes wrong on a GPU may leave it useless to the process in which it happened, or never end. So
after a case that fails the others go on in a new process, and one that takes longer than its part
has is given up.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.gpu.settings import Settings

#: Name → the file whose ``cases`` it has, which is imported where they are measured, and its
#: seconds, the start of a process included.
PARTS: dict[str, tuple[str, float]] = {
    "tests": ("cuda_tests", 120),
    "agreement": ("agreement", 50),
    "latency": ("latency", 110),
    "encoding": ("encoding", 40),
    "training": ("training", 120),
}
Keep = Callable[[str, dict[str, Any]], None]
_PATIENCE = 10.0  # seconds for a process that has said everything


def run_part(
    name: str, settings: Settings, done: Collection[str], seconds: float, keep: Keep
) -> bool:
    """Measures the cases of a part.

    Args:
        name: of the part.
        settings: of the measurement.
        done: cases that are known already.
        seconds: that it may take.
        keep: called with each case and its figures as soon as they are known; a case that failed
            has an ``error``.

    Returns:
        Whether all cases are known now.
    """
    known, end = set(done), time.monotonic() + seconds
    context = multiprocessing.get_context("spawn")
    while time.monotonic() < end:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(name, settings, known, theirs))
        process.start()
        theirs.close()
        try:
            outcome = listen(ours, end, keep)
            if outcome == "finished":
                process.join(_PATIENCE)
        finally:
            with suppress(ProcessLookupError):  # it has ended, with all that it started
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.join()
            ours.close()
        if outcome in ("finished", "stuck"):
            return outcome == "finished"
        known.add(outcome)
    return False


def listen(connection: Connection, end: float, keep: Keep) -> str:
    """Keeps what a process says of its cases.

    Args:
        connection: to the process (:func:`_work`).
        end: when its time is over, monotonic.
        keep: as :func:`run_part` has it.

    Returns:
        ``finished``; ``stuck`` where going on makes no sense; else the case that failed.
    """
    case = ""  # none is being measured
    while connection.poll(max(0.0, end - time.monotonic())):
        try:
            name, figures = connection.recv()
        except EOFError:
            if not case:
                return "stuck"
            keep(case, {"error": "the process that measured it has ended"})
            return case
        if not name:
            return "finished"
        if figures is None:
            case = name
            continue
        keep(name, figures)
        if "error" in figures:
            return str(name)
        case = ""
    if case:
        keep(case, {"error": "not finished within the time of its part"})
    return "stuck"


def _work(name: str, settings: Settings, done: Collection[str], connection: Connection) -> None:
    """Measures in a process of its own: sends a case's name as it begins, then its figures."""
    os.setsid()  # who started it ends it, with the tests that it runs; Ctrl-C does not
    file, _ = PARTS[name]
    for case, measure in import_module(f"benchmarks.gpu.{file}").cases(settings):
        if case in done:
            continue
        connection.send((case, None))
        try:
            figures = measure()
        except Exception as error:  # what a GPU that nobody has tried may do is not foreseen
            lines = str(error).strip().splitlines() or [""]
            figures = {"error": f"{type(error).__name__}: {lines[0]}"}
        connection.send((case, figures))
        if "error" in figures:
            return
    connection.send(("", {}))
