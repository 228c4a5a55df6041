# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""CelebA's layout on disk: lists, images, and the cache of decoded images."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from shared_data import shared_data
from small_images import ATTRIBUTES, attribute, portrait, write_attributes, write_celeba
from smvae_core.data.batches import Batches
from smvae_core.data.images.celeba import (
    ATTRIBUTES as WU_GOODMAN,
)
from smvae_core.data.images.celeba import (
    FACES,
    CelebA,
    CelebALayout,
    celeba_samples,
    read_image,
)
from smvae_core.data.images.data_files import DataSetError
from smvae_core.data.images.row_cache import cached_rows
from smvae_core.data.logs.cache_folder import CacheError
from smvae_core.modalities import Modality

LAYOUT = CelebALayout()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_celeba(tmp_path / "celeba")
    return tmp_path / "celeba"


def replace_line(path: Path, number: int, line: str | None) -> None:
    """Replaces one line (from 1), or removes it."""
    lines = path.read_text().splitlines()
    lines[number - 1 : number] = [] if line is None else [line]
    path.write_text("\n".join(lines) + "\n")


# Lists.


def test_split_attributes_and_landmarks(folder: Path) -> None:
    celeba = CelebA(folder)
    assert celeba.names[:2] == ("000001.jpg", "000002.jpg")
    assert {part: rows.tolist() for part, rows in celeba.split.items()} == {
        "training": [0, 1, 2, 3, 4, 5],
        "validation": [6, 7],
        "test": [8, 9],
    }
    chosen = ("Young", "Bald")
    expected = [
        [attribute(row, ATTRIBUTES.index(name)) == 1 for name in chosen] for row in range(10)
    ]
    found = celeba.attributes(chosen)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.array(expected, np.float32))
    points = celeba.landmarks()
    assert points.shape == (10, 5, 2)
    assert points[3].tolist() == [[3, 13], [23, 33], [43, 53], [63, 73], [83, 93]]


def test_lists_in_another_order_are_matched_by_name(folder: Path) -> None:
    expected = CelebA(folder).attributes(ATTRIBUTES)
    path = folder / LAYOUT.attributes
    first, second, *lines = path.read_text().splitlines()
    path.write_text("\n".join([first, second, *reversed(lines), "", ""]))
    np.testing.assert_array_equal(CelebA(folder).attributes(ATTRIBUTES), expected)


@pytest.mark.parametrize(
    ("line", "content", "message"),
    [
        (2, "Bald Male Smiling", r"line 3: expected a name and 3 values .*Smiling.*truncated"),
        (2, "Bald Male Smiling Old", r"there is no Young; the file has Bald, Male, Smiling, Old"),
        (5, "000003.jpg -1  1 -1", r"line 5: expected a name and 4 values .*found '000003.jpg"),
        (5, "000003.jpg -1  1 -1 x", r"line 5: expected integers .*'x'"),
        (5, "000003.jpg -1  1  0 1", r"line 5, Smiling: expected one of -1, 1, found 0"),
        (5, "000002.jpg -1  1 -1 1", r"000002.jpg has 2 lines"),
        (5, "900003.jpg -1  1 -1 1", r"1 images of the partition have no line here.*000003.jpg"),
        (5, None, r"line 1 announces 10 images, but 9 follow"),
        (1, "11", r"line 1 announces 11 images, but 10 follow"),
        (1, None, r"expected the number of images in line 1"),
    ],
)
def test_attribute_file_that_differs(
    folder: Path, line: int, content: str | None, message: str
) -> None:
    path = folder / LAYOUT.attributes
    replace_line(path, line, content)
    with pytest.raises(DataSetError, match=message) as error:
        CelebA(folder).attributes(ATTRIBUTES)
    assert str(path) in str(error.value)


def test_the_eighteen_attributes_are_the_default(folder: Path) -> None:
    assert len(set(WU_GOODMAN)) == 18
    with pytest.raises(DataSetError, match="there is no Bangs, Black_Hair"):
        CelebA(folder).attributes()


@pytest.mark.parametrize(
    ("line", "content", "message"),
    [
        (4, "000004.jpg 3", r"line 4, partition: expected one of 0, 1, 2, found 3"),
        (4, "000004.jpg", r"line 4: expected a name and 1 values"),
        (4, "999999.jpg 0", r"1 of the 10 images .* are missing, the first is 999999.jpg"),
    ],
)
def test_partition_that_differs(folder: Path, line: int, content: str, message: str) -> None:
    replace_line(folder / LAYOUT.partition, line, content)
    with pytest.raises(DataSetError, match=message):
        CelebA(folder)


def test_missing_and_empty_files(folder: Path) -> None:
    (folder / LAYOUT.attributes).write_text("")
    with pytest.raises(DataSetError, match="found 'an empty file'"):
        CelebA(folder).attributes()
    (folder / LAYOUT.attributes).unlink()
    (folder / LAYOUT.landmarks).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataSetError, match=rf"{LAYOUT.attributes}: no such file"):
        CelebA(folder).attributes()
    with pytest.raises(DataSetError, match=rf"{LAYOUT.landmarks}: cannot be read"):
        CelebA(folder).landmarks()
    with pytest.raises(DataSetError, match="expected the folder of the images"):
        CelebA(folder, CelebALayout(images="img"))
    (folder / LAYOUT.partition).write_text("")
    with pytest.raises(DataSetError, match="a line for each image, found none"):
        CelebA(folder)
    (folder / LAYOUT.partition).unlink()
    with pytest.raises(DataSetError, match=rf"{LAYOUT.partition}: no such file"):
        CelebA(folder)


# Images.


def test_images_are_the_central_square_in_rgb(tmp_path: Path) -> None:
    write_celeba(tmp_path / "celeba", suffix=".png")  # no losses
    celeba = CelebA(tmp_path / "celeba")
    images = celeba.images(size=178)
    for row in range(10):
        np.testing.assert_array_equal(images[row], portrait(row)[20:198])
    small = celeba.images(size=64)
    assert small.shape == (10, 64, 64, 3)
    assert np.abs(small.mean((1, 2)) - images.mean((1, 2))).max() < 0.5


def test_jpeg_and_grey_images(folder: Path) -> None:
    image = read_image(folder / LAYOUT.images / "000001.jpg")
    assert image.shape == (218, 178, 3)
    assert np.abs(image.astype(int) - portrait(0)).mean() < 4
    path = folder / LAYOUT.images / "grey.png"
    assert cv2.imwrite(str(path), portrait(0)[..., 0])
    np.testing.assert_array_equal(read_image(path), np.repeat(portrait(0)[..., :1], 3, axis=2))


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.6, 0.99])
def test_truncated_image_is_one_clear_error(tmp_path: Path, suffix: str, kept: float) -> None:
    write_celeba(tmp_path, suffix=suffix)
    path = tmp_path / LAYOUT.images / f"000004{suffix}"
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DataSetError, match=rf"000004{suffix}: expected an image, but \d+ bytes"):
        CelebA(tmp_path).images()


# Samples.


def test_samples_read_from_memory_and_cache_alike(folder: Path, tmp_path: Path) -> None:
    celeba = CelebA(folder)
    caches = (None, tmp_path / "cache", tmp_path / "cache")
    batches = []
    for cache in caches:
        samples = celeba_samples(celeba, ATTRIBUTES, size=32, cache=cache)
        samples.check(
            [
                Modality("image", "image", (3, 32, 32)),
                Modality("attributes", "vector", (4,), likelihood="bernoulli"),
            ]
        )
        training = samples.split["training"]
        batches.append(list(Batches(samples, ("image", "attributes"), training, 4)))
    assert [batch.index.tolist() for batch in batches[0]] == [[0, 1, 2, 3], [4, 5]]
    for expected, *others in zip(*batches, strict=True):
        for name, x in expected.prepared.items():
            assert all(torch.equal(other.prepared[name], x) for other in others)


# The cache.


def count_to(rows: int, calls: list[tuple[int, int]] | None = None, stop: int | None = None):
    """A computation of `rows` rows that fails at row `stop`."""

    def compute(first: int, end: int) -> dict[str, np.ndarray]:
        if calls is not None:
            calls.append((first, end))
        if stop is not None and end > stop:
            raise RuntimeError("interrupted")
        return {
            "x": np.arange(first, end)[:, None] * [1, 2],
            "even": np.arange(first, end) % 2 == 0,
        }

    formats = {"x": ("int32", (2,)), "even": ("bool", ())}
    return {"origin": {"of": "test"}, "formats": formats, "count": rows, "compute": compute}


def run(folder: Path | None, **arguments: object) -> dict[str, np.ndarray]:
    return cached_rows(folder, title="test", **arguments)


def test_interrupted_cache_continues_behind_the_last_block(tmp_path: Path) -> None:
    expected = run(None, **count_to(1000))
    calls: list[tuple[int, int]] = []
    with pytest.raises(RuntimeError, match="interrupted"):
        run(tmp_path / "cache", **count_to(1000, calls, stop=600))
    assert calls == [(0, 256), (256, 512), (512, 768)]
    # A line that was being written when the power went.
    with open(tmp_path / "cache" / "journal.jsonl", "a") as journal:
        journal.write('{"end": 76')
    calls.clear()
    found = run(tmp_path / "cache", **count_to(1000, calls))
    assert calls == [(512, 768), (768, 1000)]
    calls.clear()
    again = run(tmp_path / "cache", **count_to(1000, calls))
    assert calls == []
    for arrays in (found, again):
        for name, array in expected.items():
            np.testing.assert_array_equal(arrays[name], array)
            assert arrays[name].dtype == array.dtype
    assert sorted(path.suffix for path in (tmp_path / "cache").iterdir()) == [
        ".json",
        ".lock",
        ".npy",
        ".npy",
    ]


def _killed(folder: Path) -> None:
    arguments = count_to(1000)
    compute = arguments["compute"]

    def die(first: int, end: int) -> dict[str, np.ndarray]:
        if first >= 512:
            os.kill(os.getpid(), signal.SIGKILL)
        return compute(first, end)

    run(folder, **(arguments | {"compute": die}))


def test_killed_process_leaves_a_cache_that_continues(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_killed, args=(tmp_path / "c",))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (tmp_path / "c" / "rows.json").exists()
    calls: list[tuple[int, int]] = []
    found = run(tmp_path / "c", **count_to(1000, calls))
    assert calls[0] == (512, 768)
    np.testing.assert_array_equal(found["x"], run(None, **count_to(1000))["x"])


def test_files_of_a_cache_never_change(tmp_path: Path) -> None:
    found = run(tmp_path / "c", **count_to(5))
    torch.from_numpy(found["x"])[:] = 7
    assert run(tmp_path / "c", **count_to(5))["x"].tolist() == [[n, 2 * n] for n in range(5)]


def test_cache_of_something_else_is_refused(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    CelebA(folder).images(32, cache)
    with pytest.raises(
        CacheError, match=r"size 32 instead of 64.*delete the folder or use another"
    ):
        CelebA(folder).images(64, cache)
    other = folder / LAYOUT.images / "000002.jpg"
    other.write_bytes(other.read_bytes() + b"\0")
    with pytest.raises(CacheError, match=r"a cache of other data or settings \(images \w{16} inst"):
        CelebA(folder).images(32, cache)
    with pytest.raises(CacheError, match="holds other things"):
        CelebA(folder).images(32, folder)


def test_unfinished_cache_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="interrupted"):
        run(tmp_path / "c", **count_to(1000, stop=600))
    with pytest.raises(CacheError, match=r"other data or settings \(x .*1000, 2.* instead of"):
        run(tmp_path / "c", **count_to(900))


@pytest.mark.parametrize("damage", ["truncated", "missing", "other", "manifest"])
def test_damaged_cache_is_one_clear_error(tmp_path: Path, damage: str) -> None:
    run(tmp_path / "c", **count_to(300))
    path = tmp_path / "c" / ("rows.json" if damage == "manifest" else "x.npy")
    if damage == "missing":
        path.unlink()
    elif damage == "other":
        np.save(path, np.zeros((300, 3), np.int32))
    else:
        path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(CacheError, match=rf"{path.name}: .*delete the folder and run again"):
        run(tmp_path / "c", **count_to(300))


def test_damaged_image_keeps_what_was_decoded(folder: Path, tmp_path: Path) -> None:
    path = folder / LAYOUT.images / "000009.jpg"
    content = path.read_bytes()
    # Of equal length, so that only decoding shows it.
    path.write_bytes(content[:-2] + b"\0\0")
    with pytest.raises(DataSetError, match=r"000009.jpg: expected an image"):
        CelebA(folder).images(32, tmp_path / "c")
    path.write_bytes(content)
    assert CelebA(folder).images(32, tmp_path / "c").any((1, 2, 3)).all()


# Real faces.


def test_faces_load_with_the_same_code(tmp_path: Path) -> None:
    celeba = CelebA(shared_data("faces"), FACES)
    assert {part: len(rows) for part, rows in celeba.split.items()} == {
        "training": 504,
        "validation": 63,
        "test": 64,
    }
    chosen = ("Male", "Mouth_Slightly_Open", "Young")
    samples = celeba_samples(celeba, chosen, cache=tmp_path / "cache")
    batch = samples.read(np.arange(631), ("image", "attributes"))
    assert batch.prepared["image"].shape == (631, 64, 64, 3)
    assert batch.prepared["image"].float().std(dim=(1, 2, 3)).min() > 10
    assert set(batch.prepared["attributes"].unique().tolist()) == {0.0, 1.0}
    assert batch.prepared["attributes"][0].tolist() == [1.0, 0.0, 0.0]
    # Aligned: eyes above nose above mouth, in every image.
    height = celeba.landmarks()[..., 1]
    assert (height[:, :2].max(1) < height[:, 2]).all()
    assert (height[:, 2] < height[:, 3:].min(1)).all()
    with pytest.raises(DataSetError, match=r"there is no Bald, Bangs.*the file has Male"):
        celeba.attributes()


def test_attribute_file_of_other_images(folder: Path) -> None:
    write_attributes(folder / LAYOUT.attributes, [f"{n:06d}.jpg" for n in range(5, 12)])
    with pytest.raises(DataSetError, match=r"4 images of the partition have no line here"):
        CelebA(folder).attributes(ATTRIBUTES)
