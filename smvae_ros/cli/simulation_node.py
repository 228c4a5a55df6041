# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The simulated insertion robot, live: publishes its sensors in real time. ``ros2 run smvae_ros
simulation_node``.

It stands in for the drivers of a real robot: the topics are those of ``config/perception.yaml``,
all stamps are of now, and wrenches come one by one. Parameters cut sensors off and corrupt them.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from rcl_interfaces.msg import SetParametersResult
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile

from smvae_ros.cli.programs import parser_of, print_error, ros_program
from smvae_ros.messages import installed_types
from smvae_ros.node.spinning import Spinning
from smvae_ros.parameters.declarations import Declaration
from smvae_ros.parameters.node_parameters import make_descriptor
from smvae_ros.simulation.faults import FAULTS, NONE, FaultInjector, Faults
from smvae_ros.simulation.graphics import SimulationUnavailable
from smvae_ros.simulation.insertion import CONTROL_RATE, InsertionRobot, Step
from smvae_ros.simulation.topics import TOPICS, step_messages

log = logging.getLogger(__name__)

NODE_NAME = "smvae_simulation"
QUEUE = QoSProfile(depth=100)  # reliable, which best-effort subscribers accept too
PICTURES = ("rgb", "depth")
LATE = 1.0  # seconds behind real time after which the lost time is given up
OTHER_SCENE = 1_000_003  # added to the seed for the scene whose depth is not this one's


@dataclasses.dataclass(frozen=True)
class Settings:
    """The parameters' values; replaced as a whole."""

    seed: int
    rate: float
    realistic: bool
    cut: frozenset[str]
    faults: Faults

    @classmethod
    def of(cls, values: dict[str, Any]) -> Settings:
        """From parameters by name.

        Raises:
            ValueError: for an unknown fault or a bias that is none.
        """
        words = {name: values[f"corrupt.{name}"] for name in FAULTS}
        faults = Faults(**words, force_bias=tuple(values["corrupt.force_bias"]))
        cut = frozenset(name for name in FAULTS if values[f"cut.{name}"])
        return cls(values["seed"], values["rate"], values["realistic"], cut, faults)


class Parameters:
    """Declares the node's parameters and keeps :attr:`settings` up to date.

    Raises:
        ParameterException: for a value, given at the start, that does not fit.
    """

    def __init__(self, node: Node) -> None:
        declared = list(_declarations())
        self._values = {declaration.name: declaration.default for declaration in declared}
        self.settings = Settings.of(self._values)
        node.add_on_set_parameters_callback(self._on_set)
        for one in declared:
            node.declare_parameter(one.name, one.default, make_descriptor(one))

    def _on_set(self, parameters: list[Parameter]) -> SetParametersResult:
        changes = {p.name: p.value for p in parameters if p.name in self._values}
        try:
            settings = Settings.of({**self._values, **changes})
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._values.update(changes)
        self.settings = settings
        return SetParametersResult(successful=True)


def _declarations() -> Iterator[Declaration]:
    """Of all parameters, which take effect at once."""
    text = "Of scene, behaviour and noise; another one begins another trajectory."
    yield Declaration("seed", 0, text, (0, 2**31 - 1))
    yield Declaration("rate", 1.0, "Simulated seconds in each second.", (0.05, 10.0))
    text = "Textures and a stereo camera's depth; changing it begins the trajectory again."
    yield Declaration("realistic", False, text)
    for name, faults in FAULTS.items():
        topics = ", ".join(topic for topic, (owner, _) in TOPICS.items() if owner == name)
        yield Declaration(f"cut.{name}", False, f"Publish nothing on {topics}.")
        yield Declaration(f"corrupt.{name}", NONE, f"What is wrong with {name}.", choices=faults)
    text = "Added to the measured force fx, fy, fz, in N: three finite numbers."
    yield Declaration("corrupt.force_bias", [0.0, 0.0, 0.0], text)


class Simulation:
    """Steps the robot and publishes, in the thread that calls :meth:`run`.

    Args:
        node: for the publishers; need not be spun.
        parameters: asked at every message.
    """

    def __init__(self, node: Node, parameters: Parameters) -> None:
        self._parameters = parameters
        self._publishers = {  # in the node's namespace
            topic: node.create_publisher(installed_types(type_name), topic.lstrip("/"), QUEUE)
            for topic, (_, type_name) in TOPICS.items()
        }
        self._robot: Any = None  # an InsertionRobot from here to close
        self._other: Any = None
        self._open(parameters.settings)

    def _open(self, settings: Settings) -> None:
        self.close()
        self._robot = InsertionRobot(settings.seed, realistic=settings.realistic)
        self._injector = FaultInjector(settings.seed, self._other_depth)

    def close(self) -> None:
        """Frees the graphics memory."""
        for robot in (self._robot, self._other):
            if robot is not None:
                robot.close()
        self._robot = self._other = None

    @property
    def topics(self) -> list[str]:
        """On which it publishes."""
        return [publisher.topic_name for publisher in self._publishers.values()]

    def check(self) -> None:
        """Makes a picture, so that what is missing for it is noticed before anybody wants one.

        Raises:
            SimulationUnavailable: no graphics library works.
        """
        self._robot.step()
        self._robot.reset()

    def run(self) -> None:
        """Publishes in real time until an exception, such as KeyboardInterrupt, ends it.

        A step is computed at the beginning of the 50 ms that it lasts, and its messages are
        published when their time comes. Times are kept against one monotonic clock, so that delays
        do not add up.
        """
        end = time.monotonic()
        while True:
            settings = self._parameters.settings
            robot = self._robot
            if (settings.seed, settings.realistic) != (robot.seed, robot.realistic):
                self._open(settings)
            step = self._step(settings)
            end += 1 / CONTROL_RATE / settings.rate
            late = time.monotonic() - end
            if late > LATE:
                log.warning("%.1f s behind real time: this machine is too slow or busy", late)
                end += late
            self._publish(step, end, settings.rate)

    def _step(self, settings: Settings) -> Step:
        step = self._robot.step(self._pictures_are_wanted(settings), settings.faults.executes)
        arrays = {"force": step.forces, "proprio": step.proprio}
        if step.image is not None:
            arrays |= {"rgb": step.image, "depth": step.depth}
        arrays = self._injector(arrays, settings.faults)
        return dataclasses.replace(
            step,
            forces=arrays["force"],
            proprio=arrays["proprio"],
            image=arrays.get("rgb"),
            depth=arrays.get("depth"),
        )

    def _pictures_are_wanted(self, settings: Settings) -> bool:
        """Rendering is nearly all of the work, and changes nothing else."""
        return any(
            name in PICTURES
            and name not in settings.cut
            and self._publishers[topic].get_subscription_count() > 0
            for topic, (name, _) in TOPICS.items()
        )

    def _other_depth(self) -> np.ndarray:
        if self._other is None:
            robot = self._robot
            self._other = InsertionRobot(robot.seed + OTHER_SCENE, realistic=robot.realistic)
        return self._other.step().depth

    def _publish(self, step: Step, end: float, rate: float) -> None:
        """Sends a step's messages, each at its time, the last ones at monotonic time ``end``."""
        # What has to be added to stamps to get monotonic times; anew each step, so that the stamps
        # follow a real-time clock that is being set.
        end_ns = round(end * 1e9)
        offset = time.time_ns() - time.monotonic_ns()
        start = end_ns + offset - round(step.time / rate * 1e9)
        for topic, message, stamp in step_messages(step, installed_types, start, rate):
            wait = (stamp - offset) / 1e9 - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            if TOPICS[topic][0] not in self._parameters.settings.cut:
                self._publishers[topic].publish(message)


@contextmanager
def _spinning(node: Node) -> Iterator[None]:
    """Serves the node's parameters in a thread of its own."""
    spinning = Spinning(node)
    ended = threading.Event()
    thread = threading.Thread(
        target=spinning.run, args=(ended.is_set,), name="parameters", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        spinning.close()


def make_parser() -> argparse.ArgumentParser:
    """The command line of ``ros2 run smvae_ros simulation_node``."""
    descriptors = map(make_descriptor, _declarations())
    rows = (f"  {d.name:18} {d.description} {d.additional_constraints}\n" for d in descriptors)
    return parser_of(
        "simulation_node",
        "A simulated insertion robot that publishes its sensors in real time.",
        epilog="Parameters, of which all take effect at once, as in\n"
        f"`ros2 param set /{NODE_NAME} cut.rgb true`, or at the start after --ros-args -p:\n"
        f"{''.join(rows)}\n"
        "Ctrl-C ends it. Needs MuJoCo: pip install 'smvae_ros[sim]'.",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Console command; returns its exit code."""
    parser = make_parser()
    with ros_program(NODE_NAME, parser, argv, parameter_services=True) as (node, _):
        logging.getLogger("OpenGL").setLevel(logging.WARNING)  # it says which speed-ups it lacks
        simulation = None
        try:
            simulation = Simulation(node, Parameters(node))
            simulation.check()
            with _spinning(node):
                node.get_logger().info(
                    f"running; publishing {', '.join(simulation.topics)}; pictures while somebody "
                    "subscribes"
                )
                simulation.run()
        except (SimulationUnavailable, ParameterException) as error:
            return print_error("simulation_node", error)
        finally:
            if simulation is not None:
                simulation.close()
    return 0  # interrupted


if __name__ == "__main__":
    sys.exit(main())
