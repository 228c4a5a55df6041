# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A rotation as a quaternion ↔ as the first two columns of its matrix, which never jump.

Zhou, Barnes, Lu, Yang, Li: *On the Continuity of Rotation Representations in Neural Networks*, CVPR
2019.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from smvae_ros.messages.fields import MessageError

TOLERANCE = 0.01  # of a quaternion's length, as tf2 has it


def check_quaternion(quaternion: Sequence[float], what: str) -> None:
    """Raises MessageError where x, y, z, w are no rotation."""
    length = math.sqrt(sum(float(value) ** 2 for value in quaternion))
    if not abs(length - 1.0) <= TOLERANCE:
        raise MessageError(
            f"{what} is a quaternion of length {length:.3g}, which is no rotation (it must be 1): "
            "its publisher does not measure it, or does not normalise it"
        )


def to_six(quaternion: Sequence[float]) -> list[float]:
    """x, y, z, w → the first column of the rotation matrix, then the second."""
    x, y, z, w = quaternion
    two = 2.0 / (x * x + y * y + z * z + w * w)
    return [
        1.0 - two * (y * y + z * z),
        two * (x * y + z * w),
        two * (x * z - y * w),
        two * (x * y - z * w),
        1.0 - two * (x * x + z * z),
        two * (y * z + x * w),
    ]


def from_six(six: Sequence[float]) -> list[float]:
    """The inverse of :func:`to_six`, w not negative. Columns that are not quite of length 1 or at
    right angles, as a prediction's, are made so, beginning with the first; no rotation becomes of
    those that have no direction."""
    first, second = np.asarray(six, dtype=np.float64).reshape(2, 3)
    length = np.linalg.norm(first)
    first = first / length if length > 0 else first
    second = second - (first @ second) * first
    across = np.linalg.norm(second)
    if not (length > 0 and across > 0):
        return [0.0, 0.0, 0.0, 1.0]
    second = second / across
    m = np.stack([first, second, np.cross(first, second)], axis=1)
    # Four times the products of x, y, z, w with each other: each row is the quaternion times one
    # of them, and that of the largest counts (Shepperd 1978).
    trace = np.trace(m)
    products = np.empty((4, 4))
    products[:3, :3] = m + m.T + (1.0 - trace) * np.eye(3)
    products[3, :3] = products[:3, 3] = m[[2, 0, 1], [1, 2, 0]] - m[[1, 2, 0], [2, 0, 1]]
    products[3, 3] = 1.0 + trace
    quaternion = products[int(products.diagonal().argmax())]
    quaternion = quaternion / np.linalg.norm(quaternion)
    return (quaternion if quaternion[3] >= 0 else -quaternion).tolist()
