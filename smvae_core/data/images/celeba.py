# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""CelebA (Liu et al. 2015) in its original layout on disk, and data sets that are laid out like it:
images, and a vector of attributes as the second modality."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from smvae_core.data.images.celeba_lists import read_list
from smvae_core.data.images.data_files import DataSetError
from smvae_core.data.images.row_cache import Compute, RowFormat, cached_rows
from smvae_core.data.samples import Samples, TensorColumn

# The 18 "visually distinctive" attributes of Wu & Goodman 2018 (after Perarnau et al. 2016).
ATTRIBUTES = (
    *("Bald", "Bangs", "Black_Hair", "Blond_Hair", "Brown_Hair", "Bushy_Eyebrows", "Eyeglasses"),
    *("Gray_Hair", "Heavy_Makeup", "Male", "Mouth_Slightly_Open", "Mustache", "Pale_Skin"),
    *("Receding_Hairline", "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Hat"),
)
_POINTS = ("lefteye", "righteye", "nose", "leftmouth", "rightmouth")
_PARTS = ("training", "validation", "test")  # 0, 1, 2 in the partition file
# Decoders fill up a truncated image with grey and only print a warning, so its end is looked for.
_END_MARKS = {b"\xff\xd8": b"\xff\xd9", b"\x89P": b"IEND"}


@dataclass(frozen=True)
class CelebALayout:
    """Names of the files; as published by default.

    Attributes:
        images: folder of the images.
        attributes: text file of attributes, -1 or 1.
        partition: text file of the split, 0, 1 or 2.
        landmarks: text file of five points.
        label_maps: folder of label maps that come with the data set, PNG files named like the
            images (see :mod:`smvae_core.data.images.face_landmarks`); CelebA has none.
    """

    images: str = "img_align_celeba"
    attributes: str = "list_attr_celeba.txt"
    partition: str = "list_eval_partition.txt"
    landmarks: str = "list_landmarks_align_celeba.txt"
    label_maps: str | None = None


# The layout of the public-domain portraits that stand in for CelebA in tests.
FACES = CelebALayout(
    images="img_align",
    attributes="list_attr.txt",
    landmarks="list_landmarks_align.txt",
    label_maps="seg",
)
LAYOUTS = {"celeba": CelebALayout(), "faces": FACES}


class CelebA:
    """The images of a partition file; attributes and images are read when asked for.

    Args:
        folder: that holds what `layout` names.
        layout: names of the files.

    Attributes:
        names: file names of N images, in the order of the partition file.
        split: ``training``, ``validation`` and ``test`` → rows.

    Raises:
        DataSetError: where the partition file or an image that it names is missing or wrong.
    """

    def __init__(self, folder: str | os.PathLike[str], layout: CelebALayout | None = None) -> None:
        self.folder = Path(folder)
        self.layout = layout or CelebALayout()
        partition = read_list(self.folder / self.layout.partition, columns=["partition"])
        partition.require(range(len(_PARTS)))
        self.names = partition.names
        part = partition.values[:, 0]
        self.split = {name: np.flatnonzero(part == i) for i, name in enumerate(_PARTS)}
        self._sizes = self._find_images()

    def __len__(self) -> int:
        return len(self.names)

    def _find_images(self) -> list[int]:
        """Sizes in bytes of all images."""
        images = self.folder / self.layout.images
        try:
            with os.scandir(images) as entries:
                sizes = {entry.name: entry.stat().st_size for entry in entries}
        except OSError as error:
            raise DataSetError(
                f"{images}: expected the folder of the images ({error.strerror}); unpack the "
                "archive there or name another folder in the layout"
            ) from error
        missing = [name for name in self.names if name not in sizes]
        if missing:
            raise DataSetError(
                f"{images}: {len(missing)} of the {len(self.names)} images of "
                f"{self.layout.partition} are missing, the first is {missing[0]}; unpack the whole "
                "archive"
            )
        return [sizes[name] for name in self.names]

    @property
    def digest(self) -> str:
        """Identifies the images by names and sizes: what a cache was made from."""
        listed = "\n".join(f"{n} {s}" for n, s in zip(self.names, self._sizes, strict=True))
        return hashlib.sha256(listed.encode()).hexdigest()[:16]

    def path(self, row: int) -> Path:
        """The file of one image."""
        return self.folder / self.layout.images / self.names[row]

    def attributes(self, chosen: Sequence[str] = ATTRIBUTES) -> np.ndarray:
        """float32 (N, len(chosen)), 1 where an image has the attribute and 0 where not.

        Raises:
            DataSetError: where the file is missing, lacks an attribute or an image, or a value is
                neither -1 nor 1.
        """
        listed = read_list(self.folder / self.layout.attributes)
        listed.require((-1, 1))
        return (listed.select(self.names, chosen) == 1).astype(np.float32)

    def landmarks(self) -> np.ndarray:
        """int64 (N, 5, 2), x and y in pixels of the whole image: image-left eye, image-right eye,
        nose, left and right corner of the mouth.

        Raises:
            DataSetError: where the file is missing, has other columns or lacks an image.
        """
        listed = read_list(self.folder / self.layout.landmarks)
        columns = [f"{point}_{axis}" for point in _POINTS for axis in "xy"]
        return listed.select(self.names, columns).reshape(-1, len(_POINTS), 2)

    def cached(
        self,
        cache: str | os.PathLike[str] | None,
        size: int,
        formats: Mapping[str, RowFormat],
        compute: Compute,
        title: str,
        **origin: Any,
    ) -> dict[str, np.ndarray]:
        """:func:`smvae_core.data.images.row_cache.cached_rows` of these images at this size."""
        origin = {"images": self.digest, "size": size, **origin}
        return cached_rows(cache, origin, formats, len(self), compute, title)

    def images(self, size: int = 64, cache: str | os.PathLike[str] | None = None) -> np.ndarray:
        """uint8 (N, size, size, 3), RGB: the largest square in the centre, resized.

        Args:
            size: of the images, in pixels.
            cache: folder into which they are decoded once (2.5 GB for CelebA), to be memory-mapped;
                ``None`` keeps them in memory.

        Raises:
            DataSetError: where an image cannot be decoded.
            CacheError: see :func:`smvae_core.data.images.row_cache.cached_rows`.
        """

        def decode(first: int, end: int) -> dict[str, np.ndarray]:
            whole = (read_image(self.path(row)) for row in range(first, end))
            square = [
                cv2.resize(central_square(image), (size, size), interpolation=cv2.INTER_AREA)
                for image in whole
            ]
            return {"image": np.stack(square)}

        formats = {"image": ("uint8", (size, size, 3))}
        return self.cached(cache, size, formats, decode, "decoding")["image"]


def read_image(path: Path) -> np.ndarray:
    """uint8 (H, W, 3), RGB; grey images get three equal channels.

    Raises:
        DataSetError: where the file is missing, truncated or no image.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataSetError(f"{path}: cannot be read ({error.strerror})") from error
    end = _END_MARKS.get(content[:2], b"")
    image = None
    if content and end in content[-1024:]:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise DataSetError(
            f"{path}: expected an image, but {len(content)} bytes are truncated or none; copy or "
            "unpack the file again"
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def central_square(image: np.ndarray) -> np.ndarray:
    """The largest square in the centre of (H, W, ...)."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def celeba_samples(
    celeba: CelebA,
    attributes: Sequence[str] = ATTRIBUTES,
    size: int = 64,
    cache: str | os.PathLike[str] | None = None,
) -> Samples:
    """``image`` uint8 (N, size, size, 3) and ``attributes`` float32 (N, len(attributes)).

    Args and errors as for :meth:`CelebA.images` and :meth:`CelebA.attributes`.
    """
    # The list first: it is read in seconds, and its errors should not wait for the decoding.
    listed = celeba.attributes(attributes)
    images = celeba.images(size, cache)
    return Samples(
        {"image": TensorColumn(images), "attributes": TensorColumn(listed)}, celeba.split
    )
