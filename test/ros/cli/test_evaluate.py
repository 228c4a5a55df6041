# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Bags through sensor set and model: the same every time, and the same as the live node's."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from patience import PATIENCE
from ros_processes import ros_environment, start_node, unique_domain_id
from single_precision import FLOAT32
from small_bags import TOPICS, write_small_bag
from small_models import save_small_checkpoint
from smvae_core.checkpoint import build_model
from smvae_core.inference.inference import Inference
from smvae_core.metrics.subset_errors import SubsetErrors
from smvae_ros.bags import BagError, BagReader, BagWriter
from smvae_ros.bundled import bag_path, parameters_path
from smvae_ros.cli.evaluate import main
from smvae_ros.offline.bag_posteriors import BagPosteriors, encode_bag
from smvae_ros.offline.prediction_records import PredictionRecords
from smvae_ros.parameters.configuration import read_values

EVERYTHING = "rgb+depth+force+action+proprio"
STEPS = 60


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_checkpoint(tmp_path_factory.mktemp("model") / "small")


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_bag(tmp_path_factory.mktemp("bags") / "run", STEPS)


def posteriors_of(bag: Path, checkpoint: Path) -> BagPosteriors:
    inference = Inference.load(checkpoint)
    return encode_bag(bag, inference, read_values(parameters_path(), inference.modalities.values()))


def test_a_frame_for_each_image_with_everything_in_it(bag: Path, checkpoint: Path) -> None:
    frames = posteriors_of(bag, checkpoint)
    with BagReader(bag) as reader:
        images = [stamp for _, stamp, _ in reader.read([TOPICS["rgb"][0]])]
    complete = np.array(frames.subsets) == EVERYTHING
    assert frames.stamps[complete].tolist() == images
    # Until the first image force is all there is.
    assert set(np.array(frames.subsets)[~complete]) <= {"force"}
    assert (frames.stamps[~complete] < images[0]).all()


def test_a_second_run_gives_the_same_numbers(bag: Path, checkpoint: Path) -> None:
    first, second = posteriors_of(bag, checkpoint), posteriors_of(bag, checkpoint)
    np.testing.assert_array_equal(first.means, second.means)
    np.testing.assert_array_equal(first.log_variances, second.log_variances)


def test_a_reading_too_large_for_the_model_is_left_out_and_counted(
    bag: Path, checkpoint: Path, tmp_path: Path
) -> None:
    spoiled, absurd = tmp_path / "spoiled", 10
    topic, _ = TOPICS["action"]
    with BagReader(bag) as reader, BagWriter(spoiled) as writer:
        for name, kind, stamp, data in reader.messages(reader.topics):
            message = reader.deserialise(kind, data)
            if name == topic and absurd:
                absurd -= 1
                message.twist.linear.x = 1e38
            writer.write(name, message, stamp)
    frames = posteriors_of(spoiled, checkpoint)
    assert frames.failed == 0
    assert frames.invalid["action"] == 10
    assert frames.subsets.count(EVERYTHING.replace("+action", "")) == 10
    assert np.isfinite(frames.means).all()
    assert np.isfinite(frames.log_variances).all()


def test_an_image_cut_short_is_noticed_by_the_frame_that_uses_it_as_live(
    bag: Path, checkpoint: Path, tmp_path: Path
) -> None:
    """Its stamp makes the frame, and the image before it counts."""
    cut = tmp_path / "cut"
    topic, _ = TOPICS["rgb"]
    with BagReader(bag) as reader, BagWriter(cut) as writer:
        images = 0
        for name, kind, stamp, data in reader.messages(reader.topics):
            images += name == topic
            short = name == topic and images == 10
            writer.write_raw(name, kind, data[:200] if short else data, stamp)
    whole, frames = posteriors_of(bag, checkpoint), posteriors_of(cut, checkpoint)
    assert frames.invalid["rgb"] == 1
    assert "not a readable sensor_msgs/msg/Image" in frames.last_errors["rgb"]
    assert frames.subsets == whole.subsets
    assert len(frames.stamps) == len(whole.stamps)
    changed = (frames.means != whole.means).any(axis=1)
    assert changed.sum() == 1


@pytest.mark.dds
def test_the_live_node_gives_the_same_latents(bag: Path, checkpoint: Path) -> None:
    rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed")
    from sensor_msgs.msg import Image

    from smvae_ros.bags.replayer import Replayer
    from smvae_ros.messages import stamp_ns
    from smvae_ros.messages.latent import latent_from_message

    offline = posteriors_of(bag, checkpoint)
    domain = unique_domain_id()
    environment = ros_environment(domain)
    latents: dict[int, np.ndarray] = {}
    with (
        pytest.MonkeyPatch.context() as patch,
        # It waits for what a busy machine delivers late, which a bag never does.
        start_node(domain, f"checkpoint:={checkpoint}", "gather_ms:=80.0") as process,
    ):
        for name, value in environment.items():
            patch.setenv(name, value)
        process.wait_for_line("active")
        context = rclpy.Context()
        rclpy.init(context=context, domain_id=domain)
        node = rclpy.create_node("watcher", context=context)
        node.create_subscription(
            Image,
            "/smvae_perception/latent",
            lambda message: latents.__setitem__(stamp_ns(message), latent_from_message(message)[0]),
            100,
        )
        executor = rclpy.executors.SingleThreadedExecutor(context=context)
        executor.add_node(node)
        stop = threading.Event()
        with BagReader(bag) as reader:
            # Slower than recorded, so that a busy machine changes nothing.
            replayer = Replayer(node, reader, rate=0.5)

            def replay() -> None:
                replayer.wait_for_subscribers(stop)
                replayer.run(stop)

            thread = threading.Thread(target=replay)
            thread.start()
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline and int(offline.stamps[-1]) not in latents:
                executor.spin_once(timeout_sec=0.1)
            stop.set()
            thread.join()
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()
        process.interrupt()
        assert process.finish() == 0
    rows = [row for row, stamp in enumerate(offline.stamps.tolist()) if stamp in latents]
    assert len(rows) >= 40, "frames that both have"
    live = np.stack([latents[int(offline.stamps[row])] for row in rows])
    same = np.isclose(live, offline.means[rows], **FLOAT32).all(axis=1)
    # A frame may go out before a message that came even later.
    assert same.mean() >= 0.8


def test_a_bag_without_one_of_the_topics(
    tmp_path: Path, checkpoint: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frames = posteriors_of(write_small_bag(tmp_path / "blind", 20, without=("rgb",)), checkpoint)
    assert "depth+force+action+proprio" in frames.subsets
    assert not any("rgb" in subset for subset in frames.subsets)
    assert "no topic /camera/color/image_raw" in caplog.text


def test_a_bag_with_none_of_the_topics_names_those_it_has(tmp_path: Path, checkpoint: Path) -> None:
    bag = write_small_bag(tmp_path / "other", 5)
    parameters = tmp_path / "parameters.yaml"
    topics = "".join(f"    {name}: {{topic: /other/{name}}}\n" for name in TOPICS)
    parameters.write_text(f"/**:\n  ros__parameters:\n{topics}")
    inference = Inference.load(checkpoint)
    values = read_values(parameters, inference.modalities.values())
    with pytest.raises(BagError, match=r"none of the topics /other/rgb.*it has /action"):
        encode_bag(bag, inference, values)


def test_a_robot_file_says_which_topics_of_a_bag_are_read(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_small_bag(tmp_path / "bag", 20, namespace="/arm_1")
    robot, output = tmp_path / "robot.yaml", tmp_path / "evaluation.json"
    robot.write_text(
        "modalities:\n"
        "  rgb: {kind: image, shape: [3, 16, 16], ros: {topic: camera/color/image_raw}}\n"
        "  action:\n    kind: vector\n    shape: [4]\n"
        "    ros: {topic: action, type: geometry_msgs/msg/TwistStamped}\n"
    )
    arguments = [str(bag), "--checkpoint", str(checkpoint), "--robot", str(robot)]
    assert main([*arguments, "--namespace", "arm_1", "--output", str(output)]) == 0
    found = json.loads(output.read_text())["bags"][str(bag)]["live_subsets"]
    assert set(found) <= {"rgb", "action", "rgb+action"}
    assert "rgb+action" in found
    capsys.readouterr()
    robot.write_text(robot.read_text().replace("16, 16", "8, 8"))
    assert main(arguments) == 1
    assert "rgb.shape is (3, 16, 16) there, but (3, 8, 8) in" in capsys.readouterr().err


def test_errors_of_every_subset_go_into_the_report(
    bag: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "evaluation.json"
    arguments = [str(bag), str(bag), "--checkpoint", str(checkpoint), "--output", str(output)]
    assert main(arguments) == 0
    report = json.loads(output.read_text())
    assert report["frames"] >= 2 * STEPS
    assert len(report["subsets"]) == 32  # 31 subsets and the training mean
    assert report["subsets"]["training_mean"]["depth_skill_vs_mean"] == pytest.approx(0)
    described = report["bags"][str(bag)]
    assert described["live_subsets"][EVERYTHING] == STEPS
    assert "sensor_health" not in described, "of an uncalibrated model"
    assert "force+action" in capsys.readouterr().out
    inference = Inference.load(checkpoint)
    errors = SubsetErrors(build_model(inference.stored))
    encode_bag(
        bag, inference, read_values(parameters_path(), inference.modalities.values()), errors
    )
    assert errors.summary()["rgb"] == pytest.approx(report["subsets"]["rgb"], rel=1e-4)


def test_the_page_shows_several_bags_and_needs_no_other_file(
    checkpoint: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    cameras = write_small_bag(tmp_path / "cameras", 2, without=("force", "action", "proprio"))
    touch = write_small_bag(tmp_path / "touch", 2, without=("rgb", "depth"))
    page = tmp_path / "out" / "evaluation.html"
    bags = [str(cameras), str(touch)]
    assert main([*bags, "--checkpoint", str(checkpoint), "--report", str(page)]) == 0
    text = page.read_text()
    for path in bags:
        assert f"<h2>{path}</h2>" in text
    # Pictures and plots over time, of the second bag, which has no pictures, plots alone.
    assert text.count('src="data:image/png;base64,') == 3
    assert text.count("src=") == 3
    assert "://" not in text  # "http" alone is sometimes found in an encoded picture
    assert "<td>force, action</td>" in text


def frozen_camera(source: Path, target: Path, seconds: float, end: float) -> Path:
    """The beginning of a bag; from some second on the camera repeats its last picture."""
    topic, picture = TOPICS["rgb"][0], b""
    with BagReader(source) as reader, BagWriter(target) as writer:
        start = None
        for name, type_name, received_ns, data in reader.messages():
            start = received_ns if start is None else start
            passed = (received_ns - start) / 1e9
            if passed > end:
                break
            if name == topic:
                picture = bytes(data) if passed < seconds else picture
                data = bytes(data[:12]) + picture[12:]  # with a stamp of its own
            writer.write_raw(name, type_name, data, received_ns)
    return target


def test_a_calibrated_model_tells_of_a_camera_that_froze(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    frozen = str(frozen_camera(bag_path(), tmp_path / "frozen", seconds=1.0, end=3.0))
    output, page = tmp_path / "evaluation.json", tmp_path / "evaluation.html"
    words = [frozen, "--output", str(output), "--report", str(page), "--subsets", "single"]
    assert main(words) == 0
    (report,) = json.loads(output.read_text())["bags"].values()
    health = report["sensor_health"]
    assert health["rgb"]["error"] > 10
    assert health["rgb"]["highest_score"] > 8
    for name in ("depth", "force", "action", "proprio"):
        assert health[name]["warn"] == health[name]["error"] == 0, name
    text = page.read_text()
    assert "<th>snapshots at WARN</th>" in text
    assert "<td>rgb</td>" in text


def test_records_hold_a_row_for_each_frame(bag: Path, checkpoint: Path) -> None:
    inference = Inference.load(checkpoint)
    records, errors = PredictionRecords(inference), SubsetErrors(build_model(inference.stored))
    values = read_values(parameters_path(), inference.modalities.values())
    frames = encode_bag(bag, inference, values, errors, records.add)
    assert tuple(records.subsets) == frames.subsets
    assert np.diff(records.seconds).min() > 0
    assert 12 <= len(records.pictures) <= 24
    complete = np.array(frames.subsets) == EVERYTHING
    summary = errors.summary()
    # Frames and subsets are summed up to the same figure, in millimetres and in metres.
    for column, subset in enumerate((EVERYTHING, "force+action+proprio", "training_mean")):
        rmse = np.array(records.errors["depth"])[complete, column]
        expected = 1000 * summary[subset]["depth_rmse_m"]
        assert np.sqrt((rmse**2).mean()) == pytest.approx(expected, rel=1e-3)
    skews = np.array([records.skews[name] for name in inference.modalities])[:, complete]
    np.testing.assert_allclose(skews, 0, atol=1e-9)


def test_a_missing_bag_is_one_clear_line(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "none"), "--checkpoint", str(checkpoint)]) == 1
    assert capsys.readouterr().err.startswith("evaluate: there is no bag")


@pytest.mark.parametrize(
    ("option", "package"), [("--rerun", "rerun-sdk"), ("--report", "matplotlib")]
)
def test_a_missing_package_is_told_before_the_work(
    option: str,
    package: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("rerun", "matplotlib", "matplotlib.pyplot"):
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not there
    for name in ("rerun_file", "evaluate_report", "evaluate_figures", "figures"):
        monkeypatch.delitem(sys.modules, f"smvae_ros.reports.{name}", raising=False)
    assert main([str(tmp_path / "none"), option, str(tmp_path / "file")]) == 1
    message = capsys.readouterr().err
    assert message.startswith(f"evaluate: {option} needs")
    assert "pip install" in message
    assert package in message
    assert message.count("\n") == 1
