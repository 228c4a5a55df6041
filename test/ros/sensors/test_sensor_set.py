# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The sensor set as a pure function of arrivals and times; no ROS, no threads, no clocks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_sensors import EPOCH, MODALITIES, MS, SECOND
from smvae_ros.offline.lockstep import lockstep
from smvae_ros.sensors.absence import Absence, Cause
from smvae_ros.sensors.sensor_set import SensorSet
from smvae_ros.sensors.settings import BufferSettings, SensorSettings


def sensor_set(**settings: object) -> SensorSet:
    return SensorSet(MODALITIES, SensorSettings(**settings))


def store_wrenches(sensors: SensorSet, until_ms: int, count: int = 40) -> None:
    """Readings 1 ms apart whose first channel is their time in ms."""
    for time_ms in range(until_ms - count + 1, until_ms + 1):
        sensors.store("force", np.array([time_ms, 0]), EPOCH + time_ms * MS, time_ms * MS)


def camera_and_others(
    seconds: float = 1.0, camera_hz: int = 30, depth_delay_ms: float = 2.0
) -> list[tuple[int, str, object, int | None]]:
    """RGB, depth a little later, force at 1 kHz and action at 20 Hz, all stamped with one clock."""
    events: list[tuple[int, str, object, int | None]] = []
    for i in range(int(seconds * camera_hz)):
        stamp = round(i * SECOND / camera_hz)
        events.append((stamp, "rgb", i, EPOCH + stamp))
        events.append((stamp + round(depth_delay_ms * MS), "depth", i, EPOCH + stamp))
    for i in range(int(seconds * 20)):
        events.append((i * 50 * MS, "action", i, EPOCH + i * 50 * MS))
    for i in range(int(seconds * 1000)):
        events.append((i * MS, "force", np.array([i, -i]), EPOCH + i * MS))
    return sorted(events, key=lambda event: event[0])


# -- buffers ---------------------------------------------------------------------------------------


def test_the_newest_sample_wins_and_the_replaced_one_is_counted() -> None:
    sensors = sensor_set()
    sensors.store("rgb", "old", EPOCH, 0)
    sensors.store("rgb", "new", EPOCH + MS, MS)
    snapshot = sensors.poll(MS)
    assert snapshot is not None
    assert snapshot.readings["rgb"].value == "new"
    assert snapshot.stamp_ns == EPOCH + MS
    assert sensors.counters()["rgb"].dropped == 1
    sensors.store("rgb", "newer", EPOCH + 50 * MS, 50 * MS)
    assert sensors.counters()["rgb"].dropped == 1  # the one before had been used


def test_a_window_on_the_grid_returns_the_readings_unchanged() -> None:
    sensors = sensor_set()
    store_wrenches(sensors, until_ms=100)
    sensors.store("rgb", "image", EPOCH + 98 * MS, 100 * MS)
    snapshot = sensors.poll(100 * MS)
    assert snapshot is not None
    np.testing.assert_array_equal(snapshot.readings["force"].value[:, 0], np.arange(91, 99))
    assert snapshot.readings["force"].stamp_ns == EPOCH + 98 * MS
    assert snapshot.readings["force"].skew == 0.0


def test_readings_without_a_stamp_are_spaced_by_their_receipt() -> None:
    sensors = sensor_set()
    for i in range(20):
        sensors.store("force", np.array([i, 0]), None, i * MS)
    sensors.store("rgb", "image", EPOCH, 20 * MS)
    snapshot = sensors.poll(20 * MS)
    assert snapshot is not None
    np.testing.assert_array_equal(snapshot.readings["force"].value[:, 0], np.arange(12, 20))
    assert snapshot.readings["force"].stamp_ns is None
    assert snapshot.stamp_ns == EPOCH


@pytest.mark.parametrize("reading", [[1.0, np.nan], [np.inf, 0.0], [1.0], [[1.0, 2.0]]])
def test_an_unusable_reading_is_refused_and_leaves_the_history_as_it_was(reading: list) -> None:
    sensors = sensor_set()
    store_wrenches(sensors, until_ms=100)
    with pytest.raises(ValueError, match="reading"):
        sensors.store("force", np.array(reading), EPOCH + 101 * MS, 101 * MS)
    snapshot = sensors.poll(101 * MS)
    assert snapshot is not None
    np.testing.assert_array_equal(snapshot.readings["force"].value[:, 0], np.arange(93, 101))


# -- trigger -------------------------------------------------------------------------------------


def test_the_first_live_modality_of_the_model_triggers_by_default() -> None:
    sensors = sensor_set()
    sensors.store("action", 0, EPOCH, 0)
    assert sensors.poll(0).trigger == "action"
    sensors.store("depth", 0, EPOCH, 20 * MS)
    assert sensors.poll(20 * MS).trigger == "depth"


def test_a_configured_trigger_alone_makes_frames() -> None:
    sensors = sensor_set(trigger="action")
    sensors.store("action", 0, EPOCH, 0)
    assert sensors.poll(0) is not None
    sensors.store("rgb", 0, EPOCH + MS, 20 * MS)
    assert sensors.poll(20 * MS) is None
    sensors.store("action", 1, EPOCH + 50 * MS, 50 * MS)
    snapshot = sensors.poll(50 * MS)
    assert snapshot is not None
    assert (snapshot.trigger, list(snapshot.readings)) == ("action", ["rgb", "action"])


def test_cutting_off_the_camera_never_stops_the_frames_and_it_takes_over_again() -> None:
    events = camera_and_others(3.0)
    cut = [
        event
        for event in events
        if event[1] not in ("rgb", "depth") or not SECOND <= event[0] < 2 * SECOND
    ]
    snapshots = list(lockstep(cut, sensor_set(trigger="rgb")))
    taken = np.array([snapshot.taken_ns for snapshot in snapshots])
    assert np.diff(taken).max() <= 340 * MS  # max_age, and the next arrival of a stand-in
    blind = [snapshot for snapshot in snapshots if 1.35 * SECOND < snapshot.taken_ns < 2 * SECOND]
    assert {snapshot.trigger for snapshot in blind} == {"action"}  # series stand in last
    assert {tuple(snapshot.readings) for snapshot in blind} == {("force", "action")}
    again = [snapshot for snapshot in snapshots if 2.1 * SECOND < snapshot.taken_ns < 3 * SECOND]
    assert {snapshot.trigger for snapshot in again} == {"rgb"}
    assert {tuple(snapshot.readings) for snapshot in again} == {("rgb", "depth", "force", "action")}


def test_no_newest_sample_makes_two_frames() -> None:
    sensors = sensor_set()
    sensors.store("rgb", 0, EPOCH, 0)
    assert sensors.poll(0) is not None
    assert all(sensors.poll(now) is None for now in range(0, SECOND, MS))


def test_the_rate_limit_holds_and_takes_the_newest() -> None:
    events = [(i * 10 * MS, "rgb", i, EPOCH + i * 10 * MS) for i in range(100)]
    snapshots = list(lockstep(events, sensor_set(max_rate=20.0)))
    assert len(snapshots) == 21
    assert [snapshot.readings["rgb"].value for snapshot in snapshots[:3]] == [0, 5, 10]


@given(jitter=st.lists(st.integers(0, 12 * MS), min_size=100, max_size=100))
def test_a_limit_at_the_camera_s_own_rate_loses_nothing(jitter: list[int]) -> None:
    events = [(i * 20 * MS + jitter[i], "rgb", i, EPOCH + i * 20 * MS) for i in range(100)]
    snapshots = list(lockstep(events, sensor_set(max_rate=50.0)))
    assert len(snapshots) >= 99


def test_a_timer_repeats_what_is_live_and_pauses_when_nothing_is() -> None:
    sensors = sensor_set(trigger="timer", max_rate=100.0)
    snapshots = list(lockstep([(0, "rgb", "one", EPOCH), (SECOND, "rgb", "two", EPOCH)], sensors))
    first = [snapshot for snapshot in snapshots if snapshot.readings["rgb"].value == "one"]
    assert len(first) == 31  # every 10 ms until max_age
    assert {snapshot.trigger for snapshot in snapshots} == {"timer"}
    assert snapshots[31].taken_ns == SECOND


def test_unknown_modalities_in_settings_are_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown modality audio.*rgb, depth, force, action"):
        sensor_set(trigger="audio")
    with pytest.raises(ValueError, match="unknown modality audio"):
        sensor_set(buffers={"audio": BufferSettings()})


# -- gathering -----------------------------------------------------------------------------------


@given(delay=st.floats(0.1, 9.0))
def test_the_others_of_the_same_moment_are_awaited_and_no_longer(delay: float) -> None:
    snapshots = list(lockstep(camera_and_others(depth_delay_ms=delay), sensor_set()))
    for snapshot in snapshots[2:]:  # the distance of stamps is known from the third on
        assert snapshot.readings["depth"].stamp_ns == snapshot.readings["rgb"].stamp_ns
        assert snapshot.waited <= (delay + 1.0) / 1000  # a wrench may be due after the depth


def test_what_comes_too_late_is_not_awaited_beyond_the_limit() -> None:
    snapshots = list(lockstep(camera_and_others(depth_delay_ms=15.0), sensor_set()))
    assert max(snapshot.waited for snapshot in snapshots) == pytest.approx(0.010)


def test_a_slower_modality_never_delays_a_faster_trigger_in_vain() -> None:
    events = [event for event in camera_and_others() if event[1] in ("rgb", "action")]
    for snapshot in lockstep(events, sensor_set()):
        action_is_due = any(
            0 < i * 50 * MS - (snapshot.taken_ns - round(snapshot.waited * SECOND)) <= 10 * MS
            for i in range(20)
        )
        assert snapshot.waited == 0.0 or action_is_due


def test_a_fast_trigger_cannot_put_off_a_frame_for_ever() -> None:
    sensors = sensor_set(trigger="force", max_rate=1000.0)
    for i in range(5):
        sensors.store("action", i, EPOCH + i * 50 * MS, i * 50 * MS)
    events = [(200 * MS + i * MS, "force", np.zeros(2), EPOCH + (200 + i) * MS) for i in range(99)]
    snapshots = list(lockstep(events, sensors))  # the action of 250 ms never comes
    taken = np.array([snapshot.taken_ns for snapshot in snapshots])
    assert np.diff(taken).max() <= 11 * MS  # the wait, from the next arrival on


def test_a_worker_that_was_busy_does_not_wait_for_what_had_its_time() -> None:
    sensors = sensor_set()
    for i in range(3):
        sensors.store("depth", i, EPOCH + i * 33 * MS, i * 33 * MS)
        sensors.store("rgb", i, EPOCH + i * 33 * MS, i * 33 * MS)
        sensors.poll(i * 33 * MS)
    sensors.store("rgb", 3, EPOCH + 99 * MS, 99 * MS)
    snapshot = sensors.poll(120 * MS)
    assert snapshot is not None
    assert snapshot.waited == pytest.approx(0.021)


def five_images(sensors: SensorSet) -> None:
    """33 ms apart, the last one at 132 ms."""
    for i in range(5):
        sensors.store("rgb", i, EPOCH + i * 33 * MS, i * 33 * MS)


@pytest.mark.parametrize(("busy_until_ms", "waits"), [(133, False), (150, False), (160, True)])
def test_a_worker_that_is_free_just_before_an_image_waits_for_it(
    busy_until_ms: int, waits: bool
) -> None:
    sensors = sensor_set()
    five_images(sensors)
    assert (sensors.poll(busy_until_ms * MS) is None) == waits
    if waits:
        assert sensors.next_wake(busy_until_ms * MS) == (busy_until_ms + 10) * MS
        sensors.store("rgb", 5, EPOCH + 165 * MS, 166 * MS)
        snapshot = sensors.poll(166 * MS)
        assert snapshot is not None
        assert snapshot.readings["rgb"].value == 5


def test_a_worker_does_not_wait_for_a_camera_that_has_stopped() -> None:
    sensors = sensor_set()
    five_images(sensors)
    assert sensors.poll(160 * MS) is None
    wake = sensors.next_wake(160 * MS)
    assert wake is not None
    assert wake <= 170 * MS  # gather_ms is 10
    snapshot = sensors.poll(wake)
    assert snapshot is not None
    assert snapshot.readings["rgb"].value == 4


def test_waiting_for_the_next_image_is_done_once_for_each_frame() -> None:
    """However late each of them comes."""
    sensors = sensor_set()
    five_images(sensors)
    assert sensors.poll(160 * MS) is None
    sensors.store("rgb", 5, EPOCH + 165 * MS, 165 * MS)
    assert sensors.poll(195 * MS) is not None  # the worker woke up late


# -- clocks --------------------------------------------------------------------------------------


@given(
    st.floats(1.0, 500.0),  # how long the model takes
    st.floats(0.0, 40.0),  # when it is free first
    st.sampled_from([10, 30, 60]),
)
def test_however_slow_the_model_its_frame_is_at_most_a_period_old(
    model_ms: float, start_ms: float, camera_hz: int
) -> None:
    sensors, now = sensor_set(), round(start_ms * MS)
    events = camera_and_others(1.0, camera_hz, depth_delay_ms=0.0)
    for received_ns, name, value, stamp in events:
        if name == "force":
            continue
        while now < received_ns:
            snapshot = sensors.poll(now)
            if snapshot is None:
                wake = sensors.next_wake(now)
                now = received_ns if wake is None else min(received_ns, max(wake, now + 1))
                continue
            ages = {
                snapshot.readings[name].age
                for name in ("rgb", "depth")
                if name in snapshot.readings
            }
            # Less by what the node itself takes, while the period is known and the camera works.
            known = 0.4 * SECOND < received_ns < 0.9 * SECOND
            spare = min(0.01, 0.25 / camera_hz) if known else 0.0
            assert max(ages) <= 1 / camera_hz - spare + 1e-6
            now += round(model_ms * MS)
        sensors.store(name, value, stamp, received_ns)


@pytest.mark.parametrize("jump_s", [-100.0, -0.5, 0.5, 100.0])
def test_a_jump_of_all_stamps_costs_no_frame_and_heals_at_once(jump_s: float) -> None:
    events = camera_and_others(2.0)
    jumped = [
        (received, name, value, stamp + round(jump_s * SECOND) * (received >= SECOND))
        for received, name, value, stamp in events
    ]
    snapshots = list(lockstep(jumped, sensor_set()))
    assert len(snapshots) == len(list(lockstep(events, sensor_set())))
    healed = [snapshot for snapshot in snapshots if snapshot.taken_ns > 1.06 * SECOND]
    assert {len(snapshot.readings) for snapshot in healed} == {4}


def test_a_modality_of_another_epoch_is_left_out_counted_and_not_awaited() -> None:
    events = [
        (received, name, value, stamp - 1000 * SECOND if name == "depth" else stamp)
        for received, name, value, stamp in camera_and_others()
        if name in ("rgb", "depth")
    ]
    sensors = sensor_set()
    snapshots = list(lockstep(events, sensors))
    assert {tuple(snapshot.readings) for snapshot in snapshots} == {("rgb",)}
    assert {snapshot.waited for snapshot in snapshots} == {0.0}
    assert sensors.counters()["depth"].skewed == len(snapshots) - 1  # the first came before depth
    assert "depth.max_skew is 0.2 s" in snapshots[-1].absent["depth"].text


def test_stamps_say_nothing_about_being_live() -> None:
    sensors = sensor_set()
    sensors.store("rgb", "years old", SECOND, 5 * SECOND)
    assert sensors.live(5 * SECOND) == ["rgb"]
    assert sensors.live(5 * SECOND + 301 * MS) == []


def test_without_any_stamps_frames_are_made_and_have_none() -> None:
    sensors = sensor_set()
    sensors.store("action", 0, None, 0)
    sensors.store("rgb", 0, None, 0)
    snapshot = sensors.poll(0)
    assert snapshot is not None
    assert (list(snapshot.readings), snapshot.stamp_ns) == (["rgb", "action"], None)


# -- everything at once --------------------------------------------------------------------------

_stamps = st.one_of(
    st.none(), st.integers(1, 3 * SECOND), st.just(EPOCH), st.integers(EPOCH, EPOCH + SECOND)
)
_values = st.sampled_from([np.zeros(2), np.array([1.0, np.nan]), np.zeros(3)])
_arrivals = st.lists(
    st.tuples(st.integers(0, 200 * MS), st.sampled_from(list(MODALITIES)), _values, _stamps),
    max_size=120,
)
_settings = st.builds(
    SensorSettings,
    trigger=st.sampled_from(["", "timer", *MODALITIES]),
    max_rate=st.sampled_from([5.0, 60.0, 1000.0]),
    gather_ms=st.sampled_from([0.0, 10.0, 100.0]),
)


def _events(arrivals: list) -> list[tuple[int, str, object, int | None]]:
    received = np.cumsum([arrival[0] for arrival in arrivals], dtype=np.int64)
    return [(int(now), *arrival[1:]) for now, arrival in zip(received, arrivals, strict=True)]


@given(arrivals=_arrivals, settings=_settings)
def test_whatever_arrives_frames_keep_their_promises(
    arrivals: list, settings: SensorSettings
) -> None:
    sensors = SensorSet(MODALITIES, settings)
    snapshots = list(lockstep(_events(arrivals), sensors))
    for snapshot in snapshots:
        assert snapshot.readings
        assert list(snapshot.readings) == [name for name in MODALITIES if name in snapshot.readings]
        assert snapshot.waited <= 0.3
        for entry in snapshot.readings.values():
            assert entry.age <= 0.3
            assert entry.skew is None or abs(entry.skew) <= 0.2 + 1.2  # window end of a series
    taken = [snapshot.taken_ns for snapshot in snapshots]
    assert taken == sorted(taken)
    counters = sensors.counters()
    for name in MODALITIES:
        sent = sum(arrival[1] == name for arrival in arrivals)
        assert counters[name].received + counters[name].invalid == sent
    repeated = list(lockstep(_events(arrivals), SensorSet(MODALITIES, settings)))
    assert [(s.taken_ns, list(s.readings)) for s in repeated] == [
        (s.taken_ns, list(s.readings)) for s in snapshots
    ]


@given(arrivals=_arrivals, settings=_settings)
def test_nothing_that_arrived_before_can_stop_the_next_image(
    arrivals: list, settings: SensorSettings
) -> None:
    settings = dataclasses.replace(settings, trigger="rgb")
    sensors = SensorSet(MODALITIES, settings)
    events = _events(arrivals)
    start = events[-1][0] if events else 0
    list(lockstep(events, sensors))
    now = start + 5 * SECOND
    sensors.store("rgb", "fresh", EPOCH, now)
    snapshot = sensors.poll(now)
    assert snapshot is not None
    assert snapshot.readings["rgb"].value == "fresh"


def test_the_time_to_wake_is_now_once_nothing_is_awaited_any_more() -> None:
    sensors = sensor_set()
    for frame in range(2):
        moment = frame * 33 * MS
        sensors.store("depth", frame, EPOCH + moment, moment)
        sensors.store("rgb", frame, EPOCH + moment, moment)
        assert sensors.poll(moment) is not None
    sensors.store("rgb", 2, EPOCH + 66 * MS, 66 * MS)
    assert sensors.poll(66 * MS) is None
    assert sensors.next_wake(66 * MS) == 76 * MS
    sensors.store("depth", 2, EPOCH + 66 * MS, 68 * MS)
    assert sensors.next_wake(68 * MS) == 68 * MS
    assert sensors.poll(68 * MS) is not None


@given(arrivals=_arrivals, settings=_settings, later=st.integers(0, 400 * MS))
def test_the_time_to_wake_may_be_asked_late(
    arrivals: list, settings: SensorSettings, later: int
) -> None:
    sensors = SensorSet(MODALITIES, settings)
    for received_ns, name, value, stamp_ns in _events(arrivals):
        if name != "force":
            sensors.store(name, value, stamp_ns, received_ns)
        sensors.poll(received_ns)
        wake = sensors.next_wake(received_ns + later)
        if wake is not None and wake > received_ns + later:
            assert sensors.poll(received_ns + later) is None


def test_events_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="sort the events by receipt"):
        list(lockstep([(MS, "rgb", 0, None), (0, "rgb", 0, None)], sensor_set()))


def test_rejected_and_lost_messages_are_counted_until_reset() -> None:
    sensors = sensor_set()
    sensors.refuse("rgb", ValueError("zero-sized"), 0)
    sensors.lose("rgb", 3)
    counters = sensors.counters()["rgb"]
    assert (counters.invalid, counters.lost, counters.last_error) == (1, 3, "zero-sized")
    sensors.reset_counters()
    assert sensors.counters()["rgb"].invalid == 0


def test_a_frame_without_an_unreadable_input_has_the_moment_of_the_others() -> None:
    sensors = sensor_set()
    sensors.store("depth", 0, EPOCH, 0)
    sensors.store("rgb", 0, EPOCH + MS, 0)
    snapshot = sensors.poll(0)
    assert snapshot is not None
    rest = snapshot.without({"rgb": Absence(Cause.UNUSABLE, "zero-sized")})
    assert (list(rest.readings), rest.stamp_ns) == (["depth"], EPOCH)
    assert rest.absent["rgb"].text == "zero-sized"


def test_frame_ids_and_camera_info_go_with_the_snapshot_also_of_what_is_absent() -> None:
    sensors = sensor_set()
    sensors.camera_info = "calibration"
    sensors.store("rgb", 0, EPOCH, 0, "old_camera")
    sensors.store("rgb", 1, EPOCH + 3 * SECOND, 3 * SECOND, "camera")  # started again
    sensors.store("action", 0, EPOCH + 4 * SECOND, 4 * SECOND)
    snapshot = sensors.poll(4 * SECOND)
    assert snapshot is not None
    assert list(snapshot.readings) == ["action"]
    assert snapshot.frame_ids == {"rgb": "camera", "depth": "", "force": "", "action": ""}
    assert snapshot.camera_info == "calibration"
