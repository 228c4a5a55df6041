# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""MNIST (LeCun et al. 1998) and FashionMNIST (Xiao et al. 2017): images, and labels as the second
modality (one-hot, as in Suzuki et al. 2016 and Wu & Goodman 2018)."""

from __future__ import annotations

import gzip
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from smvae_core.data.images.binarisation import Bernoulli, DynamicBinarisation
from smvae_core.data.images.data_files import published_files
from smvae_core.data.samples import Column, Samples, TensorColumn

CLASSES = 10
_PARTS = ("train", "t10k")
# Bytes before the values: two zeros, the values' type, the rank, and four for each side
# (http://yann.lecun.com/exdb/mnist).
_HEADERS = {"images": 16, "labels": 8}
_SIDE = 28
# Of the draw of validation and test images, in all runs: part → seed.
_FIXED_SEEDS = {"train": (0, 0), "t10k": (0, 1)}


@dataclass(frozen=True)
class LabelledSource:
    """The origin of a data set.

    Attributes:
        mirrors: addresses to which a file name is appended.
        files: the four IDX files, name → published MD5.
    """

    mirrors: tuple[str, ...]
    files: Mapping[str, str]


SOURCES = {
    "mnist": LabelledSource(
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        {
            "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        },
    ),
    "fashion_mnist": LabelledSource(
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        {
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
    ),
}


def load_labelled_images(
    name: str,
    folder: str | os.PathLike[str],
    pixels: Literal["dynamic", "grey"] = "dynamic",
    validation: int = 5000,
    seed: int = 0,
    sources: Mapping[str, LabelledSource] = SOURCES,
) -> Samples:
    """A whole data set in memory: ``image`` uint8 (N, 28, 28, 1) and ``label`` float32 (N, 10).

    Rows are the training file's, then the test file's, in their order.

    Args:
        name: ``mnist`` or ``fashion_mnist``.
        folder: of the four IDX files; what is missing is downloaded into it.
        pixels: ``dynamic``: black and white, drawn anew for training in each epoch, one draw of
            validation and test images that is the same in all runs; ``grey``: the grey values, of
            which a Bernoulli likelihood is no probability (the legacy protocol).
        validation: images at the end of the training file that are for validation.
        seed: of the training draws.
        sources: the known data sets.

    Raises:
        DataSetError: where files are missing and cannot be downloaded, or are not the originals.
        ValueError: for another name or kind of pixels, or too many validation images.
    """
    if name not in sources:
        raise ValueError(f"data set must be one of {', '.join(sources)}, not {name!r}")
    if pixels not in ("dynamic", "grey"):
        raise ValueError(f"pixels must be dynamic or grey, not {pixels!r}")
    source = sources[name]
    paths = published_files(folder, source.files, source.mirrors)
    parts = {part: _read_part(paths, part) for part in _PARTS}
    (images, _), (test_images, _) = parts.values()
    if not 0 <= validation < len(images):
        raise ValueError(
            f"validation must be 0 or more and less than the {len(images)} training images, "
            f"not {validation}"
        )
    training = len(images) - validation
    image: Column
    if pixels == "grey":
        image = TensorColumn(np.concatenate([images, test_images]))
    else:
        # The whole training file, so that an image's draw does not depend on `validation`.
        fixed = [Bernoulli(parts[part][0]).draw(_FIXED_SEEDS[part]) for part in _PARTS]
        image = DynamicBinarisation(images[:training], np.concatenate(fixed)[training:], seed)
    labels = np.concatenate([labels for _, labels in parts.values()])
    ends = [training, len(images)]
    split = np.split(np.arange(len(labels)), ends)
    return Samples(
        {"image": image, "label": TensorColumn(np.eye(CLASSES, dtype=np.float32)[labels])},
        dict(zip(("training", "validation", "test"), split, strict=True)),
    )


def _read_part(paths: Mapping[str, Path], part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (N, 28, 28, 1) and labels uint8 (N,) of files that are the originals."""
    images, labels = (
        np.frombuffer(gzip.decompress(paths[f"{part}-{name}-ubyte.gz"].read_bytes()), np.uint8)
        for name in ("images-idx3", "labels-idx1")
    )
    images = images[_HEADERS["images"] :].reshape(-1, _SIDE, _SIDE, 1)
    # Copies, since an array on top of bytes is read-only, which torch cannot express.
    return images.copy(), labels[_HEADERS["labels"] :].copy()
