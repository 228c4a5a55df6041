# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The node's parameters as a robot file gives them.

Imports neither ROS nor PyTorch, so that a launch file can check a robot file before it starts the
node.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any

from smvae_core.robot import Robot, RobotError, read_robot
from smvae_ros.bundled import robot_path
from smvae_ros.parameters.declarations import (
    NODE_PARAMETERS,
    ROBOT,
    Declaration,
    modality_parameters,
)
from smvae_ros.parameters.names import full_name, with_absolute_topics
from smvae_ros.parameters.unknown import with_nearest


def load_robot(robot: str) -> Robot:
    """The robot that is meant, whose parameters the node can take.

    Args:
        robot: a robot file, or the name of one of config/robots.

    Raises:
        RobotError: where there is none, for a file that cannot be used, and for parameters that the
            node does not have, or whose values it would refuse; names all of them.
    """
    try:
        path = robot_path(robot)
    except FileNotFoundError as error:
        raise RobotError(str(error)) from error
    found = read_robot(path)
    _check(found, str(path))
    return found


def add_robot_option(parser: ArgumentParser, use: str) -> None:
    """The option of a command that takes a robot, for :func:`load_robot`.

    Args:
        parser: of the command.
        use: what the command does with it, in words.
    """
    parser.add_argument(
        "--robot",
        metavar="FILE|NAME",
        help=f"robot file, or the name of one of config/robots, such as g1: {use}",
    )


def robot_defaults(robot: Robot, modalities: Iterable[str]) -> dict[str, Any]:
    """The file's values of parameters of a node whose model has these modalities. Those that the
    robot does not have come from nowhere: they are only predicted."""
    nowhere = {f"{name}.topic": "" for name in modalities if name not in robot.sensors}
    return {**nowhere, **robot.parameters()}


def robot_values(robot: Robot, namespace: str = "") -> dict[str, Any]:
    """Values of all parameters that the node would have with this robot file alone. Names of topics
    are absolute.

    Raises:
        RobotError: where it gives a parameter that there is none of, or a value that the node would
            refuse.
    """
    _check(robot, f"robot {robot.name}")
    given = robot.parameters()
    values = {
        name: declaration.converted(given.get(name, declaration.default))
        for name, declaration in _declarations(robot).items()
    }
    return with_absolute_topics(values, full_name(namespace))


def topics_of(robot: Robot, namespace: str = "") -> list[str]:
    """The topics that a node of that namespace hears, absolute: of all modalities, and of
    CameraInfo where there is one."""
    values = robot_values(robot, namespace)
    return [topic for name, topic in values.items() if name.endswith("topic") and topic]


def _declarations(robot: Robot) -> dict[str, Declaration]:
    """Parameters that a robot file can give, by name."""
    declared = [declaration for declaration in NODE_PARAMETERS if declaration != ROBOT]
    for name, sensor in robot.sensors.items():
        declared += modality_parameters(name, sensor.modality.kind)
    return {declaration.name: declaration for declaration in declared}


def _check(robot: Robot, place: str) -> None:
    declarations, problems = _declarations(robot), []
    for name, value in robot.parameters().items():
        declaration = declarations.get(name)
        if declaration is None:
            problems.append(f"there is no parameter {with_nearest(name, declarations)}")
        elif problem := declaration.problem(declaration.converted(value)):
            problems.append(f"{name} {problem}, but is {value!r}")
    if problems:
        raise RobotError(f"{place}: under ros, {'; '.join(problems)}")
