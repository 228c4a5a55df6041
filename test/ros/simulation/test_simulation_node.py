# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The live simulated robot in a process of its own, over real DDS.

The same seed gives the same trajectory here, so that what must arrive is known exactly.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")

import rclpy
from rcl_interfaces.srv import DescribeParameters, ListParameters, SetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile

from patience import PATIENCE
from ros_processes import Process, ros_environment, start
from smvae_ros.bundled import parameters_path
from smvae_ros.messages import installed_types, stamp_ns
from smvae_ros.simulation.faults import FAULTS
from smvae_ros.simulation.graphics import SimulationUnavailable
from smvae_ros.simulation.insertion import CONTROL_RATE, InsertionRobot, Step
from smvae_ros.simulation.topics import TOPICS

pytestmark = pytest.mark.dds

NODE = "/smvae_simulation"
MS = 1_000_000
SECOND = 1000 * MS
RGB, INFO, DEPTH = (
    "/camera/color/image_raw",
    "/camera/color/camera_info",
    "/camera/depth/image_raw",
)
WRENCH, ACTION, JOINTS = "/wrench", "/action", "/joint_states"


class Listener:
    """Hears all of the simulation's topics, and loses nothing while it has to wait for a processor.

    Attributes:
        heard: topic → (when it was sent, message), in ns, oldest first.
    """

    def __init__(self, domain: int) -> None:
        self.heard: dict[str, list[tuple[int, Any]]] = {topic: [] for topic in TOPICS}
        self._news = threading.Condition()
        self._closing = threading.Event()
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain)
        self._node = Node("listener", context=self._context, start_parameter_services=False)
        profile = QoSProfile(depth=5000)
        for topic, (_, type_name) in TOPICS.items():
            self._node.create_subscription(
                installed_types(type_name), topic, partial(self._hear, topic), profile
            )
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        while not self._closing.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def _hear(self, topic: str, message: Any, info: dict[str, int]) -> None:
        with self._news:
            self.heard[topic].append((info["source_timestamp"], message))
            self._news.notify_all()

    def close(self) -> None:
        self._closing.set()
        self._thread.join(5.0)
        self._node.destroy_node()  # before Kilted, the end of the context leaves its subscriptions
        self._context.shutdown()

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        with self._news:
            result = self._news.wait_for(condition, PATIENCE)
        counts = {topic: len(messages) for topic, messages in self.heard.items()}
        assert result, f"no {what} within {PATIENCE} s; heard {counts}"
        return result

    def sent_after(self, topic: str, stamp: int) -> list[tuple[int, Any]]:
        """Messages with a later stamp, and when they were sent."""
        heard = self.heard[topic]
        return heard[bisect_right(heard, stamp, key=lambda entry: stamp_ns(entry[1])) :]

    def after(self, topic: str, stamp: int) -> list[Any]:
        """Messages with a later stamp."""
        return [message for _, message in self.sent_after(topic, stamp)]

    def wait_for(self, topic: str, count: int, since: int) -> list[Any]:
        return self.wait(
            lambda: len(found := self.after(topic, since)) >= count and found, f"{count} of {topic}"
        )

    def call(self, kind: Any, name: str, request: Any) -> Any:
        client = self._node.create_client(kind, f"{NODE}/{name}")
        assert client.wait_for_service(PATIENCE)
        answered = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: answered.set())
        assert answered.wait(PATIENCE), f"no answer from {name}"
        return future.result()

    def set(self, name: str, value: Any) -> int:
        """Sets a parameter; returns a stamp from which on it must be in effect."""
        assert self.try_to_set(name, value) == ""
        return time.time_ns() + 110 * MS  # the step that is being published, and the next one's end

    def try_to_set(self, name: str, value: Any) -> str:
        parameters = [Parameter(name, value=value).to_parameter_msg()]
        request = SetParameters.Request(parameters=parameters)
        (result,) = self.call(SetParameters, "set_parameters", request).results
        return "" if result.successful else result.reason


@pytest.fixture(scope="module")
def simulation(domain: int) -> Iterator[Process]:
    try:
        with InsertionRobot(0) as robot:
            robot.step()
    except SimulationUnavailable as error:
        pytest.skip(str(error))
    with start("smvae_ros.cli.simulation_node", env=ros_environment(domain)) as process:
        process.wait_for_line("running")
        yield process
        process.interrupt(times=2)
        assert process.finish() == 0, process.text
        assert "Traceback" not in process.text


@pytest.fixture(scope="module")
def listener(simulation: Process, domain: int) -> Iterator[Listener]:
    listener = Listener(domain)
    listener.wait(lambda: all(listener.heard.values()), "message on every topic")
    yield listener
    listener.close()


def array(message: Any) -> np.ndarray:
    if hasattr(message, "wrench"):
        force, torque = message.wrench.force, message.wrench.torque
        return np.array([force.x, force.y, force.z, torque.x, torque.y, torque.z])
    if hasattr(message, "position"):
        return np.array([*message.position, *message.velocity])
    return np.frombuffer(message.data, np.uint8)


def recorded_steps(
    listener: Listener, seed: int, began: int, since: int, render: bool = False
) -> dict[int, Step]:
    """Stamp → what the trajectory that began then is at that moment, found by its exact joint
    states."""
    stamps = {array(m).tobytes(): stamp_ns(m) for m in listener.after(JOINTS, since)}
    # It may have begun before, since the simulation may be more than a second behind.
    count = int(((max(stamps.values()) - began) / SECOND + 2) * CONTROL_RATE)
    with InsertionRobot(seed) as robot:
        found = {
            stamps[key]: step
            for step in robot.steps(count, render=False)
            if (key := step.proprio.tobytes()) in stamps
        }
    if render:
        numbers = {step.index: stamp for stamp, step in found.items()}
        with InsertionRobot(seed) as robot:
            steps = [robot.step(render=index in numbers) for index in range(max(numbers) + 1)]
        found = {stamp: steps[index] for index, stamp in numbers.items()}
    return found


def test_the_topics_are_those_that_the_perception_node_subscribes_to() -> None:
    parameters = yaml.safe_load(parameters_path().read_text())["/**"]["ros__parameters"]
    for name in FAULTS:
        # They are relative, so that a namespace stands before them.
        assert TOPICS["/" + parameters[name]["topic"]] == (name, parameters[name]["type"])
    assert TOPICS["/" + parameters["camera_info_topic"]] == ("rgb", "sensor_msgs/msg/CameraInfo")


def test_every_sensor_arrives_at_its_rate(listener: Listener) -> None:
    begin = time.time_ns()
    for topic in TOPICS:
        stamps = [stamp_ns(message) for message in listener.wait_for(topic, 12, begin)]
        period = 1 if topic == WRENCH else 50
        assert np.median(np.diff(stamps)) / MS == pytest.approx(period, rel=0.01), topic


@pytest.fixture
def without_pictures(listener: Listener) -> Iterator[None]:
    """They are nearly all of the work; without them a busy machine can keep up."""
    for name in ("rgb", "depth"):
        listener.set(f"cut.{name}", True)
    yield
    for name in ("rgb", "depth"):
        listener.set(f"cut.{name}", False)


@pytest.mark.usefixtures("without_pictures")
def test_every_message_goes_out_when_its_stamp_says(listener: Listener) -> None:
    since = listener.set("rate", 0.2)
    for topic in (WRENCH, ACTION, JOINTS):
        listener.wait_for(topic, 400 if topic == WRENCH else 8, since)  # two seconds of them
    listener.set("rate", 1.0)
    for topic in (WRENCH, ACTION, JOINTS):
        sent, stamps = np.array([(t, stamp_ns(m)) for t, m in listener.sent_after(topic, since)]).T
        late = (sent - stamps) / MS
        assert late.min() > -1, topic
        assert np.median(late) < 200, topic
    sent = np.array([t for t, _ in listener.sent_after(WRENCH, since)[:400]])
    steps = [np.ptp(sent[i : i + 50]) for i in range(0, 400, 50)]
    assert np.median(steps) > 100 * MS, "wrenches come at once instead of one by one"


def test_a_cut_off_camera_stops_alone_and_comes_back(listener: Listener) -> None:
    cut = listener.set("cut.rgb", True)
    for topic, count in ((DEPTH, 6), (WRENCH, 200), (ACTION, 6), (JOINTS, 6)):
        listener.wait_for(topic, count, cut)
    assert not listener.after(RGB, cut)
    assert not listener.after(INFO, cut)
    back = listener.set("cut.rgb", False)
    listener.wait_for(RGB, 2, back)
    listener.wait_for(INFO, 2, back)


@pytest.mark.usefixtures("without_pictures")
def test_a_bias_shifts_the_force_by_just_this(listener: Listener) -> None:
    began = listener.set("seed", 11)
    for bias in ([10.0, -4.0, 0.5], [0.0, 0.0, 0.0]):
        since = listener.set("corrupt.force_bias", bias)
        pairs, count = [], 0
        while len(pairs) < 5:  # a busy machine may have lost some wrenches
            count += 8
            joints = listener.wait_for(JOINTS, count, max(began, since))
            listener.wait_for(WRENCH, 1, stamp_ns(joints[-1]) - 1)
            expected = recorded_steps(listener, 11, began, since)
            measured = {stamp_ns(m): array(m) for m in listener.after(WRENCH, since)}
            pairs = [(measured[t], expected[t].forces[-1]) for t in expected if t in measured]
            assert count < 200, f"{len(pairs)} of {len(joints)} steps are those of the trajectory"
        for here, there in pairs:
            np.testing.assert_allclose(here - there, [*bias, 0, 0, 0], atol=1e-9)


def test_pictures_are_those_of_the_robot_and_freeze(listener: Listener) -> None:
    since = listener.set("seed", 12)
    pictures = listener.wait_for(RGB, 5, since)
    listener.wait_for(JOINTS, 1, stamp_ns(pictures[-1]) - 1)
    expected = recorded_steps(listener, 12, since, since, render=True)
    shown = {stamp_ns(m): array(m) for m in listener.after(RGB, since)}
    pairs = [(shown[t], expected[t].image.ravel()) for t in expected if t in shown]
    assert len(pairs) >= 3
    for here, there in pairs:
        np.testing.assert_array_equal(here, there)

    frozen = listener.set("corrupt.rgb", "freeze")
    pictures = listener.wait_for(RGB, 5, frozen)
    assert len({array(m).tobytes() for m in pictures}) == 1
    assert len({array(m).tobytes() for m in listener.wait_for(DEPTH, 5, frozen)}) > 1
    healed = listener.set("corrupt.rgb", "none")
    assert len({array(m).tobytes() for m in listener.wait_for(RGB, 5, healed)}) > 1


def test_depth_of_another_scene(listener: Listener) -> None:
    healthy = array(listener.wait_for(DEPTH, 1, listener.set("seed", 13))[0]).view("<u2")
    since = listener.set("corrupt.depth", "other_scene")
    other = array(listener.wait_for(DEPTH, 2, since)[-1]).view("<u2")
    listener.set("corrupt.depth", "none")
    assert np.abs(healthy.astype(float) - other).mean() > 5  # mm


def test_an_action_that_is_not_executed_is_still_said(listener: Listener) -> None:
    since = listener.set("corrupt.action", "not_executed")
    poses = np.array([array(m)[:4] for m in listener.wait_for(JOINTS, 18, since)])
    actions = [m.twist.linear for m in listener.wait_for(ACTION, 18, since)]
    listener.set("corrupt.action", "none")
    assert np.ptp(poses[10:], axis=0).max() < 1e-3, "after half a second in which it settles"
    assert max(abs(v) for a in actions for v in (a.x, a.y, a.z)) > 1e-3


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("corrupt.rgb", "other_scene", "one of none, freeze, occlude, noise"),
        ("corrupt.force_bias", [1.0], "three finite numbers"),
        ("rate", 0.0, "rate"),
        ("seed", -1, "seed"),
    ],
)
def test_what_makes_no_sense_is_refused(
    listener: Listener, name: str, value: Any, reason: str
) -> None:
    assert reason in listener.try_to_set(name, value)
    listener.wait_for(WRENCH, 10, time.time_ns())


@pytest.mark.usefixtures("without_pictures")
def test_another_rate_changes_the_spacing_of_the_stamps(listener: Listener) -> None:
    since = listener.set("rate", 2.0)
    for topic, spacing in ((JOINTS, 25), (WRENCH, 0.5)):
        stamps = [stamp_ns(message) for message in listener.wait_for(topic, 40, since)]
        # A busy machine loses messages, so that some spacings are multiples; in tenths of a ms.
        spacings = np.rint(10 * np.diff(stamps) / MS).astype(int)
        spacings = spacings[spacings < 10_000]  # where a second was lost, it is given up
        assert np.gcd.reduce(spacings) == 10 * spacing, topic
    listener.set("rate", 1.0)


def test_after_a_standstill_it_goes_on_with_the_present(
    listener: Listener, simulation: Process
) -> None:
    before = stamp_ns(listener.heard[JOINTS][-1][1]) - 1
    os.kill(simulation.pid, signal.SIGSTOP)
    time.sleep(1.3)
    os.kill(simulation.pid, signal.SIGCONT)
    simulation.wait_for_line("behind real time")
    listener.wait_for(JOINTS, 10, time.time_ns())
    sent, stamps = np.array([(t, stamp_ns(m)) for t, m in listener.sent_after(JOINTS, before)]).T
    assert np.diff(stamps).max() > SECOND, "the lost time is not made up for"
    assert (sent - stamps)[-10:].min() < 300 * MS


def test_every_parameter_explains_itself(listener: Listener) -> None:
    names = listener.call(ListParameters, "list_parameters", ListParameters.Request()).result.names
    ours = [name for name in names if name.startswith(("cut.", "corrupt.", "seed", "rate"))]
    assert len(ours) == 2 + 2 * len(FAULTS) + 1
    request = DescribeParameters.Request(names=ours)
    for descriptor in listener.call(DescribeParameters, "describe_parameters", request).descriptors:
        assert descriptor.description


@pytest.mark.usefixtures("require_simulation")
def test_in_a_namespace_so_are_its_topics(domain: int) -> None:
    words = ("--ros-args", "-r", "__ns:=/arm_1")
    with start("smvae_ros.cli.simulation_node", *words, env=ros_environment(domain)) as process:
        line = process.wait_for_line("running; publishing ([^;]*);")
        assert line[1].split(", ") == [f"/arm_1{topic}" for topic in TOPICS]


@pytest.mark.parametrize(
    ("preparation", "reason"),
    [
        ("import sys; sys.modules['mujoco'] = None", r"pip install 'smvae_ros\[sim\]'"),
        ("import os; os.environ['MUJOCO_GL'] = 'disable'", "apt install libegl1"),
    ],
)
def test_what_is_missing_is_said_in_a_line(domain: int, preparation: str, reason: str) -> None:
    if "disable" in preparation and find_spec("mujoco") is None:
        pytest.skip("mujoco is not installed (pip install mujoco)")
    code = (
        f"{preparation}\nfrom smvae_ros.cli.simulation_node import main\nraise SystemExit(main())"
    )
    with Process([sys.executable, "-c", code], ros_environment(domain)) as process:
        process.wait_for_line(f"simulation_node: .*{reason}")
        assert process.finish() == 1
        assert "Traceback" not in process.text
