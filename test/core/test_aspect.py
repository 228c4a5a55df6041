"""Images of other proportions than the model's, stretched or cropped as the checkpoint says."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_models import small_model
from smvae_core.aspect import visible_part
from smvae_core.checkpoint import load_checkpoint, save_checkpoint
from smvae_core.data.logs.cache_folder import describe_modality
from smvae_core.modalities import Modality
from smvae_core.preprocessing import prepare
from smvae_ros.messages import bag_types, make_camera_info, scale_camera_info

RGB = Modality("rgb", "image", (3, 32, 32), aspect="crop")
DEPTH = Modality("depth", "depth", (1, 32, 32), aspect="crop")
sides = st.integers(1, 300)


def test_a_camera_of_640x480_is_cropped_to_its_middle_480x480() -> None:
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (480, 640, 3), dtype=np.uint8)
    expected = cv2.resize(image[:, 80:560], (32, 32), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(prepare(RGB, image), expected)
    depth = random.uniform(0.1, 1.9, (480, 640)).astype(np.float32)
    stretched = prepare(dataclasses.replace(DEPTH, aspect="stretch"), depth[:, 80:560].copy())
    np.testing.assert_array_equal(prepare(DEPTH, depth), stretched)


def test_a_circle_stays_a_circle_only_when_cropped() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    cv2.circle(image, (320, 240), 150, (255, 255, 255), -1)

    def proportions(aspect: str) -> float:
        lit = prepare(dataclasses.replace(RGB, aspect=aspect), image)[..., 0] > 127
        return lit.any(axis=0).sum() / lit.any(axis=1).sum()

    assert proportions("crop") == pytest.approx(1.0)
    assert proportions("stretch") == pytest.approx(0.75, abs=0.06)


@given(sides, sides, sides, sides)
def test_the_largest_centred_part_of_the_models_proportions_is_seen(
    height: int, width: int, model_height: int, model_width: int
) -> None:
    rows, columns = visible_part("crop", (height, width), (model_height, model_width))
    seen = (rows.stop - rows.start, columns.stop - columns.start)
    assert min(seen) >= 1
    assert seen[0] == height or seen[1] == width
    for part, whole in ((rows, height), (columns, width)):
        assert 0 <= part.start <= part.stop <= whole
        assert abs(part.start - (whole - part.stop)) <= 1
    # The proportions are right to half a pixel of the side that was cut.
    exact = (
        min(height, max(1.0, width * model_height / model_width)),
        min(width, max(1.0, height * model_width / model_height)),
    )
    assert abs(seen[0] - exact[0]) <= 0.5
    assert abs(seen[1] - exact[1]) <= 0.5
    everything = visible_part("stretch", (height, width), (model_height, model_width))
    assert everything == (slice(0, height), slice(0, width))


@given(sides, sides)
def test_images_of_any_proportions_become_the_models(height: int, width: int) -> None:
    assert prepare(RGB, np.zeros((height, width, 3), np.uint8)).shape == (32, 32, 3)
    assert prepare(DEPTH, np.ones((height, width), np.float32)).shape == (32, 32)


def test_the_policy_is_part_of_the_checkpoint_and_missing_in_old_ones(tmp_path: Path) -> None:
    model = small_model()
    rgb = model.modalities["rgb"]
    model.modalities["rgb"] = dataclasses.replace(rgb, aspect="crop")
    save_checkpoint(tmp_path / "model", model)
    held = load_checkpoint(tmp_path / "model").model.modalities
    assert [held[name].aspect for name in ("rgb", "depth")] == ["crop", "stretch"]
    before = {key: value for key, value in rgb.to_dict().items() if key != "aspect"}
    assert Modality.from_dict(before).aspect == "stretch"


def test_only_images_have_an_aspect_and_of_two_kinds() -> None:
    with pytest.raises(ValueError, match="'rgb': aspect must be stretch or crop, not 'letterbox'"):
        Modality("rgb", "image", (3, 8, 8), aspect="letterbox")
    with pytest.raises(ValueError, match="'action': aspect must be left out"):
        Modality("action", "vector", (4,), aspect="crop")


def test_a_cache_of_stretched_images_is_none_of_cropped_ones() -> None:
    stretched = describe_modality(dataclasses.replace(RGB, aspect="stretch"))
    assert describe_modality(RGB) != stretched
    assert "aspect" not in stretched, "caches from before there was a choice stay valid"


@pytest.mark.parametrize(("width", "height"), [(640, 480), (480, 640)])
@pytest.mark.parametrize("offset", [0, 40])
def test_camera_info_follows_the_crop(width: int, height: int, offset: int) -> None:
    """A scene point keeps its place in the picture, also with a region of interest."""
    matrix = np.array([[500.0, 0, 319.5], [0, 510, 239.5], [0, 0, 1]])
    info = make_camera_info(
        bag_types, width + offset, height + offset, matrix, stamp_ns=9, frame_id="optical"
    )
    if offset:
        info.roi.x_offset = info.roi.y_offset = offset
        info.roi.width, info.roi.height = width, height
    small = scale_camera_info(info, 64, 64, bag_types, aspect="crop")
    point = np.array([0.03, -0.02, 1.5])
    rows, columns = visible_part("crop", (height, width), (64, 64))
    u, v, _ = matrix @ point / point[2] - offset
    factor = 64 / 480
    expected = [
        (u - columns.start + 0.5) * factor - 0.5,
        (v - rows.start + 0.5) * factor - 0.5,
    ]
    seen = np.reshape(small.k, (3, 3)) @ point / point[2]
    region = small.roi
    np.testing.assert_allclose(
        seen[:2] - [offset * factor, offset * factor], expected, rtol=0, atol=1e-9
    )
    if offset:
        assert (region.width, region.height) == (64, 64)
        assert (region.x_offset, region.y_offset) == (round(offset * factor),) * 2
    else:
        assert (small.width, small.height) == (64, 64)
    np.testing.assert_allclose(np.reshape(small.p, (3, 4))[:, :3], np.reshape(small.k, (3, 3)))
