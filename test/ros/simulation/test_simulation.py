# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The simulated insertion robot: real MuJoCo, real pictures."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from small_simulation import record
from smvae_ros.simulation.camera import DISPARITY_OF_ONE_METRE, MILD, STEREO, CameraNoise
from smvae_ros.simulation.insertion import InsertionRobot, Step
from smvae_ros.simulation.policy import LARGEST_ACTION, LEASH
from smvae_ros.simulation.scene import BOX_HEIGHT
from smvae_ros.simulation.textures import Texture

PICTURES = ("image", "depth")
PERFECT = CameraNoise()
pytestmark = pytest.mark.usefixtures("require_simulation")


def assert_equal_steps(
    first: list[Step], second: list[Step], without: tuple[str, ...] = ()
) -> None:
    for a, b in zip(first, second, strict=True):
        for field in dataclasses.fields(Step):
            if field.name not in without:
                np.testing.assert_array_equal(getattr(a, field.name), getattr(b, field.name))


@pytest.fixture(scope="module")
def runs() -> list[tuple[InsertionRobot, list[Step]]]:
    """Four robots and the whole trajectories that they went, without pictures."""
    robots = [InsertionRobot(seed) for seed in range(4)]
    return [(robot, list(robot.steps(1000, render=False))) for robot in robots]


@pytest.fixture(scope="module")
def trajectories(runs: list[tuple[InsertionRobot, list[Step]]]) -> list[list[Step]]:
    return [steps for _, steps in runs[:3]]


class TestRobot:
    def test_a_seed_gives_the_same_steps_again(self):
        with InsertionRobot(7) as robot:
            first = list(robot.steps(15))
            robot.reset()
            again = list(robot.steps(15))
        assert_equal_steps(first, again)
        assert_equal_steps(first, record(7, 15, render=True))

    def test_rendering_changes_nothing_else(self):
        rendered, plain = record(3, 20, render=True), record(3, 20, render=False)
        assert all(step.image is None and step.depth is None for step in plain)
        assert_equal_steps(rendered, plain, without=PICTURES)
        # Only some pictures: those are the same as with all.
        with InsertionRobot(3) as robot:
            some = [robot.step(render=index % 2 == 1) for index in range(20)]
        assert_equal_steps(some[1::2], rendered[1::2])

    def test_another_seed_gives_another_scene_and_run(self):
        one, other = InsertionRobot(1), InsertionRobot(2)
        assert one.scene != other.scene
        assert not np.array_equal(one.step().image, other.step().image)
        assert not np.array_equal(one.step(render=False).proprio, other.step(render=False).proprio)

    def test_the_box_varies_as_much_as_asked(self):
        default = np.array([InsertionRobot(seed).scene.box_position for seed in range(20)])
        assert 0.005 < np.abs(default).max() <= 0.01
        assert InsertionRobot(5, box_variation=0).scene.box_position == (0, 0)

    def test_free_motion_and_contact_differ_clearly(self, trajectories):
        for steps in trajectories:
            force = np.linalg.norm([step.forces[:, :3] for step in steps], axis=-1)
            contact = np.array([step.contact for step in steps])
            free = ~contact.any(axis=1)
            assert np.percentile(force[free], 99) < 0.5
            assert np.median(force[contact]) > 10
            assert force[contact].max() < 150
            assert 0.3 <= 1 - free.mean() <= 0.6

    def test_pushing_on_the_box_lifts_the_tool(self, trajectories):
        for steps in trajectories:
            pushing = [s.forces[:, 2].mean() for s in steps if s.contact.all()]
            assert np.mean(np.array(pushing) > 3) > 0.95

    def test_some_attempts_succeed_and_some_fail(self, runs):
        attempts = insertions = 0
        for robot, steps in runs:
            deepest = min(step.ee_pos[2] for step in steps)
            assert robot.policy.attempts >= 3
            assert (deepest < BOX_HEIGHT - 0.03) == (robot.policy.insertions > 0)
            attempts += robot.policy.attempts
            insertions += robot.policy.insertions
        assert 0.2 < insertions / attempts < 0.9

    def test_the_action_led_to_the_state(self, trajectories):
        for steps in trajectories:
            pose = np.array([step.ee_yaw for step in steps])
            action = np.array([step.action for step in steps])
            delta = np.array([step.ee_yaw_delta for step in steps])
            assert (np.abs(action) <= LARGEST_ACTION + LEASH).all()
            np.testing.assert_allclose(np.diff(pose, axis=0), delta[1:], atol=1e-12)
            # The arm follows within a step: the movement correlates with the action that led to
            # it, and more than with the one that came after.
            free = np.array([not step.contact.any() for step in steps])[1:-1]
            for axis in range(3):
                led, came_after = (
                    np.corrcoef(delta[1:-1, axis][free], other[free])[0, 1]
                    for other in (action[1:-1, axis], action[2:, axis])
                )
                assert led > 0.9
                assert led > came_after

    def test_fields_agree_with_each_other(self, trajectories):
        for step in trajectories[0][::50]:
            np.testing.assert_array_equal(step.proprio, np.r_[step.ee_yaw, step.joint_vel[:4]])
            np.testing.assert_array_equal(
                step.joint_pos, np.r_[step.ee_pos, step.ee_yaw[3], 0, 0, 0]
            )
            np.testing.assert_array_equal(step.ee_vel, step.joint_vel[:3])
            assert step.ee_vel_ori[2] == step.joint_vel[3]
            np.testing.assert_allclose(2 * np.arctan2(*step.ee_ori[2:]), step.ee_yaw[3])
            assert step.time == pytest.approx((step.index + 1) / 20)

    def test_readings_go_on_from_step_to_step(self, trajectories):
        """1 ms apart also across steps: the jump there is as small as within a step."""
        force = np.array([step.forces[:, 2] for step in trajectories[0]])
        within = np.abs(force[:, -1] - force[:, -2])
        across = np.abs(force[1:, 0] - force[:-1, -1])
        assert np.median(across) < 2 * np.median(within)
        assert np.mean(across) < 3 * np.mean(within)


def test_plain_trajectories_are_those_of_the_bundled_model():
    """As the first generator made them; other numbers need another GENERATOR_VERSION, and a model
    trained on them."""
    with InsertionRobot(0) as robot:
        *_, last = robot.steps(60, render=False)
        assert robot.scene.ambient == pytest.approx(0.3320367421)
    pose = [0.0282674702, -0.0589181117, 0.0806982248, 0.4404183455]
    np.testing.assert_allclose(last.ee_yaw, pose, rtol=0, atol=1e-5)
    force = [-0.06890625, -0.03078125, 0.02484375]
    np.testing.assert_allclose(last.forces[:, :3].mean(0), force, rtol=0, atol=0.01)


class TestPictures:
    def test_they_show_peg_box_and_hole(self):
        for seed in range(4):
            with InsertionRobot(seed) as robot:
                assert robot.step().ee_pos[2] > BOX_HEIGHT
                seen = robot.seen()
            assert np.sum(seen == "peg") > 80
            assert np.sum(seen == "box") > 1500
            assert np.sum(seen == "hole") > 40

    @pytest.mark.parametrize("realistic", [False, True])
    def test_things_have_clearly_different_colours(self, realistic):
        for seed in range(4):
            with InsertionRobot(seed, camera_noise=0, realistic=realistic) as robot:
                image = robot.step().image.astype(float)
                seen = robot.seen()
            things = ("peg", "box", "hole", "table")
            colour = {thing: image[seen == thing].mean(axis=0) for thing in things}
            assert np.linalg.norm(colour["peg"] - colour["box"]) > 60
            assert np.linalg.norm(colour["hole"] - colour["box"]) > 60
            assert np.linalg.norm(colour["box"] - colour["table"]) > 40

    def test_depth_is_the_distance_along_the_view(self):
        with InsertionRobot(0, camera_noise=0) as robot:
            depth = robot.step().depth
        assert depth.dtype == np.float32
        assert 0.15 < depth.min() < 0.45
        assert 0.7 < depth.max() < 1.2

    @pytest.mark.parametrize(("realistic", "largest"), [(False, 0.001), (True, 0.003)])
    def test_noise_is_mild(self, realistic, largest):
        clean = record(0, 1, render=True, camera_noise=0, realistic=realistic)[0]
        noisy = record(0, 1, render=True, realistic=realistic)[0]
        seen = (noisy.depth > 0) & (clean.depth > 0)
        assert 0.9 < seen.mean() < 1
        assert 0.0002 < np.std((noisy.depth - clean.depth)[seen]) < largest
        assert 0.5 < np.std(noisy.image.astype(float) - clean.image) < 3

    def test_every_realistic_trajectory_has_its_own_strength_of_noise(self):
        strengths = [InsertionRobot(seed, realistic=True)._noise.colour for seed in range(6)]
        assert max(strengths) > 1.5 * min(strengths)
        assert {InsertionRobot(seed)._noise for seed in range(6)} == {MILD}

    def test_realistic_pictures_are_of_the_same_movement(self):
        plain, realistic = (record(3, 20, True, realistic=value) for value in (False, True))
        assert_equal_steps(plain, realistic, without=PICTURES)
        for one, other in zip(plain, realistic, strict=True):
            assert not np.array_equal(one.image, other.image)
            assert (other.depth == 0).sum() > (one.depth == 0).sum()

    def test_things_differ_in_texture_from_trajectory_to_trajectory(self):
        scenes = [InsertionRobot(seed, realistic=True).scene for seed in range(12)]
        patterns = {texture.pattern for scene in scenes for texture in scene.textures.values()}
        assert patterns == {"speckle", "blotches", "grain", "tiles"}
        with InsertionRobot(0, camera_noise=0, realistic=True) as robot:
            image = robot.step().image.astype(float)
            seen = robot.seen()
        # Within one thing brightness varies, by its texture and by light and shadow.
        for name in ("table", "box"):
            brightness = image[seen == name].mean(axis=1)
            assert brightness.std() / brightness.mean() > 0.02

    @pytest.mark.parametrize("pattern", ["speckle", "blotches", "grain", "tiles"])
    def test_a_texture_darkens_by_its_contrast_at_most(self, pattern):
        picture = Texture(pattern, contrast=0.2, cells=10, angle=30, seed=1).picture()
        assert (picture.dtype, picture.shape) == (np.uint8, (512, 512))
        assert 0.8 * 255 - 1 <= picture.min() < 0.88 * 255
        assert picture.std() > 3
        again = Texture(pattern, contrast=0.2, cells=10, angle=30, seed=1).picture()
        np.testing.assert_array_equal(picture, again)

    def test_depth_comes_in_steps_that_grow_with_the_square_of_the_distance(self):
        depth = np.tile(np.linspace(0.2, 1.2, 20000, dtype=np.float32), (2, 1))
        image = np.zeros((*depth.shape, 3), np.uint8)
        noise = dataclasses.replace(PERFECT, step=1 / 16)
        _, found = noise.apply(image, depth, np.random.default_rng(0))
        values = np.unique(found)
        step = values[:-1] ** 2 / DISPARITY_OF_ONE_METRE / 16
        np.testing.assert_allclose(np.diff(values), step, rtol=0.05)

    def test_a_near_thing_casts_a_shadow_to_its_left(self):
        depth = np.full((128, 128), 1.0, np.float32)
        depth[40:80, 60:90] = 0.3
        image = np.zeros((128, 128, 3), np.uint8)
        noise = dataclasses.replace(PERFECT, baseline=0.018)
        _, found = noise.apply(image, depth, np.random.default_rng(0))
        # Focal length 171.2 pixels: 171.2 * 0.018 * (1 / 0.3 - 1 / 1.0) = 7.2 pixels wide.
        rows, columns = np.nonzero(found == 0)
        assert (set(rows), set(columns)) == (set(range(40, 80)), set(range(53, 60)))

    def test_holes_are_patches_and_edges(self):
        depth = np.full((128, 128), 0.5, np.float32)
        image = np.zeros((128, 128, 3), np.uint8)
        rng = np.random.default_rng(0)
        patches = dataclasses.replace(PERFECT, patches=0.02)
        hole = patches.apply(image, depth, rng)[1] == 0
        assert hole.mean() == pytest.approx(0.02, abs=0.001)
        beside = hole[1:] | hole[:-1]
        assert (hole[1:] & hole[:-1]).sum() > 0.4 * beside.sum()
        depth[:, 64:] = 0.6
        edges = dataclasses.replace(PERFECT, edges=0.5)
        hole = edges.apply(image, depth, rng)[1] == 0
        assert set(np.nonzero(hole)[1]) == {64}
        assert 40 < hole.sum() < 90

    @settings(max_examples=25)
    @given(
        noise=st.sampled_from([MILD, STEREO]),
        factor=st.floats(0, 20),
        seed=st.integers(0, 2**32),
        level=st.integers(0, 255),
    )
    def test_noisy_pictures_keep_type_and_range(self, noise, factor, seed, level):
        rng = np.random.default_rng(seed)
        image = np.full((8, 9, 3), level, np.uint8)
        depth = rng.uniform(0.2, 1, (8, 9)).astype(np.float32)
        noisy, noisy_depth = noise.scaled(factor).apply(image, depth, rng)
        assert (noisy.dtype, noisy.shape) == (np.uint8, image.shape)
        assert (noisy_depth.dtype, noisy_depth.shape) == (np.float32, depth.shape)
        assert np.isfinite(noisy_depth).all()
        assert (noisy_depth >= 0).all()
        if factor == 0:
            np.testing.assert_array_equal(noisy, image)
            seen = noisy_depth > 0
            np.testing.assert_allclose(noisy_depth[seen], depth[seen], atol=0.003)


class TestSurroundings:
    def test_the_robot_imports_neither_ros_nor_torch(self):
        code = (
            "import sys, smvae_ros.simulation.insertion, smvae_ros.simulation.topics; "
            "print({'torch', 'rclpy'} & set(sys.modules))"
        )
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert found.stdout.strip() == "set()", found.stderr

    def test_without_graphics_the_robot_still_runs(self):
        code = (
            "from smvae_ros.simulation.insertion import InsertionRobot; "
            "print(InsertionRobot(0).step(render=False).forces.shape)"
        )
        environment = {**os.environ, "MUJOCO_GL": "disable"}
        found = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment
        )
        assert found.stdout.strip() == "(50, 6)", found.stderr
