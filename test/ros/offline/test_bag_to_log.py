# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What a robot recorded becomes logs to train on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from patience import PATIENCE
from recorder import writing
from small_bags import MS, START, TOPICS, write_small_bag
from small_models import IMAGE_SIZE, save_small_checkpoint, small_modalities
from smvae_core.checkpoint import build_model, load_checkpoint
from smvae_core.data.batches import Batches
from smvae_core.data.logs.cache_folder import CacheError
from smvae_core.data.logs.dataset import open_cache
from smvae_core.data.logs.vision_touch.layout import (
    LogError,
    parse_log_name,
)
from smvae_core.data.logs.vision_touch.log_file import open_log
from smvae_core.data.logs.vision_touch.recording import convert_logs
from smvae_core.data.logs.vision_touch.validation import validate_log
from smvae_core.inference.inference import Inference
from smvae_core.metrics.subset_errors import SubsetErrors
from smvae_core.residuals.calibrate import calibrate
from smvae_ros.bags import BagError, BagWriter
from smvae_ros.bundled import bag_path, parameters_path
from smvae_ros.cli.bag_to_log import main
from smvae_ros.messages import adapter, bag_types
from smvae_ros.messages.types import bag_typestore
from smvae_ros.offline.bag_posteriors import encode_bag
from smvae_ros.offline.log_writer import MODALITIES, BagConversion, convert_bag
from smvae_ros.parameters.configuration import read_values

PERIOD = 50 * MS
READING = MODALITIES["force"].raw_shape[0]
OWN_TOPICS = {name: f"/my_robot/{name}" for name in TOPICS}
Write = Callable[[str, Any, int], None]


def log_arrays(steps: int, seed: int = 0) -> dict[str, np.ndarray]:
    """A log whose depth is in whole millimetres, as cameras say it."""
    random = np.random.default_rng(seed)
    depth = random.integers(300, 1500, (steps, 128, 128, 1)).astype(np.float32) / 1000
    depth[:, :5] = np.nan
    return {
        "image": random.integers(0, 256, (steps, 128, 128, 3), dtype=np.uint8),
        "depth_data": depth,
        "ee_forces_continuous": random.normal(size=(steps, 50, 6)) * 10,
        "action": random.normal(size=(steps, 4)) * 0.01,
        "proprio": random.normal(size=(steps, 8)),
    }


def write_steps(
    write: Write,
    arrays: dict[str, np.ndarray],
    moments: Sequence[int],
    recorded: Sequence[int] | None = None,
    topics: dict[str, str] | None = None,
) -> None:
    """Step i of a log as messages stamped ``moments[i]`` ns, recorded at another time or then."""
    topics = topics or {name: topic for name, (topic, _) in TOPICS.items()}
    for step, moment in enumerate(moments):
        shift = 0 if recorded is None else recorded[step] - moment

        def send(name: str, array: np.ndarray, stamp: int, shift: int = shift) -> None:
            modality = MODALITIES[name]
            message = adapter(TOPICS[name][1]).to_message(
                array,
                modality,
                bag_types,
                stamp_ns=stamp,
                scale=0.05 if name == "action" else 1.0,
                joint_names=("x", "y", "z", "yaw") if name == "proprio" else (),
            )
            write(topics[name], message, stamp + shift)

        for reading in range(READING):
            force = arrays["ee_forces_continuous"][step, reading]
            send("force", force, moment - (READING - 1 - reading) * MS)
        send("action", arrays["action"][step], moment)
        send("proprio", arrays["proprio"][step], moment)
        send("rgb", arrays["image"][step], moment)
        send("depth", arrays["depth_data"][step, ..., 0], moment)


@contextmanager
def other_writer(
    path: Path, plugin: StoragePlugin, compression: CompressionMode
) -> Iterator[Write]:
    """What ``ros2 bag record`` writes with other settings than ours."""
    writer = Writer(path, version=9, storage_plugin=plugin)
    writer.set_compression(compression, CompressionFormat.ZSTD)
    connections: dict[str, Any] = {}
    with writer:

        def write(topic: str, message: Any, stamp: int) -> None:
            type_name = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(
                    topic, type_name, typestore=bag_typestore()
                )
            data = bag_typestore().serialize_cdr(message, type_name)
            writer.write(connections[topic], stamp, data)

        yield write


def moments(steps: int, start: int = START) -> list[int]:
    return [start + PERIOD * (step + 1) for step in range(steps)]


def parameters(path: Path | None = None) -> dict[str, Any]:
    return read_values(path or parameters_path(), MODALITIES.values())


def trajectories(folder: Path) -> dict[int, dict[str, np.ndarray]]:
    """trajectory → key → all its steps; every file must be good in layout."""
    found: dict[int, list[tuple[int, Path]]] = {}
    for path in folder.iterdir():
        name = parse_log_name(path)
        found.setdefault(name.trajectory, []).append((name.part, path))
    result = {}
    for number, parts in found.items():
        pieces: dict[str, list[np.ndarray]] = {}
        for _, path in sorted(parts):
            with open_log(path) as file:
                for key in file.keys:
                    pieces.setdefault(key, []).append(file.read(key))
        result[number] = {key: np.concatenate(list_of) for key, list_of in pieces.items()}
    return result


def convert(bag: Path, folder: Path, **options: Any) -> BagConversion:
    return convert_bag(bag, folder, parameters(), **options)


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    np.testing.assert_array_equal(found["image"], expected["image"])
    depth = expected["depth_data"].reshape(found["depth_data"].shape)
    np.testing.assert_allclose(found["depth_data"], depth, atol=1e-3)
    np.testing.assert_allclose(
        found["ee_forces_continuous"], expected["ee_forces_continuous"], rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(found["action"], expected["action"], rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(found["proprio"], expected["proprio"], rtol=1e-6)


@pytest.mark.parametrize(
    ("plugin", "compression"),
    [
        (StoragePlugin.MCAP, CompressionMode.STORAGE),
        (StoragePlugin.SQLITE3, CompressionMode.FILE),
    ],
)
def test_log_to_bag_to_log(
    tmp_path: Path, plugin: StoragePlugin, compression: CompressionMode
) -> None:
    arrays = log_arrays(60)
    with other_writer(tmp_path / "bag", plugin, compression) as write:
        write_steps(write, arrays, moments(60), topics=OWN_TOPICS)
    topics = "".join(f"    {name}: {{topic: {topic}}}\n" for name, topic in OWN_TOPICS.items())
    (tmp_path / "mine.yaml").write_text(f"/**:\n  ros__parameters:\n{topics}")
    output = tmp_path / "logs"
    options = ["--params", str(tmp_path / "mine.yaml"), "--trajectory", "7", "--stamp", "arm"]
    assert main([str(tmp_path / "bag"), str(output), *options]) == 0
    names = sorted(path.name for path in output.iterdir())
    assert names == ["arm_triangle_0_journal_7_0_1000.h5", "arm_triangle_0_journal_7_1_1000.h5"]
    assert not any(validate_log(path) for path in output.iterdir())
    assert_same(trajectories(output)[7], arrays)


def test_the_rate_travels_with_the_data(
    tmp_path: Path,
) -> None:
    bag, logs = write_small_bag(tmp_path / "bag", 40), tmp_path / "logs"
    convert(bag, logs, rate=10)
    report = convert_logs(logs, tmp_path / "cache", small_modalities(), progress=False)
    assert report.rate == 10.0
    cache = open_cache(tmp_path / "cache")
    assert cache.rate == 10.0
    model = load_checkpoint(save_small_checkpoint(tmp_path / "model")).model
    # The same 20 steps are too short for calibration at 20 Hz.
    with pytest.raises(ValueError, match="1 runs of 2 s or more"):
        calibrate(model, cache, np.arange(len(cache)), progress=False)
    with pytest.raises(ValueError, match="0 runs of 2 s or more"):
        calibrate(model, cache, np.arange(len(cache)), 20.0, progress=False)

    convert(bag, logs, rate=20, trajectory=1)
    with pytest.raises(CacheError, match=r"several rates, 10 Hz \(.*\) and 20 Hz \("):
        convert_logs(logs, tmp_path / "both", small_modalities(), progress=False)
    assert not list((tmp_path / "both").glob("*.npy"))


def test_another_rate_and_size(tmp_path: Path) -> None:
    report = convert(write_small_bag(tmp_path / "bag", 40), tmp_path / "logs", rate=10)
    assert (report.trajectories, report.steps) == (1, 20)
    found = trajectories(tmp_path / "logs")[0]
    # Every second step of the bag: joints are cos(phase + 0..7), phase = step / 10 from 1 on.
    phase = np.arange(1, 40, 2)[:, None] / 10
    np.testing.assert_allclose(found["proprio"], np.cos(phase + np.arange(8)), atol=1e-6)
    assert found["ee_forces_continuous"].shape == (20, 50, 6)
    assert not any(validate_log(path) for path in report.files)


def test_readings_between_steps_are_the_newest_before(tmp_path: Path) -> None:
    arrays = log_arrays(30)
    late = [moment + 20 * MS for moment in moments(30)]
    with BagWriter(tmp_path / "bag") as bag:
        write_steps(bag.write, arrays, moments(30), recorded=late)  # slow to be recorded
    report = convert(tmp_path / "bag", tmp_path / "logs", rate=40)
    assert report.steps == 59
    found = trajectories(tmp_path / "logs")[0]
    np.testing.assert_array_equal(found["image"][::2], arrays["image"])
    np.testing.assert_array_equal(found["image"][1::2], arrays["image"][:-1])
    np.testing.assert_allclose(found["action"][1::2], arrays["action"][:-1], rtol=1e-5, atol=1e-8)
    # The window reaches from 25 ms before the step before to 25 ms after it.
    np.testing.assert_allclose(
        found["ee_forces_continuous"][1::2, :25],
        arrays["ee_forces_continuous"][:-1, 25:],
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.parametrize("name", ["depth", "force", "action", "proprio"])
def test_a_bag_without_one_of_the_topics(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    bag = write_small_bag(tmp_path / "bag", 20, without=(name,))
    report = convert(bag, tmp_path / "logs")
    assert f"no topic {TOPICS[name][0]}" in caplog.text
    assert report.steps == 20
    cache = convert_logs(tmp_path / "logs", tmp_path / "cache", small_modalities(), progress=False)
    if name == "proprio":  # optional in the format
        assert name not in cache.modalities
    else:
        assert cache.absent == {name: 20}


def test_a_bag_without_colour_images_is_refused(tmp_path: Path) -> None:
    bag = write_small_bag(tmp_path / "bag", 5, without=("rgb",))
    with pytest.raises(BagError, match=r"no topic /camera/color/image_raw.*rgb\.topic"):
        convert(bag, tmp_path / "logs")
    assert not (tmp_path / "logs").exists()


def test_a_pause_of_the_camera_begins_another_trajectory(tmp_path: Path) -> None:
    arrays = log_arrays(30)
    times = moments(15) + moments(15, START + 2000 * MS)
    with BagWriter(tmp_path / "bag") as bag:
        write_steps(bag.write, arrays, times)
    report = convert(tmp_path / "bag", tmp_path / "logs")
    assert (report.trajectories, report.steps) == (2, 30)
    for number, part in trajectories(tmp_path / "logs").items():
        rows = slice(15 * number, 15 * number + 15)
        assert_same(part, {key: array[rows] for key, array in arrays.items()})


@pytest.mark.parametrize("jump", [-3600, -1, 3600])
def test_a_clock_that_jumps(tmp_path: Path, jump: int) -> None:
    arrays = log_arrays(40)
    stamps = moments(20) + moments(40, START + jump * 1000 * MS)[20:]
    with BagWriter(tmp_path / "bag") as bag:
        write_steps(bag.write, arrays, stamps, recorded=moments(40))
    report = convert(tmp_path / "bag", tmp_path / "logs")
    assert (report.trajectories, report.steps) == (2, 40)
    found = trajectories(tmp_path / "logs")
    for number, rows in enumerate((slice(0, 20), slice(20, 40))):
        np.testing.assert_array_equal(found[number]["image"], arrays["image"][rows])
        np.testing.assert_allclose(found[number]["proprio"], arrays["proprio"][rows], rtol=1e-6)
        np.testing.assert_allclose(
            found[number]["ee_forces_continuous"],
            arrays["ee_forces_continuous"][rows],
            rtol=1e-5,
            atol=1e-5,
        )


def test_nan_and_gaps_keep_the_other_modalities(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays = log_arrays(40)
    arrays["action"][10] = np.nan
    arrays["proprio"][20:22] = np.inf
    arrays["ee_forces_continuous"][30:32, :, 2] = np.nan
    arrays["depth_data"][5] = np.nan
    with BagWriter(tmp_path / "bag") as bag:
        write_steps(bag.write, arrays, moments(40))
    assert main([str(tmp_path / "bag"), str(tmp_path / "logs"), "--stamp", "arm"]) == 0
    printed = capsys.readouterr().out
    assert "100 unusable messages of force" in printed
    found = trajectories(tmp_path / "logs")[0]
    np.testing.assert_array_equal(found["image"], arrays["image"])
    # As in the node, the last usable one counts where it is not older than max_age.
    for key, row, before in (
        ("action", 10, 9),
        ("proprio", 20, 19),
        ("proprio", 21, 19),
        ("depth_data", 5, 4),
    ):
        np.testing.assert_array_equal(found[key][row], found[key][before])
        expected = arrays[key].reshape(found[key].shape)
        np.testing.assert_allclose(found[key][before], expected[before], rtol=1e-5, atol=1e-3)
    # The window after the gap has to fill again, too.
    force = np.isnan(found["ee_forces_continuous"]).any((1, 2))
    assert set(np.flatnonzero(force)) == {30, 31}


def test_a_sensor_with_a_clock_of_its_own_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with BagWriter(tmp_path / "bag") as bag:

        def write(topic: str, message: Any, stamp: int) -> None:
            if topic == TOPICS["depth"][0]:
                message.header.stamp.sec -= 1_700_000_000
            bag.write(topic, message, stamp)

        write_steps(write, log_arrays(20), moments(20))
    report = convert(tmp_path / "bag", tmp_path / "logs")
    assert report.absent == {"depth": 20}
    assert "no step has depth" in caplog.text
    assert "same clock" in caplog.text


def test_again_is_the_same_and_otherwise_is_refused(tmp_path: Path) -> None:
    bag = write_small_bag(tmp_path / "bag", 20)
    first = convert(bag, tmp_path / "logs")
    assert convert(bag, tmp_path / "logs").files == first.files
    with h5py.File(first.files[0]) as file:  # which logs of every version hold
        assert file.attrs["converted_by"] == "smvae_ros.bag_to_log"
    with pytest.raises(LogError, match=r"made otherwise \(rate 20"):
        convert(bag, tmp_path / "logs", rate=10)
    assert len(convert(bag, tmp_path / "logs", rate=10, trajectory=1).files) == 1
    assert len(trajectories(tmp_path / "logs")) == 2


def test_a_log_that_another_process_writes_is_left_alone(tmp_path: Path) -> None:
    bag = write_small_bag(tmp_path / "bag", 20)
    (path,) = convert(bag, tmp_path / "logs").files
    with writing(path, "earliest"):
        before = path.read_bytes()
        with pytest.raises(LogError, match="is there already: a file that another process has"):
            convert(bag, tmp_path / "logs")
        assert path.read_bytes() == before
    path.write_bytes(before[:1000])  # a damaged one is made anew
    assert convert(bag, tmp_path / "logs").files == [path]
    assert validate_log(path) == []


def test_mistakes_are_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none"), str(tmp_path / "logs")]) == 1
    assert capsys.readouterr().err.startswith("bag_to_log: there is no bag")
    bag = write_small_bag(tmp_path / "bag", 3)
    assert main([str(bag), str(bag / "metadata.yaml")]) == 1
    assert "bag_to_log: " in capsys.readouterr().err
    assert main([str(bag), str(tmp_path / "logs"), "--stamp", "a/b"]) == 1
    assert "letters" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_to_is_said_before_the_work(
    tmp_path: Path, read_only_folder: Path, full_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "damaged").write_text("reading it would be another error")
    for folder in (read_only_folder, full_disk):
        assert main([str(tmp_path / "damaged"), str(folder / "logs")]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"bag_to_log: {folder / 'logs'} cannot be written: ")


def test_an_interrupt_leaves_whole_files(tmp_path: Path) -> None:
    output = tmp_path / "logs"
    process = subprocess.Popen(
        [sys.executable, "-m", "smvae_ros.cli.bag_to_log", str(bag_path()), str(output)],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + PATIENCE
    while not list(output.glob("*.h5")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, errors
    assert "interrupted" in errors
    files = list(output.iterdir())
    assert 0 < len(files) < 12
    assert not any(validate_log(path) for path in files)


def test_a_full_disk_leaves_no_half_file(tmp_path: Path) -> None:
    program = (
        "import resource, signal, sys\n"
        "from smvae_ros.cli.bag_to_log import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    # The first part of 10 steps fits, the second of 50 does not.
    arrays = log_arrays(60)
    with BagWriter(tmp_path / "bag") as bag:
        write_steps(bag.write, arrays, moments(10) + moments(60, START + 1000 * MS)[10:])
    output = tmp_path / "logs"
    finished = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "bag"), str(output)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert finished.returncode == 1
    lines = finished.stderr.splitlines()
    assert any(line.startswith("bag_to_log: ") and "too large" in line for line in lines), lines
    assert "Traceback" not in finished.stderr
    assert lines[-1].startswith("1 whole files are in")
    files = list(output.iterdir())
    assert len(files) == 1
    assert not validate_log(files[0])


def test_evaluation_of_the_bag_agrees_with_that_of_its_log(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        write_steps(bag.write, log_arrays(60), moments(60))
    checkpoint = save_small_checkpoint(tmp_path / "model")
    inference = Inference.load(checkpoint)
    from_bag = SubsetErrors(build_model(inference.stored))
    values = read_values(parameters_path(), inference.modalities.values())
    encode_bag(tmp_path / "bag", inference, values, from_bag)

    convert(tmp_path / "bag", tmp_path / "logs")
    modalities = small_modalities(IMAGE_SIZE)
    convert_logs(tmp_path / "logs", tmp_path / "cache", modalities, progress=False)
    model = load_checkpoint(checkpoint).model
    cache = open_cache(tmp_path / "cache", list(model.modalities.values()))
    from_log = SubsetErrors(model)
    for batch in Batches(cache, model.names, np.arange(len(cache)), 16):
        from_log.add(batch.prepared, batch.present)

    bag_summary, log_summary = from_bag.summary(), from_log.summary()
    assert bag_summary.keys() == log_summary.keys()
    for subset, expected in log_summary.items():
        found = bag_summary[subset]
        if subset in ("force", "training_mean"):
            # Before the first image the node makes frames of force alone, which no log has.
            assert found == pytest.approx(expected, rel=0.05, abs=0.05), subset
        else:
            assert found == pytest.approx(expected, rel=1e-4, abs=1e-5), subset
