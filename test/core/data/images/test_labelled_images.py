# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""MNIST and FashionMNIST from IDX files: bytes, download, binarisation and batches."""

from __future__ import annotations

import functools
import hashlib
import math
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shared_data import shared_data
from small_images import TEST, TRAINING, labelled_arrays, write_labelled
from smvae_core.data.batches import Batches
from smvae_core.data.images.binarisation import Bernoulli
from smvae_core.data.images.data_files import DataSetError
from smvae_core.data.images.labelled_images import LabelledSource, load_labelled_images
from smvae_core.data.samples import Samples, TensorColumn
from smvae_core.modalities import Modality
from smvae_core.tensors import to_tensor

NAMES = ("image", "label")
ALL = np.arange(TRAINING + TEST)
IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"


@pytest.fixture
def source(tmp_path: Path) -> LabelledSource:
    return write_labelled(tmp_path / "data")


def load(tmp_path: Path, source: LabelledSource, **options: object) -> Samples:
    options = {"validation": 6} | options
    return load_labelled_images("small", tmp_path / "data", sources={"small": source}, **options)


def pixels(samples: Samples, rows: np.ndarray, epoch: int = 0) -> np.ndarray:
    return samples.read(rows, ["image"], epoch).prepared["image"].numpy()


# The files of a data set.


def test_grey_images_and_one_hot_labels_keep_the_order_of_the_files(
    tmp_path: Path, source: LabelledSource
) -> None:
    samples = load(tmp_path, source, pixels="grey")
    batch = samples.read(ALL, NAMES)
    files = labelled_arrays()
    images = np.concatenate([files[IMAGES], files["t10k-images-idx3-ubyte.gz"]])
    labels = np.concatenate([files[LABELS], files["t10k-labels-idx1-ubyte.gz"]])
    np.testing.assert_array_equal(batch.prepared["image"].numpy(), images[..., None])
    np.testing.assert_array_equal(batch.prepared["label"].argmax(1).numpy(), labels)
    assert torch.equal(batch.prepared["label"].sum(1), torch.ones(len(ALL)))
    assert batch.present.all()
    assert batch.present.shape == (len(ALL), 2)
    assert {part: rows.tolist() for part, rows in samples.split.items()} == {
        "training": list(range(24)),
        "validation": list(range(24, 30)),
        "test": list(range(30, 42)),
    }


@pytest.mark.parametrize("damage", ["truncated", "other"])
def test_file_of_another_checksum_is_refused_and_kept(
    tmp_path: Path, source: LabelledSource, damage: str
) -> None:
    path = tmp_path / "data" / LABELS
    content = path.read_bytes()
    content = content[:-4] if damage == "truncated" else content[:-1] + b"\xff"
    path.write_bytes(content)
    with pytest.raises(DataSetError) as error:
        load(tmp_path, source)
    for part in (str(path), source.files[LABELS], hashlib.md5(content).hexdigest(), "remove it"):
        assert part in str(error.value)
    assert path.read_bytes() == content


def test_impossible_options_are_refused(tmp_path: Path, source: LabelledSource) -> None:
    with pytest.raises(ValueError, match="one of mnist, fashion_mnist, not 'kmnist'"):
        load_labelled_images("kmnist", tmp_path)
    with pytest.raises(ValueError, match="dynamic or grey, not 'static'"):
        load(tmp_path, source, pixels="static")
    for validation in (-1, TRAINING):
        with pytest.raises(ValueError, match=f"30 training images, not {validation}"):
            load(tmp_path, source, validation=validation)


# Download.


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Address of a real HTTP server of the folder `data`."""
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "data"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}/"
        http.shutdown()
        thread.join()


def test_what_is_missing_is_downloaded_from_the_next_mirror(
    tmp_path: Path, source: LabelledSource, server: str
) -> None:
    pytest.importorskip("pooch")
    source = replace(source, mirrors=(f"{server}gone/", server))
    target = tmp_path / "new" / "folder"
    target.mkdir(parents=True)
    kept = target / LABELS
    kept.write_bytes((tmp_path / "data" / LABELS).read_bytes())
    before = kept.stat().st_mtime_ns
    load_labelled_images("small", target, validation=0, sources={"small": source})
    assert sorted(path.name for path in target.iterdir()) == sorted(source.files)
    for name in source.files:
        assert (target / name).read_bytes() == (tmp_path / "data" / name).read_bytes()
    assert kept.stat().st_mtime_ns == before


def test_download_of_other_bytes_leaves_nothing_behind(
    tmp_path: Path, source: LabelledSource, server: str
) -> None:
    pytest.importorskip("pooch")
    source = replace(source, mirrors=(server,))
    path = tmp_path / "data" / IMAGES
    path.write_bytes(path.read_bytes()[:-10])  # what the server gives is truncated
    target = tmp_path / "new"
    with pytest.raises(DataSetError, match="could not be downloaded") as error:
        load_labelled_images("small", target, sources={"small": source})
    assert f"{server}{IMAGES}: " in str(error.value)
    assert list(target.iterdir()) == []


def test_missing_file_without_network_or_pooch(
    tmp_path: Path, source: LabelledSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Port 9 (discard) of this machine: nobody answers.
    source = replace(source, mirrors=("http://127.0.0.1:9/",))
    (tmp_path / "data" / LABELS).unlink()
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(DataSetError, match=r"needs pooch: pip install .*\[benchmarks\]"):
        load(tmp_path, source)
    monkeypatch.undo()
    pytest.importorskip("pooch")
    with pytest.raises(DataSetError, match=r"check folder and network, or put the file from"):
        load(tmp_path, source)


# Dynamic binarisation.


def test_training_images_change_with_the_epoch_and_the_others_do_not(
    tmp_path: Path, source: LabelledSource
) -> None:
    samples = load(tmp_path, source, seed=3)
    other_run = load(tmp_path, source, seed=4)
    grey = pixels(load(tmp_path, source, pixels="grey"), ALL)
    training, fixed = samples.split["training"], np.arange(24, 42)
    epochs = [pixels(samples, ALL, epoch) for epoch in (0, 1, 5)]
    epochs.append(pixels(other_run, ALL))
    for binary in epochs:
        assert set(np.unique(binary)) == {0, 255}
        assert not binary[grey == 0].any()
        assert (binary[grey == 255] == 255).all()
        np.testing.assert_array_equal(binary[fixed], epochs[0][fixed])
    for i, binary in enumerate(epochs):
        for other in epochs[:i]:
            assert (binary[training] != other[training]).any(axis=(1, 2, 3)).all()
    # Going back to an epoch brings its draw back.
    np.testing.assert_array_equal(pixels(samples, ALL, 0), epochs[0])


def test_fixed_draw_is_binary_before_any_training(tmp_path: Path, source: LabelledSource) -> None:
    samples = load(tmp_path, source)
    assert set(np.unique(pixels(samples, samples.split["test"], epoch=7))) == {0, 255}


def test_draws_do_not_depend_on_the_size_of_the_validation_part(
    tmp_path: Path, source: LabelledSource
) -> None:
    few, many = (load(tmp_path, source, validation=count) for count in (2, 10))
    for rows in (few.split["test"], few.split["validation"], many.split["training"]):
        np.testing.assert_array_equal(pixels(few, rows, 2), pixels(many, rows, 2))


def test_frequency_of_white_is_the_grey_value() -> None:
    values = np.arange(256, dtype=np.uint8)
    images = np.repeat(values[None], 20_000, axis=0)
    frequency = (Bernoulli(images).draw((1, 2)) / 255).mean(axis=0)
    expected = values / 255
    deviation = np.sqrt(expected * (1 - expected) / 20_000)
    assert frequency[0] == 0
    assert frequency[255] == 1
    assert (np.abs(frequency - expected) <= 4.5 * deviation).all()
    assert math.isclose(frequency.mean(), 0.5, abs_tol=0.001)


@settings(max_examples=30)
@given(
    order=st.permutations(range(24)), size=st.sampled_from([1, 5, 8, 24]), epoch=st.integers(0, 2)
)
def test_image_does_not_depend_on_its_batch(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], size: int, epoch: int
) -> None:
    folder = tmp_path_factory.mktemp("labelled")
    samples = load(folder, write_labelled(folder / "data"))
    whole = pixels(samples, np.arange(24), epoch)
    rows = np.array(order[:size])
    np.testing.assert_array_equal(pixels(samples, rows, epoch), whole[rows])


# Batches, and what a model sees.


def test_batches_follow_the_epoch_and_continue_after_an_interruption(
    tmp_path: Path, source: LabelledSource
) -> None:
    def make() -> Batches:
        samples = load(tmp_path, source)
        training = samples.split["training"]
        batches = Batches(samples, NAMES, training, 5, seed=1, shuffle=True)
        batches.sampler.set_epoch(2)
        return batches

    whole = list(make())
    assert len(whole) == 4
    interrupted = make()
    iterator = iter(interrupted)
    before = [next(iterator), next(iterator)]
    resumed = make()
    resumed.load_state_dict(interrupted.state_dict())
    samples = load(tmp_path, source)
    for expected, found in zip(whole, [*before, *resumed], strict=True):
        assert torch.equal(found.index, expected.index)
        for name in NAMES:
            assert torch.equal(found.prepared[name], expected.prepared[name])
        rows = found.index.numpy()
        np.testing.assert_array_equal(found.prepared["image"], pixels(samples, rows, epoch=2))


def test_model_sees_zeros_and_ones(tmp_path: Path, source: LabelledSource) -> None:
    image = Modality("image", "image", (1, 28, 28), likelihood="bernoulli")
    label = Modality("label", "categorical", (10,), likelihood="categorical")
    samples = load(tmp_path, source)
    samples.check([image, label])
    batch = samples.read(ALL, NAMES)
    x = to_tensor(image, batch.prepared["image"])
    assert x.shape == (42, 1, 28, 28)
    assert set(x.unique().tolist()) == {0.0, 1.0}
    y = to_tensor(label, batch.prepared["label"])
    assert y.shape == (42, 10)
    assert y.dtype == torch.float32


def test_model_of_other_modalities_or_sizes_is_refused(
    tmp_path: Path, source: LabelledSource
) -> None:
    samples = load(tmp_path, source)
    with pytest.raises(ValueError, match="no modality 'text', it has image, label"):
        samples.check([Modality("text", "vector", (3,))])
    with pytest.raises(ValueError, match=r"needs arrays of \(32, 32, 1\) torch.uint8"):
        samples.check([Modality("image", "image", (1, 32, 32))])
    with pytest.raises(ValueError, match=r"the data set has \(28, 28, 1\) torch.uint8"):
        samples.check([Modality("image", "series", (28, 28), rate=1.0)])
    with pytest.raises(ValueError, match=r"one length, .*'a': 3, 'b': 4"):
        Samples({"a": TensorColumn(np.zeros(3)), "b": TensorColumn(np.zeros(4))}, {})


def test_mean_of_a_column(tmp_path: Path, source: LabelledSource) -> None:
    samples = load(tmp_path, source, pixels="grey")
    rows = samples.split["training"]
    expected = pixels(samples, rows).mean(axis=0)
    mean = samples.mean("image", rows)
    assert mean.dtype == torch.float32
    np.testing.assert_allclose(mean.numpy(), expected, rtol=1e-5)


# The originals.


@pytest.mark.parametrize(
    ("name", "test_draw", "labels"),
    [
        # The draw of the test images, on which all likelihoods are measured, must never change.
        ("mnist", "0a2f5438fdeffa9afdb90f440c41acd3", [7, 2, 1, 0, 4]),
        ("fashion_mnist", "9e827e3e14f3d1f299b292cd76a306b0", [9, 2, 1, 1, 6]),
    ],
)
def test_originals(name: str, test_draw: str, labels: list[int]) -> None:
    samples = load_labelled_images(name, shared_data(name))
    assert {part: len(rows) for part, rows in samples.split.items()} == {
        "training": 55_000,
        "validation": 5_000,
        "test": 10_000,
    }
    batch = samples.read(samples.split["test"], NAMES)
    assert batch.prepared["label"].argmax(1)[:5].tolist() == labels
    drawn = batch.prepared["image"].numpy()
    assert hashlib.md5(drawn.tobytes()).hexdigest() == test_draw
