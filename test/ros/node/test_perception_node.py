# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The perception node in a process of its own, over real DDS.

The node runs with ``use_sim_time`` and nobody publishes ``/clock``: nothing may depend on it.
"""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Twist, TwistStamped, WrenchStamped
from rcl_interfaces.srv import DescribeParameters, ListParameters
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_srvs.srv import Trigger

from patience import PATIENCE
from robot import ALL, MS, NODE, Robot, Status, observations
from ros_processes import Process, start_node
from small_models import save_small_checkpoint, small_model
from smvae_core.checkpoint import save_checkpoint
from smvae_core.inference.inference import Inference
from smvae_core.models.smvae import SMVAE
from smvae_core.preprocessing import prepare
from smvae_ros.bundled import parameters_path
from smvae_ros.messages import installed_types, make_camera_info, stamp_ns
from smvae_ros.messages.latent import latent_from_message

pytestmark = pytest.mark.dds

READINGS = observations()
HEAVY = {**READINGS, "force": np.full(6, 1e6, np.float32)}
SECOND = 1000 * MS


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_checkpoint(tmp_path_factory.mktemp("model") / "small", aspect="crop")


@pytest.fixture(scope="module")
def process(
    domain: int, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Process]:
    folder = tmp_path_factory.getbasetemp()
    parameters = (f"checkpoint:={checkpoint}", f"model_folder:={folder}", "use_sim_time:=true")
    with start_node(domain, *parameters) as process:
        process.wait_for_line("active")
        yield process
        process.interrupt()
        assert process.finish() == 0, process.text


@pytest.fixture(scope="module")
def connected(process: Process, domain: int) -> Iterator[Robot]:
    robot = Robot(domain)
    for name in ALL:
        assert robot.set(f"{name}.max_age", 0.2) == ""
    robot.run(ALL, READINGS, lambda: robot.statuses and robot.latents, "first frame")
    yield robot
    robot.close()


@pytest.fixture
def robot(connected: Robot, checkpoint: Path) -> Iterator[Robot]:
    """The node is active and configured as in the beginning, before and after."""
    yield connected
    if connected.state() == "inactive":
        assert connected.change_state("cleanup")
    if connected.state() == "unconfigured":
        assert connected.set("device", "cpu") == ""
        assert connected.set("runtime", "auto") == ""
        assert connected.set("checkpoint", str(checkpoint)) == ""
        assert connected.change_state("configure")
        assert connected.change_state("activate")


def expected_latent(checkpoint: Path, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    inference = Inference.load(checkpoint)
    arrays = dict(READINGS, force=np.tile(READINGS["force"], (32, 1)))
    sample = {name: prepare(inference.modalities[name], arrays[name]) for name in names}
    prediction = inference(sample)
    return prediction.mean, prediction.log_variance


# -- what is live decides ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [subset for size in range(1, 6) for subset in itertools.combinations(ALL, size)],
    ids="+".join,
)
def test_every_subset_is_encoded_as_offline(
    robot: Robot, checkpoint: Path, names: tuple[str, ...]
) -> None:
    status = robot.run_until_subset(names, READINGS)
    latent = robot.wait(
        lambda: next((m for m in robot.latents if stamp_ns(m) == status.stamp_ns), None),
        "latent with the status' stamp",
    )
    mean, log_variance = latent_from_message(latent)
    expected_mean, expected_log_variance = expected_latent(checkpoint, names)
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(log_variance, expected_log_variance, rtol=1e-3, atol=1e-4)
    absent = set(ALL) - set(names)
    assert {status.levels[name] for name in names} == {DiagnosticStatus.OK}
    assert {status.levels[name] for name in absent} <= {DiagnosticStatus.STALE}


def test_sensors_drop_out_and_return_and_frames_never_stop(robot: Robot) -> None:
    robot.run_until_subset(ALL, READINGS)
    for names in (ALL[2:], ALL[:1], ALL):
        robot.run_until_subset(names, READINGS)


def test_a_sensor_that_never_arrived_or_stopped_is_named_in_the_diagnostics(robot: Robot) -> None:
    robot.run_until_subset(("action",), READINGS)

    def told() -> bool:
        messages = robot.diagnostics.messages if robot.diagnostics else {}
        return (
            bool(messages)
            and "Hz" in messages["action"]
            and "stopped" in messages["rgb"]
            # What most snapshots of the last second were of, which takes a while to be only this.
            and messages["perception"].startswith("action at")
        )

    robot.run(("action",), READINGS, told, "diagnostics that rgb stopped")
    assert robot.diagnostics.levels["rgb"] == DiagnosticStatus.STALE
    assert robot.diagnostics.levels["action"] == DiagnosticStatus.OK


def test_outputs_carry_the_stamp_of_the_newest_input(robot: Robot) -> None:
    images: set[int] = set()

    def three_ms_apart() -> Status | None:
        """A frame of an action and the image after it; again, where one came too late for it."""
        action = robot.send(["action"], READINGS)
        images.add(robot.send(["rgb"], READINGS, action + 3 * MS))
        frames = (s for s in robot.statuses if s.subset == ("rgb", "action"))
        apart = (s for s in frames if float(s.values["action"]["skew_ms"]) == pytest.approx(3.0))
        return next(apart, None)

    status = robot.run((), READINGS, three_ms_apart, "frame of both")
    assert status.stamp_ns in images
    assert float(status.values["frame"]["total_ms"]) > 0


def test_a_late_message_is_left_out_and_the_reason_is_told(robot: Robot) -> None:
    robot.run_until_subset(("rgb", "depth"), READINGS)

    def late() -> Status | None:
        now = time.time_ns()
        robot.publishers["depth"].publish(robot.message("depth", READINGS["depth"], now - SECOND))
        return next((s for s in robot.frames() if "max_skew" in s.messages["depth"]), None)

    status = robot.run(("rgb",), READINGS, late, "frame without the late depth image")
    assert status.subset == ("rgb",)
    assert int(status.values["depth"]["skewed"]) > 0


def test_another_runtime_gives_the_same_latent(robot: Robot, checkpoint: Path) -> None:
    mean, log_variance = expected_latent(checkpoint, ALL)
    assert robot.change_state("deactivate")
    assert robot.change_state("cleanup")
    assert robot.set("runtime", "eager") == ""
    assert robot.change_state("configure")
    assert robot.change_state("activate")
    status = robot.run_until_subset(ALL, READINGS)
    latent = robot.wait(
        lambda: next((m for m in robot.latents if stamp_ns(m) == status.stamp_ns), None), "latent"
    )
    found_mean, found_log_variance = latent_from_message(latent)
    np.testing.assert_allclose(found_mean, mean, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found_log_variance, log_variance, rtol=1e-3, atol=1e-4)
    assert robot.change_state("deactivate")  # the default is chosen again


@pytest.mark.parametrize("jump", [-1000 * SECOND, 1000 * SECOND])
def test_time_that_jumps_changes_nothing(robot: Robot, jump: int) -> None:
    robot.run_until_subset(ALL, READINGS)
    status = robot.run_until_subset(ALL, READINGS, offset_ns=jump)
    assert abs(status.stamp_ns - time.time_ns() - jump) < 100 * SECOND
    robot.run_until_subset(ALL, READINGS)


def test_a_flood_of_images_costs_neither_memory_nor_freshness(
    robot: Robot, process: Process
) -> None:
    def resident_megabytes() -> float:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    flood = observations(image_shape=(480, 640))
    robot.run_until_subset(("rgb",), flood)
    before = resident_megabytes()
    image = robot.message("rgb", flood["rgb"], 1)
    stamps = []
    for _ in range(1500):
        stamps.append(time.time_ns())
        image.header.stamp.sec, image.header.stamp.nanosec = divmod(stamps[-1], SECOND)
        robot.publishers["rgb"].publish(image)
        time.sleep(0.001)
    assert resident_megabytes() - before < 60
    first = len(robot.statuses)
    values = robot.run_until_subset(("rgb",), flood).values["rgb"]
    behind = [s for s in robot.statuses[first:] if s.stamp_ns in stamps]
    assert len(behind) <= 100, "more than our own queue holds: the node goes through old images"
    assert int(values["dropped"]) + int(values["lost"]) > 0
    assert robot.state() == "active"


# -- what is wrong ---------------------------------------------------------------------------------


def test_malformed_messages_are_told_once_and_the_next_good_one_is_used(
    robot: Robot, process: Process
) -> None:
    robot.run_until_subset(ALL, READINGS)

    def spoil(status: str) -> dict[str, object]:
        now = time.time_ns()
        rgb = robot.message("rgb", READINGS["rgb"], now)
        depth = robot.message("depth", READINGS["depth"], now)
        force = robot.message("force", READINGS["force"], now)
        proprio = robot.message("proprio", READINGS["proprio"], now)
        rgb.width = rgb.height = rgb.step = 0
        rgb.data = []
        depth.encoding = "bayer_nonsense"
        force.wrench.force.x = float("nan")
        proprio.velocity = []
        return {"rgb": rgb, "depth": depth, "force": force, "proprio": proprio}

    start_line = len(process.output)
    reasons = {
        "rgb": "/camera/color/image_raw",
        "depth": "bayer_nonsense",
        "force": "NaN",
        "proprio": "0 values of velocity",
    }

    def only_the_good() -> bool:
        for name, message in spoil("").items():
            robot.publishers[name].publish(message)
        last = robot.statuses[-1]
        counted = all(int(last.values[name]["invalid"]) > 0 for name in reasons)
        return counted and last.subset == ("action",)

    def told(reason: str) -> list[str]:
        log = process.output[start_line:]
        return [line for line in log if "unusable" in line and reason in line]

    robot.run(("action",), READINGS, only_the_good, "frame of action alone")
    robot.wait(lambda: all(map(told, reasons.values())), "lines about all of them")
    for reason in reasons.values():
        assert len(told(reason)) == 1, process.output[start_line:]
    robot.run(
        ("action",),
        READINGS,
        lambda: only_the_good() and "unusable" in robot.diagnostics.messages["force"],
        "diagnostics about unusable wrenches",
    )
    assert "NaN" in robot.diagnostics.values["force"]["last_error"]
    robot.run_until_subset(ALL, READINGS)


def test_a_reading_beyond_all_reason_is_left_out_counted_and_named(robot: Robot) -> None:
    robot.run_until_subset(ALL, READINGS)
    absurd = {**READINGS, "action": np.full_like(READINGS["action"], 1e12)}
    rest = tuple(name for name in ALL if name != "action")
    status = robot.run_until_subset(rest, absurd, frames=5, published=ALL)
    assert int(status.values["action"]["invalid"]) > 0
    assert "beyond all reason" in status.messages["action"]
    robot.run(
        ALL,
        absurd,
        lambda: robot.diagnostics and "beyond all" in robot.diagnostics.messages["action"],
        "diagnostics about readings that are beyond all reason",
    )
    robot.run_until_subset(ALL, READINGS)
    for latent in robot.latents:
        assert np.isfinite(latent_from_message(latent)).all()


def test_a_sensor_of_another_clock_is_a_warning_though_it_is_live(robot: Robot) -> None:
    robot.run_until_subset(("rgb",), READINGS)

    def told() -> bool:
        hour = time.monotonic_ns() % SECOND + 3600 * SECOND  # since its machine started
        robot.send(("action",), READINGS, hour)
        messages = robot.diagnostics.messages if robot.diagnostics else {"action": ""}
        return "count from the start of a machine" in messages["action"]

    robot.run(("rgb",), READINGS, told, "diagnostics about the clock of action")
    assert robot.diagnostics.levels["action"] == DiagnosticStatus.WARN
    assert robot.diagnostics.values["action"]["used_hz"] == "0.000"
    assert "action.max_skew" in robot.statuses[-1].messages["action"]


def test_joint_states_of_a_gripper_on_the_same_topic_change_nothing(robot: Robot) -> None:
    names = ("rgb", "proprio")
    robot.run_until_subset(names, READINGS)
    first = len(robot.statuses)
    foreign = int(robot.statuses[-1].values["proprio"]["foreign"])
    invalid = robot.statuses[-1].values["proprio"]["invalid"]

    def many() -> bool:
        now = time.time_ns()
        gripper = robot.message("proprio", READINGS["proprio"], now)
        gripper.name = ["left", "right", "left_tip", "right_tip"]
        robot.publishers["proprio"].publish(gripper)
        return int(robot.statuses[-1].values["proprio"]["foreign"]) > foreign + 20

    robot.run(names, READINGS, many, "messages of a gripper")
    assert {status.subset for status in robot.statuses[first:]} == {names}
    assert robot.statuses[-1].values["proprio"]["invalid"] == invalid


def test_joints_spread_over_messages_are_one_reading(robot: Robot) -> None:
    robot.run_until_subset(("rgb",), READINGS)
    publishers = [robot.publishers["proprio"]]

    def publish(*joints: str) -> None:
        message = robot.message("proprio", READINGS["proprio"], time.time_ns())
        places = [list(message.name).index(joint) for joint in joints]
        message.name = list(joints)
        message.position = [message.position[place] for place in places]
        message.velocity = [message.velocity[place] for place in places]
        publishers[-1].publish(message)

    def missing() -> bool:
        publish("x", "y")
        return "joint z and yaw " in robot.statuses[-1].messages["proprio"]

    def complete() -> bool:
        publish("x", "y")
        publish("z", "yaw")
        return robot.statuses[-1].subset == ("rgb", "proprio")

    robot.run(("rgb",), READINGS, missing, "the joints that are missing")

    def shared() -> bool:
        publish("x", "z", "yaw")
        publishers.reverse()
        publish("x", "y")
        publishers.reverse()
        said = robot.diagnostics.messages["proprio"] if robot.diagnostics else ""
        return "joint x comes in messages of different joints, and /joint_states has 2" in said

    robot.run(("rgb",), READINGS, complete, "a reading of both messages")
    publishers.append(robot.node.create_publisher(JointState, "/joint_states", 10))
    robot.run(("rgb",), READINGS, shared, "that two publishers send one joint")
    assert robot.diagnostics.levels["proprio"] == DiagnosticStatus.WARN
    assert robot.statuses[-1].subset == ("rgb", "proprio")


def test_a_driver_replaced_by_one_of_another_type_is_named(robot: Robot, domain: int) -> None:
    robot.run_until_subset(("rgb", "action"), READINGS)
    robot.node.destroy_publisher(robot.publishers["action"])
    context = rclpy.Context()  # a participant has one type on a topic
    rclpy.init(context=context, domain_id=domain)
    driver = rclpy.create_node("driver", context=context)
    other = driver.create_publisher(Twist, "/action", 10)

    def told() -> bool:
        other.publish(Twist())
        message = robot.diagnostics.messages["action"]
        return "stopped" in message and "publishes geometry_msgs/msg/Twist," in message

    try:
        robot.run(("rgb",), READINGS, told, "diagnostics about the driver's type")
        assert robot.diagnostics.levels["action"] == DiagnosticStatus.ERROR
        assert (
            "action.type is geometry_msgs/msg/TwistStamped" in robot.diagnostics.messages["action"]
        )
        driver.destroy_node()
        robot.run(
            ("rgb",),
            READINGS,
            lambda: "no publisher any more" in robot.diagnostics.messages["action"],
            "diagnostics that the driver is gone",
        )
    finally:
        context.try_shutdown()
        robot.publishers["action"] = robot.node.create_publisher(TwistStamped, "/action", 100)
    robot.run_until_subset(("rgb", "action"), READINGS)


def test_incompatible_quality_of_service_is_named(robot: Robot, process: Process) -> None:
    assert robot.change_state("deactivate")
    assert robot.change_state("cleanup")
    assert robot.set("action.topic", "/other_action") == ""
    assert robot.set("action.reliability", "reliable") == ""
    assert robot.change_state("configure")
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = robot.node.create_publisher(TwistStamped, "/other_action", best_effort)
    line = process.wait_for_line("incompatible").string
    assert "RELIABILITY" in line
    assert "set action.reliability to best_effort" in line
    robot.wait(
        lambda: robot.diagnostics.levels["action"] == DiagnosticStatus.ERROR, "error diagnostics"
    )
    assert "RELIABILITY" in robot.diagnostics.messages["action"]
    robot.node.destroy_publisher(publisher)
    assert robot.change_state("cleanup")
    assert robot.set("action.topic", "/action") == ""
    assert robot.set("action.reliability", "best_effort") == ""


# -- predictions -----------------------------------------------------------------------------------


def test_predictions_are_made_only_while_somebody_listens(robot: Robot) -> None:
    assert robot.run_until_subset(ALL, READINGS).predicted == ""
    intrinsics = np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]])
    robot.camera_info.publish(
        make_camera_info(
            installed_types, 640, 480, intrinsics, stamp_ns=1, frame_id="optical_frame"
        )
    )
    listeners = [
        robot.listen_to_prediction("rgb", Image),
        robot.listen_to_prediction("depth", Image),
        robot.listen_to_prediction("force", WrenchStamped),
        robot.listen_to_prediction("action", TwistStamped),
        robot.listen_to_prediction("camera_info", CameraInfo),
    ]
    blind = ("force", "action", "proprio")

    def complete() -> Status | None:
        """A frame of which everything has arrived."""
        pictures = (robot.predictions[name] for name in ("depth", "camera_info"))
        shown = set.intersection(*({stamp_ns(m) for m in messages} for messages in pictures))
        frames = (s for s in robot.frames() if s.subset == blind and s.stamp_ns in shown)
        return next((s for s in frames if s.predicted == "rgb+depth+force+action"), None)

    robot.run(blind, READINGS, complete, "predictions")
    rgb, depth = robot.predictions["rgb"][-1], robot.predictions["depth"][-1]
    assert (rgb.encoding, rgb.width, rgb.height) == ("rgb8", 16, 16)
    assert rgb.header.frame_id == "rgb_frame"  # the camera's last
    assert (depth.encoding, depth.step) == ("32FC1", 64)
    assert robot.predictions["force"][-1].header.frame_id == "force_frame"
    info = robot.predictions["camera_info"][-1]
    assert (info.width, info.height) == (16, 16)
    assert info.k[0] == pytest.approx(600 * 16 / 480), "of the middle 480 of 640 columns"
    for listener in listeners:
        robot.node.destroy_subscription(listener)
    robot.run(
        blind,
        READINGS,
        lambda: any(not status.predicted for status in robot.frames()),
        "frame without predictions",
    )


def test_the_overview_is_drawn_only_while_somebody_listens(robot: Robot) -> None:
    pictures: list[Image] = []
    listener = robot.listen(Image, f"{NODE}/overview", pictures.append)
    blind = ("force", "action", "proprio")

    def drawn() -> Image | None:
        """That of a frame whose status has arrived, too."""
        frames = [s for s in robot.frames() if s.subset == blind and s.predicted == "+".join(ALL)]
        stamps = {status.stamp_ns for status in frames}
        return next((picture for picture in pictures if stamp_ns(picture) in stamps), None)

    picture = robot.run(blind, READINGS, drawn, "overview")
    assert picture.encoding == "rgb8"
    assert len(picture.data) == 3 * picture.width * picture.height < 512 * 1024
    robot.node.destroy_subscription(listener)
    robot.run(
        blind,
        READINGS,
        lambda: any(not status.predicted for status in robot.frames()),
        "frame without predictions",
    )


# -- life cycle and parameters ---------------------------------------------------------------------


def test_the_life_cycle_can_be_gone_through_again_and_again(robot: Robot) -> None:
    for _ in range(2):
        assert robot.change_state("deactivate")
        assert robot.state() == "inactive"
        sent = robot.send(ALL, READINGS)
        robot.diagnostics = None
        robot.wait(
            lambda: robot.diagnostics and "inactive" in robot.diagnostics.messages["perception"],
            "diagnostics",
        )
        assert sent not in map(stamp_ns, robot.latents)
        assert robot.change_state("cleanup")
        assert robot.state() == "unconfigured"
        assert robot.node.count_publishers(f"{NODE}/latent") == 0 or robot.wait(
            lambda: robot.node.count_publishers(f"{NODE}/latent") == 0, "end of the publishers"
        )
        assert robot.change_state("configure")
        assert robot.change_state("activate")
        status = robot.run_until_subset(ALL, READINGS)
        assert int(status.values["rgb"]["received"]) < 1000  # counted since activation


def test_values_out_of_range_are_rejected_with_a_reason(robot: Robot) -> None:
    for name, value, reason in [
        ("gather_ms", -1.0, "range"),
        ("max_rate", 0.0, "range"),
        ("rgb.max_age", -0.5, "range"),
        ("force.max_gap", 1e9, "range"),
        ("max_rate", "fast", "type"),
        ("trigger", "audio", "the model has rgb, depth, force, action, proprio"),
        ("precision", "int4", "float32, bfloat16, float16"),
        ("device", "tpu", "auto, cpu, cuda or cuda:N"),
        ("rgb.type", "sensor_msgs/msg/Imu", "one of sensor_msgs/CompressedImage, Image"),
        ("action.fields", ["linear x"], "'linear x' is not the name of a field"),
        ("rgb.topic", "a topic", "topic name"),
        ("action.scale", 0.0, "other than 0"),
        ("autostart", False, "read-only"),
        ("model_folder", "/", "read-only"),
        ("checkpoint", "x" * 5000, "at most 4096 characters"),
        ("frame_id", "x" * 257, "at most 256 characters"),
        ("proprio.joints", ["x"] * 1001, "at most 1000 names"),
    ]:
        assert reason in robot.set(name, value), name
    robot.run_until_subset(ALL, READINGS)


def test_structural_parameters_say_when_they_may_change(robot: Robot) -> None:
    reason = robot.set("rgb.topic", "/other")
    for step in ("deactivate", "cleanup", "configure", "activate", NODE):
        assert step in reason
    assert robot.change_state("deactivate")
    assert "unconfigured" in robot.set("device", "cuda:0")
    assert robot.change_state("cleanup")
    assert robot.set("rgb.topic", "/other") == ""
    assert robot.set("rgb.topic", "/camera/color/image_raw") == ""


def test_all_others_act_at_once(robot: Robot) -> None:
    assert robot.set("max_rate", 2.0) == ""
    robot.run(ALL, READINGS, lambda: len(robot.frames()) >= 5, "five frames")
    stamps = [status.stamp_ns for status in robot.frames()]
    assert np.diff(stamps).mean() > 0.3 * SECOND
    assert robot.set("max_rate", 60.0) == ""
    assert robot.set("trigger", "action") == ""
    robot.run(
        ALL,
        READINGS,
        lambda: any(s.values["frame"]["trigger"] == "action" for s in robot.frames()),
        "frame triggered by the action",
    )
    assert robot.set("trigger", "") == ""


def test_every_parameter_is_described(robot: Robot) -> None:
    names = robot.call(ListParameters, "list_parameters", ListParameters.Request()).result.names
    ours = [n for n in names if n not in ("use_sim_time", "start_type_description_service")]
    assert "force.max_gap" in ours
    request = DescribeParameters.Request(names=ours)
    answer = robot.call(DescribeParameters, "describe_parameters", request)
    assert all(len(descriptor.description) > 20 for descriptor in answer.descriptors)
    configured = yaml.safe_load(parameters_path().read_text())["/**"]["ros__parameters"]
    flat = {
        f"{key}.{inner}" if isinstance(value, dict) else key
        for key, value in configured.items()
        for inner in (value if isinstance(value, dict) else [""])
    }
    without_defaults = {n for n in ours if not n.startswith("qos_overrides")} - flat
    of_a_wrench = {
        f"{n}.{s}" for n in ("action", "proprio") for s in ("zero", "rotation", "frame_id")
    }
    fields = {f"{name}.fields" for name in ("action", "force", "proprio")}
    others = {"action.joints", "force.joints", "proprio.scale"}
    assert without_defaults == others | of_a_wrench | fields


# -- models ----------------------------------------------------------------------------------------


def test_a_good_model_is_swapped_in_while_the_node_runs(
    robot: Robot, checkpoint: Path, tmp_path: Path
) -> None:
    other = save_small_checkpoint(tmp_path / "other", seed=1, aspect="crop")
    text = (other / "model.yaml").read_text()
    (other / "model.yaml").write_text(text.replace("12.0", "120000.0"))  # force's widest deviation
    before = robot.run_until_subset(ALL, READINGS).values
    old = before["frame"]["model"]
    assert robot.set("checkpoint", str(other)) == ""
    answer = robot.reload()
    assert answer.success, answer.message
    status = robot.run_until_subset(ALL, HEAVY)  # by the old model's statistics none could be so
    new = status.values["frame"]["model"]
    assert new != old
    assert status.values["force"]["invalid"] == before["force"]["invalid"]
    assert new in answer.message
    assert robot.set("checkpoint", str(checkpoint)) == ""
    assert robot.reload().success


def test_forty_requests_at_once_are_all_answered_by_a_few_loads(
    robot: Robot, process: Process
) -> None:
    # A client that takes its answers late keeps ten of them, if nothing else is said.
    client = robot.node.create_client(
        Trigger, f"{NODE}/reload_model", qos_profile=QoSProfile(depth=100)
    )
    assert client.wait_for_service(PATIENCE)
    first = len(process.output)
    futures = [client.call_async(Trigger.Request()) for _ in range(40)]
    answered = 0
    deadline = time.monotonic() + PATIENCE
    while answered < len(futures):
        assert time.monotonic() < deadline, f"{answered} of {len(futures)} are answered"
        time.sleep(0.01)
        answered = sum(future.done() for future in futures)
    assert all(future.result().success for future in futures)
    loads = [line for line in process.output[first:] if "reload_model: model" in line]
    assert len(loads) < 10, "one load answers all who asked before it began"
    robot.node.destroy_client(client)
    robot.run_until_subset(ALL, READINGS)


def _missing(path: Path) -> None:
    shutil.rmtree(path)


def _truncated(path: Path) -> None:
    weights = path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def _other_version(path: Path) -> None:
    description = path / "model.yaml"
    description.write_text(description.read_text().replace("format: 1", "format: 99"))


def _other_modalities(path: Path) -> None:
    modalities = list(small_model().modalities.values())[:3]
    save_checkpoint(path, SMVAE(modalities, latent_size=4, embedding_size=16))


def _other_size(path: Path) -> None:
    save_small_checkpoint(path, image_size=32, aspect="crop")


def _other_aspect(path: Path) -> None:
    save_small_checkpoint(path)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_missing, "does not exist"),
        (_truncated, "truncated"),
        (_other_version, "format 99"),
        (_other_modalities, "rgb, depth, force instead of rgb, depth, force, action, proprio"),
        (_other_size, "rgb.shape (3, 32, 32) instead of (3, 16, 16)"),
        (_other_aspect, "rgb.aspect stretch instead of crop"),
    ],
)
def test_a_bad_model_is_refused_and_the_old_one_stays(
    robot: Robot, checkpoint: Path, tmp_path: Path, spoil: object, reason: str
) -> None:
    bad = save_small_checkpoint(tmp_path / "bad", seed=2, aspect="crop")
    spoil(bad)
    old = robot.run_until_subset(ALL, READINGS).values["frame"]["model"]
    assert robot.set("checkpoint", str(bad)) == ""
    answer = robot.reload()
    assert not answer.success
    assert reason in answer.message
    assert robot.run_until_subset(ALL, READINGS).values["frame"]["model"] == old
    assert robot.set("checkpoint", str(checkpoint)) == ""


def test_checkpoints_outside_of_the_model_folder_are_refused(
    robot: Robot, checkpoint: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    (tmp_path / "linked").symlink_to("/etc")
    for outside in ("/etc", f"{folder}/../../etc", str(tmp_path / "linked"), "../../etc", "/none"):
        assert f"does not lie in the model folder {folder}" in robot.set("checkpoint", outside)
    # Accepted, since it lies inside, but made a link to the outside before it is read.
    late = tmp_path / "late"
    assert robot.set("checkpoint", str(late)) == ""
    late.symlink_to("/etc")
    answer = robot.reload()
    assert not answer.success
    assert "does not lie in the model folder" in answer.message
    assert robot.set("checkpoint", str(checkpoint)) == ""
    assert robot.reload().success
    robot.run_until_subset(ALL, READINGS)


@pytest.mark.parametrize(
    ("parameter", "value", "reason"),
    [
        ("device", "cuda:77", "available here: auto, cpu"),
        ("checkpoint", "{folder}/no/model", "/no/model does not exist"),
        ("trigger", "audio", "unknown modality audio"),
        ("runtime", "tensorrt", "needs a CUDA device, not cpu; use auto"),
    ],
)
def test_configure_fails_with_one_reason_and_works_once_that_is_mended(
    robot: Robot, process: Process, checkpoint: Path, parameter: str, value: str, reason: str
) -> None:
    value = value.format(folder=checkpoint.parent)
    assert robot.change_state("deactivate")
    assert robot.change_state("cleanup")
    good = {"device": "cpu", "runtime": "auto", "trigger": ""}
    assert robot.set(parameter, value) == ""
    lines = len(process.output)
    assert not robot.change_state("configure")
    assert robot.state() == "unconfigured"
    line = process.wait_for_line("cannot configure").string
    assert reason in line
    assert sum("ERROR" in line for line in process.output[lines:]) == 1
    robot.wait(
        lambda: robot.diagnostics and reason in robot.diagnostics.messages["perception"],
        "diagnostics with the reason",
    )
    assert robot.diagnostics.levels["perception"] == DiagnosticStatus.ERROR
    if parameter in good:
        assert robot.set(parameter, good[parameter]) == ""
