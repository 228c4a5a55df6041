# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The demo from end to end: a bag replayed into the node over DDS, and the report of it."""

from __future__ import annotations

import json
import math
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")
pytest.importorskip(
    "matplotlib", reason="matplotlib is not installed: pip install smvae_ros[report]"
)

from ros_processes import ros_environment, start, unique_domain_id
from small_bags import TOPICS, write_small_bag
from small_models import save_small_checkpoint, small_modalities
from smvae_ros.bags import BagReader, BagWriter
from smvae_ros.cli.node_process import node_command
from smvae_ros.messages import adapter, bag_types
from smvae_ros.reports.demo_report import read_truth
from smvae_ros.sensors.topic_inputs import TopicInput

pytestmark = pytest.mark.dds


def test_report_of_a_run_with_the_camera_cut_off(tmp_path: Path) -> None:
    bag = write_small_bag(tmp_path / "run")
    checkpoint = save_small_checkpoint(tmp_path / "model")
    arguments = ["--bag", bag, "--checkpoint", checkpoint, "--yardstick", checkpoint]
    arguments += ["--cut", "1", "2.2", "--output", tmp_path / "out"]
    with start(
        "smvae_ros.cli.demo", *arguments, env=ros_environment(unique_domain_id())
    ) as process:
        process.wait_for_line("cut off")
        process.wait_for_line("are back")
        process.wait_for_line("Open .*report.html")
        assert process.finish() == 0, process.text
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["messages_in"] > 2000
    assert report["predictions_out"] > 30
    assert 0 < report["end_to_end_ms_p50"] <= report["end_to_end_ms_p99"] < 10_000
    assert {"rgb+depth+force+action+proprio", "force+action+proprio"} <= set(report["subsets_seen"])
    assert -math.inf < report["depth_skill_vs_mean_blind"] < 1  # the model is not trained
    page = (tmp_path / "out" / "report.html").read_text()
    assert len(re.findall(r'src="data:image/png;base64,', page)) == 2
    assert not re.search(r'(src|href)="(?!data:)', page), "the page must be self-contained"


@pytest.mark.parametrize("name", ["model #1", "a: b", "100%20", "5", 'the "good" one'])
def test_the_node_gets_the_model_that_was_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values of parameters are YAML, in which # begins a comment."""
    rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy)")
    for variable, value in ros_environment(unique_domain_id()).items():
        monkeypatch.setenv(variable, value)
    words = node_command({"checkpoint": name, "device": "cpu"})
    for_ros = [
        "--ros-args",
        *(w for pair in pairwise(words) if pair[0] == "-p" for w in pair),
    ]
    context = rclpy.Context()
    rclpy.init(args=for_ros, context=context)
    node = rclpy.create_node(
        "reader",
        context=context,
        use_global_arguments=True,
        automatically_declare_parameters_from_overrides=True,
        start_parameter_services=False,
    )
    found = node.get_parameter("checkpoint").value
    node.destroy_node()
    rclpy.shutdown(context=context)
    assert found == name


def test_a_node_that_does_not_start_is_said_with_its_last_words(tmp_path: Path) -> None:
    bag = write_small_bag(tmp_path / "run", 5)
    parameters = tmp_path / "parameters.yaml"
    parameters.write_text("not: [a, parameters, file")
    arguments = ["--bag", bag, "--params", parameters, "--output", tmp_path / "out"]
    with start(
        "smvae_ros.cli.demo", *arguments, env=ros_environment(unique_domain_id())
    ) as process:
        process.wait_for_line("demo: the node did not start")
        assert process.finish() == 1


def test_a_depth_image_without_readings_is_no_truth_but_no_end_either(tmp_path: Path) -> None:
    topic, type_name = TOPICS["depth"]
    depth = next(modality for modality in small_modalities() if modality.name == "depth")
    images = adapter(type_name)

    def write(name: str, *values: float) -> Path:
        with BagWriter(tmp_path / name) as bag:
            for second, value in enumerate(values, start=1):
                array = np.full((16, 16), value, np.float32)
                stamp = second * 10**9
                message = images.to_message(array, depth, bag_types, stamp_ns=stamp)
                bag.write(topic, message, stamp)
        return tmp_path / name

    source = TopicInput(depth, topic, images)
    with BagReader(write("covered", 0.5, np.nan, 0.7)) as reader:
        truth = read_truth(reader, source)
    assert truth.stamps.tolist() == [10**9, 3 * 10**9]
    assert truth.images.shape == (2, 16, 16)
    with (
        BagReader(write("dark", np.nan)) as reader,
        pytest.raises(ValueError, match="no usable depth"),
    ):
        read_truth(reader, source)
