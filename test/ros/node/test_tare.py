# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""~/tare, and the frame_id that wrenches should have, in the running node."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import WrenchStamped
from std_srvs.srv import Trigger

from patience import PATIENCE
from robot import NODE, Robot, observations
from ros_processes import Process, start_node, unique_domain_id
from small_models import small_model
from smvae_core.checkpoint import save_checkpoint
from smvae_core.inference.inference import Inference
from smvae_core.preprocessing import prepare
from smvae_ros.messages.latent import latent_from_message

pytestmark = pytest.mark.dds

READINGS = observations()
HALF = 0.7071
ROTATION = [0.0, 0.0, HALF, HALF]  # the training's x is the sensor's -y
TRAINED = "tool_flange"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small"
    save_checkpoint(path, small_model(), {"data": {"frame_ids": {"force": TRAINED}}})
    return path


@pytest.fixture(scope="module")
def process(domain: int, checkpoint: Path) -> Iterator[Process]:
    parameters = (f"checkpoint:={checkpoint}", f"force.rotation:={ROTATION}")
    with start_node(domain, *parameters) as process:
        process.wait_for_line("active")
        yield process


@pytest.fixture(scope="module")
def robot(process: Process, domain: int) -> Iterator[Robot]:
    robot = Robot(domain)
    robot.run_until_subset(("force",), READINGS)
    yield robot
    robot.close()


def tare(robot: Robot, *forces: np.ndarray) -> Trigger.Response:
    """The answer while the sensor says these, one after the other."""
    client = robot.node.create_client(Trigger, f"{NODE}/tare")
    assert client.wait_for_service(PATIENCE)
    answers = []

    def hear(future: object) -> None:
        with robot.heard:
            answers.append(future.result())
            robot.heard.notify_all()

    client.call_async(Trigger.Request()).add_done_callback(hear)
    turn = 0
    while not answers:
        if forces:
            robot.send(["force"], {"force": forces[turn % len(forces)]})
            turn += 1
        with robot.heard:
            robot.heard.wait_for(lambda: answers, 0.025)
    robot.node.destroy_client(client)
    return answers[0]


def latest_latent(robot: Robot) -> np.ndarray:
    robot.run_until_subset(("force",), READINGS)
    return latent_from_message(robot.latents[-1])[0]


def test_the_mean_of_a_still_second_becomes_the_zero(robot: Robot, checkpoint: Path) -> None:
    force = READINGS["force"]
    answer = tare(robot, force)
    assert answer.success, answer.message
    assert f"zero is force {force[0]:.3f} {force[1]:.3f} {force[2]:.3f} N" in answer.message
    assert "(spread 0.000)" in answer.message
    assert "mean of" in answer.message
    np.testing.assert_allclose(robot.get("force.zero"), force, rtol=1e-3)
    inference = Inference.load(checkpoint)
    nothing = prepare(inference.modalities["force"], np.zeros((32, 6), np.float32))
    expected = inference({"force": nothing}).mean
    np.testing.assert_allclose(latest_latent(robot), expected, rtol=1e-2, atol=1e-2)

    def shown() -> str:
        values = robot.diagnostics.values if robot.diagnostics else {}
        return values.get("force", {}).get("zero", "")

    zero = robot.run(["force"], READINGS, shown, "zero in the diagnostics")
    np.testing.assert_allclose([float(x) for x in zero.split()], force, rtol=1e-2)


def test_predictions_are_in_the_axes_and_by_the_zero_of_the_sensor(robot: Robot) -> None:
    assert robot.set("force.zero", [0.0]) == ""
    heard: list[WrenchStamped] = []
    subscription = robot.listen(WrenchStamped, f"{NODE}/prediction/force", heard.append)
    first = robot.run(["force"], READINGS, lambda: heard and heard[-1], "a prediction")
    expected = first.wrench.force
    # Readings as they were, but for the zero that is told: what the model gets is the same.
    shifted = {"force": READINGS["force"] + np.float32(7.0)}
    assert robot.set("force.zero", [7.0]) == ""
    heard.clear()
    later = robot.run(["force"], shifted, lambda: len(heard) > 3 and heard[-1], "another")
    assert later.wrench.force.x == pytest.approx(expected.x + 7.0, abs=0.05)
    assert later.wrench.force.z == pytest.approx(expected.z + 7.0, abs=0.05)
    robot.node.destroy_subscription(subscription)


def test_a_second_call_replaces_the_first_and_a_new_pipeline_keeps_it(robot: Robot) -> None:
    assert tare(robot, READINGS["force"]).success
    force = READINGS["force"] + np.float32(2.0)
    assert tare(robot, force).success
    np.testing.assert_allclose(robot.get("force.zero"), force, rtol=1e-3)
    assert robot.reload().success
    for transition in ("deactivate", "cleanup", "configure", "activate"):
        assert robot.change_state(transition)
    np.testing.assert_allclose(robot.get("force.zero"), force, rtol=1e-3)
    before = latest_latent(robot)
    assert robot.set("force.zero", [0.0]) == ""
    assert np.abs(latest_latent(robot) - before).max() > 1e-3


def test_an_arm_that_moves_is_not_still(robot: Robot) -> None:
    before = list(robot.get("force.zero"))
    moving = READINGS["force"], READINGS["force"] + np.float32(20.0)
    end = time.monotonic() + PATIENCE
    # Where this process had to wait for its turn, all of a second's readings are of one of the two.
    while (answer := tare(robot, *moving)).success and time.monotonic() < end:
        assert robot.set("force.zero", before) == ""
    assert not answer.success
    assert "nothing was tared: force is not still: a spread of" in answer.message
    assert "where 1 N is the limit" in answer.message
    assert list(robot.get("force.zero")) == before


def test_without_messages_it_says_so(robot: Robot) -> None:
    answer = tare(robot)
    assert not answer.success
    assert "no message of force on /wrench within 2 s" in answer.message


def test_a_node_that_is_not_active_says_so(robot: Robot) -> None:
    assert robot.change_state("deactivate")
    answer = tare(robot, READINGS["force"])
    assert not answer.success
    assert "the node is inactive: activate it first" in answer.message
    assert robot.change_state("activate")


def test_a_zero_of_another_length_is_refused(robot: Robot) -> None:
    assert "force.zero has 2 values, but force has 6" in robot.set("force.zero", [1.0, 2.0])


def test_another_frame_than_that_of_the_training_is_told(robot: Robot, process: Process) -> None:
    def warned() -> str:
        known = robot.diagnostics
        if known is None or known.levels.get("force") != DiagnosticStatus.WARN:
            return ""
        text = known.messages["force"]
        return text if "frame_id" in text else ""  # a busy machine makes others

    text = robot.run(["force"], READINGS, warned, "a WARN of the frame")
    assert f"its frame_id is 'force_frame', and the model was trained on '{TRAINED}'" in text
    assert sum("its frame_id is" in line for line in process.output) <= 2, "once a pipeline"
    assert robot.set("force.frame_id", "force_frame") == ""
    robot.run(["force"], READINGS, lambda: warned() == "", "no WARN any more")
    assert robot.diagnostics.values["force"]["frame_id"] == "force_frame"


def test_sensors_are_subscribed_for_it_where_nobody_listens(checkpoint: Path) -> None:
    domain = unique_domain_id()
    with start_node(domain, f"checkpoint:={checkpoint}") as process:
        process.wait_for_line("nobody listens: sensors are not subscribed")
        robot = Robot(domain, listening=False, diagnosing=False)
        try:
            # On a machine with much else to do, the second may pass before they find each other.
            answers = (tare(robot, READINGS["force"]) for _ in range(10))
            assert any(answer.success for answer in answers), process.text
            np.testing.assert_allclose(robot.get("force.zero"), READINGS["force"], rtol=1e-3)
        finally:
            robot.close()
