# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The insertion scene: arm, peg, box with a hole, camera and lights, varied by a seed.

World frame: metres, z up, the table is z = 0, the box stands around the origin. The four joints of
the arm (slides x, y, z and the hinge yaw) are placed so that their positions are the pose of the
middle of the peg's lower face in the world.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from smvae_ros.simulation.textures import Texture

BOX_HALF_WIDTH = 0.065
BOX_HEIGHT = 0.060
HOLE_DEPTH = 0.035
PEG_RADIUS = 0.024  # from the axis to a corner of the triangle
PEG_LENGTH = 0.065
CLEARANCE = 0.0012  # between each face of the peg and the wall of the hole
TIMESTEP = 0.001

JOINTS = ("x", "y", "z", "yaw")
CAMERA = "workspace"
FIELD_OF_VIEW = 41.0  # degrees, vertical
CAMERA_POSITION = np.array([0.13, -0.33, 0.315])
CAMERA_TARGET = np.array([0.0, 0.0, 0.085])

# Stiffness of the Cartesian impedance (N/m; N m/rad for yaw): a command 1 cm inside a wall pushes
# with 20 N.
STIFFNESS = (2000.0, 2000.0, 2000.0, 20.0)

SCENE = Path(__file__).with_name("scene.mjcf").read_text(encoding="utf-8")  # a model with gaps
# What has a texture, and how many pictures of it there are in a metre.
TEXTURED = {"table": 1.0, "wall": 0.8, "box": 5.0}


@dataclass(frozen=True)
class Scene:
    """One random scene.

    Attributes:
        box_position: x and y of the middle of the hole, metres.
        box_yaw: rotation of box and hole about z, rad.
        friction: sliding friction between peg and box.
        colours: red, green, blue in 0..1 for ``table``, ``wall``, ``box``, ``peg``, ``hole``,
            ``gripper`` and ``arm``.
        light_position: of the main lamp, metres.
        light: brightness of the main lamp, 0..1.
        ambient: brightness from everywhere, 0..1.
        textures: patterns of ``table``, ``wall`` and ``box``, or none at all.
    """

    box_position: tuple[float, float]
    box_yaw: float
    friction: float
    colours: dict[str, tuple[float, float, float]]
    light_position: tuple[float, float, float]
    light: float
    ambient: float
    textures: dict[str, Texture]

    @classmethod
    def draw(
        cls, rng: np.random.Generator, box_variation: float = 0.01, textured: bool = False
    ) -> Scene:
        """Draws a scene; the box lies within ± ``box_variation`` metres in x and y.

        Its yaw varies with it, by 6 rad for every metre (±3.4° at the default 1 cm). Textured or
        not, everything else is the same.
        """
        x, y = rng.uniform(-box_variation, box_variation, 2)
        return cls(
            box_position=(x, y),
            box_yaw=6 * rng.uniform(-box_variation, box_variation),
            friction=rng.uniform(0.2, 0.35),
            colours={
                "table": _colour(rng, 0.10, 0.18, 0.80),
                "wall": _colour(rng, 0.58, 0.12, 0.62),
                "box": _colour(rng, 0.56, 0.55, 0.72),
                "peg": _colour(rng, 0.05, 0.90, 0.92),
                "hole": _colour(rng, 0.60, 0.40, 0.08),
                "gripper": _colour(rng, 0.30, 0.35, 0.45),
                "arm": _colour(rng, 0.00, 0.02, 0.85),
            },
            light_position=(rng.uniform(-0.5, 0.1), rng.uniform(-0.9, -0.5), rng.uniform(0.7, 1.0)),
            light=rng.uniform(0.4, 0.55),
            ambient=rng.uniform(0.28, 0.36),
            textures={name: Texture.draw(rng) for name in TEXTURED} if textured else {},
        )

    def assets(self) -> dict[str, bytes]:
        """The files that :meth:`xml` names: the pictures of the textures."""
        return {f"{name}.png": texture.png() for name, texture in self.textures.items()}

    def xml(self) -> str:
        """The scene as a MuJoCo model (MJCF)."""
        colour = {name: "{:.4f} {:.4f} {:.4f} 1".format(*rgb) for name, rgb in self.colours.items()}
        surface = {
            name: f'material="{name}"' if name in self.textures else f'rgba="{colour[name]}"'
            for name in TEXTURED
        }
        peg = _triangle(PEG_RADIUS)
        hole = _triangle(PEG_RADIUS + 2 * CLEARANCE)  # a triangle's corners move twice as far
        pieces = [_prism(piece, 0.0, BOX_HEIGHT) for piece in _ring(hole, BOX_HALF_WIDTH)]
        meshes = "".join(
            f'<mesh name="box{i}" vertex="{vertices}"/>' for i, vertices in enumerate(pieces)
        )
        box = "".join(
            f'<geom name="box{i}" class="touching" type="mesh" mesh="box{i}" {surface["box"]}/>'
            for i in range(len(pieces))
        )
        walls = "".join(_liner(hole, side, colour["hole"]) for side in range(3))
        materials = "".join(
            f'<texture name="{name}" type="2d" file="{name}.png"/>'
            f'<material name="{name}" texture="{name}" rgba="{colour[name]}" texuniform="true" '
            f'texrepeat="{TEXTURED[name]} {TEXTURED[name]}"/>'
            for name in self.textures
        )
        # A flat texture lies on the faces across z, so a textured wall is a plate set upright.
        wall = 'size="0.8 0.6 0.02" euler="1.5708 0 0"' if self.textures else 'size="0.8 0.02 0.6"'
        right, up = _camera_axes()
        return SCENE.format(
            **vars(self),
            timestep=TIMESTEP,
            peg=_prism(peg, 0.0, PEG_LENGTH),
            meshes=meshes,
            materials=materials,
            colour=colour,
            surface=surface,
            lamp=_numbers(self.light_position),
            down=_numbers(-np.array(self.light_position)),
            camera=CAMERA,
            eye=_numbers(CAMERA_POSITION),
            field=FIELD_OF_VIEW,
            axes=f"{_numbers(right)} {_numbers(up)}",
            wall=wall,
            position=_numbers(self.box_position),
            floor=PEG_RADIUS * 1.5,
            half=(BOX_HEIGHT - HOLE_DEPTH) / 2,
            box=box,
            walls=walls,
            stiffness=STIFFNESS,
        )


def camera_matrix(height: int, width: int) -> np.ndarray:
    """Intrinsic matrix (3, 3) in pixels of the camera at this picture size.

    Centres of pixels are whole numbers, so the picture's middle is half a pixel before its size/2.
    """
    focal = height / 2 / np.tan(np.radians(FIELD_OF_VIEW) / 2)
    return np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])


def _colour(
    rng: np.random.Generator, hue: float, saturation: float, value: float
) -> tuple[float, float, float]:
    """A colour near the given one: always the same name for it, never quite the same."""
    return colorsys.hsv_to_rgb(
        (hue + rng.uniform(-0.025, 0.025)) % 1,
        np.clip(saturation * rng.uniform(0.85, 1.1), 0, 1),
        np.clip(value * rng.uniform(0.92, 1.08), 0, 1),
    )


def _triangle(radius: float) -> np.ndarray:
    """Corners (3, 2) of an equilateral triangle, counter-clockwise, one pointing along +y."""
    angles = np.pi / 2 + np.arange(3) * 2 * np.pi / 3
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _ring(hole: np.ndarray, half_width: float) -> list[np.ndarray]:
    """Cuts a square with a triangular hole into three convex pieces, each along one side.

    MuJoCo collides convex shapes only. The cuts run from the middle through the hole's corners.
    """
    corners = half_width * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    pieces = []
    for i in range(3):
        first, second = hole[i], hole[(i + 1) % 3]
        ends = [half_width * point / np.abs(point).max() for point in (first, second)]
        start, stop = (np.arctan2(*end[::-1]) for end in ends)
        angles = np.arctan2(corners[:, 1], corners[:, 0])
        between = corners[(angles - start) % (2 * np.pi) < (stop - start) % (2 * np.pi)]
        pieces.append(np.vstack([first, ends[0], between, ends[1], second]))
    return pieces


def _liner(hole: np.ndarray, side: int, rgba: str) -> str:
    """A thin dark sheet on one wall of the hole, only to be seen, so that the hole stands out."""
    first, second = hole[side], hole[(side + 1) % 3]
    middle, along = (first + second) / 2, second - first
    length, depth = np.linalg.norm(along), HOLE_DEPTH
    # From just under the rim down to the bottom, a tenth of a millimetre in front of the wall.
    return (
        f'<geom name="hole{side}" type="box" size="{length / 2} 0.0001 {depth / 2}" rgba="{rgba}" '
        f'pos="{_numbers(middle)} {BOX_HEIGHT - depth / 2 - 0.0001}" '
        f'euler="0 0 {np.arctan2(along[1], along[0])}"/>'
    )


def _prism(outline: np.ndarray, bottom: float, top: float) -> str:
    heights = np.repeat([bottom, top], len(outline))
    return _numbers(np.column_stack([np.vstack([outline, outline]), heights]).ravel())


def _camera_axes() -> tuple[np.ndarray, np.ndarray]:
    """Right and up of the camera in the world."""
    forward = CAMERA_TARGET - CAMERA_POSITION
    right = np.cross(forward, [0, 0, 1])
    up = np.cross(right, forward)
    return right / np.linalg.norm(right), up / np.linalg.norm(up)


def _numbers(values: npt.ArrayLike) -> str:
    return " ".join(f"{value:.6f}" for value in np.ravel(values))
