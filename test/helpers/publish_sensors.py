# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Publishes all sensors at 40 Hz until it is killed: a driver that a test can kill."""

from __future__ import annotations

import os
import threading

from robot import ALL, Robot, observations

if __name__ == "__main__":
    robot = Robot(int(os.environ["ROS_DOMAIN_ID"]))
    readings = observations()
    print("publishing", flush=True)
    while not threading.Event().wait(0.025):
        robot.send(ALL, readings)
