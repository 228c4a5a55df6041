# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What a log says once in a while, and how much it kept to itself."""

from __future__ import annotations

import pytest

from smvae_ros.node import throttle
from smvae_ros.node.throttle import KINDS, PERIOD, Throttle


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(throttle, "time", clock)
    return clock


def test_each_complaint_is_counted_for_itself(clock: Clock) -> None:
    written: list[str] = []
    warn = Throttle(written.append)
    for number in range(100):
        warn("rgb", f"{number} bytes are too few")
    for _ in range(50):
        warn("rgb", "encoding bayer8 is unknown")
        warn("depth", "encoding bayer8 is unknown")
    assert written == [
        "0 bytes are too few",
        "encoding bayer8 is unknown",
        "encoding bayer8 is unknown",
    ]
    written.clear()
    clock.now += PERIOD
    warn("rgb", "100 bytes are too few")
    warn("rgb", "encoding bayer8 is unknown")
    assert written == [
        "100 bytes are too few (99 more like this before)",
        "encoding bayer8 is unknown (49 more like this before)",
    ]


def test_nobody_floods_the_log_with_ever_new_complaints(clock: Clock) -> None:
    written: list[str] = []
    warn = Throttle(written.append)

    def complain() -> None:
        for first in "abcdefghij":
            for second in "abcdefghij":
                warn("rgb", f"encoding {first}{second} is unknown")

    complain()
    assert len(written) == KINDS + 1
    clock.now += PERIOD
    written.clear()
    warn("rgb", "encoding zz is unknown")
    assert written == ["encoding zz is unknown"]
    complain()
    assert len(written) <= 2 * KINDS + 2
    assert len(warn._next) <= KINDS + 1
