# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Another zero, and other axes, than the sensor of the training had.

A force sensor drifts, and somebody mounts it turned by 90°. What the model is given then is
R (x − zero): readings as the training's sensor would have given them. Both are a matter of axes
alone: the point that torques are about stays where it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from smvae_ros.messages.field_names import SIX
from smvae_ros.messages.rotations import TOLERANCE, to_six

NO_ZERO = (0.0,)
NO_ROTATION = (0.0, 0.0, 0.0, 1.0)


class Correction:
    """See the module's description.

    Args:
        name: of the modality, for messages.
        labels: names of the values of a reading, such as ``wrench.force.x``, which tell vectors;
            empty where they have none.
        count: of values in a reading.
        zero: in the unit of messages: one value for all, or one for each.
        rotation: quaternion x y z w of the rotation that takes vectors from the sensor's axes to
            those of the training.
        scale: that readings were multiplied by already.

    Raises:
        ValueError: where they do not fit the reading.
    """

    def __init__(
        self,
        name: str,
        labels: Sequence[str],
        count: int,
        zero: Sequence[float],
        rotation: Sequence[float],
        scale: float = 1.0,
    ) -> None:
        if len(zero) not in (1, count):
            raise ValueError(
                f"{name}.zero has {len(zero)} values, but {name} has {count}: give one for each, "
                "or one for all"
            )
        self._scale = scale
        self._zero = (scale * np.resize(np.array(zero), count)).astype(np.float32)
        turned = tuple(rotation) != NO_ROTATION
        self._matrix = _matrix(name, labels, count, rotation) if turned else None

    def apply(self, readings: np.ndarray) -> np.ndarray:
        """Readings (..., count), scaled, as the sensor of the training would have given them."""
        readings = readings - self._zero
        return readings if self._matrix is None else readings @ self._matrix.T

    def undo(self, readings: np.ndarray) -> np.ndarray:
        """The inverse of :meth:`apply`."""
        if self._matrix is not None:
            readings = readings @ self._matrix
        return readings + self._zero

    def measured(self, readings: np.ndarray) -> np.ndarray:
        """Readings (..., count) that were corrected, as they stand in messages."""
        return self.undo(readings.astype(np.float64)) / self._scale


def find_correction(
    name: str,
    labels: Sequence[str],
    count: int,
    zero: Sequence[float],
    rotation: Sequence[float],
    scale: float,
) -> Correction | None:
    """The correction of these arguments of :class:`Correction`; None where it changes nothing, so
    that nothing has to be done at 1 kHz.

    Raises:
        ValueError: as there.
    """
    correction = Correction(name, labels, count, zero, rotation, scale)
    return correction if any(zero) or tuple(rotation) != NO_ROTATION else None


def check_quaternion(values: Sequence[float]) -> str | None:
    """The fault of a parameter's value, in words, or None."""
    if len(values) != 4 or not abs(math.hypot(*values) - 1.0) <= TOLERANCE:
        return "must be a quaternion x y z w of length 1, as `ros2 run tf2_ros tf2_echo` prints it"
    return None


def _matrix(name: str, labels: Sequence[str], count: int, rotation: Sequence[float]) -> np.ndarray:
    """(count, count) float32: turns all vectors in a reading."""
    if problem := check_quaternion(rotation):
        raise ValueError(f"{name}.rotation {problem}, but is {list(rotation)}")
    turn, matrix, place = _rotation_matrix(rotation), np.eye(count), 0
    bare = all(label.endswith("]") for label in labels)  # of an array, without names
    if labels and bare and count in (3, 6):
        labels = [f"{place // 3}.{axis}" for place in range(0, count, 3) for axis in "xyz"]
    while place < count:
        if _is_vector(labels[place : place + 3]):
            matrix[place : place + 3, place : place + 3] = turn
            place += 3
        elif labels and labels[place].endswith(".z") and turn[2, 2] > 1.0 - 1e-6:
            place += 1  # about z, it stays as it is without x and y
        else:
            raise ValueError(
                f"{name}.rotation: {labels[place] if labels else name} is no part of a vector x y "
                "z that could be turned (a z alone can about z): name whole vectors in "
                f"{name}.fields, or leave the rotation out"
            )
    return matrix.astype(np.float32)


def _is_vector(labels: Sequence[str]) -> bool:
    """Whether three values are x y z of one vector, or a column of a rotation matrix."""
    stems = {label.removesuffix(f".{axis}") for label, axis in zip(labels, "xyz", strict=False)}
    ends = all(label.endswith(f".{axis}") for label, axis in zip(labels, "xyz", strict=False))
    return len(labels) == 3 and len(stems) == 1 and (ends or labels[0].endswith(SIX))


def _rotation_matrix(quaternion: Sequence[float]) -> np.ndarray:
    """(3, 3): v in the frame that the quaternion is given in, of v in the one that it describes."""
    first, second = np.reshape(to_six(quaternion), (2, 3))
    return np.stack([first, second, np.cross(first, second)], axis=1)
