# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""diagnostic_msgs/DiagnosticStatus from plain values."""

from __future__ import annotations

from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rclpy.node import Node

HARDWARE_ID = "smvae"


def status_prefix(node: Node) -> str:
    """What the names of a node's statuses begin with: its name with the namespace, which tells the
    nodes of two arms apart. Without the slash in front, so that a node in no namespace has its bare
    name, as with diagnostic_updater."""
    return node.get_fully_qualified_name().lstrip("/")


def make_status(
    level: bytes, name: str, message: str, values: Mapping[str, object]
) -> DiagnosticStatus:
    """One status. Numbers are written with three decimals, missing values as an empty text."""
    return DiagnosticStatus(
        level=level,
        name=name,
        message=message,
        hardware_id=HARDWARE_ID,
        values=[KeyValue(key=key, value=_text(value)) for key, value in values.items()],
    )


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)
