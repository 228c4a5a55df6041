# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Command lines of the programs of training and benchmarks."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import TypeVar

Number = TypeVar("Number", int, float)


def parser_of(name: str, description: str | None) -> argparse.ArgumentParser:
    """The parser of ``python -m NAME``; its description keeps its lines."""
    return argparse.ArgumentParser(
        f"python -m {name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def number(
    kind: type[Number],
    least: float = -math.inf,
    most: float = math.inf,
    above: float = -math.inf,
) -> Callable[[str], Number]:
    """The type of an option: a finite number in a range.

    Args:
        kind: int or float.
        least: it is this at least,
        most: and this at most,
        above: and more than this.
    """
    bounds = {f"from {least:g}": least, f"above {above:g}": above, f"up to {most:g}": most}
    named = " ".join(name for name, bound in bounds.items() if math.isfinite(bound))

    def parse(text: str) -> Number:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not (math.isfinite(value) and least <= value <= most and value > above):
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text} is not {what} {named}".rstrip())
        return value

    return parse
