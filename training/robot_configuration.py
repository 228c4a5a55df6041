# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The configuration of a training, completed with what a robot file says of the sensors.

A configuration then needs to say no more of a modality than what it wants otherwise than by
default: networks, weight, scale. Without any, ``config/training/robot.yaml`` and the networks below
are taken.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from smvae_core.modalities import Kind, Modality
from smvae_core.robot import MODALITY_FIELDS, Robot, Sensor
from smvae_ros.bundled import training_path
from smvae_ros.parameters.robot_values import load_robot

_COARSEST = 4  # pixels or readings on a side that are left for the last layer
_CHANNELS = {"image": [16, 32, 64, 128, 128], "depth": [16, 32, 64, 128, 128]}
# A few numbers are lost beside thousands of pixels unless they weigh more.
_WEIGHTS: dict[Kind, float] = {"scan": 30.0, "series": 30.0, "vector": 300.0, "categorical": 300.0}


def with_robot(arguments: Sequence[str]) -> list[str]:
    """Arguments of training.train in which ``--robot`` is resolved: its sensors stand in the
    configuration. Others are returned as they are.

    Raises:
        ValueError: where the robot file or a configuration cannot be read, or they contradict each
            other.
    """
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--robot")
    parser.add_argument("--config", "-c", action="append", default=[])
    options, rest = parser.parse_known_args(list(arguments))
    if options.robot is None:
        return list(arguments)
    robot = load_robot(options.robot)
    configuration: dict[str, Any] = {}
    for path in options.config or [training_path("robot")]:
        _lay_over(configuration, _read(Path(path)))
    text = yaml.safe_dump(completed(configuration, robot), sort_keys=False)
    return ["--config", text, *rest]


def completed(configuration: Mapping[str, Any], robot: Robot) -> dict[str, Any]:
    """A configuration whose model has the robot's sensors.

    Raises:
        ValueError: where it has other modalities, or says something else of one.
    """
    model = dict(configuration.get("model") or {})
    given = dict(model.get("modalities") or {})
    unknown = sorted(given.keys() - robot.sensors.keys())
    if unknown:
        raise ValueError(
            f"the configuration has modality {', '.join(unknown)}, but robot {robot.name} has "
            f"{', '.join(robot.sensors)}"
        )
    model["modalities"] = {
        name: _entry(robot.name, sensor, given.get(name) or {})
        for name, sensor in robot.sensors.items()
    }
    return {**configuration, "model": model}


def _defaults(modality: Modality) -> dict[str, Any]:
    """Networks and weight for a modality: convolutions that halve its size as often as it goes."""
    halvings = 0
    while modality.shape[1:] and all(
        size % 2 ** (halvings + 1) == 0 and size // 2 ** (halvings + 1) >= _COARSEST
        for size in modality.shape[1:]
    ):
        halvings += 1
    channels = _CHANNELS.get(modality.kind, [32, 64, 64])
    network: dict[str, Any] = {"name": "mlp", "widths": [128, 128]}
    if halvings:
        name = "convolution" if len(modality.shape) == 3 else "temporal_convolution"
        network = {"name": name, "widths": channels[:halvings]}
    weight = _WEIGHTS.get(modality.kind, 1.0)
    return {"embedding": network, "decoder": network, "weight": weight}


def _entry(robot: str, sensor: Sensor, given: Mapping[str, Any]) -> dict[str, Any]:
    modality = sensor.modality
    said = modality.to_dict()
    for field in MODALITY_FIELDS:
        if field != "likelihood" and given.get(field, said[field]) != said[field]:
            raise ValueError(
                f"modality {modality.name}: the configuration says {field} {given[field]}, but "
                f"robot {robot} {said[field]}; leave it out of the configuration"
            )
    return {
        **{field: said[field] for field in MODALITY_FIELDS},
        **_defaults(modality),
        **given,
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read the configuration {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not readable as YAML: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: must hold names with values")
    return content


def _lay_over(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(key), dict):
            _lay_over(below[key], value)
        else:
            below[key] = value
