# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Messages that are finite and that no sensor sent: unusable, by the same words in every tool."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from small_bags import TOPICS, write_small_bag
from small_models import save_small_checkpoint, small_modalities
from small_sensors import EPOCH, MS
from smvae_core.checkpoint import save_checkpoint
from smvae_core.inference.inference import Inference
from smvae_core.modalities import Modality
from smvae_core.models.smvae import SMVAE
from smvae_core.plausibility import DEVIATIONS, LARGEST
from smvae_ros.bags import BagReader, BagWriter
from smvae_ros.cli import bag_to_log, evaluate
from smvae_ros.messages import adapter, bag_types
from smvae_ros.offline.lockstep import lockstep
from smvae_ros.sensors.observations import TOO_LARGE, observe
from smvae_ros.sensors.sensor_set import SensorSet
from smvae_ros.sensors.topic_inputs import TopicInput

WRENCH = "geometry_msgs/msg/WrenchStamped"
FORCE = next(modality for modality in small_modalities() if modality.name == "force")


def test_the_margin_is_of_the_widest_channel_and_never_below_a_thousand() -> None:
    assert FORCE.largest == 8 + DEVIATIONS * 12
    assert dataclasses.replace(FORCE, std=(1e-6,)).largest == 8 + 1000  # hardly moved in training
    assert dataclasses.replace(FORCE, mean=(0.0,), std=(1.0,)).largest == LARGEST  # not trained


@pytest.mark.parametrize(("value", "usable"), [(11_900.0, True), (12_100.0, False), (1e30, False)])
def test_a_wrench_counts_up_to_a_thousand_deviations(value: float, usable: bool) -> None:
    known = adapter(WRENCH)
    for sign in (1, -1):
        reading = np.array([0, 0, 0, 0, sign * value, 0], np.float64)
        message = known.to_message(reading, FORCE, bag_types)
        if usable:
            np.testing.assert_allclose(known.to_array(message, FORCE), reading)
        else:
            with pytest.raises(ValueError, match=r"beyond all reason, -?1\.?\d*e\+\d+ where 1.2e"):
                known.to_array(message, FORCE)


@pytest.mark.parametrize("absurd", [1e12, -1e30])
def test_one_wrench_among_others_changes_nothing_of_the_window(absurd: float) -> None:
    """Seen by neither the frame nor those after it, though the reading is finite."""

    def windows(spoil: Callable[[int], bool]) -> tuple[list[np.ndarray], SensorSet]:
        source = TopicInput(FORCE, "/wrench", adapter(WRENCH))
        sensors = SensorSet({"force": FORCE})
        events = []
        for k in range(120):
            reading = np.full(6, absurd if spoil(k) else 2.0)
            message = source.adapter.to_message(reading, FORCE, bag_types)
            try:
                events.append((k * MS, "force", source.incoming(message), EPOCH + k * MS))
            except ValueError as error:
                sensors.refuse("force", error, k * MS)
        snapshots = lockstep(events, sensors)
        return [observe(s, {"force": source}).arrays["force"] for s in snapshots], sensors

    spoilt, sensors = windows(lambda k: k in (50, 51, 90))
    clean, _ = windows(lambda k: False)
    assert spoilt
    assert all((window == clean[0]).all() for window in spoilt)
    counters = sensors.counters()["force"]
    assert (counters.invalid, counters.received) == (3, 117)
    assert "beyond all reason" in counters.last_error


def test_depth_that_no_camera_measured_is_a_hole_or_no_image() -> None:
    depth = Modality("depth", "depth", (1, 2, 2))
    source = TopicInput(depth, "/depth", adapter("sensor_msgs/msg/Image"))

    def prepared(array: np.ndarray) -> np.ndarray:
        message = source.adapter.to_message(array, depth, bag_types, encoding="32FC1")
        sensors = SensorSet({"depth": depth})
        sensors.store("depth", message, EPOCH, 0)
        observations = observe(sensors.take(0), {"depth": source})
        if observations.unusable:
            raise ValueError(observations.unusable[0].reason)
        return observations.arrays["depth"]

    holes = prepared(np.array([[1e30, 0.5], [-1e12, 1.0]], np.float32))
    np.testing.assert_array_equal(np.isnan(holes), [[True, False], [True, False]])
    with pytest.raises(ValueError, match="no reading in any pixel"):
        prepared(np.full((2, 2), 1e30, np.float32))


def test_what_only_the_model_finds_too_large_is_left_out_and_named(tmp_path: Path) -> None:
    """A model whose statistics believe everything, and whose latent then is not finite."""
    action = Modality("action", "vector", (4,), std=(1e35,))
    model = SMVAE([action, Modality("proprio", "vector", (2,))], 2, embedding_size=8, heads=2)
    with torch.no_grad():
        next(model.embeddings["action"].parameters()).fill_(1e38)
    save_checkpoint(tmp_path / "model", model)
    inference = Inference.load(tmp_path / "model")
    sensors = SensorSet(inference.modalities)
    sources = {
        name: TopicInput(modality, f"/{name}", adapter("std_msgs/msg/Float64MultiArray"))
        for name, modality in inference.modalities.items()
    }
    for name, source in sources.items():
        value = 9e37 if name == "action" else 0.5
        array = np.full(source.modality.shape, value)
        message = source.adapter.to_message(array, source.modality, bag_types)
        sensors.store(name, source.incoming(message), EPOCH, 0)
    observations = observe(sensors.take(0), sources)
    encoding, broken = inference.encode_finite(observations.arrays)
    observations = observations.without_infinite(broken)
    assert list(observations.arrays) == ["proprio"]
    assert np.isfinite(encoding.mean).all()
    assert [reason for _, _, reason in observations.unusable] == [TOO_LARGE]


def spoilt_bag(folder: Path, count: int = 10) -> Path:
    """The first ``count`` commands of the small bag say 1e12 m/s."""
    topic, _ = TOPICS["action"]
    with BagReader(write_small_bag(folder / "whole")) as reader, BagWriter(folder / "bag") as bag:
        for name, kind, stamp, data in reader.messages(reader.topics):
            message: Any = reader.deserialise(kind, data)
            if name == topic and count:
                count -= 1
                message.twist.linear.x = 1e12
            bag.write(name, message, stamp)
    return folder / "bag"


def test_evaluate_and_bag_to_log_say_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = spoilt_bag(tmp_path)
    words = "action: twist.linear.x has a reading beyond all reason, 5e+10 where {} is the most"
    assert bag_to_log.main([str(bag), str(tmp_path / "logs")]) == 0
    assert words.format("1e+09") in capsys.readouterr().out
    checkpoint = save_small_checkpoint(tmp_path / "model")
    output = tmp_path / "evaluation.json"
    assert evaluate.main([str(bag), "--checkpoint", str(checkpoint), "--output", str(output)]) == 0
    assert words.format("1e+03") in capsys.readouterr().out
    found = json.loads(output.read_text())["bags"][str(bag)]
    assert found["invalid"]["action"] == 10
    assert found["failed"] == 0
    assert words.format("1e+03") in found["last_errors"]["action"]
    assert found["absent"]["action"]["causes"]["unusable"] == 10
