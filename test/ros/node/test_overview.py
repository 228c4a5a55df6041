# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The picture of a snapshot, drawn from real predictions of a small model."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from small_models import random_prepared, small_modalities
from smvae_core.inference.inference import Encoding
from smvae_core.modalities import Modality

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")

from smvae_core.health.hysteresis import Level
from smvae_core.health.monitor import Judgement
from smvae_ros.node.overview import GAP, TILE, draw_overview
from smvae_ros.node.predictions import Predictions
from smvae_ros.sensors.absence import Absence, Cause
from smvae_ros.sensors.observations import Observations
from smvae_ros.sensors.snapshot import Reading, Snapshot

pytestmark = pytest.mark.dds

MODALITIES = {modality.name: modality for modality in small_modalities()}
NAMES = tuple(MODALITIES)
POSTERIOR = Encoding(np.zeros(6, np.float32), np.zeros(6, np.float32), {}, torch.zeros(1, 6))


def make_predictions(
    live: tuple[str, ...], predicted: tuple[str, ...], left_out: tuple[str, ...] = (), seed: int = 0
) -> Predictions:
    random = np.random.default_rng(seed)
    arrays = random_prepared(list(MODALITIES.values()), random)
    expected = random_prepared(list(MODALITIES.values()), random)
    snapshot = Snapshot(
        {name: Reading(None, 1, 0.0123, 0.0) for name in live},
        live[0],
        0,
        0.0,
        {name: Absence(Cause.CLOCK, "stamped too far from the trigger") for name in left_out},
    )
    observations = Observations(snapshot, {name: arrays[name] for name in live}, (), {})
    predictions = {name: expected[name] for name in predicted}
    timings = {"encode": 0.002}
    return Predictions(observations, POSTERIOR, predictions, MODALITIES, "hash", timings)


def tiles(picture: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
    """The upper part of each tile, where there is no text."""
    found = {}
    for (row, label), (column, name) in itertools.product(
        enumerate(("predicted", "live")), enumerate(NAMES)
    ):
        bottom = picture.shape[0] - GAP - row * (TILE + GAP)
        left = GAP + column * (TILE + GAP)
        found[label, name] = picture[bottom - TILE : bottom - 20, left : left + TILE]
    return found


@pytest.mark.parametrize("live", [("force",), ("rgb", "action"), NAMES])
def test_what_is_live_and_what_is_predicted_is_shown_and_nothing_else(
    live: tuple[str, ...],
) -> None:
    picture = draw_overview(make_predictions(live, ("depth", "force")))
    assert picture.dtype == np.uint8
    assert picture.nbytes < 512 * 1024
    for (label, name), tile in tiles(picture).items():
        shown = name in (live if label == "live" else ("depth", "force"))
        assert (len(np.unique(tile)) > 1) == shown, (label, name)


def test_an_image_is_shown_as_it_is() -> None:
    predictions = make_predictions(("rgb",), ())
    shown = tiles(draw_overview(predictions))["live", "rgb"]
    np.testing.assert_array_equal(
        shown[::7, ::7], predictions.observations.arrays["rgb"][: len(shown[::7])]
    )


def test_depth_without_a_reading_is_grey() -> None:
    predictions = make_predictions(("depth",), ())
    shown = tiles(draw_overview(predictions))["live", "depth"][::7, ::7].astype(int)
    grey = np.ptp(shown, axis=-1) == 0
    np.testing.assert_array_equal(
        grey, np.isnan(predictions.observations.arrays["depth"])[: len(shown)]
    )


def test_why_a_sensor_is_absent_makes_a_difference() -> None:
    absent = draw_overview(make_predictions(("rgb",), ()))
    left_out = draw_overview(make_predictions(("rgb",), (), left_out=("depth",)))
    rows, columns = np.nonzero((absent != left_out).any(axis=-1))
    assert rows.max() < absent.shape[0] - 2 * TILE
    assert GAP + TILE < columns.min() <= columns.max() < 2 * (TILE + GAP)


def test_values_outside_the_training_data_and_one_category_can_be_drawn() -> None:
    label = Modality("label", "categorical", (10,), likelihood="categorical")
    predictions = make_predictions(("force", "action"), ())
    extreme = {
        "force": np.full((32, 6), 1e30, np.float32),
        "action": np.full(4, -1e30, np.float32),
        "label": np.eye(10, dtype=np.float32)[3],
    }
    modalities = {**MODALITIES, "label": label}
    observations = dataclasses.replace(predictions.observations, arrays=extreme)
    picture = draw_overview(
        dataclasses.replace(predictions, observations=observations, modalities=modalities)
    )
    assert picture.shape[1] == GAP + 6 * (TILE + GAP)


@pytest.mark.parametrize("level", Level)
def test_the_health_of_a_live_sensor_is_written_and_frames_what_is_not_ok(level: Level) -> None:
    predictions = make_predictions(("rgb", "action"), NAMES)
    judgements = {
        name: Judgement(level, 6.2, "surprise", ("action",), 0, 0.0) for name in ("rgb", "depth")
    }
    plain = draw_overview(predictions)
    drawn = draw_overview(dataclasses.replace(predictions, judgements=judgements))
    assert drawn.nbytes < 512 * 1024
    changed = (plain != drawn).any(-1)
    left = GAP + NAMES.index("rgb") * (TILE + GAP)
    assert changed[:, left : left + TILE + GAP].any()
    assert not changed[:, left + TILE + GAP :].any(), "depth is not live"
    shown = tiles(drawn)["live", "rgb"]
    assert (shown[40, 0] == tiles(plain)["live", "rgb"][40, 0]).all() == (level == Level.OK)


def test_scans_are_drawn_from_above_and_one_channel_in_grey() -> None:
    scan = Modality("scan", "scan", (1, 90), angles=(-1.5, 1.5), mean=(2.0,), std=(1.0,))
    grey = Modality("grey", "image", (1, 16, 16))
    predictions = make_predictions(("action",), ())
    wall = np.full(90, np.nan, np.float32)
    wall[45:] = 1.0  # to the left, where angles are positive
    arrays = {"scan": wall, "grey": np.arange(256, dtype=np.uint8).reshape(16, 16, 1)}
    predictions = dataclasses.replace(
        predictions,
        observations=dataclasses.replace(predictions.observations, arrays=arrays),
        arrays={"scan": np.full(90, 1e30, np.float32)},
        modalities={"scan": scan, "grey": grey},
    )
    picture = draw_overview(predictions)
    top = picture.shape[0] - 2 * (TILE + GAP)
    live = picture[top : top + TILE, GAP : GAP + TILE].astype(int)
    hits = live[..., 1] - live[..., 0] > 50
    assert hits[: TILE // 2, : TILE // 2].sum() > 20
    assert not hits[:, TILE // 2 + 3 :].any()
    shown = picture[top : top + TILE - 20, 2 * GAP + TILE : 2 * (GAP + TILE)]
    assert (np.ptp(shown, axis=-1) == 0).all()
    assert len(np.unique(shown)) > 200
