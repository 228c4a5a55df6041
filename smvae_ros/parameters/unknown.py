# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Parameters that there are not, each with the one that is probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def with_nearest(name: str, known: Iterable[str]) -> str:
    """The name, and in brackets the parameter that is nearest to it, where one is near."""
    nearest = _nearest(name, known)
    return f"{name} (did you mean {nearest}?)" if nearest else name


def describe_unknown(
    unknown: Iterable[str], known: Iterable[str], modalities: Iterable[str]
) -> str:
    """In words, which parameters of a file are of no use, each with the name that is nearest to it;
    empty where there are none.

    Args:
        unknown: their names.
        known: names of the parameters that there are.
        modalities: that there are.
    """
    known = list(known)
    words = [
        with_nearest(name, known)
        for name in sorted(unknown)
        if not name.startswith("qos_overrides.")
    ]
    if not words:
        return ""
    return (
        f"no use for the parameters {', '.join(words)}: misspelt, or of a modality that is not "
        f"there; there are {', '.join(modalities)}"
    )


def _nearest(name: str, known: Iterable[str]) -> str:
    """The parameter that is meant: a similar setting of that modality, or that setting of a similar
    modality; empty where there is none."""
    modality, _, setting = name.rpartition(".")
    parts = {other: other.rpartition(".") for other in known}
    settings = {last: other for other, (first, _, last) in parts.items() if first == modality}
    modalities = {first: other for other, (first, _, last) in parts.items() if last == setting}
    for part, choices in ((setting, settings), (modality, modalities)):
        if found := get_close_matches(part, choices, 1, 0.7):
            return choices[found[0]]
    return ""
