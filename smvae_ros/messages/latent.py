"""Latents ↔ sensor_msgs/Image: encoding 32FC2, height 1, width D, (mean, log-variance) a pixel.

A message with a header and a type that every tool knows: it goes into bags, message filters and
NumPy, without an interface package of its own.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from smvae_ros.messages.fields import MessageError, make_header, make_message
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
