# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Numbers on the command lines of training's programs are checked in one place."""

from __future__ import annotations

import argparse

import pytest

from smvae_ros.cli.programs import number, parser_of


def test_a_number_is_in_its_range() -> None:
    assert number(int, 1)("3") == 3
    assert number(float, above=0, most=1)("1e0") == 1.0
    for kind, text, message in (
        (number(int, 1), "0", "0 is not a whole number from 1$"),
        (number(int, 8, 1024), "2.5", "2.5 is not a whole number from 8 up to 1024$"),
        (number(float, above=0), "0", "0 is not a number above 0$"),
        (number(float, 0), "nan", "nan is not a number from 0$"),
        (number(float), "inf", "inf is not a number$"),
    ):
        with pytest.raises(argparse.ArgumentTypeError, match=message):
            kind(text)


def test_help_keeps_the_lines_of_a_docstring() -> None:
    parser = parser_of(
        "python -m training.example", "Does something.\n\n    python -m training.example\n"
    )
    assert "\nDoes something.\n\n    python -m training.example\n" in parser.format_help()
