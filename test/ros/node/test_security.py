# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""SROS 2: the policy names all that the node has, and where the installation has DDS security, the
node works with it and hears nobody without a key.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from places import HELPERS, ROOT

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")

from robot import ALL, Robot, observations
from ros_processes import ros_environment, start_node, start_script, unique_domain_id
from small_models import save_small_checkpoint

pytestmark = pytest.mark.dds

POLICY = ROOT / "config" / "security" / "smvae.policy.xml"
PUBLISHER = HELPERS / "publish_sensors.py"
NODES = ("smvae_perception", "_smvae_perception_reload_model", "_smvae_perception_tare")
Permissions = dict[str, set[str]]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_checkpoint(tmp_path_factory.mktemp("model") / "small")


def permissions_in_policy(path: str) -> Permissions:
    """What an enclave may publish, subscribe, reply to and request, in absolute names."""
    permissions: Permissions = {}
    (enclave,) = (e for e in ElementTree.parse(POLICY).iter("enclave") if e.get("path") == path)
    for profile in enclave.iter("profile"):
        for rules in profile:
            for verb, word in rules.attrib.items():
                assert word == "ALLOW"
                names = permissions.setdefault(verb, set())
                for expression in rules:
                    assert expression.tag == rules.tag[:-1]
                    names.add((expression.text or "").replace("~", f"/{profile.get('node')}"))
    return permissions


def permissions_in_use(observer: Any) -> Permissions:
    """What the running node has, according to the ROS graph."""
    used: Permissions = {"publish": set(), "subscribe": set(), "reply": set()}
    for name in NODES:
        for verb, ask in (
            ("publish", observer.get_publisher_names_and_types_by_node),
            ("subscribe", observer.get_subscriber_names_and_types_by_node),
            ("reply", observer.get_service_names_and_types_by_node),
        ):
            used[verb] |= {topic for topic, _ in ask(name, "/")}
        assert not observer.get_client_names_and_types_by_node(name, "/")
    return used


def test_the_policy_names_all_that_the_node_has_and_nothing_else(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    domain = unique_domain_id()
    for name, value in ros_environment(domain).items():
        monkeypatch.setenv(name, value)
    allowed = permissions_in_policy("/smvae/perception")

    def useless(used: Permissions) -> bool:
        return not all(fnmatch.filter(used[verb], e) for verb in used for e in allowed[verb])

    with start_node(domain, f"checkpoint:={checkpoint}", "use_sim_time:=true") as process:
        process.wait_for_line("active")
        robot = Robot(domain)
        try:

            def discovered() -> Permissions | None:
                if not set(NODES) <= set(robot.node.get_node_names()):
                    return None
                used = permissions_in_use(robot.node)  # which a busy machine discovers bit by bit
                return used if used.keys() >= allowed.keys() and not useless(used) else None

            used = robot.wait(discovered, "use of all that the policy names")
        finally:
            robot.close()
    for verb, names in used.items():
        for name in names:
            assert any(fnmatch.fnmatchcase(name, e) for e in allowed[verb]), f"{verb} {name}"
    assert "request" not in allowed, "the node asks nobody for anything"
    assert "/smvae_perception/*" in permissions_in_policy("/smvae/operator")["request"]


def test_without_its_keys_the_node_ends_with_one_line(tmp_path: Path) -> None:
    secured = {
        "ROS_SECURITY_ENABLE": "true",
        "ROS_SECURITY_STRATEGY": "Enforce",
        "ROS_SECURITY_KEYSTORE": str(tmp_path / "nothing"),
    }
    domain = unique_domain_id()
    enclave = ("--enclave", "/smvae/perception")
    with start_node(domain, arguments=enclave, variables=secured) as process:
        assert process.finish() == 1
        assert "SECURITY ERROR" in process.text
        assert "Traceback" not in process.text


# -- where the installation has DDS security -------------------------------------------------------


@pytest.fixture(scope="module")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path]:
    """A domain and a keystore with the policy's enclaves, as in docs/how_to/sros2.md."""
    if shutil.which("ros2") is None:
        pytest.skip("the ros2 command is not installed (apt install ros-$ROS_DISTRO-sros2)")
    path = tmp_path_factory.mktemp("keys") / "keystore"
    domain = unique_domain_id()
    environment = ros_environment(domain)
    commands = [["create_keystore", str(path)]]
    for enclave in ("/smvae/perception", "/smvae/operator"):
        commands.append(["create_enclave", str(path), enclave])
        commands.append(["create_permission", str(path), enclave, str(POLICY)])
    # Sensors are not part of the policy; a robot has an enclave for each driver.
    commands.append(["create_enclave", str(path), "/sensors"])
    for command in commands:
        made = subprocess.run(
            ["ros2", "security", *command], env=environment, capture_output=True, text=True
        )
        if made.returncode and "invalid choice: 'security'" in made.stderr:
            pytest.skip("sros2 is not installed (apt install ros-$ROS_DISTRO-sros2)")
        assert made.returncode == 0, made.stdout + made.stderr
    secured = {**environment, **security(path, "/sensors")}
    program = "import rclpy; rclpy.init(); rclpy.create_node('probe')"
    probe = subprocess.run([sys.executable, "-c", program], env=secured, capture_output=True)
    if b"security libraries" in probe.stderr:
        pytest.skip("this Fast DDS was built without security (the wheels are; apt's is with it)")
    assert probe.returncode == 0, probe.stderr
    return domain, path


def security(keystore: Path, enclave: str) -> dict[str, str]:
    return {
        "ROS_SECURITY_ENABLE": "true",
        "ROS_SECURITY_STRATEGY": "Enforce",
        "ROS_SECURITY_KEYSTORE": str(keystore),
        "ROS_SECURITY_ENCLAVE_OVERRIDE": enclave,
    }


def test_the_secured_node_works_and_hears_nobody_without_a_key(
    keystore: tuple[int, Path], checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    domain, path = keystore
    ours = security(path, "/smvae/perception")
    theirs = {**ros_environment(domain), **security(path, "/sensors")}
    with (
        start_node(
            domain, f"checkpoint:={checkpoint}", "use_sim_time:=true", variables=ours
        ) as process,
        start_script(PUBLISHER, env=theirs) as publisher,
    ):
        process.wait_for_line("active")
        publisher.wait_for_line("publishing")
        for name, value in theirs.items():
            monkeypatch.setenv(name, value)
        trusted = Robot(domain)
        trusted.run_until_subset(ALL, observations())
        trusted.close()
        for name in ours:
            monkeypatch.delenv(name)
        stranger = Robot(domain)
        try:
            stranger.send(ALL, observations())
            with pytest.raises(AssertionError, match="no word from the node"):
                stranger.wait(lambda: stranger.statuses, "word from the node", timeout=5)
            assert not set(NODES) & set(stranger.node.get_node_names())
        finally:
            stranger.close()
        os.kill(process.pid, 2)
        assert process.finish() == 0, process.text
