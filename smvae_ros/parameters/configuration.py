# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The parameters' values: as a parameters file gives them, and what is made of them.

No ROS import: the node and offline tools make the same of the same values.
"""

from __future__ import annotations

import logging
from argparse import ArgumentParser
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from smvae_core.health.hysteresis import Thresholds
from smvae_core.health.monitor import HealthSettings
from smvae_core.modalities import Modality
from smvae_core.robot import Robot
from smvae_ros.bundled import parameters_path
from smvae_ros.messages import adapter
from smvae_ros.parameters.declarations import NODE_PARAMETERS, modality_parameters
from smvae_ros.parameters.names import NODE_NAME, absolute_topic, full_name
from smvae_ros.parameters.parameters_file import namespaces, read_parameters
from smvae_ros.sensors.correction import NO_ROTATION, NO_ZERO
from smvae_ros.sensors.settings import BufferSettings, SensorSettings
from smvae_ros.sensors.topic_inputs import TopicInput

log = logging.getLogger(__name__)

_OF_EVERY_NODE = {"use_sim_time", "start_type_description_service"}  # `ros2 param dump` writes them


def make_topic_inputs(
    modalities: Mapping[str, Modality],
    values: Mapping[str, Any],
    frame_ids: Mapping[str, str] | None = None,
) -> dict[str, TopicInput]:
    """The topic and message type of each modality, according to the parameters' values.

    Args:
        modalities: by name.
        values: of the node's parameters.
        frame_ids: of the training data, by modality, where they are known.

    Raises:
        MessageError: for a message type without an adapter.
        ValueError: for parameters that do not fit the modality.
    """
    return {
        name: TopicInput(
            modality,
            values[f"{name}.topic"],
            adapter(values[f"{name}.type"]),
            values.get(f"{name}.scale", 1.0),
            tuple(joint for joint in values.get(f"{name}.joints", ()) if joint),
            tuple(values.get(f"{name}.zero", NO_ZERO)),
            tuple(values.get(f"{name}.rotation", NO_ROTATION)),
            _frame_id(modality, values, frame_ids or {}),
        )
        for name, modality in modalities.items()
    }


def _frame_id(modality: Modality, values: Mapping[str, Any], trained: Mapping[str, str]) -> str:
    """The one that messages should have; empty for any, as of images, which have no axes."""
    if modality.kind not in ("series", "vector"):
        return ""
    return values.get(f"{modality.name}.frame_id") or trained.get(modality.name, "")


def health_settings(values: Mapping[str, Any]) -> HealthSettings:
    """The health monitor's part of the parameters' values.

    Raises:
        ValueError: where health_error is below health_warn.
    """
    warn, error = values["health_warn"], values["health_error"]
    if error < warn:
        raise ValueError(f"health_error ({error}) must not be below health_warn ({warn})")
    return HealthSettings(values["health_share"], Thresholds(warn, error, values["health_clear"]))


def sensor_settings(modalities: Iterable[str], values: Mapping[str, Any]) -> SensorSettings:
    """The sensor set's part of the parameters' values."""
    buffers = {
        name: BufferSettings(
            max_age=values[f"{name}.max_age"],
            max_skew=values[f"{name}.max_skew"],
            max_gap=values.get(f"{name}.max_gap", BufferSettings.max_gap),
        )
        for name in modalities
    }
    return SensorSettings(values["trigger"], values["max_rate"], values["gather_ms"], buffers)


def add_parameters_options(parser: ArgumentParser) -> None:
    """Options of a command that reads the node's parameters: path and namespace of
    :func:`read_values`."""
    parser.add_argument(
        "--params",
        type=Path,
        default=parameters_path(),
        metavar="YAML",
        help="the node's parameters file, which names topics; what it does not give is as in the "
        "default one (config/perception.yaml)",
    )
    parser.add_argument(
        "--namespace",
        metavar="NAME",
        help="that the node had, in which topics without a leading slash lie (default: that of the "
        "node's section in the parameters file, else none)",
    )


def read_values(
    path: Path, modalities: Iterable[Modality], namespace: str | None = None
) -> dict[str, Any]:
    """Values of all parameters that the node would have with this parameters file, which lies over
    config/perception.yaml as in perception.launch.py. Names of topics are absolute.

    Logs a warning that names what is of no use.

    Args:
        path: YAML as ROS 2 reads it, see :mod:`smvae_ros.parameters.parameters_file`.
        modalities: of the model.
        namespace: of the node; by default the one for which the file has a section of the node, and
            where it has none, the root.

    Raises:
        ValueError: for a file that is none, or not for this node, or a value that the node would
            refuse.
    """
    if namespace is None:
        namespace = _only_namespace(path)
    node = full_name(namespace)
    names: list[str] = []
    declarations = {declaration.name: declaration for declaration in NODE_PARAMETERS}
    for modality in modalities:
        names.append(modality.name)
        for declaration in modality_parameters(modality.name, modality.kind):
            declarations[declaration.name] = declaration
    unknown = read_parameters([path], node).keys() - declarations.keys() - _OF_EVERY_NODE
    if path != parameters_path() and (text := describe_unknown(unknown, declarations, names)):
        log.warning("%s: %s", path, text)
    given = read_parameters([parameters_path(), path], node)
    values = {}
    for name, declaration in declarations.items():
        value = declaration.converted(given.get(name, declaration.default))
        if problem := declaration.problem(value):
            raise ValueError(f"{path}: {name} {problem}, but is {value!r}")
        values[name] = value
    return with_absolute_topics(values, node)


def robot_values(robot: Robot, namespace: str = "") -> dict[str, Any]:
    """Values of all parameters that the node would have with this robot file alone. Names of topics
    are absolute.

    Raises:
        ValueError: where it gives a parameter that there is none of, or a value that the node would
            refuse.
    """
    declarations = {declaration.name: declaration for declaration in NODE_PARAMETERS}
    for modality in robot.modalities:
        for declaration in modality_parameters(modality.name, modality.kind):
            declarations[declaration.name] = declaration
    given = robot.parameters()
    if text := describe_unknown(given.keys() - declarations.keys(), declarations, robot.sensors):
        raise ValueError(f"robot {robot.name}: {text}")
    values = {}
    for name, declaration in declarations.items():
        value = declaration.converted(given.get(name, declaration.default))
        if problem := declaration.problem(value):
            raise ValueError(f"robot {robot.name}: {name} {problem}, but is {value!r}")
        values[name] = value
    return with_absolute_topics(values, full_name(namespace))


def with_absolute_topics(values: Mapping[str, Any], node: str) -> dict[str, Any]:
    """The parameters' values with the topics among them as the node of that full name sees them."""
    return {
        name: absolute_topic(value, node) if name.endswith((".topic", "_topic")) else value
        for name, value in values.items()
    }


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
    known, words = list(known), []
    for name in sorted(unknown):
        if name.startswith("qos_overrides."):
            continue
        nearest = _nearest(name, known)
        words.append(f"{name} (did you mean {nearest}?)" if nearest else name)
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


def _only_namespace(path: Path) -> str:
    """The namespace for which a file has a section of the node.

    Raises:
        ValueError: where there are several.
    """
    found = namespaces(path, NODE_NAME)
    if len(found) > 1:
        nodes = ", ".join(f"{space}/{NODE_NAME}" for space in found)
        raise ValueError(f"{path} has sections for {nodes}: choose one with --namespace")
    return found[0] if found else ""
