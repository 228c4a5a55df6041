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

_PLANAR_TWIST = 4  # values: linear x y z, angular z
NO_ZERO = (0.0,)
NO_ROTATION = (0.0, 0.0, 0.0, 1.0)
# Of a quaternion's length from 1: tf2_echo prints three decimals, as people then paste them.
_ROUNDING = 0.01


class Correction:
    """See the module's description.

    Args:
        name: of the modality, for messages.
        type_name: of the message type.
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
        type_name: str,
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
        self._matrix = _matrix(name, type_name, count, rotation) if turned else None

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
    type_name: str,
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
    correction = Correction(name, type_name, count, zero, rotation, scale)
    return correction if any(zero) or tuple(rotation) != NO_ROTATION else None


def check_quaternion(values: Sequence[float]) -> str | None:
    """The fault of a parameter's value, in words, or None."""
    if len(values) != 4 or not abs(math.hypot(*values) - 1.0) <= _ROUNDING:
        return "must be a quaternion x y z w of length 1, as `ros2 run tf2_ros tf2_echo` prints it"
    return None


def _matrix(name: str, type_name: str, count: int, rotation: Sequence[float]) -> np.ndarray:
    """(count, count) float32, of one vector or two."""
    if problem := check_quaternion(rotation):
        raise ValueError(f"{name}.rotation {problem}, but is {list(rotation)}")
    turn = _rotation_matrix(rotation)
    if count == _PLANAR_TWIST and type_name.startswith("geometry_msgs/msg/Twist"):
        if turn[2, 2] < 1.0 - 1e-6:
            raise ValueError(
                f"{name}.rotation: {name} has of a twist only linear x y z and angular z, which "
                "can be turned about z alone"
            )
        matrix = np.eye(_PLANAR_TWIST)
        matrix[:3, :3] = turn
    elif count in (3, 6) and type_name != "sensor_msgs/msg/JointState":
        matrix = np.kron(np.eye(count // 3), turn)
    else:
        raise ValueError(
            f"{name}.rotation turns one vector or two, 3 or 6 values, and {name} has {count} of "
            f"{type_name}: leave it out"
        )
    return matrix.astype(np.float32)


def _rotation_matrix(quaternion: Sequence[float]) -> np.ndarray:
    """(3, 3): v in the frame that the quaternion is given in, of v in the one that it describes."""
    x, y, z, w = np.array(quaternion) / math.hypot(*quaternion)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + 2 * w * cross + 2 * cross @ cross
