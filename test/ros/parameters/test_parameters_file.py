# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Parameters files: read as rclpy reads them, over the package's own, and with clear errors."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from small_bags import write_small_bag
from smvae_ros.bundled import parameters_path
from smvae_ros.cli.bag_to_log import main as bag_to_log
from smvae_ros.offline.log_writer import MODALITIES
from smvae_ros.parameters.configuration import make_topic_inputs, read_values
from smvae_ros.parameters.parameters_file import read_parameters

LOG_MODALITIES = tuple(MODALITIES.values())
# One file, or several over each other; each section sets a value by its own name, and `last`.
FILES: dict[str, list[dict[str, Any]]] = {
    "every node": [{"/**": {}}],
    "no slash": [{"smvae_perception": {}}],
    "specific after": [{"/**": {}, "/arm_1/smvae_perception": {}}],
    "specific before": [{"/arm_1/smvae_perception": {}, "/**": {}}],
    "others": [{"/arm_2/smvae_perception": {}, "/smvae_perception": {}, "/arm_1/camera": {}}],
    "one part": [{"/*": {}, "/*/smvae_perception": {}, "/arm_1/*": {}, "/*/*": {}}],
    "any parts": [{"/arm_1/**": {}, "/**/arm_1/*": {}}],
    "two files": [{"/**": {}}, {"/arm_1/smvae_perception": {}, "/**": {}}],
    "first names decide": [{"/arm_1/smvae_perception": {}}, {"/**": {}}, {"/arm_1/*": {}}],
}


def write_files(folder: Path, files: list[dict[str, Any]]) -> list[Path]:
    paths = []
    for number, sections in enumerate(files):
        text = ""
        for order, section in enumerate(sections):
            value = f"{number} {order} {section}"
            text += f"{section}:\n  ros__parameters:\n    last: '{value}'\n"
            text += f"    rgb:\n      by_{number}_{order}: '{value}'\n"
        text += "/**/smvae_perception:\n  ros__parameters: {ours: true}\n"  # no file without any
        paths.append(folder / f"{number}.yaml")
        paths[-1].write_text(text)
    return paths


def rclpy_reads(paths: list[Path], name: str, namespace: str) -> dict[str, Any]:
    """What a real node has of these files."""
    rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed")
    from rclpy.context import Context

    words = ["--ros-args", *(word for path in paths for word in ("--params-file", str(path)))]
    context = Context()
    rclpy.init(args=[], context=context)
    try:
        node = rclpy.create_node(name, namespace=namespace, context=context, cli_args=words)
        return {key: value.value for key, value in node._parameter_overrides.items()}
    finally:
        context.shutdown()


@pytest.mark.parametrize("name", FILES)
def test_sections_are_for_whom_rclpy_takes_them(name: str, tmp_path: Path) -> None:
    paths = write_files(tmp_path, FILES[name])
    for namespace in ("", "/arm_1", "/house/arm_1"):
        expected = rclpy_reads(paths, "smvae_perception", namespace)
        assert read_parameters(paths, f"{namespace}/smvae_perception") == expected, namespace


def test_names_nested_by_namespace(tmp_path: Path) -> None:
    path = tmp_path / "nested.yaml"
    path.write_text(
        "arm_1:\n  smvae_perception:\n    ros__parameters: {max_rate: 12.5, rgb: {topic: a}}\n"
        "  camera:\n    ros__parameters: {max_rate: 60.0}\n"
    )
    expected = {"max_rate": 12.5, "rgb.topic": "a"}
    assert read_parameters([path], "/arm_1/smvae_perception") == expected
    assert rclpy_reads([path], "smvae_perception", "/arm_1") == expected


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "is empty"),
        ("# only words\n", "is empty"),
        ("- a\n", "not a ROS 2 parameters file"),
        ("a: [", "not readable as YAML"),
        ("/**:\n", "/\\*\\* has no ros__parameters"),
        ("/**:\n  rgb: {topic: /a}\n", "/rgb/topic has no ros__parameters"),
        ("/**:\n  ros__parameters:\n", "holds no names with values"),
        (
            "/camera:\n  ros__parameters: {a: 1}\n/arm_1/smvae:\n  ros__parameters: {a: 1}\n",
            "no section for /smvae_perception, only for /camera, /arm_1/smvae",
        ),
        (
            "/a/smvae_perception:\n  ros__parameters: {max_rate: 1.0}\n"
            "/b/smvae_perception:\n  ros__parameters: {max_rate: 2.0}\n",
            "for /a/smvae_perception, /b/smvae_perception: choose one with --namespace",
        ),
        ("/**:\n  ros__parameters: {max_rate: fast}\n", "max_rate must be of type float"),
    ],
)
def test_files_of_no_use_are_one_clear_error(
    content: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(ValueError, match=complaint) as caught:
        read_values(path, LOG_MODALITIES)
    assert str(path) in str(caught.value)
    assert bag_to_log([str(tmp_path / "bag"), str(tmp_path / "logs"), "--params", str(path)]) != 0
    assert str(path) in capsys.readouterr().err


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot read the parameters file .*nowhere\.yaml: No su"):
        read_values(tmp_path / "nowhere.yaml", LOG_MODALITIES)


def test_a_file_lies_over_the_packages_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("/**:\n  ros__parameters:\n    rgb: {topic: /mine}\n    max_rate: 30\n")
    standard = read_values(parameters_path(), LOG_MODALITIES)
    assert (standard["action.scale"], standard["depth.topic"]) == (0.05, "/camera/depth/image_raw")
    changed = {"rgb.topic": "/mine", "max_rate": 30.0}
    assert read_values(path, LOG_MODALITIES) == {**standard, **changed}


@pytest.mark.parametrize("namespace", [None, "arm_1", "/arm_1"])
def test_topics_lie_in_the_namespace_of_what_param_dump_writes(
    namespace: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "dump.yaml"
    path.write_text(
        "/arm_1/smvae_perception:\n  ros__parameters:\n    use_sim_time: false\n"
        "    start_type_description_service: true\n    camera_info_topic: ~/info\n"
        "    rgb:\n      topic: camera/color/image_raw\n    force:\n      topic: /wrench\n"
    )
    values = read_values(path, LOG_MODALITIES, namespace)
    assert not caplog.records
    topics = {name: source.topic for name, source in make_topic_inputs(MODALITIES, values).items()}
    assert topics == {
        "rgb": "/arm_1/camera/color/image_raw",
        "depth": "/arm_1/camera/depth/image_raw",
        "force": "/wrench",
        "action": "/arm_1/action",
        "proprio": "/arm_1/joint_states",
    }
    assert values["camera_info_topic"] == "/arm_1/smvae_perception/info"
    with pytest.raises(ValueError, match="no section for /arm_2/smvae_perception, only for /arm_1"):
        read_values(path, LOG_MODALITIES, "arm_2")


def test_without_a_namespace_topics_are_as_ever() -> None:
    values = read_values(parameters_path(), LOG_MODALITIES)
    assert [values[f"{name}.topic"] for name in MODALITIES] == [
        "/camera/color/image_raw",
        "/camera/depth/image_raw",
        "/wrench",
        "/action",
        "/joint_states",
    ]
    assert values["camera_info_topic"] == "/camera/color/camera_info"


def test_misspelt_keys_are_named_with_the_nearest(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "/**:\n  ros__parameters:\n    max_raet: 30.0\n    rgb: {topik: /mine}\n"
        "    tactile: {topic: /skin}\n    qos_overrides: {a: 1}\n"
    )
    with caplog.at_level(logging.WARNING):
        read_values(path, LOG_MODALITIES)
    (record,) = caplog.records
    assert (
        "no use for the parameters max_raet (did you mean max_rate?), rgb.topik (did you mean "
        "rgb.topic?), tactile.topic: misspelt, or of a modality that is not there; there are rgb, "
        "depth, force, action, proprio"
    ) in record.getMessage()


def test_a_bag_of_a_robot_in_a_namespace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_small_bag(tmp_path / "bag", 20, namespace="/arm_1")
    words = [str(bag), str(tmp_path / "logs")]
    assert bag_to_log(words) != 0
    assert bag_to_log([*words, "--namespace", "arm_1"]) == 0
    assert len(list((tmp_path / "logs").glob("*.h5"))) == 1
    capsys.readouterr()
