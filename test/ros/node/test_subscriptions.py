# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What the node waits for before its first frame."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")

import numpy as np
import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import QoSProfile

from patience import PATIENCE
from robot import TOPICS
from ros_processes import ros_environment, unique_domain_id
from small_models import small_modalities
from smvae_ros.bundled import parameters_path
from smvae_ros.messages import installed_types
from smvae_ros.node import subscriptions
from smvae_ros.node.waiting import SharedSensors
from smvae_ros.parameters.configuration import make_topic_inputs, read_values, sensor_settings
from smvae_ros.sensors.evidence import Connection
from smvae_ros.sensors.sensor_set import SensorSet

pytestmark = pytest.mark.dds

FIRST_SECONDS = 0.3


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    domain = unique_domain_id()
    for name, value in ros_environment(domain).items():
        monkeypatch.setenv(name, value)
    context = Context()
    rclpy.init(context=context, domain_id=domain)
    node = Node("inputs", context=context)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


def test_a_second_is_counted_from_the_first_reading_and_not_from_the_subscription(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The publishers of a bag are there long before its first message."""
    monkeypatch.setattr(subscriptions, "FIRST_SECONDS", FIRST_SECONDS)
    modalities = {modality.name: modality for modality in small_modalities()}
    values = read_values(parameters_path(), modalities.values())
    values |= {f"{name}.max_age": PATIENCE for name in modalities}
    inputs = make_topic_inputs(modalities, values)
    connections = {name: Connection(topic_input.topic) for name, topic_input in inputs.items()}
    settings = sensor_settings(modalities, values)
    sensors = SharedSensors(SensorSet(modalities, settings, connections))
    profiles = {name: subscriptions.make_profile("best_effort", 1) for name in modalities}
    subscribed = subscriptions.Subscriptions(node, inputs, profiles, sensors, "", lambda *_: None)

    topic, type_name, _ = TOPICS["rgb"]
    node.create_publisher(installed_types(type_name), topic, QoSProfile(depth=1))
    wait_until(lambda: node.count_publishers(topic) == 1)
    threading.Event().wait(2 * FIRST_SECONDS)
    assert not subscribed.are_awaited(), "nothing there to make a frame of"
    sensors.store("action", np.zeros(4, np.float32), 0, time.monotonic_ns())
    assert subscribed.are_awaited(), "rgb has a publisher"
    wait_until(lambda: not subscribed.are_awaited())
    subscribed.destroy()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)
