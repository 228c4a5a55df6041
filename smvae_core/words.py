# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Numbers and nouns in what people read."""

from __future__ import annotations

from collections.abc import Sequence


def counted(count: int, noun: str, plural: str = "") -> str:
    """``1 message``, ``2 messages``; nouns that do not take an s are given their ``plural``."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def listed(names: Sequence[str]) -> str:
    """``rgb``, ``rgb and depth``, ``rgb, depth and force``."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
