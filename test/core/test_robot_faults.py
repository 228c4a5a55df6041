# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What is wrong with a robot file is said in one message, whatever the file holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from smvae_core.robot import RobotError, read_robot

ARM = "{kind: vector, shape: [7]}"


def refusal(path: Path, text: str) -> str:
    """Why a robot file of this text is refused."""
    path.write_text(text)
    with pytest.raises(RobotError) as error:
        read_robot(path)
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate: 20\nrate: 30", "'rate' twice"),
        (f"modalities:\n  arm: {ARM}\n  arm: {ARM}", "'arm' twice"),
        (f"modalities: {{arm: {ARM}}}\nrate: 1{'0' * 400}", "rate must be a number"),
        (f"modalities: {{arm: {ARM}}}\nrate: 1.0e-300", "rate must be a number from 0.001"),
        (
            "modalities: {a: {kind: series, shape: [1, 2], rate: 1.0e+9}}",
            "a: rate must be a number",
        ),
        ("modalities: {arm: {kind: vector, shape: [10000000000]}}", "too large for networks"),
        ("modalities: {eye: {kind: image, shape: [2, 16, 16]}}", "1 or 3 channels"),
        (
            "modalities: {arm: {kind: vector, shape: [2], key: state, columns: [3, 3]}}",
            "arm: columns has 3 twice; name each value once",
        ),
        ("[" * 3000, "nested too deeply"),
        ("modalities: &all {arm: *all}", "too much for a robot file"),
    ],
)
def test_a_file_that_no_robot_can_have_is_refused(text: str, message: str, tmp_path: Path) -> None:
    said = refusal(tmp_path / "robot.yaml", text)
    assert said.startswith(str(tmp_path / "robot.yaml"))
    assert message in said


@pytest.mark.parametrize(
    "name", ["wrist-camera", "wrist/left", "2nd", "_", "kamera_größe", "a" * 65]
)
def test_a_modality_has_a_name_that_ros_takes(name: str, tmp_path: Path) -> None:
    said = refusal(tmp_path / "robot.yaml", f"modalities: {{{name}: {ARM}}}")
    assert name in said
    assert "as ROS has it" in said


def test_there_are_no_more_modalities_than_a_checkpoint_holds(tmp_path: Path) -> None:
    robot = ", ".join(f"m{number}: {ARM}" for number in range(33))
    said = refusal(tmp_path / "robot.yaml", f"modalities: {{{robot}}}")
    assert "33 modalities; at most 32 fit" in said


@pytest.mark.parametrize("place", ["name: {}", "modalities: {{arm: {{kind: vector, shape: {}}}}}"])
def test_aliases_of_aliases_are_not_told_in_full(place: str, tmp_path: Path) -> None:
    lists = ["&l0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lists += [f"&l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 9)]  # 10⁹ values
    said = refusal(tmp_path / "robot.yaml", place.format(f"[{', '.join(lists)}]"))
    assert "are there aliases" in said


def test_an_alias_may_say_the_same_twice(tmp_path: Path) -> None:
    path = tmp_path / "robot.yaml"
    path.write_text(f"modalities:\n  left: &arm {ARM}\n  right:\n    <<: *arm\n    shape: [6]\n")
    assert [modality.shape for modality in read_robot(path).modalities] == [(7,), (6,)]
