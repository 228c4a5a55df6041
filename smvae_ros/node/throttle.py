"""Logging that cannot flood: each subject at most once in a while.

rclpy's own throttle counts by the node's clock, which stands still under ``use_sim_time`` without
``/clock``, and by the line of code, so that one sensor would silence another.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

PERIOD = 10.0  # seconds


class Throttle:
    """Passes on the first text of a subject, and then one in :data:`PERIOD` seconds.

    Args:
        write: what is given the texts, such as ``node.get_logger().warning``.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}
        self._skipped: dict[str, int] = {}

    def __call__(self, subject: str, text: str) -> None:
        now = time.monotonic()
        with self._lock:
            if now < self._next.get(subject, 0.0):
                self._skipped[subject] = self._skipped.get(subject, 0) + 1
                return
            self._next[subject] = now + PERIOD
            skipped = self._skipped.pop(subject, 0)
        self._write(f"{text} ({skipped} more like this before)" if skipped else text)
