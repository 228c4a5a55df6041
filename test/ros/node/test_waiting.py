# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""How a worker waits for the sensor set: woken by what makes a frame, and by nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_sensors import EPOCH, MODALITIES, MS, SECOND
from smvae_ros.node.waiting import TOGETHER, SharedSensors
from smvae_ros.offline.lockstep import Event, lockstep
from smvae_ros.sensors.sensor_set import SensorSet
from smvae_ros.sensors.settings import SensorSettings
from smvae_ros.sensors.snapshot import Snapshot


class Meanwhile(threading.Condition):
    """Instead of sleeping it lets things happen, and counts how often it is woken."""

    def __init__(self) -> None:
        super().__init__()
        self.happens: Callable[[], object] = int  # nothing
        self.timeout: float | None = None
        self.woken = 0

    def wait(self, timeout: float | None = None) -> bool:
        self.timeout = timeout
        self.happens()
        return True

    def notify_all(self) -> None:
        self.woken += 1


class Waiting:
    """Shared sensors, and what their worker sleeps on."""

    def __init__(self, chosen: SensorSettings | None = None) -> None:
        self.condition = Meanwhile()
        self.shared = SharedSensors(SensorSet(MODALITIES, chosen), self.condition)

    def store(self, event: Event) -> None:
        received_ns, name, value, stamp_ns = event
        self.shared.store(name, value, stamp_ns, received_ns)

    def poll(self, now: int) -> Snapshot | None:
        with self.shared as sensors:
            return sensors.poll(now)

    def wait(self, now: int, happens: Callable[[], object]) -> None:
        self.condition.happens = happens
        with self.shared:
            self.shared.wait(now)

    def rest(self, happens: Callable[[], object]) -> None:
        self.condition.happens = happens
        with self.shared:
            self.shared.rest(10.0)

    def woken_by(self, events: list[Event], now: int) -> list[str]:
        """Waits, and tells which of the events woke the worker."""
        names: list[str] = []

        def arrive() -> None:
            for event in events:
                before = self.condition.woken
                self.store(event)
                names.extend([event[1]] * (self.condition.woken > before))

        self.wait(now, arrive)
        return names


def moment(
    number: int, names: tuple[str, ...] = ("rgb", "depth", "force", "action")
) -> list[Event]:
    """All modalities at 30 Hz, a tenth of a millisecond after one another."""
    stamp = number * SECOND // 30
    return [
        (
            stamp + i * MS // 10,
            name,
            np.full(2, number) if name == "force" else number,
            EPOCH + stamp,
        )
        for i, name in enumerate(names)
    ]


def after_moments(count: int) -> Waiting:
    """The sensors are known to come in these periods, and a snapshot was made of each moment."""
    waiting = Waiting()
    for number in range(count):
        for event in moment(number):
            waiting.store(event)
        assert waiting.poll(event[0]) is not None
    return waiting


def test_only_the_last_of_the_awaited_wakes() -> None:
    waiting, frame = after_moments(4), moment(4)
    assert waiting.woken_by(frame, frame[0][0] - MS) == ["action"]
    snapshot = waiting.poll(frame[-1][0])
    assert snapshot is not None
    assert [snapshot.readings[name].value for name in ("rgb", "depth", "action")] == [4, 4, 4]
    late = moment(4, ("depth", "force", "action"))
    assert waiting.woken_by(late, frame[-1][0]) == [], "a frame that was made wakes nobody"


@pytest.mark.parametrize(("early_ms", "woken"), [(4, []), (6, ["rgb"])])
def test_a_trigger_wakes_where_the_sleep_would_outlast_the_gathering(
    early_ms: int, woken: list[str]
) -> None:
    waiting = after_moments(4)
    received, *rest = moment(4)[0]
    assert waiting.woken_by([(received - early_ms * MS, *rest)], 110 * MS) == woken
    assert waiting.condition.timeout == pytest.approx((received + 5 * MS - 110 * MS) / SECOND)


def test_a_trigger_that_stays_away_does_not_keep_the_worker_busy() -> None:
    waiting, now = after_moments(4), 110 * MS
    assert waiting.woken_by([], now) == []
    now += round(waiting.condition.timeout * SECOND)
    assert waiting.poll(now) is None
    assert waiting.woken_by([], now) == []
    assert waiting.condition.timeout == pytest.approx(0.1 + 0.3 - now / SECOND, abs=1e-3)


def test_a_woken_worker_awaits_the_others() -> None:
    waiting, frame = after_moments(4), moment(4)
    waiting.store(frame[0])
    assert waiting.poll(frame[0][0]) is None
    assert waiting.woken_by(frame[1:], frame[0][0]) == ["action"]


def test_a_series_that_is_still_behind_the_trigger_is_awaited_on() -> None:
    waiting = Waiting()
    for time_ms in range(100):
        waiting.store((time_ms * MS, "force", np.zeros(2), EPOCH + time_ms * MS))
    waiting.store((100 * MS, "rgb", 0, EPOCH + 103 * MS))
    assert waiting.poll(100 * MS) is None
    for time_ms in (101, 102):
        reading = (time_ms * MS, "force", np.zeros(2), EPOCH + time_ms * MS)
        assert waiting.woken_by([reading], 100 * MS) == ["force"]
        assert waiting.poll(time_ms * MS) is None
    assert waiting.woken_by([(103 * MS, "force", np.zeros(2), EPOCH + 103 * MS)], 102 * MS)
    assert waiting.poll(103 * MS) is not None


streams = st.fixed_dictionaries(
    {
        "rgb": st.sampled_from([20, 33, 100]),
        "depth": st.sampled_from([20, 33, 100]),
        "force": st.sampled_from([2, 5]),
        "action": st.sampled_from([33, 50]),
    }
)  # periods in ms
chosen = st.builds(
    SensorSettings,
    trigger=st.sampled_from(["", "timer", *MODALITIES]),
    max_rate=st.sampled_from([5.0, 60.0, 1000.0]),
    gather_ms=st.sampled_from([0.0, 10.0, 100.0]),
)


@st.composite
def arrivals(draw: st.DrawFn) -> list[Event]:
    """Streams with delays and silences, no two messages at the same time."""
    events: dict[int, Event] = {}
    for offset, (name, period) in enumerate(draw(streams).items()):
        delays = draw(st.lists(st.integers(0, 12), min_size=300 // period, max_size=300 // period))
        silent = draw(st.sets(st.integers(0, 300 // period)))
        for i, delay in enumerate(delays):
            if i not in silent:
                received = (i * period + delay) * MS + offset
                value = np.full(2, i) if name == "force" else i
                stamp = EPOCH + i * period * MS if draw(st.booleans()) or delay < 10 else None
                events[received] = (received, name, value, stamp)
    return [events[received] for received in sorted(events)]


def snapshots_of_a_worker(events: list[Event], waiting: Waiting) -> Iterator[Snapshot]:
    """Those of a worker that polls only when it is woken or its time has come."""
    condition, left, now = waiting.condition, list(events), 0

    def sleep() -> None:
        nonlocal now
        timeout, woken = condition.timeout, condition.woken
        until = None if timeout is None else now + round(timeout * SECOND)
        while left and condition.woken == woken:
            if until is not None and left[0][0] > until:
                break
            now = left[0][0]
            waiting.store(left.pop(0))
        if condition.woken == woken and until is not None:
            now = max(now, until)

    while True:
        snapshot = waiting.poll(now)
        if snapshot is not None:
            yield snapshot
            continue
        with waiting.shared as sensors:
            wake = sensors.next_wake(now)
        if not left and wake is None:
            return
        waiting.wait(now, sleep)


@given(events=arrivals(), chosen=chosen)
def test_a_worker_that_sleeps_makes_the_snapshots_of_one_that_always_looks(
    events: list[Event], chosen: SensorSettings
) -> None:
    expected = [
        (frame.taken_ns, {name: entry.stamp_ns for name, entry in frame.readings.items()})
        for frame in lockstep(events, SensorSet(MODALITIES, chosen))
    ]
    assert [
        (frame.taken_ns, {name: entry.stamp_ns for name, entry in frame.readings.items()})
        for frame in snapshots_of_a_worker(events, Waiting(chosen))
    ] == expected


# -- while no frame is wanted --------------------------------------------------------------------


def later(shared: SharedSensors, time_ms: int, value: object = None) -> None:
    """A wrench that may wait; its first channel is its time."""
    reading = np.array([time_ms, 0]) if value is None else value

    def action() -> None:
        try:
            shared.store("force", reading, EPOCH + time_ms * MS, time_ms * MS)
        except ValueError as error:
            shared.refuse("force", error, time_ms * MS)

    shared.store_later(action)


def test_what_arrives_while_no_frame_is_wanted_is_live_but_makes_none_and_is_not_dropped() -> None:
    waiting = Waiting()
    waiting.store((0, "rgb", "before", EPOCH))

    def arrive() -> None:
        for time_ms in (10, 20):
            waiting.store((time_ms * MS, "rgb", time_ms, EPOCH + time_ms * MS))

    waiting.rest(arrive)
    with waiting.shared as sensors:
        assert sensors.live(30 * MS) == ["rgb"]
    assert waiting.poll(30 * MS) is None
    waiting.store((40 * MS, "rgb", "after", EPOCH + 40 * MS))
    snapshot = waiting.poll(40 * MS)
    assert snapshot is not None
    assert snapshot.readings["rgb"].value == "after"
    with waiting.shared as sensors:
        counters = sensors.counters()["rgb"]
    assert (counters.received, counters.dropped) == (4, 0)


def test_messages_that_may_wait_are_stored_at_once_where_frames_are_wanted() -> None:
    done: list[int] = []
    Waiting().shared.store_later(partial(done.append, 1))
    assert done == [1]


def test_messages_that_may_wait_are_stored_together_while_no_frame_is_wanted() -> None:
    waiting = Waiting()
    done: list[int] = []

    def arrive() -> None:
        for number in range(TOGETHER - 1):
            waiting.shared.store_later(partial(done.append, number))
        assert done == []
        waiting.shared.store_later(partial(done.append, TOGETHER - 1))
        assert done == list(range(TOGETHER))
        waiting.shared.store_later(partial(done.append, TOGETHER))

    waiting.rest(arrive)
    assert done == list(range(TOGETHER + 1)), "the last ones are, when the rest is over"


def test_whoever_asks_is_told_of_messages_that_wait() -> None:
    """As if they had been stored on arrival, unusable ones being counted."""
    waits, at_once = Waiting(), Waiting()
    answers: list[object] = []

    def ask(waiting: Waiting) -> None:
        with waiting.shared as sensors:
            answers.append((repr(sensors.take(5 * MS)), sensors.evidence(5 * MS)))
            answers.append(sensors.counters())

    def arrive() -> None:
        for time_ms in (1, 2, 3):
            later(waits.shared, time_ms)
        later(waits.shared, 4, np.array([np.nan, 0]))
        ask(waits)

    def arrive_at_once() -> None:
        for time_ms in (1, 2, 3):
            at_once.store((time_ms * MS, "force", np.array([time_ms, 0]), EPOCH + time_ms * MS))
        error = ValueError(answers[1]["force"].last_error)
        at_once.shared.refuse("force", error, 4 * MS)
        ask(at_once)

    waits.rest(arrive)
    at_once.rest(arrive_at_once)
    assert answers[:2] == answers[2:]
    assert answers[1]["force"].received == 3
