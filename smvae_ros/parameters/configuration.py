# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The parameters' values: as a parameters file gives them, and what is made of them.

No ROS import: the node and offline tools make the same of the same values.
"""

from __future__ import annotations

import logging
from argparse import ArgumentParser
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from smvae_core.health.hysteresis import Thresholds
from smvae_core.health.monitor import HealthSettings
from smvae_core.modalities import Modality
from smvae_core.robot import Robot
from smvae_ros.bundled import parameters_path
from smvae_ros.messages import MessageError, adapter
from smvae_ros.messages.definitions import Definitions
from smvae_ros.parameters.declarations import NODE_PARAMETERS, ROBOT, modality_parameters
from smvae_ros.parameters.names import NODE_NAME, full_name, with_absolute_topics
from smvae_ros.parameters.parameters_file import namespaces, read_parameters
from smvae_ros.parameters.robot_values import load_robot, robot_defaults
from smvae_ros.parameters.unknown import describe_unknown
from smvae_ros.sensors.correction import NO_ROTATION, NO_ZERO
from smvae_ros.sensors.settings import BufferSettings, SensorSettings
from smvae_ros.sensors.topic_inputs import TopicInput

log = logging.getLogger(__name__)

_OF_EVERY_NODE = {"use_sim_time", "start_type_description_service"}  # `ros2 param dump` writes them


def make_topic_inputs(
    modalities: Mapping[str, Modality],
    values: Mapping[str, Any],
    frame_ids: Mapping[str, str] | None = None,
    definitions: Definitions | None = None,
) -> dict[str, TopicInput]:
    """The topic and message type of each modality, according to the parameters' values.

    Args:
        modalities: by name.
        values: of the node's parameters.
        frame_ids: of the training data, by modality, where they are known.
        definitions: of message types, as a bag has them; by default those that are known here.

    Raises:
        MessageError: for a message type that nobody knows, or fields that it does not have.
        ValueError: for parameters that do not fit the modality.
    """
    return {
        name: _make_topic_input(modality, values, frame_ids or {}, definitions)
        for name, modality in modalities.items()
    }


def _make_topic_input(
    modality: Modality,
    values: Mapping[str, Any],
    frame_ids: Mapping[str, str],
    definitions: Definitions | None,
) -> TopicInput:
    name = modality.name
    joints, fields = (
        tuple(word for word in values.get(f"{name}.{setting}", ()) if word)
        for setting in ("joints", "fields")
    )
    try:
        used = adapter(values[f"{name}.type"], fields, definitions)
    except MessageError as error:
        raise MessageError(f"{name}: {error}") from error
    return TopicInput(
        modality,
        values[f"{name}.topic"],
        used,
        values.get(f"{name}.scale", 1.0),
        joints,
        tuple(values.get(f"{name}.zero", NO_ZERO)),
        tuple(values.get(f"{name}.rotation", NO_ROTATION)),
        _frame_id(modality, values, frame_ids),
    )


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
    path: Path | None,
    modalities: Iterable[Modality],
    namespace: str | None = None,
    robot: str | None = None,
) -> dict[str, Any]:
    """Values of all parameters that the node would have with this parameters file, which lies over
    the robot file, or else over config/perception.yaml, as in perception.launch.py. Names of topics
    are absolute.

    Logs a warning that names what is of no use.

    Args:
        path: YAML as ROS 2 reads it, see :mod:`smvae_ros.parameters.parameters_file`; None for what
            lies under it alone.
        modalities: of the model.
        namespace: of the node; by default the one for which the file has a section of the node, and
            where it has none, the root.
        robot: see :func:`smvae_ros.parameters.robot_values.load_robot`; by default the one that the
            parameters file names, if it does.

    Raises:
        ValueError: for a file that is none, or not for this node, or a value that the node would
            refuse; for a robot file that cannot be used, or that the model does not fit.
    """
    named = {modality.name: modality for modality in modalities}
    files = [path] if path else []
    if namespace is None:
        namespace = _only_namespace(path) if path else ""
    node = full_name(namespace)
    declarations = {declaration.name: declaration for declaration in NODE_PARAMETERS}
    for name, modality in named.items():
        for declaration in modality_parameters(name, modality.kind):
            declarations[declaration.name] = declaration
    given = read_parameters(files, node)
    unknown = given.keys() - declarations.keys() - _OF_EVERY_NODE
    standard = parameters_path()
    if path != standard and (text := describe_unknown(unknown, declarations, named)):
        log.warning("%s: %s", path, text)
    if robot := robot or given.get(ROBOT.name):
        given = {**_values_of_robot(str(robot), named), **given}
    else:
        given = read_parameters([standard, *files], node)
    values = {}
    for name, declaration in declarations.items():
        value = declaration.converted(given.get(name, declaration.default))
        if problem := declaration.problem(value):
            raise ValueError(f"{path}: {name} {problem}, but is {value!r}")
        values[name] = value
    return with_absolute_topics(values, node)


def describe_unused(robot: Robot, modalities: Iterable[str]) -> str:
    """In words, which modalities of a robot a model of these does not have; empty for none."""
    unused = robot.unused(modalities)
    if not unused:
        return ""
    return f"the model does not have {', '.join(unused)} of the robot {robot.name}: not used"


def _values_of_robot(robot: str, modalities: Mapping[str, Modality]) -> dict[str, Any]:
    found = load_robot(robot)
    found.check(modalities)
    if text := describe_unused(found, modalities):
        log.warning(text)
    return robot_defaults(found, modalities)


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
