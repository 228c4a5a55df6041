# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Latents ↔ sensor_msgs/Image: encoding 32FC2, height 1, width D, (mean, log-variance) a pixel.

A message with a header and a type that every tool knows: it goes into bags, message filters and
NumPy, without an interface package of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from smvae_ros.messages.cdr import write_stamp
from smvae_ros.messages.fields import MessageError, make_header, make_message
from smvae_ros.messages.serialised import NANOSECONDS
from smvae_ros.messages.types import Types

ENCODING = "32FC2"


def latent_to_message(
    mean: np.ndarray, log_variance: np.ndarray, types: Types, *, stamp_ns: int, frame_id: str
) -> Any:
    """A message with the posterior's mean (D,) and log-variance (D,).

    Args:
        mean: of q(z|X_s).
        log_variance: of q(z|X_s).
        types: lookup of message classes, ``installed_types`` or ``bag_types``.
        stamp_ns: for the header, in nanoseconds.
        frame_id: for the header.
    """
    pixels = np.stack((mean, log_variance), axis=-1).astype(np.float32)
    return make_message(
        types,
        "sensor_msgs/msg/Image",
        header=make_header(types, stamp_ns, frame_id),
        height=1,
        width=len(mean),
        encoding=ENCODING,
        is_bigendian=int(sys.byteorder == "big"),
        step=pixels.nbytes,
        data=np.frombuffer(pixels.tobytes(), dtype=np.uint8),
    )


class SerialisedLatents:
    """The same messages as bytes for a publisher, a few times as fast: from one to the next only
    the stamp and the values change, which stand at both ends.

    Attributes:
        made_for: latent size and frame_id.

    Args:
        latent_size: D.
        frame_id: for the header.
        types: lookup of message classes.
        serialise: message → CDR, as rclpy.serialization.serialize_message does.
    """

    def __init__(
        self, latent_size: int, frame_id: str, types: Types, serialise: Callable[[Any], bytes]
    ) -> None:
        zeros = np.zeros(latent_size, np.float32)
        self._bytes = bytearray(
            serialise(latent_to_message(zeros, zeros, types, stamp_ns=0, frame_id=frame_id))
        )
        size = 2 * zeros.nbytes
        self._pixels = np.frombuffer(self._bytes, np.float32, offset=len(self._bytes) - size)
        self.made_for = latent_size, frame_id

    def __call__(self, mean: np.ndarray, log_variance: np.ndarray, stamp_ns: int) -> bytes:
        """Arguments as those of :func:`latent_to_message`."""
        seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS)
        write_stamp(self._bytes, seconds, nanoseconds)
        self._pixels[0::2] = mean
        self._pixels[1::2] = log_variance
        return bytes(self._bytes)


def latent_from_message(message: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean and log-variance, float32 (D,) each.

    Raises:
        MessageError: where the message is no latent.
    """
    if message.encoding != ENCODING or message.height != 1:
        raise MessageError(
            f"not a latent: encoding {message.encoding!r} and height {message.height}, expected "
            f"{ENCODING!r} and 1; subscribe to the node's ~/latent"
        )
    byte_order = ">" if message.is_bigendian else "<"
    pixels = np.frombuffer(bytes(message.data), dtype=f"{byte_order}f4").astype(np.float32)
    if pixels.size != 2 * message.width:
        raise MessageError(
            f"latent of width {message.width} has {pixels.size} values, "
            f"expected {2 * message.width}"
        )
    return pixels[0::2], pixels[1::2]
