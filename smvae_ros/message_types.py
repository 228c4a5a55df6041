"""Message classes by ROS type name, from a ROS installation or from rosbags.

The adapters in :mod:`smvae_ros.messages` make messages of either kind; which one they make is
decided by the lookup that they are given: :func:`installed_types` for publishers,
:func:`bag_types` for bags.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any

Types = Callable[[str], type]


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
    """The message definitions that bags are written with (rosbags' newest common ones)."""
    from rosbags.typesys import Stores, get_typestore

    return get_typestore(Stores.LATEST)


def bag_types(type_name: str) -> Any:
    """The class that :class:`smvae_ros.bags.BagWriter` writes.

    Raises:
        ValueError: where rosbags does not know the type.
    """
    try:
        return bag_typestore().types[full_type_name(type_name)]
    except KeyError as error:
        raise ValueError(
            f"message type {type_name}: not among the common interfaces that rosbags knows"
        ) from error
