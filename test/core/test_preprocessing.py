# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Raw reading -> prepared array -> network tensor, and back."""

from __future__ import annotations

import dataclasses
import warnings

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from small_models import random_prepared, small_modalities
from smvae_core.modalities import Modality
from smvae_core.preprocessing import prepare
from smvae_core.tensors import to_raw, to_tensor

RGB, DEPTH, FORCE, ACTION, PROPRIO = small_modalities()
LABEL = Modality("label", "categorical", (3,), likelihood="categorical")
GREY = Modality("grey", "image", (1, 8, 6), mean=(0.4,), std=(0.2,))
SCAN = Modality("scan", "scan", (1, 12), angles=(-1.0, 1.0), mean=(4.0,), std=(2.0,))


@pytest.mark.parametrize("modality", [*small_modalities(), LABEL, GREY, SCAN], ids=lambda m: m.name)
def test_round_trip(modality: Modality) -> None:
    random = np.random.default_rng(1)
    prepared = np.stack([random_prepared([modality], random)[modality.name] for _ in range(3)])
    tensor = to_tensor(modality, prepared)
    assert tensor.shape == (3, *modality.shape)
    assert tensor.dtype == torch.float32
    raw = to_raw(modality, tensor).numpy()
    assert raw.shape == prepared.shape
    if modality.kind == "image":
        assert raw.dtype == np.uint8
        np.testing.assert_array_equal(raw, prepared)
    else:
        assert raw.dtype == np.float32
        np.testing.assert_allclose(raw, prepared.astype(np.float32), rtol=1e-5, atol=1e-5)


@settings(max_examples=30)
@given(
    image=arrays.arrays(np.uint8, (2, 4, 5, 3)),
    mean=st.tuples(*[st.floats(0, 1)] * 3),
    std=st.floats(1 / 255, 10),
)
def test_every_colour_survives_normalisation(
    image: np.ndarray, mean: tuple[float, ...], std: float
) -> None:
    modality = Modality("rgb", "image", (3, 4, 5), mean=mean, std=(std,))
    raw = to_raw(modality, to_tensor(modality, image))
    np.testing.assert_array_equal(raw.numpy(), image)


def test_normalisation_is_per_channel() -> None:
    image = np.zeros((1, 16, 16, 3), np.uint8)
    image[..., 1] = 255
    expected = [(0 - 0.5) / 0.25, (1 - 0.4) / 0.2, (0 - 0.3) / 0.3]
    np.testing.assert_allclose(to_tensor(RGB, image)[0, :, 3, 7], expected, rtol=1e-5)
    wrenches = np.zeros((1, 32, 6), np.float32)
    wrenches[0, 5, 2] = 4.0
    tensor = to_tensor(FORCE, wrenches)
    assert tensor[0, 2, 5] == pytest.approx((4 + 8) / 12, rel=1e-5)
    assert tensor[0, 2, 6] == pytest.approx(8 / 12, rel=1e-5)
    assert tensor[0, 0, 5] == 0.0


def test_predictions_outside_the_range_of_colours_are_clipped() -> None:
    values = torch.tensor([-100.0, 100.0]).view(2, 1, 1, 1).expand(2, *RGB.shape)
    raw = to_raw(RGB, values)
    assert (raw[0] == 0).all()
    assert (raw[1] == 255).all()


@settings(max_examples=40)
@given(height=st.integers(1, 70), width=st.integers(1, 70), seed=st.integers(0, 9))
def test_image_of_any_size_becomes_the_models(height: int, width: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    result = prepare(RGB, image)
    assert result.shape == (16, 16, 3)
    assert result.dtype == np.uint8
    if (height, width) == (16, 16):
        np.testing.assert_array_equal(result, image)
    assert image.min() <= result.min() <= result.max() <= image.max()


def test_smaller_image_is_the_mean_over_areas() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    blocks = image.reshape(16, 2, 16, 3, 3).astype(float).mean((1, 3))
    np.testing.assert_allclose(prepare(RGB, image), blocks, atol=0.51)


def test_height_and_width_are_not_mixed_up() -> None:
    modality = dataclasses.replace(RGB, shape=(3, 8, 24))
    image = np.zeros((16, 48, 3), np.uint8)
    image[:8] = 200  # the upper half
    result = prepare(modality, image)
    assert result.shape == (8, 24, 3)
    assert (result[:4] == 200).all()
    assert (result[4:] == 0).all()
    depth = dataclasses.replace(DEPTH, shape=(1, 8, 24))
    result = prepare(depth, np.where(image[..., 0] > 0, 0.5, 1.5).astype(np.float32))
    assert (result[:4] == 0.5).all()
    assert (result[4:] == 1.5).all()


@settings(max_examples=40)
@given(height=st.integers(1, 70), width=st.integers(1, 70), seed=st.integers(0, 9))
def test_depth_is_never_mixed_across_holes_and_edges(height: int, width: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    values = np.array([np.nan, np.inf, -np.inf, 0.0, -1.0, 2.0, 65.0, 0.25, 1.0, 1.5], np.float32)
    depth = random.choice(values, (height, width))
    depth[0, 0] = 0.25  # the first pixel is always looked at, and without a reading it is refused
    result = prepare(DEPTH, depth)
    assert result.shape == (16, 16)
    assert result.dtype == np.float16
    # Each pixel is a reading of the original, or none.
    assert set(result[np.isfinite(result)].tolist()) <= {0.25, 1.0, 1.5}
    assert not np.isinf(result).any()
    if (height, width) == (16, 16):
        np.testing.assert_array_equal(np.isfinite(result), np.isin(depth, (0.25, 1.0, 1.5)))


def test_what_depth_counts_as_no_reading() -> None:
    depth = np.full((16, 16), 0.7, np.float32)
    none = [np.nan, np.inf, -np.inf, 0.0, 1e-7, -0.3, 2.0, 1e30]
    depth[0, : len(none)] = none
    result = prepare(DEPTH, depth)
    assert np.isnan(result[0, : len(none)]).all()
    assert np.isfinite(result[0, len(none) :]).all()
    nearer = prepare(dataclasses.replace(DEPTH, minimum=0.8, maximum=5.0), depth)
    assert np.nansum(nearer) == 2.0  # only the pixel at 2 m is within this range
    assert to_raw(DEPTH, to_tensor(DEPTH, result[None]))[0, 0, 0].isnan()


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 2.0, 850.0])
@pytest.mark.parametrize("size", [16, 50])
def test_depth_without_any_reading_is_refused(value: float, size: int) -> None:
    """As from a covered camera, or in millimetres where metres are expected."""
    with pytest.raises(ValueError, match=r"depth: no reading in any pixel; valid are .* to 2 m"):
        prepare(DEPTH, np.full((size, size), value, np.float32))
    one = np.full((size, size), value, np.float32)
    one[size // 2 - 3 :] = 0.5
    assert np.isfinite(prepare(DEPTH, one)).any()


def test_depth_is_kept_to_a_millimetre() -> None:
    depth = np.random.default_rng(0).uniform(0.1, 1.999, (16, 16)).astype(np.float32)
    np.testing.assert_allclose(prepare(DEPTH, depth), depth, atol=1e-3)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("size", [16, 40])
def test_depth_of_any_float_type(dtype: type, size: int) -> None:
    result = prepare(DEPTH, np.full((size, size), 0.5, dtype))
    assert result.dtype == np.float16
    assert (result == 0.5).all()


@settings(max_examples=40)
@given(arrays.arrays(np.float64, (32, 6), elements=st.floats(-1e30, 1e30)))
def test_series_is_passed_on_in_single_precision(wrenches: np.ndarray) -> None:
    result = prepare(FORCE, wrenches)
    assert result.dtype == np.float32
    assert result.flags.c_contiguous
    np.testing.assert_array_equal(result, wrenches.astype(np.float32))


def test_views_of_larger_arrays_are_taken() -> None:
    padded = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    np.testing.assert_array_equal(prepare(RGB, padded[:, :16]), padded[:, :16])
    bgr = padded[:, :16, ::-1]  # a negative stride, which torch cannot take
    torch.from_numpy(prepare(RGB, bgr))
    transposed = np.zeros((6, 32), np.float32).T
    torch.from_numpy(prepare(FORCE, transposed))


@pytest.mark.parametrize(
    ("modality", "array", "message"),
    [
        (RGB, np.zeros((16, 16), np.uint8), r"rgb: .*\(height, width, 3\).* got \(16, 16\)"),
        (RGB, np.zeros((16, 16, 4), np.uint8), r"got \(16, 16, 4\)"),
        (RGB, np.zeros((0, 16, 3), np.uint8), r"got \(0, 16, 3\)"),
        (RGB, np.zeros((16, 0, 3), np.uint8), r"got \(16, 0, 3\)"),
        (RGB, np.zeros((16, 16, 3), np.float32), r"8-bit values \(uint8\), got float32"),
        (DEPTH, np.zeros((16, 16, 1), np.float32), r"depth: .* got \(16, 16, 1\)"),
        (DEPTH, np.zeros((0, 0), np.float32), r"depth: .* got \(0, 0\)"),
        (FORCE, np.zeros((6, 32), np.float32), r"force: .*\(32, 6\), got \(6, 32\)"),
        (FORCE, np.zeros((31, 6), np.float32), r"got \(31, 6\)"),
        (ACTION, np.zeros((5,), np.float32), r"action: .*\(4,\), got \(5,\)"),
        (ACTION, np.zeros((), np.float32), r"got \(\)"),
        (ACTION, np.zeros((0,), np.float32), r"got \(0,\)"),
    ],
)
def test_wrong_shapes_are_refused(modality: Modality, array: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prepare(modality, array)


@settings(max_examples=30)
@given(
    position=st.tuples(st.integers(0, 31), st.integers(0, 5)),
    value=st.sampled_from([np.nan, np.inf, -np.inf]),
)
def test_not_finite_readings_are_refused(position: tuple[int, int], value: float) -> None:
    wrenches = np.zeros((32, 6))
    wrenches[position] = value
    with pytest.raises(ValueError, match="force: 1 of 192 values are NaN or infinite"):
        prepare(FORCE, wrenches)


def test_reading_beyond_single_precision_is_refused_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="action: 1 of 4 values"):
            prepare(ACTION, np.array([0.0, 1e300, 0.0, 0.0]))


def test_node_and_training_see_the_same_picture() -> None:
    """A batch of prepared arrays gives the same tensor as each of them alone."""
    random = np.random.default_rng(3)
    for modality in small_modalities():
        rows = [random_prepared([modality], random)[modality.name] for _ in range(4)]
        batch = to_tensor(modality, np.stack(rows))
        alone = torch.cat([to_tensor(modality, torch.from_numpy(row)[None]) for row in rows])
        torch.testing.assert_close(batch, alone, rtol=0, atol=0, equal_nan=True)


def test_resizing_is_opencvs() -> None:
    """Pins the interpolation: another would change what a trained model sees."""
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    expected = cv2.resize(image, (16, 16), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(prepare(RGB, image), expected)


CROPPED_RGB = dataclasses.replace(RGB, shape=(3, 32, 32), aspect="crop")
CROPPED_DEPTH = dataclasses.replace(DEPTH, shape=(1, 32, 32), aspect="crop")


def test_a_camera_of_640x480_is_cropped_to_its_middle_480x480() -> None:
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (480, 640, 3), dtype=np.uint8)
    expected = cv2.resize(image[:, 80:560], (32, 32), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(prepare(CROPPED_RGB, image), expected)
    depth = random.uniform(0.1, 1.9, (480, 640)).astype(np.float32)
    stretched = prepare(
        dataclasses.replace(CROPPED_DEPTH, aspect="stretch"), depth[:, 80:560].copy()
    )
    np.testing.assert_array_equal(prepare(CROPPED_DEPTH, depth), stretched)


def test_a_circle_stays_a_circle_only_when_cropped() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    cv2.circle(image, (320, 240), 150, (255, 255, 255), -1)

    def proportions(aspect: str) -> float:
        lit = prepare(dataclasses.replace(CROPPED_RGB, aspect=aspect), image)[..., 0] > 127
        return lit.any(axis=0).sum() / lit.any(axis=1).sum()

    assert proportions("crop") == pytest.approx(1.0)
    assert proportions("stretch") == pytest.approx(0.75, abs=0.06)


@given(height=st.integers(1, 300), width=st.integers(1, 300))
def test_images_of_any_proportions_become_the_models(height: int, width: int) -> None:
    assert prepare(CROPPED_RGB, np.zeros((height, width, 3), np.uint8)).shape == (32, 32, 3)
    assert prepare(CROPPED_DEPTH, np.ones((height, width), np.float32)).shape == (32, 32)


HEAT = Modality("heat", "image", (1, 8, 6), minimum=-20.0, maximum=60.0)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float16, np.float32, ">f8"])
@pytest.mark.parametrize("size", [(8, 6), (16, 12), (5, 9)])
def test_values_of_one_channel_are_spread_from_black_to_white(
    dtype: np.typing.DTypeLike, size: tuple[int, int]
) -> None:
    low, middle, high = 0.0, 20.0, 60.0
    for value, grey in ((low, 64), (middle, 128), (high, 255), (100.0, 255)):
        for shape in (size, (*size, 1)):
            prepared = prepare(HEAT, np.full(shape, value, dtype))
            assert prepared.shape == (8, 6, 1)
            assert prepared.dtype == np.uint8
            assert (prepared == grey).all()


@pytest.mark.parametrize("aspect", ["stretch", "crop"])
@pytest.mark.parametrize("size", [(8, 6), (16, 12), (5, 9)])
def test_grey_is_prepared_as_colours_are(size: tuple[int, int], aspect: str) -> None:
    grey = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    colour = Modality("rgb", "image", (3, 8, 6), aspect=aspect)
    one = dataclasses.replace(colour, shape=(1, 8, 6))
    expected = prepare(colour, np.repeat(grey[..., None], 3, axis=2))
    np.testing.assert_array_equal(prepare(one, grey), expected[..., :1])


@pytest.mark.parametrize(
    ("modality", "array", "message"),
    [
        (HEAT, np.full((8, 6), np.nan), "heat: 48 of 48 values are NaN or infinite"),
        (HEAT, np.full((8, 6), np.inf), "heat: 48 of 48 values are NaN or infinite"),
        (HEAT, np.zeros((8, 6, 3)), r"heat: .*\(height, width, 1\), got \(8, 6, 3\)"),
        (
            dataclasses.replace(HEAT, minimum=None, maximum=None),
            np.zeros((8, 6), np.uint16),
            "got uint16; give the modality a minimum and a maximum",
        ),
    ],
)
def test_what_is_no_picture_of_one_channel(
    modality: Modality, array: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        prepare(modality, array)
