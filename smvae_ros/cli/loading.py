# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Ctrl-C while a program loads its libraries, which takes torch seconds: it ends without a word.

Packages with programs call :func:`listen_while_loading` first of all. It changes something only in
a process that runs a program of ours, as `python -m` or as a command, and only until that has
loaded: from then on SIGINT raises KeyboardInterrupt as ever.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType


def listen_while_loading() -> None:
    """Until the program has loaded, SIGINT ends the process at once with code 130."""
    started = Path(sys.argv[0]).name if sys.argv else ""  # "-m" while Python looks for the module
    ours = started == "-m" or Path(__file__).with_name(f"{started}.py").is_file()
    if (
        ours
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ):
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if _is_loading(frame):
        os._exit(130)  # nothing is open yet
    signal.default_int_handler(number, frame)


def _is_loading(frame: FrameType | None) -> bool:
    """Whether it is the main module's own imports that are being executed, which began before all
    else did."""
    frames = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    for caller in reversed(frames):
        module, code = caller.f_globals.get("__name__"), caller.f_code
        if module != "runpy" and (module, code.co_name) != ("__main__", "<module>"):
            return code.co_filename.startswith("<frozen importlib")
    return True
