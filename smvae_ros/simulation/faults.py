# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What can go wrong with a sensor: the same faults for the live simulation and for offline studies.

No ROS import; a :class:`FaultInjector` takes and gives arrays in raw units, so that it serves steps
of the simulation and samples of a log alike. One fault is not one of arrays: an action that is not
executed changes what happens, which only the robot itself can do
(``InsertionRobot.step(execute=faults.executes)``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

NONE = "none"

#: Modality → the faults it can have, besides the bias of the force.
FAULTS: dict[str, tuple[str, ...]] = {
    "rgb": (NONE, "freeze", "occlude", "noise"),
    "depth": (NONE, "freeze", "occlude", "noise", "other_scene"),
    "force": (NONE, "freeze", "zero"),
    "action": (NONE, "not_executed"),
    "proprio": (NONE, "freeze"),
}

OCCLUDED = 0.7  # of the picture's height and of its width, around its centre
OCCLUDER_COLOUR = (58, 52, 48)  # RGB of something dark near the lens
OCCLUDER_DISTANCE = 0.12  # metres
COLOUR_NOISE = 60.0  # standard deviation, of 255
DEPTH_NOISE = 0.05  # standard deviation, metres
DEPTH_LOSS = 0.3  # share of the pixels without a reading


@dataclass(frozen=True)
class Faults:
    """What is wrong now; nothing by default. The words are those of :data:`FAULTS`.

    Attributes:
        rgb: ``freeze`` (the same picture again and again), ``occlude`` (something dark in front of
            the lens), ``noise``.
        depth: likewise, or ``other_scene``: the depth of a scene that has nothing to do with this.
        force: ``freeze`` (the same reading again and again) or ``zero``.
        action: ``not_executed``: it is reported, but the arm stays where it is.
        proprio: ``freeze``.
        force_bias: added to fx, fy, fz, in N; a sensor that is stuck at zero stays there.

    Raises:
        ValueError: for another word, or a bias that is not three finite numbers.
    """

    rgb: str = NONE
    depth: str = NONE
    force: str = NONE
    action: str = NONE
    proprio: str = NONE
    force_bias: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        for name, choices in FAULTS.items():
            if self.of(name) not in choices:
                raise ValueError(
                    f"the fault of {name} must be one of {', '.join(choices)}, not {self.of(name)}"
                )
        bias = self.force_bias
        if len(bias) != 3 or not all(math.isfinite(value) for value in bias):
            raise ValueError(f"force_bias must be three finite numbers fx fy fz in N, not {bias}")

    def of(self, name: str) -> str:
        """The fault of a modality; ``none`` for one that has no faults."""
        return getattr(self, name) if name in FAULTS else NONE

    @property
    def executes(self) -> bool:
        """Whether the arm follows its commands."""
        return self.action != "not_executed"


class FaultInjector:
    """Turns what healthy sensors say into what faulty ones would.

    Remembers what a frozen sensor shows, so one is needed for each run.

    Args:
        seed: of the noise.
        other_depth: gives the next depth (H, W) of another scene, metres, of the same size; only
            needed for the fault ``other_scene``, and only called while it is on.
    """

    def __init__(self, seed: int = 0, other_depth: Callable[[], np.ndarray] | None = None) -> None:
        self._random = np.random.default_rng(seed)
        self._other_depth = other_depth
        self._frozen: dict[str, np.ndarray] = {}

    def __call__(self, sample: Mapping[str, np.ndarray], faults: Faults) -> dict[str, np.ndarray]:
        """The sample with these faults; arrays are copied where they change.

        Args:
            sample: the observations of one moment in raw units, any subset: ``rgb`` uint8
                (H, W, 3), ``depth`` float32 (H, W) metres, ``force`` (n, 6) N and N m with the
                newest last, ``action`` (4,), ``proprio`` (8,). Others pass unchanged.
            faults: what is wrong; a freeze holds what came first after it was switched on.

        Raises:
            ValueError: for ``other_scene`` without ``other_depth``.
        """
        self._frozen = {n: a for n, a in self._frozen.items() if faults.of(n) == "freeze"}
        return {name: self._one(name, array, faults) for name, array in sample.items()}

    def _one(self, name: str, array: np.ndarray, faults: Faults) -> np.ndarray:
        fault = faults.of(name)
        if fault == "freeze":
            # Of a series a sensor that hangs repeats its last reading.
            shown = array[-1:] if name == "force" else array
            array = np.broadcast_to(self._frozen.setdefault(name, shown.copy()), array.shape)
        elif fault == "zero":
            return np.zeros_like(array)
        elif fault == "occlude":
            array = _occluded(array, OCCLUDER_COLOUR if name == "rgb" else OCCLUDER_DISTANCE)
        elif fault == "noise":
            array = self._noisy_colour(array) if name == "rgb" else self._noisy_depth(array)
        elif fault == "other_scene":
            array = self._foreign()
        if name == "force" and any(faults.force_bias):
            array = array + np.array([*faults.force_bias, 0, 0, 0], array.dtype)
        return array

    def _noisy_colour(self, image: np.ndarray) -> np.ndarray:
        noise = self._random.standard_normal(image.shape, np.float32)
        return np.clip(np.rint(image + COLOUR_NOISE * noise), 0, 255).astype(np.uint8)

    def _noisy_depth(self, depth: np.ndarray) -> np.ndarray:
        noise = self._random.standard_normal(depth.shape, np.float32)
        noisy = np.maximum(depth + np.float32(DEPTH_NOISE) * noise, 0)
        lost = (self._random.random(depth.shape) < DEPTH_LOSS) | ~(depth > 0)
        return np.where(lost, np.float32(0), noisy).astype(depth.dtype)

    def _foreign(self) -> np.ndarray:
        if self._other_depth is None:
            raise ValueError("the fault other_scene needs other_depth, the depth of another scene")
        return self._other_depth()


def _occluded(picture: np.ndarray, value: object) -> np.ndarray:
    height, width = picture.shape[:2]
    top, left = round(height * (1 - OCCLUDED) / 2), round(width * (1 - OCCLUDED) / 2)
    picture = picture.copy()
    picture[top : height - top, left : width - left] = value
    return picture
