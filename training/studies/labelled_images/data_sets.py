# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The data sets of the study by name: their modalities, and how they are opened.

Most have two modalities, x = ``image`` and y = ``label`` or ``attributes``. The views have six and
no y.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smvae_core.data.images.celeba import ATTRIBUTES, LAYOUTS, CelebA, celeba_samples
from smvae_core.data.images.celeba_views import VIEWS, celeba_views
from smvae_core.data.images.labelled_images import load_labelled_images
from smvae_core.data.samples import Samples
from smvae_core.modalities import ModalityOptions, Network

FACE_SIZE = 64  # pixels
_DIGITS = tuple("0123456789")
_CLOTHES = (
    *("T-shirt", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_VIEW_CHANNELS = {"grey": 1, "edges": 1, "landmarks": 6}  # of the others: 3


@dataclass(frozen=True)
class Folders:
    """Where a run finds its data.

    Attributes:
        data: the data set's own files.
        derived: what is computed from them once, for all runs.
    """

    data: Path
    derived: Path


@dataclass(frozen=True)
class DataSet:
    """One data set.

    Attributes:
        title: for people.
        label: name of the modality y beside ``image``; ``None`` for views.
        classes: names of y's elements.
        pixels: kinds of pixels that there are, the usual one first; see
            :attr:`training.studies.labelled_images.protocol.Protocol.pixels`.
        widths: network of the image → its usual widths.
        modalities: networks of images and of y → modality → its options.
        open: folders, kind of pixels, number of validation images and seed of what is drawn → the
            data.
        usual: fields of the protocol in which it differs from others.
        caution: what pages and pictures say of it.
    """

    title: str
    label: str | None
    classes: tuple[str, ...]
    pixels: tuple[str, ...]
    widths: Mapping[str, tuple[int, ...]]
    modalities: Callable[[Network, Network], dict[str, ModalityOptions]]
    open: Callable[[Folders, str, int, int], Samples]
    usual: Mapping[str, Any] = field(default_factory=dict)
    caution: str = ""


def _labelled(name: str, title: str, pixels: tuple[str, ...], classes: tuple[str, ...]) -> DataSet:
    """MNIST, or a data set in its format."""

    def modalities(image: Network, label: Network) -> dict[str, ModalityOptions]:
        return {
            "image": _image((1, 28, 28), image),
            "label": ModalityOptions(
                "categorical", (10,), likelihood="categorical", embedding=label, decoder=label
            ),
        }

    def data(folders: Folders, kind: str, validation: int, seed: int) -> Samples:
        return load_labelled_images(name, folders.data, kind, validation, seed)

    widths = {"mlp": (512, 512), "convolution": (32, 64)}  # 28 pixels can be halved twice
    return DataSet(title, "label", classes, pixels, widths, modalities, data)


def _faces(
    title: str,
    layout: str,
    attributes: tuple[str, ...] | None,
    usual: Mapping[str, Any],
    caution: str = "",
) -> DataSet:
    """CelebA, or a data set in its layout: image and attributes, or with ``None`` six views."""

    def modalities(image: Network, vector: Network) -> dict[str, ModalityOptions]:
        if attributes is None:
            shapes = {name: (_VIEW_CHANNELS.get(name, 3), FACE_SIZE, FACE_SIZE) for name in VIEWS}
            return {name: _image(shape, image) for name, shape in shapes.items()}
        return {
            "image": _image((3, FACE_SIZE, FACE_SIZE), image),
            "attributes": ModalityOptions(
                "vector",
                (len(attributes),),
                likelihood="bernoulli",
                embedding=vector,
                decoder=vector,
            ),
        }

    def data(folders: Folders, kind: str, validation: int, seed: int) -> Samples:
        faces = CelebA(folders.data, LAYOUTS[layout])
        cache = folders.derived / f"{layout}_{FACE_SIZE}"
        if attributes is None:
            return celeba_views(faces, FACE_SIZE, cache)
        images = cache / "images"  # the same as of the views
        return celeba_samples(faces, attributes, FACE_SIZE, images)

    widths = {"convolution": (32, 64, 128, 256), "mlp": (512, 512)}
    return DataSet(
        title,
        None if attributes is None else "attributes",
        attributes or (),
        ("colour",),
        widths,
        modalities,
        data,
        # The partition file says what is for validation.
        usual={"image_network": "convolution", "validation": 0, **usual},
        caution=caution,
    )


def _image(shape: tuple[int, ...], network: Network) -> ModalityOptions:
    return ModalityOptions(
        "image", shape, likelihood="bernoulli", embedding=network, decoder=network
    )


_CELEBA = {"latent_size": 100, "embedding_size": 256, "batch_size": 128, "warm_up_steps": 5000}
# 504 grey portraits for training: enough to see that everything runs.
_PORTRAITS = {
    "image_widths": (16, 32, 64, 128),
    "latent_size": 32,
    "batch_size": 32,
    "warm_up_steps": 100,
    "test_images": 64,
    "importance_samples": 100,
}
_CHECK = "631 grey portraits: a check of the pipeline, not comparable with CelebA"

DATA_SETS: dict[str, DataSet] = {
    "mnist": _labelled("mnist", "MNIST", ("dynamic", "grey"), _DIGITS),
    "fashion_mnist": _labelled("fashion_mnist", "FashionMNIST", ("grey", "dynamic"), _CLOTHES),
    "celeba": _faces("CelebA", "celeba", ATTRIBUTES, _CELEBA),
    "faces": _faces(
        "Portraits", "faces", ("Male", "Mouth_Slightly_Open", "Young"), _PORTRAITS, _CHECK
    ),
    "celeba_views": _faces("CelebA, six views", "celeba", None, _CELEBA),
    "faces_views": _faces(
        "Portraits, six views",
        "faces",
        None,
        _PORTRAITS,
        "grey faces: a check of the pipeline; colourisation needs CelebA",
    ),
}
LABELLED = tuple(name for name, data_set in DATA_SETS.items() if data_set.label)
