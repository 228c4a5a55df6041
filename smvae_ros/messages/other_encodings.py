# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Images of encodings that only cv_bridge knows: what its newer versions add."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from smvae_ros.messages.fields import MessageError


def through_cv_bridge(message: Any, known: str) -> np.ndarray:
    """RGB uint8 (H, W, 3) of a sensor_msgs/Image.

    Args:
        message: the whole one.
        known: the encodings that need no cv_bridge, in words.

    Raises:
        MessageError: where cv_bridge is not installed, or does not know the encoding either.
    """
    encoding = str(message.encoding)
    bridge = _bridge()
    if bridge is None:
        raise MessageError(
            f"encoding {encoding!r} is unknown; have the image's publisher name what it is, one of "
            f"{known}, or install cv_bridge, which may know it (ros-$ROS_DISTRO-cv-bridge)"
        )
    try:
        image = np.asarray(bridge.imgmsg_to_cv2(message, desired_encoding="rgb8"))
    except Exception as error:  # cv_bridge passes on whatever its C++ part throws
        raise MessageError(
            f"cv_bridge cannot convert encoding {encoding!r} to rgb8 ({error}); have the image's "
            f"publisher use one of {known}"
        ) from error
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise MessageError(f"cv_bridge made {image.dtype} {image.shape} of encoding {encoding!r}")
    return image


@cache
def _bridge() -> Any:
    """A CvBridge of ROS 2, or None. cv-bridge 1.x on PyPI is ROS 1 code: it ignores row padding and
    fails with NumPy 2."""
    from importlib import metadata

    try:
        if metadata.version("cv_bridge").split(".")[0] == "1":
            return None
    except metadata.PackageNotFoundError:
        pass  # an installation without Python metadata is no reason to refuse it
    try:
        from cv_bridge import CvBridge

        return CvBridge()
    except Exception:  # broken installations raise more than ImportError
        return None
