# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A robot file says what the sensors are, the configuration what the model is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from smvae_core.models.networks import build_decoder, build_embedding
from training.robot_configuration import with_robot
from training.train import configured

ROBOT = {
    "modalities": {
        "wrist": {"kind": "image", "shape": [3, 32, 32], "aspect": "crop"},
        "imu": {"kind": "series", "shape": [6, 16], "rate": 200.0, "likelihood": "laplace"},
        "arm": {"kind": "vector", "shape": [7]},
    }
}


def write(path: Path, content: dict[str, Any]) -> str:
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return str(path)


def modalities(words: list[str]) -> dict[str, Any]:
    return yaml.safe_load(words[words.index("--config") + 1])["model"]["modalities"]


def test_the_robot_file_is_enough(tmp_path: Path) -> None:
    robot = write(tmp_path / "robot.yaml", ROBOT)
    words = with_robot(["--robot", robot, "--data.cache", "somewhere"])
    found = modalities(words)
    assert list(found) == ["wrist", "imu", "arm"]
    assert found["wrist"]["aspect"] == "crop"
    assert found["imu"]["likelihood"] == "laplace"
    model = configured(["--trainer.accelerator=cpu", f"--output={tmp_path / 'out'}", *words]).model
    assert [modality.name for modality in model.configured] == ["wrist", "imu", "arm"]
    assert model.configured[1].rate == 200.0


@pytest.mark.parametrize(
    ("entry", "network"),
    [
        ({"kind": "scan", "shape": [1, 360], "angles": [-3.1, 3.1]}, "temporal_convolution"),
        ({"kind": "scan", "shape": [1, 181], "angles": [-1.5, 1.5]}, "mlp"),
        ({"kind": "image", "shape": [1, 4, 6], "minimum": 0, "maximum": 9}, "mlp"),
        ({"kind": "image", "shape": [1, 5, 9]}, "mlp"),
        ({"kind": "image", "shape": [1, 32, 64]}, "convolution"),
        ({"kind": "series", "shape": [6, 10], "rate": 20.0}, "temporal_convolution"),
    ],
)
def test_networks_of_any_size_can_be_built(
    tmp_path: Path, entry: dict[str, Any], network: str
) -> None:
    robot = write(tmp_path / "robot.yaml", {"modalities": {"sensor": entry}})
    words = with_robot(["--robot", robot, "--data.cache", "somewhere"])
    assert modalities(words)["sensor"]["embedding"]["name"] == network
    command = ["--trainer.accelerator=cpu", f"--output={tmp_path / 'out'}", *words]
    (modality,) = configured(command).model.configured
    build_embedding(modality, 8)
    build_decoder(modality, 8)


def test_a_configuration_says_what_is_otherwise(tmp_path: Path) -> None:
    robot = write(tmp_path / "robot.yaml", ROBOT)
    first = write(tmp_path / "first.yaml", {"model": {"latent_size": 8}})
    second = write(tmp_path / "second.yaml", {"model": {"modalities": {"arm": {"weight": 7.0}}}})
    words = with_robot(["--config", first, f"--config={second}", "--robot", robot, "--half=false"])
    assert words[-1] == "--half=false"
    content = yaml.safe_load(words[1])
    assert content["model"]["latent_size"] == 8
    assert content["model"]["modalities"]["arm"]["weight"] == 7.0
    assert content["model"]["modalities"]["arm"]["shape"] == [7]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"arm": {"shape": [6]}}, r"modality arm: .* shape \[6\], but robot .* \[7\]"),
        ({"leg": {"weight": 1.0}}, "has modality leg, but robot robot has wrist, imu, arm"),
    ],
)
def test_contradictions(tmp_path: Path, entry: dict[str, Any], message: str) -> None:
    robot = write(tmp_path / "robot.yaml", ROBOT)
    other = write(tmp_path / "other.yaml", {"model": {"modalities": entry}})
    with pytest.raises(ValueError, match=message):
        with_robot(["--robot", robot, "--config", other])


def test_without_a_robot_nothing_changes() -> None:
    words = ["--config", "x.yaml", "--data.cache", "y"]
    assert with_robot(words) == words
