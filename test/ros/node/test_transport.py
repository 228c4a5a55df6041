# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Fast DDS' transport for large data: it is said where it is not used although it was asked for."""

from __future__ import annotations

from contextlib import closing

import pytest

from smvae_ros.node.transport import LARGE_DATA, VARIABLE, transport_problem

BOTH = {VARIABLE: LARGE_DATA, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}


@pytest.mark.parametrize("middleware", ["rmw_fastrtps_cpp", "rmw_fastrtps_dynamic_cpp"])
def test_localhost_is_named_with_its_cure(middleware: str) -> None:
    problem = transport_problem(BOTH, middleware)
    assert f"{VARIABLE} (LARGE_DATA) has no effect" in problem
    assert "Set ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET" in problem


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {VARIABLE: LARGE_DATA},
        {**BOTH, "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"},
        {**BOTH, VARIABLE: ""},
    ],
)
def test_nothing_is_said_where_it_is_used_or_not_wanted(environment: dict[str, str]) -> None:
    assert transport_problem(environment, "rmw_fastrtps_cpp") == ""


def test_other_middlewares_do_not_know_the_variable() -> None:
    assert transport_problem(BOTH, "rmw_cyclonedds_cpp") == ""


@pytest.mark.dds
def test_the_node_says_it_at_configure_and_in_its_diagnostics(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")
    from diagnostic_msgs.msg import DiagnosticStatus

    from robot import Robot
    from ros_processes import ros_environment, start, unique_domain_id

    domain = unique_domain_id()
    environment = {**ros_environment(domain), **BOTH}
    for name in ("ROS_AUTOMATIC_DISCOVERY_RANGE", "RMW_IMPLEMENTATION"):
        monkeypatch.setenv(name, environment[name])
    with (
        start("smvae_ros.cli.perception_node", env=environment) as process,
        closing(Robot(domain, listening=False)) as robot,
    ):
        process.wait_for_line(rf"WARN.*{VARIABLE} \(LARGE_DATA\) has no effect")
        robot.wait(
            lambda: robot.diagnostics and VARIABLE in robot.diagnostics.messages["perception"],
            "diagnostics that name the variable",
        )
        assert robot.diagnostics.levels["perception"] == DiagnosticStatus.WARN
        process.interrupt()
        assert process.finish() == 0, process.text
