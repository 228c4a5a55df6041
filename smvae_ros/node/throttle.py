# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Logging that cannot flood: each complaint about a subject at most once in a while.

rclpy's own throttle counts by the node's clock, which stands still under ``use_sim_time`` without
``/clock``, and by the line of code, so that one sensor would silence another.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable

PERIOD = 10.0  # seconds
KINDS = 5  # different complaints about a subject in one period; whoever sends thousands is cut off

_NUMBER = re.compile(r"[-+]?\d[\d.]*(e[-+]?\d+)?")


class Throttle:
    """Passes on the first text of a kind, and then one in :data:`PERIOD` seconds.

    Texts about a subject are of one kind where only their numbers differ. After :data:`KINDS` kinds
    in one period the others count as one.

    Args:
        write: what is given the texts, such as ``node.get_logger().warning``.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._next: dict[tuple[str, str], float] = {}
        self._skipped: Counter[tuple[str, str]] = Counter()

    def __call__(self, subject: str, text: str) -> None:
        now = time.monotonic()
        with self._lock:
            key = (subject, self._kind(subject, text, now))
            if now < self._next.get(key, 0.0):
                self._skipped[key] += 1
                return
            self._next[key] = now + PERIOD
            skipped = self._skipped.pop(key, 0)
        like = "more like this" if key[1] else "others about it"
        self._write(f"{text} ({skipped} {like} before)" if skipped else text)

    def _kind(self, subject: str, text: str, now: float) -> str:
        """Empty for what is one kind too many."""
        kind = _NUMBER.sub("#", text)
        if (subject, kind) in self._next:
            return kind
        known = [key for key in self._next if key[0] == subject and key[1]]
        for key in known:
            if now >= self._next[key] and not self._skipped[key]:
                del self._next[key]
        return kind if sum(key in self._next for key in known) < KINDS else ""
