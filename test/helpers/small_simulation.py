# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Steps of the simulated robot."""

from smvae_ros.simulation.insertion import InsertionRobot, Step


def record(seed: int, count: int, render: bool, **options: object) -> list[Step]:
    with InsertionRobot(seed, **options) as robot:
        return list(robot.steps(count, render))
