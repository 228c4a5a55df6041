# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Perception nodes in several namespaces, as on a robot with two arms, over real DDS."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")

from diagnostic_msgs.msg import DiagnosticArray

from robot import Robot, observations
from ros_processes import ros_environment, start_node, unique_domain_id
from small_models import save_small_checkpoint

pytestmark = pytest.mark.dds

ARMS = ("arm_1", "arm_2")


def test_two_nodes_can_be_told_apart_by_the_names_of_their_statuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    domain = unique_domain_id()
    for name, value in ros_environment(domain).items():
        monkeypatch.setenv(name, value)
    model = f"checkpoint:={save_small_checkpoint(tmp_path / 'small')}"
    # Both look through one camera, whatever the parameters file makes of namespaces.
    camera = "rgb.topic:=/camera/color/image_raw"
    names: set[str] = set()
    of_frames: dict[str, set[str]] = {arm: set() for arm in ARMS}
    wanted = {f"{arm}/smvae_perception: {what}" for arm in ARMS for what in ("perception", "rgb")}
    with (
        start_node(domain, model, camera, arguments=("-r", f"__ns:=/{ARMS[0]}")) as first,
        start_node(domain, model, camera, arguments=("-r", f"__ns:=/{ARMS[1]}")) as second,
        closing(Robot(domain, listening=False, diagnosing=False)) as robot,
    ):
        robot.listen(DiagnosticArray, "/diagnostics", lambda m: names.update(_names(m)))
        for arm in ARMS:
            topic, kept = f"/{arm}/smvae_perception/status", of_frames[arm]
            robot.listen(DiagnosticArray, topic, lambda m, kept=kept: kept.update(_names(m)))
        for node in (first, second):
            node.wait_for_line("active")

        def told() -> bool:
            return wanted <= names and all(of_frames.values())

        robot.run(("rgb",), observations(), told, "statuses of both nodes")
        for node in (first, second):
            node.interrupt()
        assert [node.finish() for node in (first, second)] == [0, 0]
    for arm, found in of_frames.items():
        assert {f"{arm}/smvae_perception: frame", f"{arm}/smvae_perception: rgb"} <= found
        assert all(name.startswith(f"{arm}/smvae_perception: ") for name in found)


def _names(message: DiagnosticArray) -> list[str]:
    return [status.name for status in message.status]
