# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The sensor set under random interleavings of everything that can happen to it: messages, polls at
any time, clock jumps, new settings. Whatever happens, its promises hold; each is one check here.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from small_sensors import EPOCH, MS, SECOND
from small_sensors import MODALITIES as SENSORS
from smvae_core.modalities import Modality
from smvae_ros.sensors.absence import Cause
from smvae_ros.sensors.sensor_set import SensorSet
from smvae_ros.sensors.settings import BufferSettings, SensorSettings
from smvae_ros.sensors.snapshot import Snapshot

MODALITIES = SENSORS | {"force": Modality("force", "series", (1, 4), rate=1000.0)}
NEWEST_WINS = ("rgb", "depth", "action")

buffer_settings = st.builds(
    BufferSettings,
    max_age=st.sampled_from([0.001, 0.05, 0.3, 10.0]),
    max_skew=st.sampled_from([0.0, 0.01, 0.2, 3600.0]),
    max_gap=st.sampled_from([0.0, 0.005, 0.02, 1.0]),
)
any_settings = st.builds(
    SensorSettings,
    trigger=st.sampled_from(["", "timer", *MODALITIES]),
    max_rate=st.sampled_from([5.0, 60.0, 10_000.0]),
    gather_ms=st.sampled_from([0.0, 10.0, 100.0]),
    buffers=st.fixed_dictionaries(dict.fromkeys(MODALITIES, buffer_settings)),
)


class AnyOrder(RuleBasedStateMachine):
    """Values are the numbers of the messages, so that a frame shows which it was made of."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 5 * SECOND  # monotonic
        self.clock = EPOCH  # what stamps are taken from; may jump
        self.number = 0
        self.stored: dict[str, tuple[int, int, int | None]] = {}  # number, received, stamp
        self.counted: Counter[tuple[str, str]] = Counter()
        self.used: dict[str, set[int]] = {name: set() for name in NEWEST_WINS}
        self.frames: list[Snapshot] = []

    @initialize(chosen=any_settings)
    def begin(self, chosen: SensorSettings) -> None:
        self.settings = chosen
        self.sensors = SensorSet(MODALITIES, chosen)

    # -- what can happen ---------------------------------------------------------------------------

    @rule(milliseconds=st.sampled_from([0, 0.2, 1, 5, 33, 400, 20_000]))
    def time_passes(self, milliseconds: float) -> None:
        self.now += round(milliseconds * MS)
        self.clock += round(milliseconds * MS)

    @rule(seconds=st.sampled_from([-7200, -1, -0.05, 0.05, 1, 7200]))
    def the_clock_jumps(self, seconds: float) -> None:
        self.clock += round(seconds * SECOND)

    @rule(
        name=st.sampled_from(NEWEST_WINS),
        late=st.sampled_from([0, 0, 0, 1, 15, 150]),
        stamped=st.sampled_from([True, True, True, False]),
    )
    def a_message_arrives(self, name: str, late: int, stamped: bool) -> None:
        self.number += 1
        stamp = self.clock - late * MS if stamped else None
        self.sensors.store(name, self.number, stamp, self.now)
        self.stored[name] = (self.number, self.now, stamp)
        self.counted[name, "received"] += 1

    @rule(count=st.integers(1, 40), stamped=st.sampled_from([True, True, False]))
    def wrenches_arrive(self, count: int, stamped: bool) -> None:
        for _ in range(count):
            self.time_passes(1)
            self.number += 1
            stamp = self.clock if stamped else None
            ignored = self.sensors.counters()["force"].dropped
            self.sensors.store("force", np.array([self.number]), stamp, self.now)
            self.counted["force", "received"] += 1
            if self.sensors.counters()["force"].dropped == ignored:  # not late, nor repeated
                self.stored["force"] = (self.number, self.now, stamp)

    @rule(bad=st.sampled_from([[np.nan], [np.inf], [1.0, 2.0], []]))
    def an_unusable_wrench_arrives(self, bad: list[float]) -> None:
        try:
            self.sensors.store("force", np.array(bad), self.clock, self.now)
        except ValueError as error:
            self.sensors.refuse("force", error, self.now)
        self.counted["force", "invalid"] += 1

    @rule(name=st.sampled_from(list(MODALITIES)), count=st.integers(1, 9))
    def messages_are_lost(self, name: str, count: int) -> None:
        self.sensors.lose(name, count)
        self.counted[name, "lost"] += count

    @rule(chosen=any_settings)
    def settings_change(self, chosen: SensorSettings) -> None:
        self.settings = chosen
        self.sensors.configure(chosen)

    @rule()
    def somebody_polls(self) -> None:
        live = self.sensors.live(self.now)
        wake = self.sensors.next_wake(self.now)
        frame = self.sensors.poll(self.now)
        if frame is None:
            again = self.sensors.next_wake(self.now)
            assert again is None or again > self.now, "the worker would spin for nothing"
            return
        assert wake is not None, "a frame came that nobody would have waked for"
        assert wake <= self.now
        self.check(frame, live)

    @rule()
    def somebody_takes(self) -> None:
        live = self.sensors.live(self.now)
        frame = self.sensors.take(self.now)
        assert (frame is None) == (not live)
        if frame is not None:
            self.check(frame, live)

    # -- what is promised --------------------------------------------------------------------------

    def check(self, frame: Snapshot, live: list[str]) -> None:
        assert frame.taken_ns == self.now
        assert frame.readings
        assert set(frame.readings) | set(frame.absent) == set(MODALITIES), (
            "nothing goes unmentioned"
        )
        assert not set(frame.readings) & set(frame.absent)
        stamps = (Cause.CLOCK, Cause.STUCK)
        left_out = [name for name in live if name not in frame.readings]
        assert all(frame.absent[name].cause in stamps for name in left_out)
        assert all(absence.text for absence in frame.absent.values())
        for name, entry in frame.readings.items():
            number, received, stamp = self.stored[name]
            buffer = self.settings.buffers[name]
            assert entry.age == (self.now - received) / SECOND
            assert entry.age <= buffer.max_age, "never older than max_age"
            if name in NEWEST_WINS:
                assert entry.value == number, "the newest wins"
                assert entry.stamp_ns == stamp
                self.used[name].add(number)
                if name != frame.trigger and entry.skew is not None:
                    assert abs(entry.skew) <= buffer.max_skew, "never further than max_skew"
            else:
                assert entry.value.shape == (4, 1)
                assert np.isfinite(entry.value).all()
                assert entry.value.max() <= number + 1e-3 * number
        for name in left_out:
            self.counted[name, "skewed"] += 1
        stamps = [e.stamp_ns for e in frame.readings.values() if e.stamp_ns is not None]
        assert frame.stamp_ns == max(stamps, default=None)
        self.frames.append(frame)

    @invariant()
    def the_counts_add_up(self) -> None:
        if not hasattr(self, "sensors"):
            return
        for name, counters in self.sensors.counters().items():
            for key in ("received", "invalid", "lost", "skewed"):
                assert getattr(counters, key) == self.counted[name, key], (name, key)
            if name in NEWEST_WINS:
                held = int(name in self.stored and self.stored[name][0] not in self.used[name])
                assert counters.received == len(self.used[name]) + counters.dropped + held, name
            else:
                assert 0 <= counters.dropped <= counters.received

    @invariant()
    def live_is_what_arrived_lately(self) -> None:
        if not hasattr(self, "sensors"):
            return
        live = self.sensors.live(self.now)
        for name in NEWEST_WINS:
            age = self.sensors.evidence(self.now)[name].age
            assert (age is None) == (name not in self.stored)
            assert (name in live) == (
                age is not None and age <= self.settings.buffers[name].max_age
            )

    @invariant()
    def no_frame_is_due_before_the_time_to_wake(self) -> None:
        if not hasattr(self, "sensors"):
            return
        wake = self.sensors.next_wake(self.now)
        if wake is not None and wake > self.now:
            assert self.sensors.poll(self.now) is None


AnyOrder.TestCase.settings = settings(max_examples=40, stateful_step_count=40)
TestAnyOrder = AnyOrder.TestCase


def test_the_machine_makes_frames() -> None:
    """Otherwise its promises would be empty."""
    machine: Any = AnyOrder()
    machine.begin(SensorSettings(buffers=dict.fromkeys(MODALITIES, BufferSettings())))
    machine.a_message_arrives("rgb", 0, True)
    machine.wrenches_arrive(10, True)
    machine.somebody_polls()
    machine.the_counts_add_up()
    assert list(machine.frames[0].readings) == ["rgb", "force"]
