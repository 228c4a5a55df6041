# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The insertion robot: one random scene and trajectory that can be stepped at 20 Hz.

Time alignment, as in the logs: step i is the state at t_i; its picture is rendered at t_i, its 50
wrenches cover (t_i - 50 ms, t_i] with the last one at t_i, and its action led to this state.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from smvae_ros.simulation.camera import MILD, STEREO, Camera
from smvae_ros.simulation.graphics import find_mujoco
from smvae_ros.simulation.policy import Policy, Sensed
from smvae_ros.simulation.scene import Scene

GENERATOR_VERSION = 1  # to be raised whenever the same seed no longer gives the same trajectory

CONTROL_RATE = 20.0  # Hz
READINGS = 50  # wrenches in a control step, one for each millisecond of the physics

# The wrist sensor: its noise, the bias it has after taring, and its resolution (a power of two).
_NOISE = np.array([0.03, 0.03, 0.03, 0.0010, 0.0010, 0.0010])  # N, N m
_BIAS = np.array([0.10, 0.10, 0.10, 0.0030, 0.0030, 0.0030])
_RESOLUTION = np.array([2.0**-7] * 3 + [2.0**-12] * 3)

# One independent stream of random numbers for each purpose, so that none changes another.
_SCENE, _POLICY, _SENSOR, _CAMERA, _NOISE_LEVEL = range(5)


@dataclass(frozen=True)
class Step:
    """The state at one control step, in the units of the Vision&Touch logs.

    Attributes:
        index: number of the step in its trajectory, from 0.
        time: seconds since the start of the trajectory; (index + 1) / 20.
        image: uint8 (128, 128, 3) RGB, or ``None`` when not rendered.
        depth: float32 (128, 128) metres, 0 where there is no reading, or ``None``.
        forces: (50, 6) fx fy fz tx ty tz on the tool in its flange's frame, N and N m, oldest
            first, 1 ms apart, the last one at ``time``.
        contact: (50,) bool, whether the peg touches anything at each of these readings.
        action: (4,) dx dy dz dyaw of the commanded pose that led to this state, m and rad.
        proprio: (8,) x y z yaw of the peg's tip and their velocities, m, rad, m/s, rad/s.
        ee_pos: (3,) position of the peg's tip, m.
        ee_ori: (4,) its quaternion, order x y z w.
        ee_vel: (3,) its velocity, m/s.
        ee_vel_ori: (3,) its angular velocity, rad/s.
        joint_pos: (7,) the four joints x y z yaw, m and rad, then three zeros: this arm has four.
        joint_vel: (7,) their velocities, likewise.
        ee_yaw: (4,) x y z yaw.
        ee_yaw_delta: (4,) the change of ``ee_yaw`` since the step before.
    """

    index: int
    time: float
    image: np.ndarray | None
    depth: np.ndarray | None
    forces: np.ndarray
    contact: np.ndarray
    action: np.ndarray
    proprio: np.ndarray
    ee_pos: np.ndarray
    ee_ori: np.ndarray
    ee_vel: np.ndarray
    ee_vel_ori: np.ndarray
    joint_pos: np.ndarray
    joint_vel: np.ndarray
    ee_yaw: np.ndarray
    ee_yaw_delta: np.ndarray


class InsertionRobot:
    """A simulated robot that tries, again and again, to put a peg into a hole.

    Everything follows from ``seed``: scene, behaviour and noise. Rendering a step or not changes
    nothing else. Usable in a ``with`` block, which closes the camera.

    Attributes:
        seed: of this trajectory.
        realistic: whether it looks realistic.
        scene: the random scene.
        policy: the scripted behaviour, with its phase and its counts of attempts and insertions.
    """

    def __init__(
        self,
        seed: int,
        *,
        box_variation: float = 0.01,
        camera_noise: float = 1.0,
        realistic: bool = False,
    ) -> None:
        """Builds the scene; graphics are opened by the first rendered step.

        Args:
            seed: any whole number from 0.
            box_variation: the box lies within this many metres of the origin in x and in y.
            camera_noise: multiple of the camera's noise.
            realistic: textures on table, wall and box, and a stereo camera
                (:data:`~smvae_ros.simulation.camera.STEREO`) with between half and one and a half
                times that noise, instead of plain colours and a mild camera (``MILD``). Movement
                and forces are the same.

        Raises:
            SimulationUnavailable: MuJoCo is not installed.
        """
        self._mujoco = find_mujoco()
        self.seed = seed
        self.realistic = realistic
        self._noise = (STEREO if realistic else MILD).scaled(camera_noise)
        if realistic:
            self._noise = self._noise.scaled(self._random(_NOISE_LEVEL).uniform(0.5, 1.5))
        self.scene = Scene.draw(self._random(_SCENE), box_variation, textured=realistic)
        self._model = self._mujoco.MjModel.from_xml_string(self.scene.xml(), self.scene.assets())
        self._data = self._mujoco.MjData(self._model)
        self._camera: Camera | None = None
        self.reset()

    def __enter__(self) -> InsertionRobot:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Frees the graphics memory; a later rendered step opens the camera again."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None

    def reset(self) -> None:
        """Back to the start of the trajectory, which then runs again exactly as before."""
        box = np.array([*self.scene.box_position, self.scene.box_yaw])
        self.policy = Policy(box, self._random(_POLICY))
        self._sensor = self._random(_SENSOR)
        self._bias = self._sensor.uniform(-_BIAS, _BIAS)
        self._index = 0
        self._push = 0.0

        data = self._data
        self._mujoco.mj_resetData(self._model, data)
        self._command = self.policy.start()
        data.qpos[:] = data.ctrl[:] = self._command
        self._mujoco.mj_forward(self._model, data)
        self._tare = data.sensordata.copy()  # the weight of gripper and peg

    def step(self, render: bool = True, execute: bool = True) -> Step:
        """Runs the script and the physics for 50 ms.

        Args:
            render: whether to make a picture; without one ``image`` and ``depth`` are ``None``.
            execute: otherwise the arm ignores the script's action and holds its commanded pose;
                the step still says the action, as a robot would that does not know of its fault.

        Raises:
            SimulationUnavailable: a picture is wanted and no graphics library works.
        """
        before = self._data.qpos.copy()
        action = self.policy(Sensed(before, self._command, self._push))
        clean, contact = self._advance(action if execute else np.zeros(4))
        self._push = float(clean[:, 2].mean())

        forces = clean + self._bias + _NOISE * self._sensor.standard_normal(clean.shape)
        forces = np.rint(forces / _RESOLUTION) * _RESOLUTION
        image, depth = self._picture() if render else (None, None)

        position, velocity = self._data.qpos.copy(), self._data.qvel.copy()
        yaw = position[3]
        self._index += 1
        return Step(
            index=self._index - 1,
            time=self._index / CONTROL_RATE,
            image=image,
            depth=depth,
            forces=forces,
            contact=contact,
            action=action,
            proprio=np.concatenate([position, velocity]),
            ee_pos=position[:3],
            ee_ori=np.array([0, 0, np.sin(yaw / 2), np.cos(yaw / 2)]),
            ee_vel=velocity[:3],
            ee_vel_ori=np.array([0, 0, velocity[3]]),
            joint_pos=np.pad(position, (0, 3)),
            joint_vel=np.pad(velocity, (0, 3)),
            ee_yaw=position,
            ee_yaw_delta=position - before,
        )

    def steps(self, count: int, render: bool = True) -> Iterator[Step]:
        """The next ``count`` steps."""
        return (self.step(render) for _ in range(count))

    def seen(self) -> np.ndarray:
        """What each pixel of a picture taken now shows, str (128, 128).

        One of the names in ``scene.colours``; empty where there is nothing.

        Raises:
            SimulationUnavailable: no graphics library works.
        """
        names = [self._model.geom(number).name for number in range(self._model.ngeom)]
        # The last name is that of -1; things made of several pieces have these numbered.
        bare = np.array([name.rstrip("0123456789") for name in [*names, ""]])
        return bare[self._open_camera().segment(self._data)]

    def _advance(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Moves the command by ``action``, evenly over 50 ms; wrenches (50, 6), contacts (50,)."""
        mujoco, model, data = self._mujoco, self._model, self._data
        start = self._command
        self._command = start + action
        forces, contact = np.empty((READINGS, 6)), np.empty(READINGS, bool)
        for reading in range(READINGS):
            data.ctrl[:] = start + action * (reading / READINGS)
            mujoco.mj_step(model, data)
            # mj_step measures, then moves: these readings are of the moment before the move, so
            # the first one was the last of the step before.
            if reading:
                forces[reading - 1], contact[reading - 1] = data.sensordata, data.ncon > 0
        data.ctrl[:] = self._command
        mujoco.mj_forward(model, data)
        forces[-1], contact[-1] = data.sensordata, data.ncon > 0
        # MuJoCo's sensor is what the arm does to the tool; turned round, what the tool feels.
        return self._tare - forces, contact

    def _picture(self) -> tuple[np.ndarray, np.ndarray]:
        image, depth = self._open_camera().render(self._data)
        return self._noise.apply(image, depth, self._random(_CAMERA, self._index))

    def _open_camera(self) -> Camera:
        if self._camera is None:
            self._camera = Camera(self._model)
        return self._camera

    def _random(self, *purpose: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, *purpose))
