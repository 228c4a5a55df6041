# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""ROS 2 parameters files, read without ROS as rcl and rclpy read them.

A file holds sections: the full name of a node, written at once or nested by namespace, and under it
``ros__parameters``. In names ``*`` stands for one part and ``**`` for any number of parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

_KEY = "ros__parameters"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it was built


def read_parameters(paths: Iterable[Path], node: str) -> dict[str, Any]:
    """Values by dotted name (``rgb.topic``) that a node has which is started with these files.

    Sections take effect in the order in which their names first appear, as in rclpy, so that of two
    that give a value the later wins.

    Args:
        paths: later files lie over earlier ones.
        node: its full name, such as ``/arm_1/smvae_perception``.

    Raises:
        ValueError: for a file that is missing, empty, no parameters file, or without a section for
            this node; says which and what it holds instead.
    """
    merged: dict[str, dict[str, Any]] = {}
    for path in paths:
        found = sections(path)
        if not any(_matches(name, node) for name in found):
            raise ValueError(
                f"{path} has no section for {node}, only for {', '.join(found)}: correct the name, "
                "or write /** for every node"
            )
        for name, values in found.items():
            merged.setdefault(name, {}).update(values)
    given: dict[str, Any] = {}
    for name, values in merged.items():
        if _matches(name, node):
            given.update(values)
    return given


def sections(path: Path) -> dict[str, dict[str, Any]]:
    """The sections of a file: names with their wildcards, such as ``/**`` → values by dotted name.

    Raises:
        ValueError: for a file that is missing, empty, or no parameters file.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _LOADER)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not readable as YAML: {error}") from error
    except OSError as error:
        raise ValueError(f"cannot read the parameters file {path}: {error.strerror}") from error
    if document is None:
        raise ValueError(f"{path} is empty: a parameters file has a node's name, then {_KEY}")
    if not isinstance(document, dict):
        raise ValueError(f"{path}: not a ROS 2 parameters file")
    found: dict[str, dict[str, Any]] = {}
    for name, values in _sections(document, "", path):
        found.setdefault(name, {}).update(values)
    return found


def namespaces(path: Path, name: str) -> list[str]:
    """Namespaces for which a file has sections of nodes of that name, without wildcards; that of
    ``/name`` is empty.

    Raises:
        ValueError: see :func:`sections`.
    """
    parts = (section.rpartition("/") for section in sections(path))
    return [space for space, _, last in parts if last == name and "*" not in space]


def _sections(
    tree: Mapping[str, Any], prefix: str, path: Path
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names of nodes and their parameters, wherever in the tree their names end."""
    for key, value in tree.items():
        name = f"{prefix}/{str(key).strip('/')}"
        if not isinstance(value, dict):
            raise ValueError(f"{path}: {name} has no {_KEY}")
        inner = dict(value)
        if _KEY in inner:
            parameters = inner.pop(_KEY)
            if not isinstance(parameters, dict):
                raise ValueError(f"{path}: {_KEY} of {name} holds no names with values")
            yield name, dict(_flat(parameters, ""))
        elif not inner:
            raise ValueError(f"{path}: {name} has no {_KEY}")
        yield from _sections(inner, name, path)


def _flat(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Nested mappings as dotted names, the way ROS 2 reads them."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _matches(section: str, node: str) -> bool:
    """True where a section is for a node; the expressions are those of rclpy (node.cpp)."""
    pattern = re.escape(section).replace(r"/\*\*", r"(/\w+)*").replace(r"/\*", r"(/\w+)")
    return re.fullmatch(pattern, node) is not None
