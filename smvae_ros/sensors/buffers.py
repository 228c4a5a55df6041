"""What is kept of one modality: its newest sample, and what counts where that proves unusable.

Times are integer nanoseconds. A stamp is the time in a message's header and may be missing, jump or
run backwards; ``received_ns`` is the monotonic time of receipt.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from smvae_ros.sensors.evidence import Window
from smvae_ros.sensors.settings import SlotSettings

NANOSECONDS = 1_000_000_000
PERIODS = 8  # a median of so many ignores single lost samples and jumps
SPARE = 4  # samples kept beside the newest; images are large


def nanoseconds(seconds: float) -> int:
    """Seconds, as they stand in settings, in integer nanoseconds."""
    return round(seconds * NANOSECONDS)


class Sample(NamedTuple):
    """One message: whatever was stored of it, its stamp (None where it has none), its receipt."""

    value: Any
    stamp_ns: int | None
    received_ns: int


class NewestSlot:
    """The newest sample of a modality, which always replaces the one before.

    Some values are decoded only when a frame uses them, and may prove unusable then. So the last
    one that a frame did use is kept until a newer one is used (:meth:`prove`), and some between
    them: where the newest is given up (:meth:`discard`), the one before it is the newest again.

    Args:
        settings: how it is judged; can be exchanged later with :meth:`configure`.

    Attributes:
        max_skew_ns: with a stamp further than this from the trigger's, it is left out of a frame.
        value: whatever was stored; None before anything was.
        stamp_ns: its stamp; None where it has none.
        received_ns: its monotonic time of receipt.
        unused: it has not been part of a frame yet.
    """

    def __init__(self, settings: SlotSettings | None = None) -> None:
        self.value: Any = None
        self.stamp_ns: int | None = None
        self.received_ns = 0
        self.unused = False
        self._samples: list[Sample] = []  # the newest last
        self._distances: deque[int] = deque(maxlen=PERIODS)
        self.configure(settings or SlotSettings())

    def configure(self, settings: SlotSettings) -> None:
        """Exchanges the settings."""
        self._max_age_ns = nanoseconds(settings.max_age)
        self.max_skew_ns = nanoseconds(settings.max_skew)

    @property
    def complete(self) -> bool:
        """Whether there is something to give out."""
        return self.value is not None

    @property
    def missing(self) -> Window | None:
        """Of a series, what there is of a window that is not complete."""
        return None

    @property
    def live_until_ns(self) -> int:
        """The last moment at which what was received is fresh enough to be used."""
        return self.received_ns + self._max_age_ns

    def is_live(self, now: int) -> bool:
        """Whether there is something to give out that is fresh enough."""
        return self.complete and now <= self.live_until_ns

    @property
    def period_ns(self) -> int | None:
        """Median distance of the latest stamps; None until there are two of one epoch."""
        distances = sorted(self._distances)
        return distances[len(distances) // 2] if distances else None

    def nearest_ns(self, moment_ns: int) -> int | None:
        """The stamp nearest to a moment that this modality can offer; None without stamps."""
        return self.stamp_ns

    def skew_ns(self, moment_ns: int | None) -> int:
        """By how much the best that this modality can offer is behind a moment; 0 where one of the
        two has no stamp."""
        stamp = None if moment_ns is None else self.nearest_ns(moment_ns)
        return 0 if stamp is None or moment_ns is None else moment_ns - stamp

    def is_skewed(self, moment_ns: int | None) -> bool:
        """Whether that is more than a frame may mix."""
        return abs(self.skew_ns(moment_ns)) > self.max_skew_ns

    def earlier(self, now: int, moment_ns: int | None) -> list[Sample]:
        """The samples before the newest that count where that is unusable, newest first.

        Args:
            now: they are still fresh enough then.
            moment_ns: their stamps are not too far from it; None for no matter.
        """
        oldest, found = now - self._max_age_ns, []
        for sample in self._samples[-2::-1]:
            apart = 0 if None in (sample.stamp_ns, moment_ns) else moment_ns - sample.stamp_ns
            if sample.received_ns >= oldest and abs(apart) <= self.max_skew_ns:
                found.append(sample)
        return found

    def store(self, value: Any, stamp_ns: int | None, received_ns: int) -> bool:
        """Keeps a sample. Returns whether another one, never used, was lost by it."""
        replaced = self.unused
        self._measure(stamp_ns)
        samples = self._samples
        samples.append(Sample(value, stamp_ns, received_ns))
        while len(samples) > 1 and samples[0].received_ns < received_ns - self._max_age_ns:
            del samples[0]
        if len(samples) > 1 + SPARE:
            del samples[1]  # not the first: it may be the only one that is usable
        self._show(samples[-1])
        self.unused = True
        return replaced

    def prove(self, value: Any) -> None:
        """Tells that a frame has used a sample: those before it are not needed any more."""
        place = self._find(value)
        if place is not None:
            del self._samples[:place]

    def discard(self, value: Any) -> None:
        """Tells that a sample is unusable: it is as if it had never been stored."""
        place = self._find(value)
        if place is None:
            return
        was_newest = place == len(self._samples) - 1
        del self._samples[place]
        if was_newest:
            self._show(self._samples[-1] if self._samples else Sample(None, None, 0))
            self.unused = False

    def _find(self, value: Any) -> int | None:
        for place in range(len(self._samples) - 1, -1, -1):
            if self._samples[place].value is value:
                return place
        return None

    def _show(self, sample: Sample) -> None:
        self.value, self.stamp_ns, self.received_ns = sample

    def _measure(self, stamp_ns: int | None) -> None:
        """Takes a stamp into account for the period."""
        before = self.stamp_ns
        if stamp_ns is not None and before is not None and stamp_ns > before:
            self._distances.append(stamp_ns - before)
        else:  # time runs backwards: what was known of the period is void
            self._distances.clear()
