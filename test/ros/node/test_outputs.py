# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Outputs for other tools, over DDS: the latent in other types, compressed predictions, Autoware's
diagnostic keys.

tensor_msgs and smvae_interfaces are used where they are installed; docs/how_to/latents.md builds
the latter. Without them their topics must not be there.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")

from sensor_msgs.msg import CompressedImage, Image, JointState

from robot import ALL, NODE, Robot, Status, observations
from ros_processes import Process, start_node
from small_models import save_small_checkpoint, small_modalities
from smvae_core.inference.inference import Inference
from smvae_ros.messages import adapter, installed_types, stamp_ns
from smvae_ros.messages.latent import latent_from_message
from smvae_ros.messages.latent_forms import LATENT_TYPE, TENSOR_TYPE
from smvae_ros.node.latent_outputs import LatentOutputs, is_installed

pytestmark = pytest.mark.dds

READINGS = observations()
PLAIN, COMPRESSED = (adapter(f"sensor_msgs/msg/{name}") for name in ("Image", "CompressedImage"))
BLIND = ("force", "action", "proprio")
MODALITIES = {modality.name: modality for modality in small_modalities()}
OPTIONAL = {TENSOR_TYPE: "latent_tensor", LATENT_TYPE: "latent_with_sources"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_checkpoint(tmp_path_factory.mktemp("model") / "small")


@pytest.fixture(scope="module")
def process(domain: int, checkpoint: Path) -> Iterator[Process]:
    with start_node(domain, f"checkpoint:={checkpoint}") as process:
        process.wait_for_line("active")
        yield process


@pytest.fixture(scope="module")
def robot(process: Process, domain: int) -> Iterator[Robot]:
    robot = Robot(domain)
    robot.run(ALL, READINGS, lambda: robot.statuses and robot.latents, "first snapshot")
    yield robot
    robot.close()


def skip_without(type_name: str) -> None:
    if not is_installed(type_name):
        pytest.skip(f"{type_name} is not installed")


def by_stamp(messages: list[Any]) -> dict[int | None, Any]:
    return {stamp_ns(message): message for message in messages}


def beside_the_latent(robot: Robot, messages: list[Any]) -> Callable[[], tuple[Any, Any] | None]:
    """A message and ~/latent of the same moment of the present run."""

    def both() -> tuple[Any, Any] | None:
        latents, others = by_stamp(robot.latents), by_stamp(messages)
        moments = {status.stamp_ns for status in robot.frames() if status.subset == BLIND}
        stamp = next(iter(latents.keys() & others.keys() & moments), None)
        return None if stamp is None else (latents[stamp], others[stamp])

    return both


def test_topics_of_packages_that_are_not_installed_are_not_there(robot: Robot) -> None:
    names = {name for name, _ in robot.node.get_topic_names_and_types()}
    for type_name, topic in OPTIONAL.items():
        assert (f"{NODE}/{topic}" in names) == is_installed(type_name)


def test_a_package_that_does_not_work_here_costs_only_its_topic(
    robot: Robot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_installed(TENSOR_TYPE):
        pytest.skip("tensor_msgs works here")
    package = tmp_path / "tensor_msgs" / "msg"
    package.mkdir(parents=True)
    for folder, code in ((package.parent, ""), (package, "class ExperimentalTensor: pass\n")):
        (folder / "__init__.py").write_text(code)  # without the library that is generated
    monkeypatch.syspath_prepend(tmp_path)
    told: list[str] = []
    try:
        LatentOutputs(
            lambda message_type, topic: robot.node.create_publisher(message_type, topic, 1),
            ALL,
            lambda _, text: told.append(text),
        )
    finally:
        installed_types.cache_clear()
        for name in ("tensor_msgs", "tensor_msgs.msg"):
            sys.modules.pop(name)
    assert len(told) == 1
    assert told[0].startswith("~/latent_tensor is not published: ")
    names = {name for name, _ in robot.node.get_topic_names_and_types()}
    assert {"/robot/latent", "/robot/latent_plot"} <= names


def test_the_plot_shows_the_mean(robot: Robot) -> None:
    plots: list[JointState] = []
    listener = robot.listen(JointState, f"{NODE}/latent_plot", plots.append)
    latent, plot = robot.run(BLIND, READINGS, beside_the_latent(robot, plots), "plot")
    np.testing.assert_array_equal(plot.position, latent_from_message(latent)[0])
    assert list(plot.name) == [f"z{place}" for place in range(6)]
    robot.node.destroy_subscription(listener)


def test_the_latent_names_its_sources(robot: Robot, checkpoint: Path) -> None:
    skip_without(LATENT_TYPE)
    messages: list[Any] = []
    listener = robot.listen(
        installed_types(LATENT_TYPE), f"{NODE}/latent_with_sources", messages.append
    )
    latent, made_of = robot.run(BLIND, READINGS, beside_the_latent(robot, messages), "sources")
    mean, log_variance = latent_from_message(latent)
    np.testing.assert_array_equal(made_of.mean, mean)
    np.testing.assert_array_equal(made_of.log_variance, log_variance)
    assert tuple(made_of.modalities) == ALL
    assert list(made_of.present) == [name in BLIND for name in ALL]
    assert list(np.isnan(made_of.ages)) == [name not in BLIND for name in ALL]
    assert all(0 <= age < 1 for age in made_of.ages if not np.isnan(age))
    assert made_of.model_hash == Inference.load(checkpoint).model_hash
    robot.node.destroy_subscription(listener)


def test_the_tensor_is_the_latent(robot: Robot) -> None:
    skip_without(TENSOR_TYPE)
    tensors: list[Any] = []
    listener = robot.listen(installed_types(TENSOR_TYPE), f"{NODE}/latent_tensor", tensors.append)

    def equal() -> Any:
        """It has no stamp: one of these is that of one of the latents."""
        return next((t for t, m in itertools.product(tensors, robot.latents) if same(t, m)), None)

    def same(tensor: Any, message: Image) -> bool:
        rows = np.frombuffer(tensor.data, "<f4").reshape(tensor.shape)
        return np.array_equal(rows, np.stack(latent_from_message(message)))

    tensor = robot.run(BLIND, READINGS, equal, "tensor")
    assert (tensor.dtype_code, tensor.dtype_bits, tensor.dtype_lanes) == (2, 32, 1)
    robot.node.destroy_subscription(listener)


def test_pictures_are_compressed_only_while_somebody_listens(robot: Robot) -> None:
    topics = {"rgb/compressed": CompressedImage, "depth/compressedDepth": CompressedImage}
    plain = {"rgb": Image, "depth": Image}
    listeners = [robot.listen_to_prediction(*topic) for topic in topics.items()]

    def compressed_alone() -> Status | None:
        frames = (s for s in robot.frames() if s.subset == BLIND)
        return next((s for s in frames if s.predicted == "rgb+depth"), None)

    robot.run(BLIND, READINGS, compressed_alone, "snapshot with the two predictions")
    listeners += [robot.listen_to_prediction(*topic) for topic in plain.items()]

    def all_of_one_moment() -> dict[str, Any] | None:
        kept = {name: by_stamp(robot.predictions[name]) for name in (*topics, *plain)}
        shared = set.intersection(*(set(messages) for messages in kept.values()))
        stamp = next(iter(shared), None)
        return stamp and {name: messages[stamp] for name, messages in kept.items()}

    shown = robot.run(BLIND, READINGS, all_of_one_moment, "all four pictures of a moment")
    assert shown["rgb/compressed"].header == shown["rgb"].header
    rgb, depth = (PLAIN.to_array(shown[name], MODALITIES[name]) for name in plain)
    jpeg = COMPRESSED.to_message(rgb, MODALITIES["rgb"], installed_types)
    assert shown["rgb/compressed"].format == jpeg.format == "rgb8; jpeg compressed bgr8"
    assert shown["rgb/compressed"].data == jpeg.data
    in_millimetres = PLAIN.to_message(depth, MODALITIES["depth"], installed_types)
    np.testing.assert_array_equal(
        COMPRESSED.to_array(shown["depth/compressedDepth"], MODALITIES["depth"]),
        PLAIN.to_array(in_millimetres, MODALITIES["depth"]),
    )
    usual = len(shown["rgb/compressed"].data)
    assert robot.set("jpeg_quality", 1) == ""
    pictures = robot.predictions["rgb/compressed"]
    robot.run(BLIND, READINGS, lambda: len(pictures[-1].data) < usual, "smaller pictures")
    assert robot.set("jpeg_quality", 0) != ""
    for listener in listeners:
        robot.node.destroy_subscription(listener)
    robot.run(
        BLIND,
        READINGS,
        lambda: any(not status.predicted for status in robot.frames()),
        "snapshot without predictions",
    )


def test_processing_times_are_judged_as_in_autoware(robot: Robot) -> None:
    def told(in_range: str, delay_in_range: str) -> Callable[[], bool]:
        def both() -> bool:
            values = robot.diagnostics.values["perception"] if robot.diagnostics else {}
            return (
                values.get("is_processing_time_ms_in_expected_range") == in_range
                and values.get("is_consecutive_processing_delay_in_range") == delay_in_range
            )

        return both

    assert robot.set("deadline_ms", 10_000.0) == ""
    robot.run(BLIND, READINGS, told("True", "True"), "diagnostics that all is in time")
    assert float(robot.diagnostics.values["perception"]["processing_time_ms"]) > 0
    assert robot.set("deadline_ms", 1e-3) == ""
    robot.run(BLIND, READINGS, told("False", "True"), "diagnostics that snapshots are late")
    assert robot.set("max_acceptable_consecutive_delay_ms", 0.0) == ""
    robot.run(BLIND, READINGS, told("False", "False"), "diagnostics that all are late")
