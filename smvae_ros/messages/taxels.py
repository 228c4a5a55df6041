# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Arrays of std_msgs, which may also be a picture of one channel, row by row: a tactile pad."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from smvae_core.modalities import Modality
from smvae_ros.messages.fields import MessageError
from smvae_ros.messages.images import values_of
from smvae_ros.messages.numbers import KINDS, NumbersAdapter
from smvae_ros.messages.types import Types


class TaxelsAdapter(NumbersAdapter):
    """std_msgs/Float32MultiArray and its like ↔ what :class:`NumbersAdapter` makes of them, or one
    channel float32 (h, w, 1) in the unit of the modality's minimum and maximum.

    The layout is not looked at: many publishers leave it empty.
    """

    kinds = (*KINDS, "image")

    def check(self, modality: Modality, joint_names: Any) -> None:
        super().check(_flat(modality), joint_names)

    def to_array(self, message: Any, modality: Modality, **options: Any) -> np.ndarray:
        array = super().to_array(message, _flat(modality), **options)
        return array.reshape(modality.raw_shape) if modality.kind == "image" else array

    def to_message(
        self, array: np.ndarray, modality: Modality, types: Types, **options: Any
    ) -> Any:
        flat = _flat(modality)
        if modality.kind == "image":
            array = values_of(np.asarray(array), modality).reshape(-1)
        return super().to_message(array, flat, types, **options)


@functools.cache
def _flat(modality: Modality) -> Modality:
    """The vector of an image's values; other modalities as they are.

    Raises:
        MessageError: for an image whose values have no unit.
    """
    if modality.kind != "image":
        return modality
    if modality.shape[0] > 1 or modality.minimum is None:
        raise MessageError(
            f"{modality.name}: an array of numbers can only be an image of one channel with a "
            "minimum and a maximum; configure another message type"
        )
    return Modality(modality.name, "vector", (math.prod(modality.shape),))
