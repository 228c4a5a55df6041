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
from smvae_ros.offline.lockstep import Event, lockstep
from smvae_ros.sensors.sensor_set import TOGETHER, SensorSet
from smvae_ros.sensors.settings import SensorSettings
from smvae_ros.sensors.snapshot import SensorSample


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


def sensor_set(chosen: SensorSettings | None = None) -> tuple[SensorSet, Meanwhile]:
    sensors = SensorSet(MODALITIES, chosen)
    sensors.condition = condition = Meanwhile()
    return sensors, condition


def store(sensors: SensorSet, event: Event) -> None:
    received_ns, name, value, stamp_ns = event
    sensors.store(name, value, stamp_ns, received_ns)


def woken_by(sensors: SensorSet, events: list[Event], now: int) -> list[str]:
    """Waits, and tells which of the events woke the worker."""
    condition, names = sensors.condition, []

    def arrive() -> None:
        for event in events:
            before = condition.woken
            store(sensors, event)
            names.extend([event[1]] * (condition.woken > before))

    condition.happens = arrive
    with condition:
        sensors.wait(now)
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


def after_moments(count: int) -> SensorSet:
    """A sensor set that knows when modalities come, and has made a frame of each moment."""
    sensors, _ = sensor_set()
    for number in range(count):
        for event in moment(number):
            store(sensors, event)
        assert sensors.poll(event[0]) is not None
    return sensors


def test_only_the_last_of_the_awaited_wakes() -> None:
    sensors, frame = after_moments(4), moment(4)
    assert woken_by(sensors, frame, frame[0][0] - MS) == ["action"]
    sample = sensors.poll(frame[-1][0])
    assert sample is not None
    assert [sample.inputs[name].value for name in ("rgb", "depth", "action")] == [4, 4, 4]
    late = moment(4, ("depth", "force", "action"))
    assert woken_by(sensors, late, frame[-1][0]) == [], "a frame that was made wakes nobody"


@pytest.mark.parametrize(("early_ms", "woken"), [(4, []), (6, ["rgb"])])
def test_a_trigger_wakes_where_the_sleep_would_outlast_the_gathering(
    early_ms: int, woken: list[str]
) -> None:
    sensors = after_moments(4)
    received, *rest = moment(4)[0]
    assert woken_by(sensors, [(received - early_ms * MS, *rest)], 110 * MS) == woken
    assert sensors.condition.timeout == pytest.approx((received + 5 * MS - 110 * MS) / SECOND)


def test_a_trigger_that_stays_away_does_not_keep_the_worker_busy() -> None:
    sensors, now = after_moments(4), 110 * MS
    assert woken_by(sensors, [], now) == []
    now += round(sensors.condition.timeout * SECOND)
    assert sensors.poll(now) is None
    assert woken_by(sensors, [], now) == []
    assert sensors.condition.timeout == pytest.approx(0.1 + 0.3 - now / SECOND, abs=1e-3)


def test_a_woken_worker_awaits_the_others() -> None:
    sensors, frame = after_moments(4), moment(4)
    store(sensors, frame[0])
    assert sensors.poll(frame[0][0]) is None
    assert woken_by(sensors, frame[1:], frame[0][0]) == ["action"]


def test_a_series_that_is_still_behind_the_trigger_is_awaited_on() -> None:
    sensors, _ = sensor_set()
    for time_ms in range(100):
        sensors.store("force", np.zeros(2), EPOCH + time_ms * MS, time_ms * MS)
    sensors.store("rgb", 0, EPOCH + 103 * MS, 100 * MS)
    assert sensors.poll(100 * MS) is None
    for time_ms in (101, 102):
        reading = (time_ms * MS, "force", np.zeros(2), EPOCH + time_ms * MS)
        assert woken_by(sensors, [reading], 100 * MS) == ["force"]
        assert sensors.poll(time_ms * MS) is None
    assert woken_by(sensors, [(103 * MS, "force", np.zeros(2), EPOCH + 103 * MS)], 102 * MS)
    assert sensors.poll(103 * MS) is not None


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


def frames_of_a_worker(events: list[Event], sensors: SensorSet) -> Iterator[SensorSample]:
    """The frames of a worker that polls only when it is woken or its time has come."""
    condition, waiting, now = sensors.condition, list(events), 0

    def sleep() -> None:
        nonlocal now
        timeout, woken = condition.timeout, condition.woken
        until = None if timeout is None else now + round(timeout * SECOND)
        while waiting and condition.woken == woken:
            if until is not None and waiting[0][0] > until:
                break
            now = waiting[0][0]
            store(sensors, waiting.pop(0))
        if condition.woken == woken and until is not None:
            now = max(now, until)

    condition.happens = sleep
    while True:
        sample = sensors.poll(now)
        if sample is not None:
            yield sample
            continue
        wake = sensors.next_wake(now)
        if not waiting and wake is None:
            return
        with condition:
            sensors.wait(now)


@given(events=arrivals(), chosen=chosen)
def test_a_worker_that_sleeps_makes_the_frames_of_one_that_always_looks(
    events: list[Event], chosen: SensorSettings
) -> None:
    expected = [
        (frame.taken_ns, {name: entry.stamp_ns for name, entry in frame.inputs.items()})
        for frame in lockstep(events, SensorSet(MODALITIES, chosen))
    ]
    sensors, _ = sensor_set(chosen)
    assert [
        (frame.taken_ns, {name: entry.stamp_ns for name, entry in frame.inputs.items()})
        for frame in frames_of_a_worker(events, sensors)
    ] == expected


# -- while no frame is wanted --------------------------------------------------------------------


def later(sensors: SensorSet, time_ms: int, value: object = None) -> None:
    """A wrench that may wait; its first channel is its time."""
    reading = np.array([time_ms, 0]) if value is None else value

    def action() -> None:
        try:
            sensors.store("force", reading, EPOCH + time_ms * MS, time_ms * MS)
        except ValueError as error:
            sensors.refuse("force", error, time_ms * MS)

    sensors.store_later(action)


def rest(sensors: SensorSet, meanwhile: Callable[[], object]) -> None:
    sensors.condition.happens = meanwhile
    with sensors.condition:
        sensors.rest(10.0)


def test_what_arrives_while_no_frame_is_wanted_is_live_but_makes_none_and_is_not_dropped() -> None:
    sensors, _ = sensor_set()
    sensors.store("rgb", "before", EPOCH, 0)

    def arrive() -> None:
        for time_ms in (10, 20):
            sensors.store("rgb", time_ms, EPOCH + time_ms * MS, time_ms * MS)

    rest(sensors, arrive)
    assert sensors.live(30 * MS) == ["rgb"]
    assert sensors.poll(30 * MS) is None
    sensors.store("rgb", "after", EPOCH + 40 * MS, 40 * MS)
    sample = sensors.poll(40 * MS)
    assert sample is not None
    assert sample.inputs["rgb"].value == "after"
    counters = sensors.counters()["rgb"]
    assert (counters.received, counters.dropped) == (4, 0)


def test_messages_that_may_wait_are_stored_at_once_where_frames_are_wanted() -> None:
    sensors, _ = sensor_set()
    done: list[int] = []
    sensors.store_later(partial(done.append, 1))
    assert done == [1]


def test_messages_that_may_wait_are_stored_together_while_no_frame_is_wanted() -> None:
    sensors, _ = sensor_set()
    done: list[int] = []

    def arrive() -> None:
        for number in range(TOGETHER - 1):
            sensors.store_later(partial(done.append, number))
        assert done == []
        sensors.store_later(partial(done.append, TOGETHER - 1))
        assert done == list(range(TOGETHER))
        sensors.store_later(partial(done.append, TOGETHER))

    rest(sensors, arrive)
    assert done == list(range(TOGETHER + 1)), "the last ones are, when the rest is over"


@pytest.mark.parametrize(
    "ask",
    [
        lambda sensors: sensors.counters(),
        lambda sensors: sensors.live(5 * MS),
        lambda sensors: sensors.age("force", 5 * MS),
        lambda sensors: sensors.take(5 * MS),
        lambda sensors: sensors.poll(5 * MS),
        lambda sensors: sensors.next_wake(5 * MS),
        lambda sensors: sensors.reset_counters(),
    ],
)
def test_whoever_asks_is_told_of_messages_that_wait(ask: Callable[[SensorSet], object]) -> None:
    """As if they had been stored on arrival, unusable ones being counted."""
    waits, _ = sensor_set()
    answers: list[object] = []

    def arrive() -> None:
        for time_ms in (1, 2, 3):
            later(waits, time_ms)
        later(waits, 4, np.array([np.nan, 0]))
        answers.append((repr(ask(waits)), waits.counters()))

    rest(waits, arrive)

    at_once, _ = sensor_set()

    def arrive_at_once() -> None:
        for time_ms in (1, 2, 3):
            at_once.store("force", np.array([time_ms, 0]), EPOCH + time_ms * MS, time_ms * MS)
        at_once.refuse("force", ValueError(waits.counters()["force"].last_error), 4 * MS)
        answers.append((repr(ask(at_once)), at_once.counters()))

    rest(at_once, arrive_at_once)
    assert answers[0] == answers[1]
