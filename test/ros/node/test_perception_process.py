# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The perception node from its start to its end, each time a process of its own, over real DDS."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState

from robot import ALL, Robot, observations
from ros_processes import ros_environment, start_node, unique_domain_id
from small_models import save_small_checkpoint

pytestmark = pytest.mark.dds

READINGS = observations()
SECOND = 10**9


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_checkpoint(tmp_path_factory.mktemp("model") / "small")


@pytest.fixture
def domain(monkeypatch: pytest.MonkeyPatch) -> int:
    domain = unique_domain_id()
    for name, value in ros_environment(domain).items():
        monkeypatch.setenv(name, value)
    return domain


def test_a_wrong_parameters_file_is_named_and_can_be_mended_while_the_node_runs(
    checkpoint: Path, domain: int
) -> None:
    with start_node(
        domain,
        f"checkpoint:={checkpoint}",
        "use_sim_time:=true",
        "max_rate:=-5.0",
        "audio.topic:=/microphone",
        "rgb.max_aeg:=0.5",
        "proprio.joints:=[shoulder]",
    ) as process:
        line = process.wait_for_line("cannot configure").string
        assert "max_rate must be from 0.01 to 10000.0, but is -5.0" in line
        robot = Robot(domain)
        try:
            assert robot.set("max_rate", 30.0) == ""
            assert not robot.change_state("configure")
            unknown = process.wait_for_line("no use for").string
            assert "audio.topic, rgb.max_aeg" in unknown
            line = process.wait_for_line("cannot configure").string
            assert "proprio.joints has 1 names (shoulder), but proprio has 8 values" in line
            assert robot.set("proprio.joints", ["x", "y", "z", "yaw"]) == ""
            assert robot.change_state("configure")
            assert robot.change_state("activate")
            robot.run_until_subset(ALL, READINGS)
        finally:
            robot.close()
        process.interrupt(times=2)
        assert process.finish() == 0, process.text


def test_a_parameters_file_for_another_node_is_named(
    checkpoint: Path, domain: int, tmp_path: Path
) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text("/camera:\n  ros__parameters: {rate: 30}\n")
    arguments = ("--params-file", str(path))
    with start_node(domain, f"checkpoint:={checkpoint}", arguments=arguments) as process:
        process.wait_for_line(f"{path} has no section for /smvae_perception, only for /camera")
        process.wait_for_line("active")
    assert process.text.count("has no section") == 1


def test_while_nobody_listens_the_node_rests_and_its_diagnostics_stay_true(
    checkpoint: Path, domain: int
) -> None:
    with start_node(
        domain, f"checkpoint:={checkpoint}", "use_sim_time:=true", "idle_rate:=2.0"
    ) as process:
        process.wait_for_line("active")
        robot = Robot(domain, listening=False)
        try:

            def told(message: str, name: str, text: str) -> Callable[[], bool]:
                return lambda: (
                    robot.diagnostics is not None
                    and message in robot.diagnostics.messages["perception"]
                    and text in robot.diagnostics.messages[name]
                )

            resting = told("since nobody listens (idle_rate)", "rgb", "live at")
            robot.run(ALL, READINGS, resting, "diagnostics of a node at rest")
            # The next diagnostics are of a whole second of it.
            robot.diagnostics = None

            def few_frames_of_many_messages() -> bool:
                """A busy machine may need more than one second for it."""
                if not resting():
                    return False
                values = robot.diagnostics.values
                assert float(values["perception"]["rate_hz"]) < 3.5
                assert int(values["rgb"]["dropped"]) <= 1
                force, rgb = (float(values[name]["rate_hz"]) for name in ("force", "rgb"))
                # 25 wrenches come at once each time, or more.
                return (
                    values["perception"]["subset"] == "+".join(ALL)
                    and 0 < 2 * float(values["perception"]["rate_hz"]) < rgb
                    and force > 20 * rgb
                )

            robot.run(ALL, READINGS, few_frames_of_many_messages, "second of all messages")

            def spoiled() -> bool:
                image = robot.message("rgb", READINGS["rgb"], time.time_ns())
                image.encoding = "bayer_nonsense"
                robot.publishers["rgb"].publish(image)
                return told("", "rgb", "unusable")()

            robot.run(ALL[1:], READINGS, spoiled, "diagnostics about unusable images")
            robot.listen_to_frames()
            robot.run_until_subset(ALL, READINGS, frames=20)
            stamps = [status.stamp_ns for status in robot.frames()[-20:]]
            assert stamps[-1] - stamps[0] < 19 * 0.25 * SECOND, "more often than at rest"
            assert robot.latents
        finally:
            robot.close()


def test_debugging_tells_of_each_frame(checkpoint: Path, domain: int) -> None:
    with start_node(
        domain, f"checkpoint:={checkpoint}", arguments=["--log-level", "smvae_perception:=debug"]
    ) as process:
        process.wait_for_line("active")
        robot = Robot(domain)
        try:
            robot.run_until_subset(ALL, READINGS)
            line = process.wait_for_line(r"DEBUG.*snapshot at .* by rgb of .*proprio").string
            assert "encode" in line
            assert "total" in line
            assert robot.set("max_rate", 5.0) == ""
            process.wait_for_line("DEBUG.*max_rate is to be 5.0")
        finally:
            robot.close()


def test_sensors_are_subscribed_only_while_somebody_listens(checkpoint: Path, domain: int) -> None:
    with start_node(domain, f"checkpoint:={checkpoint}", "use_sim_time:=true") as process:
        process.wait_for_line("active")
        robot = Robot(domain, listening=False, diagnosing=False)

        def wait_until_subscribed(wanted: bool) -> None:
            def reached() -> bool:
                counts = {p.get_subscription_count() for p in robot.publishers.values()}
                return counts == {int(wanted)}

            robot.run(ALL, READINGS, reached, f"subscription is {wanted}")

        first_subsets = []
        try:
            for _ in range(3):
                wait_until_subscribed(False)
                listener = Robot(domain, diagnosing=False)
                latents = listener.latents
                statuses = listener.statuses
                try:
                    robot.run(ALL, READINGS, lambda heard=latents: len(heard) > 5, "latents")
                finally:
                    listener.close()
                first_subsets.append(statuses[0].subset)
            # Sensors have a second to be received; an overloaded machine needs more now and then.
            assert ALL in first_subsets, first_subsets
            wait_until_subscribed(False)
            watcher = Robot(domain, listening=False)
            try:
                told = robot.run(ALL, READINGS, lambda: watcher.diagnostics, "diagnostics")
                rates = {name: told.values[name]["rate_hz"] for name in ALL}
                assert all(float(rate) > 0 for rate in rates.values()), "told before it was known"

                def all_live(watcher: Robot = watcher) -> bool:
                    return all("live at" in watcher.diagnostics.messages[name] for name in ALL)

                robot.run(ALL, READINGS, all_live, "diagnostics of live sensors")
            finally:
                watcher.close()
            wait_until_subscribed(False)
            assert robot.set("lazy", False) == ""
            wait_until_subscribed(True)
        finally:
            robot.close()
        process.interrupt()
        assert process.finish() == 0, process.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_interrupt_ends_the_node_with_zero(checkpoint: Path, domain: int, number: int) -> None:
    with start_node(domain, f"checkpoint:={checkpoint}") as process:
        process.wait_for_line("active")
        maps = Path(f"/proc/{process.pid}/maps").read_text()
        segments = set(re.findall(r"/dev/shm/fastdds_[0-9a-f]{16}\b", maps))
        os.kill(process.pid, number)
        assert process.finish() == 0, process.text
        assert "Traceback" not in process.text
        assert not [segment for segment in segments if Path(segment).exists()]


def _has_begun(pid: int) -> bool:
    """Whether the program handles SIGTERM itself, which Python alone does not (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1)
    return False


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.8, 0.9, 0.95, 1.0, 1.05])
def test_an_interrupt_is_heard_at_once_in_every_phase(
    checkpoint: Path, domain: int, share: float, start_up: float
) -> None:
    with start_node(domain, f"checkpoint:={checkpoint}") as process:
        while not _has_begun(process.pid):
            time.sleep(0.005)
        process.wait(share * start_up)
        was_active = "active" in process.text
        process.interrupt()
        # After five seconds, launch sends SIGTERM; on a busy machine everything takes longer.
        assert process.finish(max(5.0, start_up)) == 0, process.text
        assert was_active or "active" not in process.text
        assert "Traceback" not in process.text


@pytest.fixture(scope="module")
def start_up(checkpoint: Path) -> float:
    """Seconds from the beginning of the program until it is active."""
    with start_node(unique_domain_id(), f"checkpoint:={checkpoint}") as process:
        while not _has_begun(process.pid):
            time.sleep(0.005)
        begun = time.monotonic()
        process.wait_for_line("active")
        return time.monotonic() - begun


def test_a_node_that_was_shut_down_answers_and_ends(checkpoint: Path, domain: int) -> None:
    with start_node(domain, f"checkpoint:={checkpoint}") as process:
        process.wait_for_line("active")
        robot = Robot(domain, listening=False)
        try:
            request = ChangeState.Request()
            request.transition.id = Transition.TRANSITION_ACTIVE_SHUTDOWN
            assert robot.call(ChangeState, "change_state", request).success
        finally:
            robot.close()
        assert process.finish() == 0, process.text
        assert "Traceback" not in process.text


def test_interrupts_until_the_node_has_ended_change_nothing(checkpoint: Path, domain: int) -> None:
    with start_node(domain, f"checkpoint:={checkpoint}") as process:
        process.wait_for_line("active")
        ended = threading.Event()

        def interrupt() -> None:
            while not ended.wait(0.005):
                process.interrupt()

        impatient = threading.Thread(target=interrupt)
        impatient.start()
        try:
            assert process.finish() == 0, process.text
        finally:
            ended.set()
            impatient.join()
        assert "Traceback" not in process.text
