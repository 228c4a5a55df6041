# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Six views of one face."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from shared_data import shared_data
from small_images import label_map, portrait, write_celeba
from smvae_core.data.batches import Batches
from smvae_core.data.images.celeba import FACES, CelebA, CelebALayout
from smvae_core.data.images.celeba_views import (
    VIEWS,
    Watermark,
    celeba_views,
    grey,
    landmark_channels,
    left_half,
    paint_landmarks,
)
from smvae_core.data.images.data_files import DataSetError
from smvae_core.data.images.face_landmarks import (
    LABELS,
    DlibLabelMaps,
    StoredLabelMaps,
    paint_parts,
)
from smvae_core.modalities import Modality
from smvae_core.models.smvae import SMVAE

LAYOUT = CelebALayout(label_maps="seg")
SIZE = 64
CHANNELS = {"grey": 1, "edges": 1, "landmarks": 6}


def some_images(count: int = 3) -> torch.Tensor:
    random = np.random.default_rng(0)
    return torch.from_numpy(random.integers(0, 256, (count, 8, 10, 3), dtype=np.uint8))


# Each view for itself.


def test_grey_is_the_luma_that_opencv_computes() -> None:
    images = some_images()
    expected = [cv2.cvtColor(image.numpy(), cv2.COLOR_RGB2GRAY) for image in images]
    found = grey(images)
    assert found.shape == (3, 8, 10, 1)
    assert found.dtype == torch.uint8
    assert np.abs(found[..., 0].numpy().astype(int) - np.stack(expected)).max() <= 1
    equal = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(-1, -1, -1, 3)
    assert torch.equal(grey(equal), equal[..., :1])


def test_half_is_black_on_the_right_and_leaves_its_input_alone() -> None:
    images = some_images()
    before = images.clone()
    found = left_half(images)
    assert torch.equal(found[:, :, :5], images[:, :, :5])
    assert not found[:, :, 5:].any()
    assert torch.equal(images, before)


@pytest.mark.parametrize("size", [16, 64, 178])
def test_watermark_brightens_the_same_pixels_of_every_image(size: int) -> None:
    watermark = Watermark(size)
    black = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    mark = watermark(black)
    share = (mark > 0).float().mean()
    assert 0.1 < share < 0.5  # enough to be seen, not so much that nothing else is
    assert 100 < mark.max() <= 128  # at 16 pixels a line is thinner than one
    assert torch.equal(mark[0], mark[1])
    assert torch.equal(mark, mark.flip(1))  # symmetric
    assert torch.equal(watermark(~black), ~black)  # white stays white
    image = torch.full_like(black, 100)
    image[1] = 200
    marked = watermark(image)
    assert (marked >= image).all()
    assert torch.equal(marked[mark == 0], image[mark == 0])


def test_landmark_channels_are_one_hot_without_background() -> None:
    labels = torch.arange(7, dtype=torch.uint8).view(1, 1, 7)
    channels = landmark_channels(labels)
    assert channels.dtype == torch.uint8
    assert not channels[0, 0, 0].any()
    assert torch.equal(channels[0, 0, 1:], torch.eye(6, dtype=torch.uint8) * 255)
    picture = paint_landmarks(channels.numpy())
    assert picture.shape == (1, 1, 7, 3)
    assert not picture[0, 0, 0].any()
    assert len(np.unique(picture[0, 0], axis=0)) == 7


# Label maps.


def test_small_parts_are_painted_over_large_ones() -> None:
    points = np.zeros((68, 2), np.int32)
    angle = np.linspace(0, np.pi, 17)
    points[:17] = np.stack([50 + 40 * np.cos(angle), 50 + 45 * np.sin(angle)], 1)

    def box(part: slice, left: int, top: int, width: int, height: int) -> None:
        count = part.stop - part.start
        turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
        points[part] = np.stack(
            [left + width * (1 + np.cos(turn)) / 2, top + height * (1 + np.sin(turn)) / 2], 1
        )

    box(slice(17, 22), 20, 20, 20, 6)
    box(slice(22, 27), 60, 20, 20, 6)
    box(slice(27, 36), 42, 40, 16, 20)
    box(slice(36, 42), 22, 32, 16, 8)
    box(slice(42, 48), 62, 32, 16, 8)
    box(slice(48, 60), 32, 66, 36, 16)
    box(slice(60, 68), 40, 71, 20, 6)
    labels = paint_parts(points, (110, 100))
    assert labels.shape == (110, 100)
    assert np.unique(labels).tolist() == list(range(len(LABELS)))
    where = {"background": (5, 5), "face": (60, 20), "nose": (50, 50), "brows": (23, 30)}
    where |= {"eyes": (36, 70), "lips": (74, 35), "mouth": (74, 50)}
    assert {name: LABELS[labels[place]] for name, place in where.items()} == {n: n for n in where}
    # A face that is cut off by the image's edge.
    assert paint_parts(points - 60, (110, 100)).any()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.full((218, 178), 7, np.uint8), "expected labels 0 to 6 .*found 7"),
        (np.zeros((218, 178, 3), np.uint8), "expected a label map, a PNG image of 8-bit grey"),
        (np.zeros((218, 178), np.uint16), "expected a label map"),
        (None, "expected a label map"),
    ],
)
def test_label_map_of_another_kind_is_one_clear_error(
    tmp_path: Path, content: np.ndarray | None, message: str
) -> None:
    pytest.importorskip("skimage")
    write_celeba(tmp_path, layout=LAYOUT)
    path = tmp_path / "seg" / "000003.png"
    if content is None:
        path.write_bytes(b"no image")
    else:
        assert cv2.imwrite(str(path), content)
    with pytest.raises(DataSetError, match=rf"000003\.png: {message}"):
        celeba_views(CelebA(tmp_path, LAYOUT))


def test_missing_folder_of_label_maps(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match="expected the folder of the label maps"):
        StoredLabelMaps(tmp_path / "seg")


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(DataSetError, match=r"needs dlib: pip install .*\[landmarks\].*licence"):
        DlibLabelMaps()
    write_celeba(tmp_path, layout=LAYOUT)
    monkeypatch.setitem(sys.modules, "skimage.feature", None)
    with pytest.raises(DataSetError, match=r"need scikit-image: pip install .*\[benchmarks\]"):
        celeba_views(CelebA(tmp_path, LAYOUT))


def test_missing_model_is_named(tmp_path: Path) -> None:
    pytest.importorskip("dlib")
    with pytest.raises(DataSetError, match=r"none\.dat: no such file; expected dlib's 68-point"):
        DlibLabelMaps(tmp_path / "none.dat")


# All six.


def test_six_views_of_the_same_image(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    write_celeba(tmp_path / "celeba", layout=LAYOUT, suffix=".png")
    celeba = CelebA(tmp_path / "celeba", LAYOUT)
    samples = celeba_views(celeba)
    samples.check([Modality(name, "image", (CHANNELS.get(name, 3), SIZE, SIZE)) for name in VIEWS])
    assert samples.left_out == ()
    assert {part: len(rows) for part, rows in samples.split.items()} == {
        "training": 6,
        "validation": 2,
        "test": 2,
    }
    rows = np.array([4, 0, 7])
    views = samples.read(rows, VIEWS).prepared
    original = celeba.images()[rows]
    np.testing.assert_array_equal(views["original"], original)
    assert torch.equal(views["grey"], grey(views["original"]))
    assert torch.equal(views["left_half"], left_half(views["original"]))
    assert torch.equal(views["watermarked"], Watermark(SIZE)(views["original"]))
    edges = views["edges"].numpy()
    assert set(np.unique(edges)) == {0, 255}
    assert 0.005 < (edges > 0).mean() < 0.2
    # The portrait's rectangle has its left edge at column 50 + row of 178.
    for number, row in enumerate(rows):
        column = round((50 + row) * SIZE / 178)
        assert edges[number, 25:45, column - 2 : column + 3].any(axis=1).all()
    for number, row in enumerate(rows):
        whole = label_map(row)[20:198]
        expected = cv2.resize(whole, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST)
        channels = views["landmarks"][number].numpy()
        np.testing.assert_array_equal((channels.argmax(-1) + 1) * channels.any(-1), expected)
        assert np.unique(expected).tolist() == list(range(7))


def test_images_without_a_face_are_reported_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("skimage")
    write_celeba(tmp_path, layout=LAYOUT, faceless=(1, 8))
    assert cv2.imwrite(str(tmp_path / "seg" / "000007.png"), np.zeros((218, 178), np.uint8))
    with caplog.at_level(logging.WARNING):
        samples = celeba_views(CelebA(tmp_path, LAYOUT))
    assert samples.left_out == ("000002.jpg", "000007.jpg", "000009.jpg")
    assert {part: rows.tolist() for part, rows in samples.split.items()} == {
        "training": [0, 2, 3, 4, 5],
        "validation": [7],
        "test": [9],
    }
    (message,) = caplog.messages
    assert message.startswith("3 of 10 images are left out, since no face was found in them: 00000")
    batches = Batches(samples, VIEWS, samples.split["training"], 2, shuffle=True)
    assert all(len(batch.index) == 2 for batch in batches)


def test_no_face_at_all_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    write_celeba(tmp_path, layout=LAYOUT, faceless=range(10))
    with pytest.raises(DataSetError, match="no face was found in any of the 10 images"):
        celeba_views(CelebA(tmp_path, LAYOUT))


class CountedLabelMaps:
    """Label maps, and how many were asked for."""

    def __init__(self, folder: Path) -> None:
        self._maps = StoredLabelMaps(folder)
        self.origin = self._maps.origin
        self.count = 0

    def __call__(self, path: Path) -> np.ndarray | None:
        self.count += 1
        return self._maps(path)


def test_views_are_computed_once(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    write_celeba(tmp_path / "celeba", layout=LAYOUT, faceless=(3,))
    celeba, cache = CelebA(tmp_path / "celeba", LAYOUT), tmp_path / "cache"
    label_maps = CountedLabelMaps(tmp_path / "celeba" / "seg")
    found = []
    for folder in (None, cache, cache):
        samples = celeba_views(celeba, cache=folder, label_maps=label_maps)
        found.append(samples.read(np.arange(10), VIEWS).prepared)
        assert samples.left_out == ("000004.jpg",)
    assert label_maps.count == 20  # in memory once, for the cache once
    for name in VIEWS:
        assert torch.equal(found[0][name], found[1][name])
        assert torch.equal(found[0][name], found[2][name])


def test_a_model_can_have_all_six_views() -> None:
    modalities = [Modality(name, "image", (CHANNELS.get(name, 3), 8, 8)) for name in VIEWS]
    assert SMVAE(modalities, latent_size=2, embedding_size=4).names == VIEWS


# Real faces.


def test_label_maps_and_dlib_agree_on_real_faces(tmp_path: Path) -> None:
    pytest.importorskip("dlib")
    faces = shared_data("faces")
    celeba = CelebA(faces, FACES)
    stored, dlib = StoredLabelMaps(faces / "seg"), DlibLabelMaps()
    overlaps = []
    for row in range(0, 600, 25):
        first, second = stored(celeba.path(row)), dlib(celeba.path(row))
        assert second is not None
        assert second.shape == first.shape
        parts = [(first == label, second == label) for label in (1, 2, 5)]
        overlaps.append([(a & b).sum() / max((a | b).sum(), 1) for a, b in parts])
    face, nose, lips = np.median(overlaps, axis=0)
    assert face > 0.5  # dlib's ends at the brows
    assert nose > 0.4
    assert lips > 0.4


def test_dlib_finds_no_face_where_there_is_none(tmp_path: Path) -> None:
    pytest.importorskip("dlib")
    path = tmp_path / "wall.png"
    assert cv2.imwrite(str(path), portrait(0))
    assert DlibLabelMaps()(path) is None


def test_views_of_real_faces(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    samples = celeba_views(CelebA(shared_data("faces"), FACES))
    assert samples.left_out == ()
    assert len(samples.split["training"]) == 504
    views = samples.read(samples.split["test"], VIEWS).prepared
    assert (views["edges"] > 0).float().mean(dim=(1, 2, 3)).min() > 0.01
    assert (views["landmarks"] > 0).any(dim=1).any(dim=1).all()  # all six parts in every face
