# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The scripted behaviour: wander, approach, touch, search, insert, retract, and again.

It knows where the hole is, as a script may, but believes it to lie a few millimetres elsewhere, and
sometimes centimetres, so some attempts fail. Each phase is a generator of actions, so that it reads
from top to bottom.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from smvae_ros.simulation.scene import BOX_HEIGHT, HOLE_DEPTH

WORKSPACE = np.array([[-0.07, -0.07, 0.075, -0.6], [0.07, 0.07, 0.165, 0.6]])  # x y z yaw, free
LARGEST_ACTION = np.array([0.008, 0.008, 0.008, 0.08])  # per control step, m and rad
LEASH = np.array([0.012, 0.012, 0.015, 0.25])  # how far the command may be ahead of the arm


@dataclass
class Sensed:
    """What the script sees of the robot.

    Attributes:
        pose: x, y, z, yaw (4,) of the arm, m and rad.
        command: the commanded pose (4,).
        push: force along z on the tool, averaged over the last control step, N; positive is up.
    """

    pose: np.ndarray
    command: np.ndarray
    push: float


class Policy:
    """Chooses the displacement of the commanded pose for each control step.

    Attributes:
        attempts: attempts at insertion that have ended so far.
        insertions: how many of them succeeded.
        phase: what is being done now: ``wander``, ``approach``, ``touch``, ``search``, ``insert``
            or ``retract``.
    """

    def __init__(self, hole: np.ndarray, rng: np.random.Generator) -> None:
        """``hole`` is x, y and yaw (3,) of the hole, m and rad."""
        self._hole = np.asarray(hole)
        self._rng = rng
        self._sensed = Sensed(np.zeros(4), np.zeros(4), 0.0)
        self._behaviour = self._forever()
        self.attempts = 0
        self.insertions = 0
        self.phase = "wander"

    def start(self) -> np.ndarray:
        """A random pose (4,) in free space to start from."""
        return self._rng.uniform(*WORKSPACE)

    def __call__(self, sensed: Sensed) -> np.ndarray:
        """The action dx, dy, dz, dyaw (4,) for the next control step, m and rad."""
        self._sensed = sensed
        wanted = next(self._behaviour) + self._rng.normal(0, [4e-4, 4e-4, 2e-4, 3e-3])
        wanted = np.clip(wanted, -LARGEST_ACTION, LARGEST_ACTION)
        # A leash, so that the arm does not push ever harder against an obstacle.
        command = np.clip(sensed.command + wanted, sensed.pose - LEASH, sensed.pose + LEASH)
        return command - sensed.command

    def _forever(self) -> Iterator[np.ndarray]:
        while True:
            self.phase = "wander"
            for _ in range(self._rng.integers(1, 4)):
                yield from self._move_to(self.start())
            yield from self._attempt()

    def _attempt(self) -> Iterator[np.ndarray]:
        rng = self._rng
        lost = rng.random() < 0.2  # looks in a wrong place
        error = rng.normal(0, 0.02 if lost else 0.0025, 2)
        believed = np.array([*self._hole[:2] + error.clip(-0.035, 0.035), 0.0, 0.0])
        believed[3] = self._hole[2] + rng.normal(0, 0.25 if lost else 0.03)

        self.phase = "approach"
        first = believed.copy()
        first[:2] += rng.normal(0, 0.006, 2)
        first[2] = BOX_HEIGHT + rng.uniform(0.008, 0.03)
        yield from self._move_to(first)

        self.phase = "touch"
        speed = rng.uniform(0.002, 0.005)
        while self._sensed.push < 4 and not self._inside(0.004):
            yield np.array([0, 0, -speed, 0])

        self.phase = "search"
        search = self._spiral if rng.random() < 0.6 else self._sweep
        yield from search(believed, push=rng.uniform(8, 25), steps=int(rng.integers(40, 110)))

        inserted = False
        if self._inside(0.004):
            self.phase = "insert"
            yield from self._insert(push=rng.uniform(15, 30))
            inserted = self._inside(HOLE_DEPTH - 0.003)
        self.attempts += 1
        self.insertions += int(inserted)

        self.phase = "retract"
        height = BOX_HEIGHT + rng.uniform(0.012, 0.05)
        while self._sensed.pose[2] < height:
            yield np.array([0, 0, rng.uniform(0.004, 0.007), 0])

    def _spiral(self, centre: np.ndarray, push: float, steps: int) -> Iterator[np.ndarray]:
        """Slides outwards around ``centre`` while pushing down, until the peg falls in."""
        rng = self._rng
        angle, turn = rng.uniform(0, 2 * np.pi), rng.choice([-1, 1])
        pitch = rng.uniform(0.0012, 0.0022)  # metres for each turn
        swing, phase = rng.uniform(0.02, 0.08), rng.uniform(0, 2 * np.pi)
        travelled = 0.0
        for step in range(steps):
            if self._inside(0.004):
                return
            radius = 0.0005 + pitch * travelled / (2 * np.pi)
            target = centre.copy()
            target[:2] += radius * np.array([np.cos(angle), np.sin(angle)])
            target[3] += swing * np.sin(phase + 0.25 * step)
            yield self._slide(target, push)
            advance = min(0.8, 0.0022 / radius)
            angle += turn * advance
            travelled += advance

    def _sweep(self, centre: np.ndarray, push: float, steps: int) -> Iterator[np.ndarray]:
        """Slides in straight lines between random points around ``centre`` while pushing down."""
        rng = self._rng
        remaining = steps
        while remaining > 0:
            target = centre.copy()
            target[:2] += rng.normal(0, 0.004, 2)
            target[3] += rng.normal(0, 0.04)
            for _ in range(rng.integers(6, 16)):
                if self._inside(0.004) or remaining <= 0:
                    return
                yield self._slide(target, push)
                remaining -= 1

    def _slide(self, target: np.ndarray, push: float) -> np.ndarray:
        action = np.clip(0.6 * (target - self._sensed.command), -0.0025, 0.0025)
        action[3] = np.clip(0.4 * (target[3] - self._sensed.command[3]), -0.03, 0.03)
        # Half of the missing force through the arm's stiffness of 2 N/mm.
        action[2] = np.clip((self._sensed.push - push) / 4000, -0.003, 0.003)
        return action

    def _insert(self, push: float) -> Iterator[np.ndarray]:
        """Pushes down, following the hole's walls, until the bottom; then stays and rattles."""
        rng = self._rng
        for _ in range(60):
            if self._inside(HOLE_DEPTH - 0.002):
                break
            action = 0.5 * (self._sensed.pose - self._sensed.command)  # give way sideways
            action[:2] += rng.normal(0, 0.0012, 2)
            action[3] += rng.normal(0, 0.012)
            action[2] = -0.005 if self._sensed.push < push else 0.001
            yield action
        for _ in range(rng.integers(3, 25)):
            action = 0.3 * (self._sensed.pose - self._sensed.command)
            action[:2] += rng.normal(0, 0.002, 2)
            action[2] = np.clip((self._sensed.push - push) / 4000, -0.003, 0.003)
            yield action

    def _move_to(self, target: np.ndarray) -> Iterator[np.ndarray]:
        """A straight line with smooth start and stop (minimum jerk), at a random speed."""
        start = self._sensed.command.copy()
        distance = np.abs((target - start) / np.array([1, 1, 1, 12])).max()
        steps = max(4, int(np.ceil(1.875 * distance / self._rng.uniform(0.004, 0.0075))))
        done = 0.0
        for step in range(1, steps + 1):
            s = step / steps
            progress = 10 * s**3 - 15 * s**4 + 6 * s**5
            yield (progress - done) * (target - start)
            done = progress

    def _inside(self, depth: float) -> bool:
        """Whether the tip is this many metres below the box's upper face."""
        return self._sensed.pose[2] < BOX_HEIGHT - depth
