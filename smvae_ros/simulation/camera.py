# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The RGB-D camera: a clean rendering, and what a sensor makes of it."""

from __future__ import annotations

import dataclasses
import weakref
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from smvae_ros.simulation.graphics import open_renderer
from smvae_ros.simulation.scene import CAMERA, camera_matrix

PICTURE_SIZE = (128, 128)  # height, width in pixels

# Focal length in pixels of the sensor times distance of its eyes in metres, as that of common
# cameras for short distances (650 pixels, 18 mm).
DISPARITY_OF_ONE_METRE = np.float32(650 * 0.018)
_PATCH = 8  # pixels, about the width of a patch without readings


@dataclass(frozen=True)
class CameraNoise:
    """What the sensor adds to a picture; nothing by default. See :data:`MILD`, :data:`STEREO`.

    Attributes:
        colour: standard deviation of Gaussian noise, in steps of the 0..255 scale.
        depth: standard deviation of Gaussian noise that is the same at every distance, metres.
        edges: probability that a depth pixel beside an edge of more than 2 cm has no reading (0).
        unit: depth is said in multiples of this, metres, as in messages; 0 does not round.
        disparity: standard deviation of Gaussian noise, pixels of the sensor.
        patches: share of the depth pixels that have no reading, in patches, because nothing there
            can be matched.
        step: disparity is rounded to multiples of this, pixels of the sensor; 0 does not round.
        baseline: distance of the eyes, metres; 0 casts no shadows.
    """

    colour: float = 0.0
    depth: float = 0.0
    edges: float = 0.0
    unit: float = 0.0
    disparity: float = 0.0
    patches: float = 0.0
    step: float = 0.0
    baseline: float = 0.0

    def scaled(self, factor: float) -> CameraNoise:
        """The same with noise and random holes times ``factor``; rounding and shadows stay."""
        return dataclasses.replace(
            self,
            colour=self.colour * factor,
            depth=self.depth * factor,
            disparity=self.disparity * factor,
            edges=min(self.edges * factor, 1.0),
            patches=min(self.patches * factor, 1.0),
        )

    def apply(
        self, image: np.ndarray, depth: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Noisy copies of a picture uint8 (H, W, 3) and its depth float32 (H, W), metres."""
        noisy = image + np.float32(self.colour) * rng.standard_normal(image.shape, np.float32)
        image = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)

        hole = (rng.random(depth.shape, np.float32) < self.edges) & _beside_edge(depth, 0.02)
        if self.patches:
            hole |= _patches(depth.shape, self.patches, rng)
        if self.baseline:
            focal = camera_matrix(*depth.shape)[0, 0]
            hole |= _shadows(np.float32(focal * self.baseline) / depth)
        if self.depth:
            depth = depth + np.float32(self.depth) * rng.standard_normal(depth.shape, np.float32)
        if self.disparity or self.step:
            disparity = DISPARITY_OF_ONE_METRE / depth
            disparity += np.float32(self.disparity) * rng.standard_normal(depth.shape, np.float32)
            if self.step:
                disparity = np.rint(disparity / np.float32(self.step)) * np.float32(self.step)
            # Nothing to be seen within 50 m is as far as no reading.
            hole |= disparity < DISPARITY_OF_ONE_METRE / 50
            depth = DISPARITY_OF_ONE_METRE / np.where(hole, 1, disparity)
        if self.unit:
            depth = np.rint(depth / np.float32(self.unit)) * np.float32(self.unit)
        return image, np.where(hole, 0, depth).astype(np.float32)


# A mild sensor: half a millimetre of noise at every distance, holes only beside edges.
MILD = CameraNoise(colour=1.5, depth=0.0005, edges=0.15, unit=0.001)

# A small stereo camera. Two eyes at a distance measure disparity, in pixels of the sensor, and
# depth is inverse to it: noise and steps grow with the square of the distance (at 0.4 m half a
# millimetre and 0.9 mm, at 0.9 m 2.8 mm and 4.3 mm). Beside a near thing stands the shadow that
# only one eye sees.
STEREO = CameraNoise(
    colour=1.5,
    edges=0.15,
    unit=0.001,
    disparity=0.04,
    patches=0.005,
    step=1 / 16,
    baseline=0.018,
)


class Camera:
    """Renders the fixed camera of a scene. Holds graphics memory until :meth:`close`."""

    def __init__(self, model: Any) -> None:
        """``model`` is the ``mujoco.MjModel`` of a scene.

        Raises:
            SimulationUnavailable: no graphics library works.
        """
        self._renderer = open_renderer(model, *PICTURE_SIZE)
        # At the latest when Python ends, while the graphics library can still do it.
        self._finalizer = weakref.finalize(self, self._renderer.close)

    def render(self, data: Any) -> tuple[np.ndarray, np.ndarray]:
        """The present picture, uint8 (128, 128, 3) RGB, and depth, float32 (128, 128) metres."""
        self._renderer.update_scene(data, CAMERA)
        image = self._renderer.render()
        self._renderer.enable_depth_rendering()
        depth = self._renderer.render()
        self._renderer.disable_depth_rendering()
        return image, depth

    def segment(self, data: Any) -> np.ndarray:
        """The number of the geometry seen by each pixel, int32 (128, 128), -1 for none."""
        self._renderer.update_scene(data, CAMERA)
        self._renderer.enable_segmentation_rendering()
        seen = self._renderer.render()[..., 0]
        self._renderer.disable_segmentation_rendering()
        return seen

    def close(self) -> None:
        """Frees the graphics memory."""
        self._finalizer()


def _beside_edge(depth: np.ndarray, jump: float) -> np.ndarray:
    """Whether a pixel differs from its left or upper neighbour by more than ``jump`` metres."""
    edge = np.zeros(depth.shape, bool)
    edge[1:] |= np.abs(np.diff(depth, axis=0)) > jump
    edge[:, 1:] |= np.abs(np.diff(depth, axis=1)) > jump
    return edge


def _patches(shape: tuple[int, ...], share: float, rng: np.random.Generator) -> np.ndarray:
    """Random patches that cover about this share of the picture, bool."""
    coarse = rng.random(tuple(length // _PATCH + 2 for length in shape), np.float32)
    field = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return field > np.quantile(field, 1 - share)


def _shadows(disparity: np.ndarray) -> np.ndarray:
    """What the right eye cannot see since something nearer covers it, bool (H, W).

    The left eye's column u is the right eye's column u - disparity; it is covered where a pixel
    further to the right lies at the same place there, or further to the left.
    """
    place = np.arange(disparity.shape[1], dtype=np.float32) - disparity
    nearest = np.minimum.accumulate(place[:, ::-1], axis=1)[:, ::-1]
    hidden = np.zeros(disparity.shape, bool)
    hidden[:, :-1] = nearest[:, 1:] <= place[:, :-1]
    return hidden
