# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""One reading of what comes in several messages: the joints of an arm and those of its gripper.

Joint states are spread over publishers, or over messages of one, and no message has them all. The
reading is made of the newest value of each joint, as long as none of them is older than max_age.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from smvae_core.words import listed
from smvae_ros.messages.fields import PartialMessage
from smvae_ros.messages.serialised import NANOSECONDS


class Part(NamedTuple):
    """A message's part of a reading.

    Attributes:
        values: (n,) float32, in the reading's order; NaN for what the message does not have.
        joints: of each value, whose it is.
    """

    values: np.ndarray
    joints: Sequence[str]


class NewestParts:
    """The newest value of each joint; of one modality. Times are integer nanoseconds.

    Attributes:
        shared: a joint of the latest message that came last in one of other joints, as where two
            publishers send it; or empty.
    """

    def __init__(self) -> None:
        self.shared = ""
        self._company: list[bytes] = []  # of each value, which others its message had
        self._values = np.empty(0, dtype=np.float32)  # before the first part; NaN before a joint's
        self._received_ns = np.empty(0, dtype=np.int64)
        self._stamp_ns: int | None = None  # of the newest part
        self._all: tuple[np.ndarray, int] | None = None  # of a message since then that had all

    def whole(self, value: Any, stamp_ns: int | None, received_ns: int, max_age_ns: int) -> Any:
        """The reading that a message makes together with those before it.

        Args:
            value: the message's part; or all of the reading, which then is that.
            stamp_ns: of the message; None where it has none.
            received_ns: its receipt.
            max_age_ns: by which values of a reading may be older than the newest.

        Returns:
            The reading (n,), whose stamp is the message's; None where that is not newer than that
            of the reading before, as of a publisher that is a little behind: its values count with
            the next one.

        Raises:
            PartialMessage: while values are missing or too old; says whose.
        """
        self.shared = ""
        if not isinstance(value, Part):
            self._all = (value, received_ns)
            return value
        if self._all is not None:
            self._keep(*self._all)
            self._all = None
        self._keep(value.values, received_ns, value.joints)
        self._check(value.joints, received_ns, max_age_ns)
        before, self._stamp_ns = self._stamp_ns, stamp_ns
        if stamp_ns is None or before is None or not -max_age_ns < stamp_ns - before <= 0:
            return np.copy(self._values)
        self._stamp_ns = before
        return None

    def _keep(self, values: np.ndarray, received_ns: int, joints: Sequence[str] = ()) -> None:
        if not len(self._values):
            self._values = np.full_like(values, np.nan)
            self._received_ns = np.zeros(len(values), dtype=np.int64)
            self._company = [b""] * len(values)
        given = ~np.isnan(values)
        company = given.tobytes()
        for place in np.flatnonzero(given).tolist():
            if joints and self._company[place] not in (b"", company):
                self.shared = joints[place]
            self._company[place] = company
        self._values[given] = values[given]
        self._received_ns[given] = received_ns

    def _check(self, joints: Sequence[str], now: int, max_age_ns: int) -> None:
        missing = _named(joints, np.isnan(self._values))
        if missing:
            raise PartialMessage(f"joint {listed(missing)} has not come yet")
        old = self._received_ns < now - max_age_ns
        if old.any():
            age = (now - int(self._received_ns.min())) / NANOSECONDS
            raise PartialMessage(
                f"joint {listed(_named(joints, old))} came last {age:.1f} s before the others, and "
                f"{max_age_ns / NANOSECONDS:g} s (max_age) is the most"
            )


def _named(joints: Sequence[str], chosen: np.ndarray) -> list[str]:
    """The joints of the chosen values, each once."""
    return list(
        dict.fromkeys(joint for joint, is_one in zip(joints, chosen, strict=True) if is_one)
    )
