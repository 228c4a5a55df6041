"""The RGB-D camera: a clean rendering, and what a mild sensor makes of it."""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import numpy as np

from smvae_ros.simulation.graphics import open_renderer
from smvae_ros.simulation.scene import CAMERA

PICTURE_SIZE = (128, 128)  # height, width in pixels


@dataclass(frozen=True)
class CameraNoise:
    """What the sensor adds to a picture. All zero is a perfect camera.

    Attributes:
        colour: standard deviation of Gaussian noise, in steps of the 0..255 scale.
        depth: standard deviation of Gaussian noise, metres.
        holes: probability that a depth pixel beside an edge of more than 2 cm has no reading (0).
        quantum: depth is rounded to multiples of this, metres; 0 does not round.
    """

    colour: float = 1.5
    depth: float = 0.0005
    holes: float = 0.15
    quantum: float = 0.001

    def scaled(self, factor: float) -> CameraNoise:
        """The same with noise and holes times ``factor``; the rounding stays."""
        return CameraNoise(
            self.colour * factor, self.depth * factor, min(self.holes * factor, 1.0), self.quantum
        )

    def apply(
        self, image: np.ndarray, depth: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Noisy copies of a picture uint8 (H, W, 3) and its depth float32 (H, W), metres."""
        noisy = image + np.float32(self.colour) * rng.standard_normal(image.shape, np.float32)
        image = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)

        hole = (rng.random(depth.shape, np.float32) < self.holes) & _beside_edge(depth, 0.02)
        depth = depth + np.float32(self.depth) * rng.standard_normal(depth.shape, np.float32)
        if self.quantum:
            depth = np.rint(depth / np.float32(self.quantum)) * np.float32(self.quantum)
        return image, np.where(hole, np.float32(0), depth).astype(np.float32)


class Camera:
    """Renders the fixed camera of a scene. Holds graphics memory until :meth:`close`."""

    def __init__(self, model: object) -> None:
        """``model`` is the ``mujoco.MjModel`` of a scene.

        Raises:
            SimulationUnavailable: no graphics library works.
        """
        self._renderer = open_renderer(model, *PICTURE_SIZE)
        # At the latest when Python ends, while the graphics library can still do it.
        self._finalizer = weakref.finalize(self, self._renderer.close)

    def render(self, data: object) -> tuple[np.ndarray, np.ndarray]:
        """The present picture, uint8 (128, 128, 3) RGB, and depth, float32 (128, 128) metres."""
        self._renderer.update_scene(data, CAMERA)
        image = self._renderer.render()
        self._renderer.enable_depth_rendering()
        depth = self._renderer.render()
        self._renderer.disable_depth_rendering()
        return image, depth

    def segment(self, data: object) -> np.ndarray:
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
