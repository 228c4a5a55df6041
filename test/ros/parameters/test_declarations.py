# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Parameters are described once: the comments of config/perception.yaml say what is declared."""

from __future__ import annotations

import re
from typing import get_args

import pytest
import yaml

from smvae_core.modalities import Kind
from smvae_ros.bundled import parameters_path
from smvae_ros.parameters.declarations import (
    NODE_PARAMETERS,
    Changes,
    Declaration,
    modality_parameters,
)

TYPES = ("boolean", "integer", "double", "double array", "string", "string array")
MARKS = {Changes.AT_ONCE: "", Changes.UNCONFIGURED: " [unconfigured]", Changes.AT_START: " [start]"}
SETTINGS = {
    declaration.name.removeprefix("any."): declaration
    for kind in get_args(Kind)
    for declaration in modality_parameters("any", kind)
}


def comment(declaration: Declaration) -> str:
    return declaration.description + MARKS[declaration.changes]


def comments_above_keys() -> dict[str, str]:
    """Parameters of the node in the file → the comment above each."""
    found, words = {}, []
    for line in parameters_path().read_text().splitlines():
        if line.startswith("    # "):
            words.append(line[6:])
        else:
            if key := re.match(r"    (\w+):", line):
                found[key[1]] = " ".join(words)
            words = []
    return found


def comments_in_table() -> dict[str, str]:
    """Settings of a modality → what the file's table says of each."""
    found: dict[str, str] = {}
    for line in parameters_path().read_text().splitlines():
        if first := re.match(r"    #   (\w+) +(\S.*)", line):
            name = first[1]
            found[name] = first[2]
        elif more := re.match(r"    # {10,}(\S.*)", line):
            found[name] += " " + more[1]
    return found


def test_the_file_gives_and_describes_every_parameter_of_the_node() -> None:
    found = comments_above_keys()
    assert [name for name in found if name in {d.name for d in NODE_PARAMETERS}] == [
        declaration.name for declaration in NODE_PARAMETERS
    ]
    for declaration in NODE_PARAMETERS:
        assert found[declaration.name] == comment(declaration), f"write {comment(declaration)}"


def test_the_file_describes_every_setting_of_a_modality() -> None:
    assert comments_in_table() == {name: comment(d) for name, d in SETTINGS.items()}


def test_the_file_has_the_defaults_but_for_what_a_robot_decides() -> None:
    values = yaml.safe_load(parameters_path().read_text())["/**"]["ros__parameters"]
    other = {d.name for d in NODE_PARAMETERS if values[d.name] != d.default}
    assert other == {"frame_id", "camera_info_topic"}


@pytest.mark.parametrize(
    "declaration", [*NODE_PARAMETERS, *SETTINGS.values()], ids=lambda d: d.name
)
def test_what_is_declared_fits_together(declaration: Declaration) -> None:
    assert declaration.problem(declaration.default) is None
    assert declaration.description.endswith(".")
    assert declaration.type_name in TYPES
    if declaration.limits is not None:
        low, high = declaration.limits
        beyond = type(declaration.default)(high + 1)
        assert declaration.problem(beyond) == f"must be from {low} to {high}"
        assert declaration.range == f"{low:g} to {high:g}"
    if declaration.choices:
        assert declaration.problem("none of them").startswith("must be one of ")
        assert declaration.choices[0] in declaration.range


def test_whole_numbers_are_taken_for_numbers() -> None:
    rate = next(d for d in NODE_PARAMETERS if d.name == "max_rate")
    assert isinstance(rate.converted(30), float)
    assert rate.problem(rate.converted(30)) is None
    assert rate.problem(rate.converted(True)) is not None
