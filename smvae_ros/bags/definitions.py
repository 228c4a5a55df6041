# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Message types of a bag: by the definition that it carries, or by the one that is known here."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from smvae_ros.bags.storage import Definition
from smvae_ros.messages.definitions import stored_definition
from smvae_ros.messages.types import (
    bag_typestore,
    define_for_bags,
    full_type_name,
)

log = logging.getLogger(__name__)

_RULE = "=" * 80 + "\n"
_IDL = ("ros2idl", "omgidl")
NO_HASH = "INVALID"  # what ROS 2 calls the hash of a type whose description it does not have


def make_typestore(type_name: str, definitions: Iterable[Definition]) -> Typestore:
    """A store that has the type and all it is made of.

    Args:
        type_name: for example ``sensor_msgs/msg/Image``.
        definitions: of the type, as the bag carries them; the first that can be parsed counts. Bags
            from before Iron carry none; the common interfaces are still the same.

    Raises:
        ValueError: where none can be parsed, and the type is not known here either.
    """
    reasons = []
    for definition in dict.fromkeys(definitions):
        try:
            return _parse(type_name, definition)
        except Exception as error:  # rosbags' parsers raise more than they say
            reasons.append(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
    try:
        define_for_bags(full_type_name(type_name))
    except ValueError as error:
        if not reasons:
            raise
        raise ValueError(
            f"the definition of {type_name} in the bag cannot be parsed ({reasons[0]}), and there "
            f"is none here: {error}"
        ) from error
    if reasons:
        log.warning(
            "the bag's definition of %s cannot be parsed (%s); the one that is known here is used",
            type_name,
            reasons[0],
        )
    return bag_typestore()


def text_and_hash(type_name: str, definition: Definition | None) -> tuple[str, str]:
    """Definition of a type, and its hash, as rosbags' writer takes them.

    Args:
        type_name: for example ``sensor_msgs/msg/Image``.
        definition: to write as it is; the one that is known here by default.
    """
    if definition is None:
        text, _ = bag_typestore().generate_msgdef(type_name, ros_version=2)
        return text, bag_typestore().hash_rihs01(type_name)
    text = definition.text
    if definition.encoding in _IDL and not text.startswith(_RULE):  # by which the writer tells it
        text = f"{_RULE}IDL: {type_name}\n{text}"
    try:
        return text, _parse(type_name, definition).hash_rihs01(type_name)
    except Exception:  # as in make_typestore
        return text, NO_HASH


def _parse(type_name: str, definition: Definition) -> Typestore:
    store = get_typestore(Stores.EMPTY)
    if definition.encoding in _IDL:
        for part in _idl_parts(definition.text):
            store.register(get_types_from_idl(part))
    elif definition.encoding == "ros2msg":
        store.register(get_types_from_msg(definition.text, type_name))
    else:
        raise ValueError(f"it is written in {definition.encoding!r}")
    stored_definition(store, type_name)
    store.get_msgdef(type_name)
    return store


def _idl_parts(text: str) -> list[str]:
    """The single definitions in an IDL text, each complete. rosbag2 begins each with a rule and its
    name; what a definition includes stands beside it."""
    parts = [text]
    if text.startswith(_RULE):
        parts = [part.split("\n", 1)[1] for part in text.split(_RULE)[1:]]
    return [
        "\n".join(line for line in part.splitlines() if not line.lstrip().startswith("#"))
        for part in parts
    ]
