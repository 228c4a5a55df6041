# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Values of a recording that its sensors cannot have measured, and the likely cause.

What is said here is said once for each part, key and cause. Only single readings beyond all reason
are left out (:func:`plausible_steps`): one force of 1e30 would make the standard deviation 3e28 and
all others zero. The rest is for a person to decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from smvae_core.data.logs.recording import Problem
from smvae_core.plausibility import ADVICE, LARGEST

_ENOUGH = 10  # steps of a part, before it is strange that a sensor gives the same in all of them
_SHARE = 0.5  # of a part's depth images without any reading: more is no matter of a few holes
_SPARSE = 8  # of an image every so many-th row and column is looked at first
_BLOCKS = 20  # from which the median of the depth is taken
_MILLIMETRES = (50.0, 20_000.0)  # where the median of a camera's depth lies, if it is in them
_CLOSEST = 0.01  # m, no camera sees most of a picture nearer than this
# A reading is beyond reason if it lies this many times farther from the median than nearly all of
# the others around it, or than what is usual of its key, whichever is more.
_BEYOND = 100.0
_NEARLY_ALL = 0.95


@dataclass(frozen=True)
class Expected:
    """The readings of one key.

    Attributes:
        kind: as of a modality; of others than ``image`` (of three channels), ``depth``, ``series``
            and ``vector``, nothing is expected.
        usual: of a series or vector, about the largest value that is usual. Where units are
            unknown, raw counts of 16 bits have to be believed, a hundred times this.
        units: in words, where they are known.
        limits: of depth, in metres; what is not between them is no reading.
        millimetres: what to do where depth is in millimetres.
        metres: what is probably the matter, where depth lies far too near; empty not to ask.
    """

    kind: str
    usual: float = 1000.0
    units: str = ""
    limits: tuple[float, float] = (1e-7, 2.0)
    millimetres: str = "divide it by 1000"
    metres: str = ""


def finite_steps(array: np.ndarray) -> np.ndarray:
    """(t, ...) -> bool (t,): whether a step holds no NaN, no infinity, nothing beyond float32."""
    values = array.reshape(len(array), -1)
    if array.dtype.kind != "f":
        return np.ones(len(array), bool)
    # NaN compares as False, so one comparison finds NaN, infinity and overflow alike.
    return (np.abs(values) <= np.finfo(np.float32).max).all(axis=1)


def plausible_steps(values: np.ndarray, usual: float) -> np.ndarray:
    """bool (t,): whether a step's readings can be true, judged by the steps around it.

    Args:
        values: (t, n) or (t, readings, n) of one key, a few dozen steps in a row. NaN and infinite
            values are not judged.
        usual: see :class:`Expected`.
    """
    readings = np.abs(values, dtype=np.float64)
    # Most files end here: nothing lies farther from the median than twice the largest.
    if np.fmax.reduce(readings, axis=None, initial=0.0) * 2 <= _BEYOND * usual:
        return np.ones(len(values), bool)
    finite = readings <= np.finfo(np.float32).max
    beyond = np.zeros(values.shape, bool)
    for channel in range(values.shape[-1]):
        judged = finite[..., channel]
        if judged.any():
            x = values[..., channel][judged].astype(np.float64)
            far = np.abs(x - np.median(x))
            spread = np.quantile(far, _NEARLY_ALL, method="lower")
            limit = _BEYOND * max(usual, spread)
            beyond[..., channel][judged] = (far > limit) | (np.abs(x) > LARGEST)
    return np.asarray(~beyond.reshape(len(values), -1).any(axis=1))


class PartCheck:
    """Judges one part of a recording from its values, which are shown in blocks of steps.

    Args:
        place: of the part, for people.
        steps: that it has.
        expected: of each key.
    """

    def __init__(self, place: Path, steps: int, expected: Mapping[str, Expected]) -> None:
        self._place, self._steps, self._expected = place, steps, expected
        self._seen = {key: _Seen() for key in expected}

    def add(self, key: str, start: int, values: np.ndarray) -> np.ndarray:
        """Looks at the steps from `start` on of one key: images (t, h, w, 3), depth (t, h, w) in
        metres, others as in :func:`plausible_steps`, which it returns of them."""
        if key not in self._expected:
            return np.ones(len(values), bool)
        expected, seen = self._expected[key], self._seen[key]
        if expected.kind in ("image", "depth", "series"):
            if seen.first is None:
                seen.first = values[:1].copy()
            seen.same += _equal_steps(values, seen.first)
        # A few pixels tell nearly always; all are looked at where those are not enough.
        if expected.kind == "image":
            sparse = values[:, ::_SPARSE, ::_SPARSE].reshape(len(values), -1)
            if seen.brightest <= 1:
                seen.brightest = int(sparse.max() if sparse.max() > 1 else values.max())
            flat = values[(sparse.max(axis=1) == sparse.min(axis=1))]
            seen.blank += int((flat.max(axis=(1, 2, 3)) == flat.min(axis=(1, 2, 3))).sum())
        elif expected.kind == "depth":
            sparse = values[:, ::_SPARSE, ::_SPARSE]
            if len(seen.depth) < _BLOCKS:
                seen.depth.append(sparse[np.isfinite(sparse) & (sparse > expected.limits[0])])
            doubtful = values[~_measured(sparse, expected.limits)]
            seen.without_depth += int((~_measured(doubtful, expected.limits)).sum())
        if expected.kind not in ("series", "vector"):
            return np.ones(len(values), bool)
        plausible = plausible_steps(values, expected.usual)
        for step in np.flatnonzero(~plausible):
            seen.beyond.append((start + int(step), _largest(values[step])))
        return plausible

    def problems(self) -> list[Problem]:
        """The strange things about the part; it can be used all the same."""
        rules = (self._of_depth, self._of_images, self._out_of_reason)
        keys = self._seen.items()
        found = [p for rule in rules for key, seen in keys if (p := rule(key, seen)) is not None]
        # A sensor that gives nothing gives the same, too.
        spoken = {problem.key for problem in found}
        stuck = (self._stuck(key, seen) for key, seen in keys if key not in spoken)
        return found + [problem for problem in stuck if problem is not None]

    def _of_depth(self, key: str, seen: _Seen) -> Problem | None:
        if self._expected[key].kind != "depth" or not seen.depth:
            return None
        expected = self._expected[key]
        values = np.concatenate(seen.depth)
        middle = float(np.median(values)) if len(values) else 0.0
        range_text = f"readings of up to {expected.limits[1]:g} m"
        if seen.without_depth <= _SHARE * self._steps:
            if expected.metres and 0 < middle < _CLOSEST:
                found = f"values around {middle:.3g} m"
                return self._problem(key, range_text, found, expected.metres)
            return None
        count = f"{seen.without_depth} of {self._steps} images"
        if not len(values):
            cause = "check the camera, and that the recorder took its depth topic"
            return self._problem(key, range_text, f"none in {count}", cause)
        if _MILLIMETRES[0] <= middle <= _MILLIMETRES[1]:
            cause = f"it is probably in millimetres: {expected.millimetres}"
        else:
            cause = "farther away counts as not measured; check the camera and the unit"
        found = f"none in {count}, whose values are around {middle:.3g}"
        return self._problem(key, range_text, found, cause)

    def _of_images(self, key: str, seen: _Seen) -> Problem | None:
        if seen.brightest == 1:
            cause = "probably values of 0..1 were stored as whole numbers: multiply by 255 before"
            return self._problem(key, "values of 0 to 255", "only 0 and 1", cause)
        if seen.blank:
            cause = "the camera was off or covered, or the recorder wrote no picture there"
            found = f"{seen.blank} of {self._steps} that are of one colour"
            return self._problem(key, "pictures", found, cause)
        return None

    def _out_of_reason(self, key: str, seen: _Seen) -> Problem | None:
        if not seen.beyond:
            return None
        step, value = max(seen.beyond, key=lambda entry: abs(entry[1]))
        units = self._expected[key].units
        return self._problem(
            key,
            f"readings in {units}" if units else "readings of a sensor",
            f"readings beyond all reason in {len(seen.beyond)} of {self._steps} steps, the "
            f"largest {value:.3g} in step {step}",
            f"this key counts as missing there; {ADVICE}",
        )

    def _stuck(self, key: str, seen: _Seen) -> Problem | None:
        if self._steps < _ENOUGH or seen.same != self._steps:
            return None
        cause = {
            "image": "the camera or its driver froze, or the recorder repeated the last picture",
            "depth": "the camera or its driver froze, or the recorder repeated the last image",
            "series": "the sensor is not connected, or its driver gives the last reading again",
        }[self._expected[key].kind]
        found = f"the same in all {self._steps} steps"
        return self._problem(key, "readings that change", found, cause)

    def _problem(self, key: str, expected: str, found: str, advice: str) -> Problem:
        return Problem(self._place, key, expected, found, advice, usable=True)


@dataclass
class _Seen:
    """What :class:`PartCheck` has seen of a key."""

    first: np.ndarray | None = None
    same: int = 0
    brightest: int = 0
    blank: int = 0
    depth: list[np.ndarray] = field(default_factory=list)
    without_depth: int = 0
    beyond: list[tuple[int, float]] = field(default_factory=list)


def _equal_steps(values: np.ndarray, first: np.ndarray) -> int:
    """The number of steps that equal the first one; NaN equals NaN."""
    # Nearly always the last one differs, and tells that at once.
    if not np.array_equal(values[-1:], first, equal_nan=values.dtype.kind == "f"):
        return 0
    same = values == first
    if values.dtype.kind == "f":
        if not np.isfinite(first).any():
            return 0  # no reading at all
        same |= (values != values) & (first != first)
    return int(same.reshape(len(values), -1).all(axis=1).sum())


def _measured(depth: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """bool (t,): whether an image (t, h, w) has a reading."""
    with np.errstate(invalid="ignore"):
        return np.asarray(((depth > limits[0]) & (depth < limits[1])).any(axis=(1, 2)))


def _largest(values: np.ndarray) -> float:
    finite = values[np.abs(values) <= np.finfo(np.float32).max]
    return float(finite[np.abs(finite).argmax()])
