# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The posterior in the message types of tools that do not read ``~/latent``.

``tensor_msgs/ExperimentalTensor``   for programs that take tensors (DLPack); ROS 2 Lyrical has it
``smvae_interfaces/Latent``          with the sensors that it was made of; built from this checkout
``sensor_msgs/JointState``           for plots

Of the common types the last is the only one of numbers with a stamp and a name for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from smvae_ros.messages.fields import make_header, make_message
from smvae_ros.messages.types import Types

TENSOR_TYPE = "tensor_msgs/msg/ExperimentalTensor"
LATENT_TYPE = "smvae_interfaces/msg/Latent"
PLOT_TYPE = "sensor_msgs/msg/JointState"
_DLPACK_FLOAT = 2  # DLDataTypeCode


def latent_tensor(mean: np.ndarray, log_variance: np.ndarray, types: Types) -> Any:
    """A float32 tensor of (2, D): mean and log-variance. Its type has no header, and so no stamp.

    Args:
        mean: of q(z|X_s), (D,).
        log_variance: of q(z|X_s), (D,).
        types: lookup of message classes, ``installed_types`` or ``bag_types``.
    """
    rows = np.stack((mean, log_variance)).astype(np.float32)
    return make_message(
        types,
        TENSOR_TYPE,
        dtype_code=_DLPACK_FLOAT,
        dtype_bits=32,
        dtype_lanes=1,
        shape=np.array(rows.shape, np.int64),
        strides=np.empty(0, np.int64),  # row by row, without gaps
        byte_offset=0,
        data=rows.reshape(-1).view(np.uint8),
    )


def latent_with_sources(
    mean: np.ndarray,
    log_variance: np.ndarray,
    modalities: Sequence[str],
    ages: Mapping[str, float],
    model_hash: str,
    types: Types,
    *,
    stamp_ns: int,
    frame_id: str,
) -> Any:
    """The posterior with what it was made of.

    Args:
        mean: of q(z|X_s), (D,).
        log_variance: of q(z|X_s), (D,).
        modalities: all of the model, in its order.
        ages: of those that it was made of, in seconds.
        model_hash: of the model's weights.
        types: lookup of message classes, ``installed_types`` or ``bag_types``.
        stamp_ns: for the header, in nanoseconds.
        frame_id: for the header.
    """
    return make_message(
        types,
        LATENT_TYPE,
        header=make_header(types, stamp_ns, frame_id),
        model_hash=model_hash,
        mean=np.asarray(mean, np.float32),
        log_variance=np.asarray(log_variance, np.float32),
        modalities=list(modalities),
        present=np.array([name in ages for name in modalities], bool),
        ages=np.array([ages.get(name, np.nan) for name in modalities], np.float32),
    )


def latent_plot(mean: np.ndarray, types: Types, *, stamp_ns: int, frame_id: str) -> Any:
    """The mean (D,) as positions of z0, z1, ...; other arguments as in
    :func:`latent_with_sources`."""
    return make_message(
        types,
        PLOT_TYPE,
        header=make_header(types, stamp_ns, frame_id),
        name=[f"z{place}" for place in range(len(mean))],
        position=np.asarray(mean, np.float64),
        velocity=np.empty(0),
        effort=np.empty(0),
    )
