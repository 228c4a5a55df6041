# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Where the observations of a modality come from: topic and message adapter with its options.

The node and offline tools turn messages into the model's input here, and so cannot differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from smvae_core.modalities import Modality
from smvae_core.preprocessing import prepare
from smvae_ros.messages.fields import Adapter
from smvae_ros.messages.serialised import SerialisedMessage
from smvae_ros.messages.types import Types
from smvae_ros.sensors.correction import NO_ROTATION, NO_ZERO, Correction, find_correction
from smvae_ros.sensors.parts import Part

DECODED_LATE = ("image", "depth")  # kinds that are decoded only if a snapshot uses them


@dataclass(frozen=True)
class TopicInput:
    """One modality's input.

    Attributes:
        modality: what is observed.
        topic: as configured; empty where nothing shall be subscribed.
        adapter: of the topic's message type.
        scale: readings of vectors and series are multiplied by it.
        joint_names: for JointState, the joints in the model's order.
        zero: what the sensor says where it should say 0, in the unit of messages: one value for
            all, or one for each.
        rotation: quaternion x y z w, from the sensor's axes to those of the training.
        frame_id: that messages should have; empty where any is right.
        correction: of readings, by zero and rotation; None where there is none to be made.

    Raises:
        MessageError: where the messages cannot be readings of the modality: another kind of it, or
            another number of values.
        ValueError: where zero or rotation and the modality do not fit each other.
    """

    modality: Modality
    topic: str
    adapter: Adapter
    scale: float = 1.0
    joint_names: tuple[str, ...] = ()
    zero: tuple[float, ...] = NO_ZERO
    rotation: tuple[float, ...] = NO_ROTATION
    frame_id: str = ""
    correction: Correction | None = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        self.adapter.check(self.modality, self.joint_names)
        count = self.modality.shape[0]
        correction = find_correction(
            self.modality.name,
            self.adapter.labels(count),
            count,
            self.zero,
            self.rotation,
            self.scale,
        )
        object.__setattr__(self, "correction", correction)

    def reader(self, deserialise: Callable[[bytes], Any]) -> Callable[[bytes], SerialisedMessage]:
        """Takes a message as it came over the wire or lies in a bag; deserialised is only what has
        to be."""
        return partial(
            SerialisedMessage, deserialise=deserialise, has_header=self.adapter.has_header
        )

    def incoming(self, message: Any) -> Any:
        """What :meth:`SensorSet.store` is given. Of images, which take long to decode, the message
        itself, serialised or not, which is decoded only if a snapshot uses it; of others the
        :meth:`reading`.

        Raises:
            ForeignMessage: for a message about something else.
            MessageError, ValueError: for an unusable one.
        """
        return message if self.modality.kind in DECODED_LATE else self.reading(message)

    def reading(self, message: Any) -> np.ndarray | Part:
        """The prepared array of a message, of a series the reading (channels,); where it has only
        some of the joints, those.

        Raises:
            ForeignMessage: for a message about something else.
            MessageError, ValueError: for an unusable one.
        """
        array = self.decode(message)
        if self.adapter.in_parts and np.isnan(array).any():
            return Part(array, self.joint_names * (len(array) // len(self.joint_names)))
        return array if self.modality.kind == "series" else prepare(self.modality, array)

    def decode(self, message: Any) -> np.ndarray:
        """The reading in raw units of a message, serialised or not, by the zero and in the axes of
        the training.

        Raises:
            MessageError: for an unusable message.
        """
        array = self.adapter.to_array(
            message, self.modality, scale=self.scale, joint_names=self.joint_names
        )
        return array if self.correction is None else self.correction.apply(array)

    def encode(self, adapter: Adapter, array: np.ndarray, types: Types, **header: Any) -> Any:
        """A message of what :meth:`decode` returns, or of a whole series: as the sensor itself
        would send it, by its own zero and in its own axes.

        Args:
            adapter: of the message's type, which need not be that of the topic.
            array: in raw units.
            types: lookup of message classes.
            header: as :meth:`Adapter.to_message` takes it.

        Raises:
            MessageError: where array and message type do not fit each other.
        """
        if self.correction is not None:
            array = self.correction.undo(array)
        return adapter.to_message(
            array,
            self.modality,
            types,
            scale=self.scale,
            joint_names=self.joint_names,
            **header,
        )
