# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Names of the node and of its topics, as ROS 2 resolves them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NODE_NAME = "smvae_perception"


def full_name(namespace: str) -> str:
    """The node's full name in a namespace, which is written with or without the leading slash."""
    return f"/{namespace.strip('/')}/{NODE_NAME}".replace("//", "/")


def absolute_topic(topic: str, node: str) -> str:
    """The absolute name of a topic of the node of that full name.

    ``x`` lies in the node's namespace, ``~/x`` below the node; ``/x`` and empty stay as they are.
    """
    if topic.startswith("~"):
        return f"{node}/{topic[1:].lstrip('/')}".rstrip("/")
    if not topic or topic.startswith("/"):
        return topic
    return f"{node.rpartition('/')[0]}/{topic}"


def with_absolute_topics(values: Mapping[str, Any], node: str) -> dict[str, Any]:
    """The parameters' values with the topics among them as the node of that full name sees them."""
    return {
        name: absolute_topic(value, node) if name.endswith((".topic", "_topic")) else value
        for name, value in values.items()
    }
