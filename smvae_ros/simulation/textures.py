# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Patterns on surfaces of a realistic scene: a grey picture each, which multiplies the colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np

SIZE = 512  # pixels, height and width of a picture

Pattern = Literal["speckle", "blotches", "grain", "tiles"]


@dataclass(frozen=True)
class Texture:
    """One random pattern.

    Attributes:
        pattern: ``speckle`` (like cloth or cast plastic), ``blotches``, ``grain`` (like wood) or
            ``tiles``.
        contrast: the darkest places have 1 - ``contrast`` of the surface's colour.
        cells: how often the pattern changes from one side of the picture to the other.
        angle: by which it is turned, degrees.
        seed: of its randomness.
    """

    pattern: Pattern
    contrast: float
    cells: int
    angle: float
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Texture:
        """Draws a pattern."""
        return cls(
            pattern=get_args(Pattern)[rng.integers(len(get_args(Pattern)))],
            contrast=rng.uniform(0.05, 0.3),
            cells=int(rng.integers(8, 24)),
            angle=rng.uniform(0, 180),
            seed=int(rng.integers(2**32)),
        )

    def picture(self) -> np.ndarray:
        """The pattern, uint8 (512, 512), 255 where the surface keeps its colour."""
        rng = np.random.default_rng(self.seed)
        if self.pattern == "speckle":
            pattern = _smooth(rng, 8 * self.cells, 8 * self.cells)
        elif self.pattern == "blotches":
            # Two octaves: a coarse one, and half as strong a fine one.
            pattern = _smooth(rng, self.cells, self.cells)
            pattern = (2 * pattern + _smooth(rng, 4 * self.cells, 4 * self.cells)) / 3
        elif self.pattern == "grain":
            pattern = _smooth(rng, 3, 4 * self.cells)
        else:
            steps = np.arange(SIZE) * self.cells // SIZE
            pattern = (steps[:, None] + steps) % 2 * rng.uniform(0.6, 1)
            pattern = pattern + 0.2 * _smooth(rng, 4 * self.cells, 4 * self.cells)
        pattern = np.clip(_turned(pattern.astype(np.float32), self.angle), 0, 1)
        return np.rint(255 * (1 - self.contrast * pattern)).astype(np.uint8)

    def png(self) -> bytes:
        """The picture as a file of this type."""
        done, data = cv2.imencode(".png", self.picture())
        if not done:
            raise RuntimeError("OpenCV cannot write PNG here")
        return data.tobytes()


def _smooth(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Random values in about 0..1 that change that often, float32 (512, 512)."""
    coarse = rng.random((rows, columns), np.float32)
    return cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)


def _turned(picture: np.ndarray, angle: float) -> np.ndarray:
    turn = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), angle, 1.0)
    return cv2.warpAffine(picture, turn, (SIZE, SIZE), borderMode=cv2.BORDER_REFLECT)
