# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Why a modality is not in a snapshot, or in a step of a log, and what to do about it.

Decided and worded here alone: ``~/status`` and ``/diagnostics`` of the live node, ``evaluate`` and
``bag_to_log`` say what comes out of :func:`explain`. The first of these that is true is the reason:
what arrives cannot go into this snapshot (its stamp is another clock's, or does not advance), it is
unusable, has some of the joints only, or is somebody else's, readings of a series make no window,
nothing arrives.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from smvae_ros.messages.serialised import NANOSECONDS
from smvae_ros.sensors.evidence import RECENT, Apart, Came, Connection, Evidence, Window

STUCK = 8  # messages in a row with one stamp; some drivers send a reading twice, none this often
SINCE_1970 = 10 * 365 * 86400 * NANOSECONDS  # earlier stamps count from the start of something
TAI_AHEAD = 37.0  # seconds by which TAI, the time of PTP, is ahead of UTC, since 2017
_SPANS = ((2.0, 0.001, "ms"), (120.0, 1.0, "s"), (7200.0, 60.0, "min"), (172_800.0, 3600.0, "h"))


class Cause(Enum):
    """The kinds of reasons; the values are what is written into results."""

    NO_TOPIC = "no topic is configured"
    NOTHING = "nothing arrived"
    SILENT = "its publishers are silent"
    MISMATCH = "cannot be received"
    STOPPED = "stopped"
    UNUSABLE = "unusable"
    PARTIAL = "joints are missing"
    FOREIGN = "somebody else's messages"
    CLOCK = "stamps of another clock"
    STUCK = "stamps that do not advance"
    BACKWARDS = "stamps that run backwards"
    GAPS = "gaps wider than max_gap"
    SHORT = "too few readings"


_ABSENT_ALTOGETHER = (Cause.NO_TOPIC, Cause.NOTHING, Cause.SILENT, Cause.MISMATCH, Cause.STOPPED)


@dataclass(frozen=True)
class Absence:
    """The reason in words, with what to do."""

    cause: Cause
    text: str

    @property
    def arrives(self) -> bool:
        """Whether messages come all the same."""
        return self.cause not in _ABSENT_ALTOGETHER


def explain(evidence: Evidence, connection: Connection | None = None) -> Absence:
    """Why a modality that is not in a snapshot is not.

    Args:
        evidence: of the time of the snapshot.
        connection: where it is known; otherwise only what arrived is spoken of.
    """
    if connection is not None and not connection.topic:
        return Absence(Cause.NO_TOPIC, Cause.NO_TOPIC.value)
    if evidence.apart is not None:
        return _explain_stamps(evidence, evidence.apart)
    if evidence.unusable is not None and evidence.unusable.age <= RECENT:
        return Absence(Cause.UNUSABLE, _describe_unusable(evidence.unusable))
    if evidence.partial is not None and evidence.partial.age <= RECENT and not evidence.live:
        return Absence(
            Cause.PARTIAL,
            f"{evidence.partial.why}: see who publishes it, or correct {evidence.name}.joints",
        )
    if evidence.foreign is not None and evidence.foreign.age <= RECENT and evidence.age is None:
        return Absence(
            Cause.FOREIGN,
            f"{_describe_foreign(evidence.foreign)}; correct {evidence.name}.joints or "
            f"{evidence.name}.topic",
        )
    if evidence.repeated >= STUCK and not evidence.live:
        return Absence(Cause.STUCK, describe_stuck(evidence.repeated))
    if evidence.window is not None:
        return _explain_window(evidence.name, evidence.window)
    return _explain_silence(evidence, connection or Connection(""))


def describe_stuck(repeated: int, stamps: str = "its stamps") -> str:
    """What is wrong with a driver whose stamps do not advance, and what to do."""
    return (
        f"{stamps} do not advance, the last {repeated + 1} messages have the same one: correct "
        "that driver, or let it leave them empty, so that only the time of receipt counts"
    )


def describe_stray(frame_id: str, other: str) -> str:
    """What is wrong with a topic that has messages of two frames, and what to do."""
    return (
        f"messages of two frames come on its topic, and only those of {frame_id or 'no frame_id'}, "
        f"which were first, count, not those of {other or 'no frame_id'}: see who publishes there "
        "(`ros2 topic info -v`), and correct a name or a remapping"
    )


def describe_shared(joint: str, connection: Connection) -> str:
    """What is wrong with a topic on which two publishers send one joint, and what to do."""
    return (
        f"joint {joint} comes in messages of different joints, and {connection.topic} has "
        f"{connection.publishers} publishers: the newest value counts, whosever it is; see who "
        "sends it (`ros2 topic info -v`), and let only one do so"
    )


def _describe_unusable(came: Came) -> str:
    return f"unusable messages ({came.count} since the last usable one): {came.why}"


def _describe_foreign(came: Came) -> str:
    return f"only messages about something else came ({came.count}), the last: {came.why}"


def _explain_stamps(evidence: Evidence, apart: Apart) -> Absence:
    other, gap = apart.other, abs(apart.seconds)
    side = "behind" if apart.seconds > 0 else "ahead of"
    text = (
        f"it arrives, but its stamps are {span(gap)} {side} those of {other}, and "
        f"{evidence.name}.{apart.setting} is {apart.limit:g} s: "
    )
    if evidence.repeated >= STUCK:
        return Absence(Cause.STUCK, text + describe_stuck(evidence.repeated))
    if apart.other_repeated >= STUCK:
        return Absence(
            Cause.STUCK, text + describe_stuck(apart.other_repeated, f"those of {other}")
        )
    early = [
        name
        for name, stamp in ((evidence.name, apart.stamp_ns), (other, apart.moment_ns))
        if stamp < SINCE_1970
    ]
    if len(early) == 1:
        text += (
            f"those of {early[0]} count from the start of a machine or of a simulation. Stamp both "
            "by the same clock"
        )
    elif abs(gap - TAI_AHEAD) < 1.0:
        text += (
            "by so much TAI, the time of PTP, is ahead of UTC. Stamp both by the same clock: set "
            "the offset to UTC where PTP sets a clock"
        )
    else:
        slow = f", or raise {evidence.name}.{apart.setting} if it is that slow"
        text += (
            "stamp both by the same clock (synchronise the machines with chrony or PTP, or let the "
            f"driver stamp at receipt){slow if apart.seconds > 0 and gap < 2 else ''}"
        )
    return Absence(Cause.CLOCK, text)


def _explain_window(name: str, window: Window) -> Absence:
    if window.jump > 0:
        return Absence(
            Cause.GAPS,
            f"its readings are {span(window.jump)} apart, and {name}.max_gap is "
            f"{window.max_gap:g} s, so that they make no window of {span(window.length)}: publish "
            f"them faster, or raise {name}.max_gap",
        )
    if window.jump < 0:
        return Absence(
            Cause.BACKWARDS,
            f"its stamps ran backwards by {span(-window.jump)}, so that the window of "
            f"{span(window.length)} began anew: see whether there are two publishers, or a clock "
            "that is set",
        )
    return Absence(
        Cause.SHORT,
        f"its readings cover {span(window.covered)} of the {span(window.length)} that a window "
        "needs: see at which rate it publishes",
    )


def _explain_silence(evidence: Evidence, connection: Connection) -> Absence:
    topic, publishers = connection.topic, connection.publishers
    never = evidence.age is None
    cause = Cause.NOTHING if never else Cause.STOPPED
    where = f" on {topic}" if topic else ""
    what = f"nothing arrived{where}" if never else f"stopped {evidence.age:.1f} s ago"
    if connection.problem:
        return Absence(Cause.MISMATCH, f"{what}: {connection.problem}")
    if evidence.unusable is not None:
        ago = f"until {evidence.unusable.age:.1f} s ago"
        what += f", and {ago} there were {_describe_unusable(evidence.unusable)}"
    elif evidence.foreign is not None:
        return Absence(cause, f"{what}, and since then {_describe_foreign(evidence.foreign)}")
    if publishers == 0:
        return Absence(cause, f"{what}: it has no publisher{'' if never else ' any more'}")
    if publishers:
        return Absence(
            Cause.SILENT if never else cause,
            f"{what}, though it has publishers ({publishers}): see whether they send (`ros2 topic "
            f"hz {topic}`), whether both ends use the same transport (FASTDDS_BUILTIN_TRANSPORTS), "
            "and whether a firewall is between them",
        )
    return Absence(cause, what)


def span(seconds: float) -> str:
    """A length of time as people say it: 64.0 ms, 37.0 s, 3.2 h, 19,676 days."""
    for limit, unit, name in _SPANS:
        if seconds < limit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds / 86400:,.0f} days"
