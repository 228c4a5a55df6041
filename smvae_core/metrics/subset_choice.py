# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The subsets of a model's modalities that are measured, of 2^M - 1."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

Subset = tuple[str, ...]

#: Above so many subsets, those of :data:`USUAL` are measured unless all are asked for.
LIMIT = 64
USUAL = ("single", "leave-one-out", "full")
HELP = (
    "what to predict from: all, single (each sensor alone), leave-one-out (all sensors but one), "
    "full (all sensors together), or names such as rgb+depth; several may be given (default: all, "
    f"where these are at most {LIMIT}, else {' '.join(USUAL)})"
)


def all_subsets(names: Sequence[str]) -> list[Subset]:
    """Every non-empty subset in the order of names, small ones first."""
    sizes = range(1, len(names) + 1)
    return [subset for size in sizes for subset in itertools.combinations(names, size)]


def choose_subsets(words: Sequence[str] | None, names: Sequence[str]) -> list[Subset]:
    """The subsets that words of a command line name, each once.

    Args:
        words: see :data:`HELP`; ``None`` for the default.
        names: of the modalities that there are.

    Raises:
        ValueError: for a word that is none of them; says which there are.
    """
    if words is None:
        words = ["all"] if 2 ** len(names) - 1 <= LIMIT else USUAL
    found = [subset for word in words for subset in _subsets(word, tuple(names))]
    return list(dict.fromkeys(found))


def left_out(words: Sequence[str] | None, names: Sequence[str]) -> str | None:
    """A note for somebody who asked for nothing and does not get all; else None."""
    total = 2 ** len(names) - 1
    if words is not None or total <= LIMIT:
        return None
    return (
        f"{len(names)} modalities have {total:,} subsets; {len(choose_subsets(None, names))} are "
        f"measured: {', '.join(USUAL)}. --subsets all measures all of them"
    )


def _subsets(word: str, names: Subset) -> list[Subset]:
    if word == "all":
        return all_subsets(names)
    if word == "single":
        return [(name,) for name in names]
    if word == "leave-one-out":
        return [rest for name in names if (rest := tuple(n for n in names if n != name))]
    if word == "full":
        return [names]
    chosen = word.split("+")
    if unknown := [name for name in chosen if name not in names]:
        raise ValueError(
            f"--subsets {word}: there is no {', '.join(map(repr, unknown))}; there are "
            f"{', '.join(names)}. Or give all, single, leave-one-out or full"
        )
    return [tuple(name for name in names if name in chosen)]
