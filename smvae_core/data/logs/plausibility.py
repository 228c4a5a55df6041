# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Values of a log that its sensors cannot have measured, and the likely cause.

What is said here is said once for each file, key and cause. Only single readings beyond all reason
are left out (:func:`plausible_steps`): one force of 1e30 would make the standard deviation 3e28 and
all others zero. The rest is for a person to decide.
"""

from __future__ import annotations

import numpy as np

from smvae_core.data.logs.log_file import LogFile
from smvae_core.data.logs.recording import Problem
from smvae_core.plausibility import ADVICE, LARGEST

_ENOUGH = 10  # steps of a file, before it is strange that a sensor gives the same in all of them
_SHARE = 0.5  # of a file's depth images without any reading: more is no matter of a few holes
_NEAREST, _FARTHEST = 1e-7, 2.0  # m, see `docs/reference/logs.md`
_SPARSE = 8  # of an image every so many-th row and column is looked at first
_BLOCKS = 20  # from which the median of the depth is taken
_MILLIMETRES = (50.0, 20_000.0)  # where the median of a camera's depth lies, if it is in them
# A reading is beyond reason if it lies this many times farther from the median than nearly all of
# the others around it, or than what these keys hold in N, N·m, m and rad, whichever is more.
_BEYOND = 100.0
_NEARLY_ALL = 0.95
_USUAL = {"ee_forces_continuous": 10.0, "action": 1.0, "proprio": 10.0}


def finite_steps(array: np.ndarray) -> np.ndarray:
    """(t, ...) -> bool (t,): whether a step holds no NaN, no infinity, nothing beyond float32."""
    values = array.reshape(len(array), -1)
    if array.dtype.kind != "f":
        return np.ones(len(array), bool)
    # NaN compares as False, so one comparison finds NaN, infinity and overflow alike.
    return (np.abs(values) <= np.finfo(np.float32).max).all(axis=1)


def plausible_steps(key: str, values: np.ndarray) -> np.ndarray:
    """bool (t,): whether a step's readings can be true, judged by the steps around it.

    Args:
        values: (t, n) or (t, readings, n) of one key, a few dozen steps in a row. NaN and infinite
            values are not judged.
    """
    if key not in _USUAL:
        return np.ones(len(values), bool)
    usual = _USUAL[key]
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


class FileCheck:
    """Judges one file from its values, which are shown in blocks of steps."""

    def __init__(self, log_file: LogFile) -> None:
        self._file = log_file
        self._first: dict[str, np.ndarray] = {}
        self._same: dict[str, int] = {}
        self._brightest = 0
        self._blank = 0
        self._depth: list[np.ndarray] = []
        self._without_depth = 0
        self._beyond: dict[str, list[tuple[int, float]]] = {}

    def add(self, key: str, start: int, values: np.ndarray) -> np.ndarray:
        """Looks at the steps from `start` on of one key, in the layout of `LogFile.read`; returns
        `plausible_steps` of them."""
        if key in ("image", "depth_data", "ee_forces_continuous"):
            first = self._first.setdefault(key, values[:1])
            same = _equal_steps(values, first)
            self._same[key] = self._same.get(key, 0) + same
        # A few pixels tell nearly always; all are looked at where those are not enough.
        if key == "image":
            sparse = values[:, ::_SPARSE, ::_SPARSE].reshape(len(values), -1)
            if self._brightest <= 1:
                self._brightest = int(sparse.max() if sparse.max() > 1 else values.max())
            flat = values[(sparse.max(axis=1) == sparse.min(axis=1))]
            self._blank += int((flat.max(axis=(1, 2, 3)) == flat.min(axis=(1, 2, 3))).sum())
        elif key == "depth_data":
            sparse = values[:, ::_SPARSE, ::_SPARSE]
            if len(self._depth) < _BLOCKS:
                self._depth.append(sparse[np.isfinite(sparse) & (sparse > _NEAREST)])
            doubtful = values[~_measured(sparse)]
            self._without_depth += int((~_measured(doubtful)).sum())
        plausible = plausible_steps(key, values)
        for step in np.flatnonzero(~plausible):
            self._beyond.setdefault(key, []).append((start + int(step), _largest(values[step])))
        return plausible

    def problems(self) -> list[Problem]:
        """The strange things about the file; it can be used all the same."""
        found = [*self._of_depth(), *self._of_images(), *self._out_of_reason()]
        # A sensor that gives nothing gives the same, too.
        spoken = {problem.key for problem in found}
        found += [problem for problem in self._stuck() if problem.key not in spoken]
        return found

    def _of_depth(self) -> list[Problem]:
        steps = self._file.steps
        if self._without_depth <= _SHARE * steps:
            return []
        values = np.concatenate(self._depth)
        range_text = f"readings of up to {_FARTHEST:g} m"
        count = f"{self._without_depth} of {steps} images"
        if not len(values):
            cause = "check the camera, and that the recorder took its depth topic"
            return [self._problem("depth_data", range_text, f"none in {count}", cause)]
        middle = float(np.median(values))
        if _MILLIMETRES[0] <= middle <= _MILLIMETRES[1]:
            cause = "it is probably in millimetres: divide it by 1000"
        else:
            cause = "farther away counts as not measured; check the camera and the unit"
        found = f"none in {count}, whose values are around {middle:.3g}"
        return [self._problem("depth_data", range_text, found, cause)]

    def _of_images(self) -> list[Problem]:
        steps = self._file.steps
        if self._brightest == 1:
            cause = "probably values of 0..1 were stored as whole numbers: multiply by 255 before"
            return [self._problem("image", "values of 0 to 255", "only 0 and 1", cause)]
        if self._blank:
            cause = "the camera was off or covered, or the recorder wrote no picture there"
            found = f"{self._blank} of {steps} that are of one colour"
            return [self._problem("image", "pictures", found, cause)]
        return []

    def _out_of_reason(self) -> list[Problem]:
        problems = []
        for key, steps in self._beyond.items():
            step, value = max(steps, key=lambda entry: abs(entry[1]))
            problems.append(
                self._problem(
                    key,
                    "readings in N, m and rad",
                    f"readings beyond all reason in {len(steps)} of {self._file.steps} steps, the "
                    f"largest {value:.3g} in step {step}",
                    f"this key counts as missing there; {ADVICE}",
                )
            )
        return problems

    def _stuck(self) -> list[Problem]:
        causes = {
            "image": "the camera or its driver froze, or the recorder repeated the last picture",
            "depth_data": "the camera or its driver froze, or the recorder repeated the last image",
            "ee_forces_continuous": "the sensor is not connected, or its driver gives the last "
            "reading again",
        }
        steps = self._file.steps
        return [
            self._problem(key, "readings that change", f"the same in all {steps} steps", cause)
            for key, cause in causes.items()
            if steps >= _ENOUGH and self._same.get(key) == steps
        ]

    def _problem(self, key: str, expected: str, found: str, advice: str) -> Problem:
        return Problem(self._file.path, key, expected, found, advice, usable=True)


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


def _measured(depth: np.ndarray) -> np.ndarray:
    """bool (t,): whether an image (t, h, w) has a reading."""
    with np.errstate(invalid="ignore"):
        return np.asarray(((depth > _NEAREST) & (depth < _FARTHEST)).any(axis=(1, 2)))


def _largest(values: np.ndarray) -> float:
    finite = values[np.abs(values) <= np.finfo(np.float32).max]
    return float(finite[np.abs(finite).argmax()])
