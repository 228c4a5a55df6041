# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Parts of all message adapters: the error, headers, and making messages of either library."""

from __future__ import annotations

import array as standard_array
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from smvae_core.modalities import Modality
from smvae_core.plausibility import LARGEST, describe_implausible
from smvae_ros.messages.serialised import (
    MAXIMUM_NAME,
    NANOSECONDS,
    SerialisedMessage,
    join_stamp,
)
from smvae_ros.messages.types import Types

MAXIMUM_TEXT = 1000
DEFAULT_QUALITY = 95  # of JPEG, as of image_transport's plugin and of OpenCV
UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"


class MessageError(ValueError):
    """A message that cannot be used. Its text says what is wrong and what to do.

    Texts quote what came over the network and go into logs and diagnostics, so they are cut, and
    what terminals would act upon is replaced.
    """

    def __init__(self, text: str) -> None:
        shown = text if len(text) <= MAXIMUM_TEXT else text[:MAXIMUM_TEXT] + " ..."
        super().__init__("".join(c if c.isprintable() else UNPRINTABLE for c in shown))


class ForeignMessage(MessageError):
    """A good message about something else, as of another arm on the same topic. Nobody is to blame
    for it, and what is known of the modality stays as it was."""


class PartialMessage(ForeignMessage):
    """A good message with a part of a reading, whose other parts are missing (yet)."""


class Options(NamedTuple):
    """Options of how a topic's messages carry a modality; see :meth:`Adapter.to_array`.

    Attributes:
        scale: readings of vectors and series are multiplied by it.
        joint_names: for JointState, the joints in the model's order.
        encoding: of images that are made.
        quality: of JPEG that is made.
        largest: absolute value of readings that a sensor can have measured, after scaling.
    """

    scale: float = 1.0
    joint_names: Sequence[str] = ()
    encoding: str = ""
    quality: int = DEFAULT_QUALITY
    largest: float = LARGEST


class Adapter(ABC):
    """One ROS message type ↔ arrays in raw units.

    rclpy's messages and those of rosbags both fit, since only fields are read.

    Attributes:
        type_name: for example ``sensor_msgs/msg/Image``.
        kinds: the kinds of modality that the type can carry.
        in_parts: whether a message may have only some values of a reading.
        has_header: whether the message begins with a std_msgs/Header.
        values: number of float64 with which the message begins after its header, if they are all
            that is read of it; 0 where it is otherwise. Such messages are read without
            deserialising them, at 1 kHz.
    """

    type_name: str
    kinds: ClassVar[Collection[str]]
    in_parts: ClassVar[bool] = False
    has_header: bool = True
    values: int = 0

    def check(self, modality: Modality, joint_names: Sequence[str]) -> None:
        """Raises MessageError where messages of this type cannot be readings of a modality, as far
        as that is known before there are any.

        Args:
            modality: what the messages shall be readings of.
            joint_names: for JointState, the joints in the model's order.
        """
        self._check_kind(modality)

    def labels(self, count: int) -> list[str]:
        """Names of the values of an array of so many; empty where they have none."""
        return []

    @property
    def for_predictions(self) -> Adapter:
        """The adapter of the type in which predictions are published: this one, unless messages of
        its type cannot carry them."""
        return self

    def to_array(
        self,
        message: Any,
        modality: Modality,
        *,
        scale: float = 1.0,
        joint_names: Sequence[str] = (),
    ) -> np.ndarray:
        """The content of one message, in raw units.

        Args:
            message: of this type, deserialised or a :class:`SerialisedMessage`.
            modality: what the message is a reading of.
            scale: readings of vectors and series are multiplied by it. Images ignore it.
            joint_names: for JointState, the joints in the model's order.

        Returns:
            image uint8 (H, W, 3) RGB, or of one channel (H, W, 1), float32 where the modality has
            a minimum; depth float32 (H, W) and scans (n,) in metres, NaN where nothing was
            measured; vectors and single readings of a series float32 (n,), NaN for joints that are
            not in the message. Images may be a read-only view of the message's memory.

        Raises:
            ForeignMessage: for a good message about something else.
            MessageError: whatever is wrong with the message; nothing else.
        """
        self._check_kind(modality)
        options = Options(scale, joint_names, largest=modality.largest)
        try:
            if isinstance(message, SerialisedMessage):
                if self.values and message.is_plain:
                    return self._from_values(message.values(self.values), options)
                message = self._open(message)
            return self._to_array(message, modality, options)
        except MessageError as error:
            raise type(error)(f"{modality.name}: {error}") from error.__cause__
        except Exception as error:  # whatever sits in a broken message, the node must survive it
            raise MessageError(
                f"{modality.name}: not a readable {self.type_name} "
                f"({type(error).__name__}: {error}); check its publisher"
            ) from error

    def to_message(
        self,
        array: np.ndarray,
        modality: Modality,
        types: Types,
        *,
        stamp_ns: int = 0,
        frame_id: str = "",
        scale: float = 1.0,
        joint_names: Sequence[str] = (),
        encoding: str = "",
        quality: int = DEFAULT_QUALITY,
    ) -> Any:
        """A message that carries an array in raw units; undoes :meth:`to_array`.

        Args:
            array: as :meth:`to_array` returns it. Of a series (samples, channels) the newest
                reading is sent.
            modality: what the array is a reading of.
            types: lookup of message classes: ``installed_types`` or ``bag_types``.
            stamp_ns: for the header, in nanoseconds.
            frame_id: for the header.
            scale: what :meth:`to_array` multiplies by; here values are divided by it.
            joint_names: for JointState, the names of the joints.
            encoding: for images; by default rgb8, mono8, 32FC1 of values with a minimum, and 16UC1
                (millimetres) of depth; compressed JPEG and PNG, or compressedDepth.
            quality: of JPEG, 1 to 100.

        Raises:
            MessageError: where array, modality and message type do not fit each other.
        """
        self._check_kind(modality)
        header = make_header(types, stamp_ns, frame_id)
        options = Options(scale, joint_names, encoding, quality)
        try:
            return self._to_message(np.asarray(array), modality, types, header, options)
        except MessageError as error:
            raise MessageError(f"{modality.name}: {error}") from error.__cause__

    def _check_kind(self, modality: Modality) -> None:
        if modality.kind not in self.kinds:
            raise MessageError(
                f"{modality.name}: {self.type_name} cannot carry a modality of kind "
                f"{modality.kind}, only {' or '.join(sorted(self.kinds))}; "
                "configure another message type"
            )

    def _open(self, message: SerialisedMessage) -> Any:
        """The part of a serialised message that :meth:`_to_array` reads."""
        return message.message()

    def _from_values(self, values: tuple[float, ...], options: Options) -> np.ndarray:
        """As :meth:`_to_array`, of a type with :attr:`values`."""
        raise NotImplementedError

    @abstractmethod
    def _to_array(self, message: Any, modality: Modality, options: Options) -> np.ndarray: ...

    @abstractmethod
    def _to_message(
        self, array: np.ndarray, modality: Modality, types: Types, header: Any, options: Options
    ) -> Any: ...


def stamp_ns(message: Any) -> int | None:
    """header.stamp in nanoseconds; None for types without a header, for stamps that were never set
    (zero or negative), and for those that are no time."""
    try:
        stamp = message.header.stamp
        return join_stamp(int(stamp.sec), int(stamp.nanosec))
    except (AttributeError, TypeError, ValueError, OverflowError):
        return None


def frame_id(message: Any) -> str:
    """header.frame_id, cut where it is absurdly long; empty for types without a header."""
    return str(getattr(getattr(message, "header", None), "frame_id", ""))[:MAXIMUM_NAME]


def make_message(types: Types, type_name: str, /, **fields: Any) -> Any:
    """A message with all its fields given; rosbags' classes have no defaults.

    Sequences of numbers are given as NumPy arrays. rclpy keeps those of variable length in an
    ``array.array``, which is filled from memory: assigning an array instead would check and copy it
    element by element (111 ms for a 640x480 image, against 0.03 ms).
    """
    message_class = types(type_name)
    if not hasattr(message_class, "get_fields_and_field_types"):
        return message_class(**fields)
    message = message_class()
    for name, value in fields.items():
        kept = getattr(message, name)
        if isinstance(kept, standard_array.array) and isinstance(value, np.ndarray):
            contiguous = np.ascontiguousarray(value, dtype=kept.typecode)
            kept.frombytes(contiguous.data.cast("B"))
        else:
            of_bool = isinstance(kept, list) and isinstance(value, np.ndarray)
            setattr(message, name, value.tolist() if of_bool else value)
    return message


def make_stamp(types: Types, nanoseconds: int) -> Any:
    """builtin_interfaces/Time."""
    seconds, remainder = divmod(int(nanoseconds), NANOSECONDS)
    return make_message(types, "builtin_interfaces/msg/Time", sec=seconds, nanosec=remainder)


def make_header(types: Types, nanoseconds: int, frame: str) -> Any:
    """std_msgs/Header."""
    return make_message(
        types, "std_msgs/msg/Header", stamp=make_stamp(types, nanoseconds), frame_id=frame
    )


def plausible_vector(
    values: Sequence[float], options: Options, name: Callable[[int], str]
) -> np.ndarray:
    """``values`` times ``options.scale`` as float32.

    Args:
        values: of a message.
        options: of the topic.
        name: of the value at a place, for an error.

    Raises:
        MessageError: for NaN and infinite values, and those that no sensor measures.
    """
    scale, largest = options.scale, options.largest
    scaled = [float(value) * scale for value in values]
    for value in scaled:
        if not -largest <= value <= largest:
            raise MessageError(_describe_bad(scaled, name, largest))
    return np.array(scaled, dtype=np.float32)


def _describe_bad(values: Sequence[float], name: Callable[[int], str], largest: float) -> str:
    bad = [place for place, value in enumerate(values) if not math.isfinite(value)]
    if bad:
        others = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        return f"{name(bad[0])}{others} has NaN or infinite values; check the sensor or its driver"
    worst = max(range(len(values)), key=lambda place: abs(values[place]))
    return describe_implausible(name(worst), values[worst], largest)


def newest_reading(array: np.ndarray, length: int, scale: float) -> list[float]:
    """The last row of a series, or a vector itself, divided by ``scale``, as plain floats."""
    reading = array[-1] if array.ndim == 2 else array
    if reading.shape != (length,):
        raise MessageError(f"expected {length} values, got an array of shape {array.shape}")
    return (reading.astype(np.float64) / scale).tolist()
