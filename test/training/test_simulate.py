# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""`python -m training.simulate`: real HDF5 files and bags of the simulated robot."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from patience import PATIENCE
from places import ROOT
from small_models import save_small_checkpoint, small_modalities
from small_simulation import record
from smvae_core.data.logs.vision_touch.layout import DATASETS, log_file_name, parse_log_name
from smvae_core.data.logs.vision_touch.recording import convert_logs
from smvae_core.data.logs.vision_touch.validation import validate_log
from smvae_core.modalities import Modality
from smvae_ros.bags import BagReader
from smvae_ros.cli import evaluate
from smvae_ros.messages import adapter, stamp_ns
from smvae_ros.simulation.graphics import find_mujoco
from smvae_ros.simulation.insertion import GENERATOR_VERSION
from training import evaluate as evaluate_logs
from training import simulate

pytestmark = [pytest.mark.training, pytest.mark.usefixtures("require_simulation")]


def run(*arguments: object, **options: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "training.simulate", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, **pipes, **options)


def make_logs(folder: Path, *arguments: object) -> int:
    """Two trajectories of two parts each."""
    size = ["--trajectories", 2, "--steps", 100]
    return simulate.main([str(word) for word in ["--output", folder, *size, *arguments]])


def arrays(folder: Path) -> dict[tuple[str, str], np.ndarray]:
    found = {}
    for path in sorted(folder.glob("*.h5")):
        with h5py.File(path) as file:
            found |= {(path.name, key): file[key][()] for key in file}
    return found


@pytest.fixture(scope="module")
def logs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    assert make_logs(folder, "--workers", 2) == 0
    return folder


class TestLogs:
    def test_the_format_is_that_of_vision_touch(self, logs):
        files = sorted(logs.iterdir())
        assert [parse_log_name(path)[1:] for path in files] == [(0, 0), (0, 1), (1, 0), (1, 1)]
        for path in files:
            assert validate_log(path) == []
            with h5py.File(path) as file:
                assert set(file) == set(DATASETS) - {"optical_flow"}
                for key, dataset in file.items():
                    assert dataset.shape == (50, *DATASETS[key].shapes[0]), key
                    assert dataset.dtype == DATASETS[key].dtype, key

    def test_the_files_say_that_they_are_simulated(self, logs):
        for path in logs.iterdir():
            name = parse_log_name(path)
            assert name.stamp == simulate.STAMP
            with h5py.File(path) as file:
                assert file.attrs["simulated"]
                assert file.attrs["seed"] == name.trajectory
                assert file.attrs["generator_version"] == GENERATOR_VERSION
                assert not file.attrs["realistic"]
                assert file.attrs["mujoco_version"] == find_mujoco().__version__

    def test_a_file_holds_the_steps_of_its_seed(self, logs):
        steps = record(1, 100, render=True)[50:]
        with h5py.File(logs / log_file_name(simulate.STAMP, 1, 1)) as file:
            for key, expected in simulate.log_arrays(steps).items():
                np.testing.assert_array_equal(file[key][()], expected, err_msg=key)

    def test_only_what_is_missing_is_made_again(self, logs, tmp_path):
        files = sorted(logs.iterdir())
        for path in files:
            (tmp_path / path.name).write_bytes(path.read_bytes())
        kept, removed, damaged, also_kept = (tmp_path / path.name for path in files)
        removed.unlink()
        damaged.write_bytes(damaged.read_bytes()[:1000])
        before = {path: path.stat().st_mtime_ns for path in (kept, also_kept)}
        assert make_logs(tmp_path, "--workers", 1) == 0
        assert {path: path.stat().st_mtime_ns for path in before} == before
        expected, found = arrays(logs), arrays(tmp_path)
        assert found.keys() == expected.keys()
        for key, array in expected.items():
            np.testing.assert_array_equal(found[key], array, err_msg=str(key))

    def test_one_part_of_each_is_that_of_the_whole_trajectory(self, logs, tmp_path):
        assert make_logs(tmp_path, "--workers", 2, "--one-part") == 0
        found = arrays(tmp_path)
        assert sorted({parse_log_name(Path(name))[1:] for name, _ in found}) == [(0, 0), (1, 1)]
        for key, array in found.items():
            np.testing.assert_array_equal(array, arrays(logs)[key], err_msg=str(key))

    def test_a_seed_has_one_name_wherever_a_command_begins(self, logs, tmp_path):
        assert make_logs(tmp_path, "--workers", 1, "--one-part", "--seed", 1) == 0
        found, known = arrays(tmp_path), arrays(logs)
        assert {parse_log_name(Path(name))[1:] for name, _ in found} == {(1, 1), (2, 0)}
        shared = found.keys() & known.keys()
        assert {name for name, _ in shared} == {log_file_name(simulate.STAMP, 1, 1)}
        for key in shared:
            np.testing.assert_array_equal(found[key], known[key], err_msg=str(key))

    def test_shorter_parts_cut_the_same_trajectory(self, logs, tmp_path, capfd):
        assert make_logs(tmp_path, "--workers", 1, "--part-steps", 20, "--one-part") == 0
        whole = arrays(logs)
        for (name, key), array in arrays(tmp_path).items():
            _, trajectory, part = parse_log_name(Path(name))
            first = 20 * part
            rest = whole[log_file_name(simulate.STAMP, trajectory, first // 50), key]
            expected = rest[first % 50 : first % 50 + 20]
            np.testing.assert_array_equal(array[: len(expected)], expected, err_msg=key)
            assert len(array) == 20
        assert make_logs(tmp_path, "--workers", 1) == 1
        assert "was made with part_steps = 20, now it is 50" in capfd.readouterr().err

    def test_logs_of_other_settings_are_not_mixed(self, logs, capfd):
        before = {path: path.stat().st_mtime_ns for path in logs.iterdir()}
        assert make_logs(logs, "--workers", 1, "--camera-noise", 0.5) == 1
        assert "was made with camera_noise = 1.0, now it is 0.5" in capfd.readouterr().err
        assert make_logs(logs, "--workers", 1, "--realistic") == 1
        assert "was made with realistic = False, now it is True" in capfd.readouterr().err
        assert {path: path.stat().st_mtime_ns for path in logs.iterdir()} == before

    def test_logs_from_before_there_was_a_choice_are_plain(self, logs, tmp_path, capfd):
        for path in logs.iterdir():
            copy = tmp_path / path.name
            copy.write_bytes(path.read_bytes())
            with h5py.File(copy, "a") as file:
                del file.attrs["realistic"]
        before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
        assert make_logs(tmp_path, "--workers", 1) == 0
        assert make_logs(tmp_path, "--workers", 1, "--realistic") == 1
        assert "was made with realistic = False, now it is True" in capfd.readouterr().err
        assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before

    def test_realistic_logs_hold_the_realistic_steps(self, tmp_path):
        size = ["--trajectories", "1", "--steps", "50", "--workers", "1"]
        assert simulate.main(["--output", str(tmp_path), "--realistic", *size]) == 0
        with h5py.File(tmp_path / log_file_name(simulate.STAMP, 0, 0)) as file:
            assert file.attrs["realistic"]
            steps = record(0, 50, render=True, realistic=True)
            for key, expected in simulate.log_arrays(steps).items():
                np.testing.assert_array_equal(file[key][()], expected, err_msg=key)

    def test_the_length_must_be_whole_parts(self, tmp_path, capsys):
        with pytest.raises(SystemExit):
            simulate.main(["--output", str(tmp_path), "--steps", "120"])
        assert "multiple of 50" in capsys.readouterr().err

    def test_parts_of_another_length_come_alone(self, tmp_path, capsys):
        with pytest.raises(SystemExit):
            simulate.main(["--output", str(tmp_path), "--part-steps", "10"])
        assert "--part-steps is for --one-part only" in capsys.readouterr().err

    @pytest.mark.parametrize("option", ["--output", "--bag"])
    def test_a_place_that_cannot_be_written_to_is_said_before_the_work(
        self, read_only_folder, full_disk, capsys, option
    ):
        for folder in (read_only_folder, full_disk):
            assert simulate.main([option, str(folder / "new"), "--steps", "50"]) == 1
            (line,) = capsys.readouterr().err.splitlines()
            assert line.startswith(f"simulate: {folder / 'new'} cannot be written: ")

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_an_interrupt_leaves_whole_files(self, tmp_path, number):
        # As a terminal does it, the signal goes to the parent and its workers alike.
        process = run("--output", tmp_path, "--trajectories", 2, start_new_session=True)
        try:
            while "step/s" not in process.stderr.readline(200) and process.poll() is None:
                pass
            while len(list(tmp_path.glob("*.h5"))) < 2 and process.poll() is None:
                process.stderr.readline(200)
            if number == signal.SIGINT:
                os.killpg(process.pid, number)
            else:
                process.terminate()
            _, errors = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
        assert process.returncode == 130, errors
        assert "interrupted" in errors
        assert "Traceback" not in errors
        files = list(tmp_path.iterdir())
        assert 2 <= len(files) < 40
        assert all(path.suffix == ".h5" and validate_log(path) == [] for path in files)


class TestBag:
    def test_it_holds_what_the_robot_did(self, tmp_path):
        count = 12
        options = ["--bag", str(tmp_path / "bag"), "--steps", str(count), "--seed", "4"]
        assert simulate.main(options) == 0
        steps = record(4, count, render=True)
        messages: dict[str, list] = {}
        with BagReader(tmp_path / "bag") as bag:
            stamps = []
            for topic, stamp, message in bag.read():
                assert stamp == stamp_ns(message)
                stamps.append(stamp)
                messages.setdefault(topic, []).append(message)
        assert stamps == sorted(stamps)
        assert {topic: len(found) for topic, found in messages.items()} == {
            "/wrench": 50 * count,
            "/action": count,
            "/joint_states": count,
            "/camera/color/image_raw": count,
            "/camera/depth/image_raw": count,
            "/camera/color/camera_info": count,
        }
        assert (np.diff([stamp_ns(message) for message in messages["/wrench"]]) == 10**6).all()

        def read(topic: str, modality: Modality, **options: object) -> np.ndarray:
            found = messages[topic]
            reader = adapter(found[0].__msgtype__)
            return np.array([reader.to_array(message, modality, **options) for message in found])

        force = read("/wrench", Modality("force", "vector", (6,)))
        np.testing.assert_array_equal(force.reshape(count, 50, 6), [s.forces for s in steps])
        action = read("/action", Modality("action", "vector", (4,)), scale=0.05)
        np.testing.assert_allclose(action, [s.action for s in steps], rtol=1e-6)
        joints = read(
            "/joint_states", Modality("proprio", "vector", (8,)), joint_names=("x", "y", "z", "yaw")
        )
        np.testing.assert_allclose(joints, [s.proprio for s in steps], rtol=1e-6)
        image = read("/camera/color/image_raw", Modality("rgb", "image", (3, 128, 128)))
        np.testing.assert_array_equal(image, [s.image for s in steps])
        depth = read("/camera/depth/image_raw", Modality("depth", "depth", (1, 128, 128)))
        expected = np.array([s.depth for s in steps])
        np.testing.assert_allclose(np.nan_to_num(depth), expected, atol=1e-6)

        # The newest wrench of a step, its pictures and its action carry the step's time.
        for index, step in enumerate(steps):
            stamp = simulate.BAG_START + round(step.time * 1e9)
            for topic in set(messages) - {"/wrench"}:
                assert stamp_ns(messages[topic][index]) == stamp
            assert stamp_ns(messages["/wrench"][50 * index + 49]) == stamp

    def test_its_evaluation_is_that_of_the_log_of_the_same_run(self, tmp_path):
        options = ["--trajectories", "1", "--steps", "50", "--seed", "3", "--workers", "1"]
        paths = ["--output", str(tmp_path / "logs"), "--bag", str(tmp_path / "bag")]
        assert simulate.main([*paths, *options]) == 0
        checkpoint = save_small_checkpoint(tmp_path / "model")
        convert_logs(tmp_path / "logs", tmp_path / "cache", small_modalities(), progress=False)
        found = {}
        for name, command in (("bag", evaluate.main), ("cache", evaluate_logs.main)):
            output = tmp_path / f"{name}.json"
            model = ["--checkpoint", str(checkpoint)] if name == "bag" else [str(checkpoint)]
            assert command([*model, str(tmp_path / name), "--output", str(output)]) == 0
            found[name] = json.loads(output.read_text())["subsets"]
        assert found["bag"].keys() == found["cache"].keys()
        assert len(found["cache"]) == 32
        for subset, expected in found["cache"].items():
            # Before the first picture the bag has frames of force alone, which a log has not.
            tolerance = 0.05 if subset in ("force", "training_mean") else 1e-4
            assert found["bag"][subset] == pytest.approx(expected, rel=tolerance, abs=tolerance)


class TestMissing:
    def test_without_graphics_the_message_names_the_packages(self, tmp_path):
        process = run("--output", tmp_path, env={**os.environ, "MUJOCO_GL": "disable"})
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1
        assert "libegl1" in errors
        assert "libosmesa6" in errors
        assert "\nsimulate: MuJoCo cannot render" in errors
        assert list(tmp_path.iterdir()) == []

    def test_without_mujoco_the_message_says_how_to_install_it(self):
        # None in sys.modules makes an import fail just as a missing package does.
        code = (
            "import sys; sys.modules['mujoco'] = None; from training.simulate import main; "
            "sys.exit(main(['--bag', '/nonexistent/bag']))"
        )
        found = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT
        )
        assert found.returncode == 1
        assert "pip install 'smvae_ros[sim]'" in found.stderr
        assert "Traceback" not in found.stderr
