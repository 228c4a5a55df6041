# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Command lines of the programs of training and benchmarks."""

from __future__ import annotations

import argparse


def parser_of(name: str, description: str | None) -> argparse.ArgumentParser:
    """The parser of ``python -m NAME``; its description keeps its lines."""
    return argparse.ArgumentParser(
        f"python -m {name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
