# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The reference of the robot file says what the code reads."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

from places import DOCS, ROOT
from smvae_core.modalities import Kind, Modality
from smvae_core.robot import ROBOT_FIELDS, SENSOR_FIELDS, Sensor
from smvae_ros.parameters.robot_values import load_robot

PAGE = (DOCS / "reference" / "robot_file.md").read_text()


def table(heading: str) -> dict[str, tuple[str, str]]:
    """Field → its default and what is said of it, of the table under a heading."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", section, re.MULTILINE)
    return {name: (default, text) for name, default, text in rows}


def test_every_field_has_a_row() -> None:
    assert tuple(table("The robot")) == ROBOT_FIELDS
    assert tuple(table("Each modality")) == SENSOR_FIELDS


def test_defaults_and_kinds_are_those_of_the_code() -> None:
    rows = table("Each modality")
    defaults = {field.name: field.default for field in (*fields(Modality), *fields(Sensor))}
    said = {name: default.strip("`") for name, (default, _) in rows.items() if "`" in default}
    assert said == {name: str(defaults[name]) for name in said}
    assert set(said) >= {"aspect", "likelihood", "unit"}
    depth, scan = (
        Modality("depth", "depth", (1, 8, 8)),
        Modality("scan", "scan", (1, 8), angles=(0, 1)),
    )
    assert f"({depth.minimum} by default)" in rows["minimum"][1]
    assert scan.minimum == depth.minimum
    of_kinds = f"(by default {depth.maximum} of depth, {scan.maximum} of a scan)"
    assert of_kinds in rows["maximum"][1]
    assert set(re.findall(r"`(\w+)`", rows["kind"][1])) == set(get_args(Kind))


def test_the_example_is_a_robot_file(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "my_robot.yaml"
    path.write_text(example)
    assert list(load_robot(str(path)).sensors) == ["wrist", "force", "arm"]


def test_every_file_of_the_package_is_named() -> None:
    names = {path.stem for path in (ROOT / "config" / "robots").glob("*.yaml")}
    assert set(re.findall(r"^\| \[(\w+)\]", PAGE, re.MULTILINE)) == names
