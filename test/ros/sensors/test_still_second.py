# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A second of readings, and whether the sensor was still."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from small_sensors import MS
from smvae_ros.sensors.still_second import MeasuredZero, Stillness, StillSecond

LIMITS = Stillness(1.0, 0.1)


def readings(count: int, second: StillSecond, period: int = MS) -> None:
    for k in range(count):
        second.add("force", np.full(6, k, np.float32), k * period)


def test_it_is_over_after_a_second_of_each() -> None:
    second = StillSecond(["force", "wrist"])
    readings(5000, second)
    thread = threading.Thread(
        target=lambda: [second.add("wrist", np.ones(6), k * 100 * MS) for k in range(11)]
    )
    thread.start()
    found = second.wait(60.0)  # for the other, however long that takes
    thread.join()
    assert len(found["force"]) == 1001
    assert len(found["wrist"]) == 11


def test_who_is_silent_is_left_out() -> None:
    second = StillSecond(["force", "wrist"])
    readings(1001, second)
    second.add("rgb", np.ones(3), 0)
    assert list(second.wait(0.0)) == ["force"]


@pytest.mark.parametrize(("count", "period"), [(500, MS), (5, 300 * MS)])
def test_too_few_readings_are_no_second(count: int, period: int) -> None:
    second = StillSecond(["force"])
    readings(count, second, period)
    with pytest.raises(ValueError, match=f"force sent only {count} messages"):
        second.wait(0.0)


def test_what_moves_is_not_still() -> None:
    def zero(force: float, torque: float) -> MeasuredZero:
        units = ("N",) * 3 + ("N m",) * 3
        return MeasuredZero(np.arange(6.0), np.array([force] * 3 + [torque] * 3), units, 1000)

    assert zero(0.9, 0.09).unrest(LIMITS) == ""
    assert "2.000 N where 1 N" in zero(2.0, 0.09).unrest(LIMITS)
    assert "0.500 N m where 0.1 N m" in zero(0.1, 0.5).unrest(LIMITS)
    assert "0.000 1.000 2.000 N (spread 0.900)" in zero(0.9, 0.09).describe()
    alone = MeasuredZero(np.zeros(1), np.full(1, 0.5), ("N m",), 10)
    assert "N m where" in alone.unrest(LIMITS)
