# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Message classes by ROS type name, from a ROS installation or from rosbags.

The adapters in :mod:`smvae_ros.messages` make messages of either kind; which one they make is
decided by the lookup that they are given: :func:`installed_types` for publishers,
:func:`bag_types` for bags.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

Types = Callable[[str], type]

SURPLUS = (4, 8, 12)  # bytes, for one, two and three empty sequences


def full_type_name(type_name: str) -> str:
    """``sensor_msgs/Image`` and ``sensor_msgs/msg/Image`` → ``sensor_msgs/msg/Image``.

    Raises:
        ValueError: where the name is not ``package/Name`` or ``package/msg/Name``.
    """
    parts = type_name.split("/")
    if len(parts) == 2:
        parts.insert(1, "msg")
    if len(parts) != 3 or not all(part.isidentifier() for part in parts):
        raise ValueError(
            f"{type_name!r} is not a message type; write package/msg/Name, "
            "for example sensor_msgs/msg/Image"
        )
    return "/".join(parts)


@cache
def installed_types(type_name: str) -> Any:
    """The class that rclpy publishes and subscribes with.

    Raises:
        ValueError: where the package or the message is not installed; the message says what to do.
    """
    package, kind, name = full_type_name(type_name).split("/")
    try:
        return getattr(importlib.import_module(f"{package}.{kind}"), name)
    except ImportError as error:
        raise ValueError(
            f"message type {type_name}: {error}; install the package "
            f"(apt install ros-$ROS_DISTRO-{package.replace('_', '-')}) and source its workspace"
        ) from error
    except AttributeError as error:
        raise ValueError(
            f"message type {type_name}: package {package} is installed, but has no {name}"
        ) from error


@cache
def bag_typestore() -> Any:
    """The message definitions that bags are written with: the common interfaces as rosbags brings
    them, and what :func:`define_for_bags` added."""
    from rosbags.typesys import Stores, get_typestore

    return get_typestore(Stores.LATEST)


@cache
def bag_types(type_name: str) -> Any:
    """The class that :class:`smvae_ros.bags.BagWriter` writes.

    Raises:
        ValueError: where neither rosbags nor the installed packages define the type.
    """
    define_for_bags(type_name)
    return bag_typestore().types[full_type_name(type_name)]


def deserialise(store: Any, serialised: bytes, type_name: str) -> Any:
    """A message of rosbags' classes.

    rclpy's serialize_message, with which many bags are written, appends a few bytes to messages
    that end in empty sequences (JointState without effort), and rosbags refuses them.

    Args:
        store: of rosbags' definitions, such as :func:`bag_typestore`.
        serialised: CDR.
        type_name: for example ``sensor_msgs/msg/Image``.

    Raises:
        rosbags.serde.SerdeError: where the bytes are no such message.
    """
    from rosbags.serde import SerdeError

    try:
        return store.deserialize_cdr(serialised, type_name)
    except SerdeError:
        for surplus in SURPLUS:
            with contextlib.suppress(SerdeError):
                return store.deserialize_cdr(serialised[:-surplus], type_name)
        raise


def define_for_bags(type_name: str) -> None:
    """Makes sure that :func:`bag_typestore` has a type and all it is made of.

    What rosbags does not bring is read from ``share/<package>/msg/<Name>.msg`` of the sourced
    workspaces.

    Raises:
        ValueError: where the definition is found nowhere; the message says what to do.
    """
    from rosbags.typesys import TypesysError, get_types_from_msg

    wanted, found = [full_type_name(type_name)], {}
    while wanted:
        name = wanted.pop()
        if name in bag_typestore().fielddefs or name in found:
            continue
        try:
            definition = get_types_from_msg(_installed_definition(name), name)
        except (OSError, TypesysError) as error:
            raise ValueError(
                f"message type {name}: its definition cannot be read ({error}); "
                "source the workspace that has it"
            ) from error
        found.update(definition)
        for field in definition[name][1]:
            wanted += message_types_in(field[1])
    bag_typestore().register(found)


def _installed_definition(type_name: str) -> str:
    package, kind, name = type_name.split("/")
    for prefix in filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)):
        path = Path(prefix, "share", package, kind, f"{name}.msg")
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise FileNotFoundError(f"no share/{package}/{kind}/{name}.msg in AMENT_PREFIX_PATH")


def message_types_in(descriptor: Any) -> list[str]:
    """The message types in rosbags' description of a field, such as (ARRAY, ((NAME, x), 3))."""
    if isinstance(descriptor, str):
        return [descriptor] if descriptor.count("/") == 2 else []
    if isinstance(descriptor, tuple):
        return [name for part in descriptor for name in message_types_in(part)]
    return []
