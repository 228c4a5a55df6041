# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The files in config/ for RViz, Foxglove and diagnostic_aggregator name what there really is.

None of these tools is on PyPI. What a tool makes of a file is checked against what its source
reads: diagnostic_aggregator/src/generic_analyzer.cpp, rviz_default_plugins' ImageDisplay and
rviz_common's QosProfileProperty, and the panels of Lichtblick, the open fork
of Foxglove, in which the layout was looked at (docs/how_to/viewers.md).
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from places import ROOT

pytest.importorskip("rclpy", reason="rclpy is not installed (pip install ros-rclpy, or apt)")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from smvae_ros.messages import installed_types
from smvae_ros.messages.latent_forms import PLOT_TYPE
from smvae_ros.node.diagnostics import HealthReport, NodeHealth, PipelineHealth, SensorHealth
from smvae_ros.node.key_values import HARDWARE_ID
from smvae_ros.parameters.configuration import NODE_NAME
from smvae_ros.sensors.arrivals import Counters
from smvae_ros.sensors.evidence import Connection, Evidence

CONFIGURATION = ROOT / "config"
IMAGE = "sensor_msgs/msg/Image"
SENSORS = ("rgb", "depth", "force", "action", "proprio")
RVIZ_IMAGE = {
    *("Class", "Enabled", "Name", "Topic", "Value"),
    *("Normalize Range", "Min Value", "Max Value", "Median window"),
}
TITLES = {"foxglovePanelTitle", "lichtblickPanelTitle"}
# Panel → its keys that we use.
PANELS = {
    "Image": {"imageMode"},
    "Plot": {
        "paths",
        "showLegend",
        "legendDisplay",
        "sidebarDimension",
        "isSynced",
        "xAxisVal",
    },
    "DiagnosticSummary": {
        "minLevel",
        "pinnedIds",
        "hardwareIdFilter",
        "topicToRender",
        "sortByLevel",
    },
    "DiagnosticStatusPanel": {
        "selectedHardwareId",
        "selectedName",
        "topicToRender",
        "collapsedSections",
    },
}


def topic_types() -> dict[str, str]:
    """Topic → message type of all that the node takes and gives with config/perception.yaml."""
    parameters = yaml.safe_load((CONFIGURATION / "perception.yaml").read_text())["/**"]
    sources = {name: parameters["ros__parameters"][name] for name in SENSORS}
    taken = {f"/{source['topic']}": source["type"] for source in sources.values()}
    given = {
        f"/{NODE_NAME}/prediction/{name}": IMAGE if name in ("rgb", "depth") else source["type"]
        for name, source in sources.items()
    }
    ours = {
        f"/{NODE_NAME}/overview": IMAGE,
        f"/{NODE_NAME}/latent_plot": PLOT_TYPE,
        "/diagnostics": "diagnostic_msgs/msg/DiagnosticArray",
    }
    return {**taken, **given, **ours}


def statuses() -> list[DiagnosticStatus]:
    """What is in /diagnostics, of a node of that name."""
    node = NodeHealth("active", "", "", late_limits=(5, 50), deadline=0.1, longest_delay=1.0)
    sensor = SensorHealth(Connection("/topic", 1), Evidence("rgb", live=True, age=0.0), Counters())
    pipeline = PipelineHealth(sensors=dict.fromkeys(SENSORS, sensor))
    return HealthReport(NODE_NAME)(node, pipeline, 1)


def leaves(layout: Any) -> list[str]:
    """Panels of Foxglove's layout tree."""
    if isinstance(layout, str):
        return [layout]
    return [*leaves(layout["first"]), *leaves(layout["second"])]


def test_rviz_shows_topics_that_there_are() -> None:
    rviz = yaml.safe_load((CONFIGURATION / "perception.rviz").read_text())
    shown = [display["Topic"]["Value"] for display in rviz["Visualization Manager"]["Displays"]]
    assert f"/{NODE_NAME}/overview" in shown
    assert {topic_types()[topic] for topic in shown} == {IMAGE}


def test_rviz_knows_every_property_and_hears_what_is_published() -> None:
    rviz = yaml.safe_load((CONFIGURATION / "perception.rviz").read_text())
    for display in rviz["Visualization Manager"]["Displays"]:
        assert display["Class"] == "rviz_default_plugins/Image"
        assert display.keys() == RVIZ_IMAGE
        topic = display["Topic"]
        ours = topic["Value"].startswith(f"/{NODE_NAME}/")
        assert topic == {
            "Depth": 1,
            "Durability Policy": "Volatile",
            "History Policy": "Keep Last",
            # Cameras may offer no more; what the node publishes is to arrive.
            "Reliability Policy": "Reliable" if ours else "Best Effort",
            "Value": topic["Value"],
        }


def test_foxglove_shows_every_panel_of_the_layout_once() -> None:
    layout = json.loads((CONFIGURATION / "perception_foxglove.json").read_text())
    assert sorted(leaves(layout["layout"])) == sorted(layout["configById"])
    for panel, content in layout["configById"].items():
        kind = panel.partition("!")[0]
        assert content.keys() - TITLES <= PANELS[kind]
        assert len({content.get(title) for title in TITLES}) == 1, "the same in both tools"


def test_foxglove_shows_topics_and_fields_that_there_are() -> None:
    panels = json.loads((CONFIGURATION / "perception_foxglove.json").read_text())["configById"]
    types = topic_types()
    for panel, content in panels.items():
        kind = panel.partition("!")[0]
        if kind == "Image":
            assert types[content["imageMode"]["imageTopic"]] == IMAGE
        elif kind == "Plot":
            for path in content["paths"]:
                topic, *fields = re.sub(r"\[\d+\]$", "", path["value"]).split(".")
                message = installed_types(types[topic])()
                for name in fields:
                    message = getattr(message, name)
        else:
            assert installed_types(types[content["topicToRender"]]) is DiagnosticArray


def test_foxglove_selects_statuses_that_there_are() -> None:
    panels = json.loads((CONFIGURATION / "perception_foxglove.json").read_text())["configById"]
    node = panels["DiagnosticStatusPanel!node"]
    assert node["selectedHardwareId"] == HARDWARE_ID
    assert node["selectedName"] in [status.name for status in statuses()]
    assert panels["DiagnosticSummary!sensors"]["hardwareIdFilter"] == HARDWARE_ID


def test_the_aggregator_takes_every_status_and_names_it_briefly() -> None:
    content = yaml.safe_load((CONFIGURATION / "diagnostic_aggregator.yaml").read_text())
    parameters = content["/**"]["ros__parameters"]
    (analyzer,) = [value for value in parameters.values() if isinstance(value, dict)]
    assert analyzer["type"] == "diagnostic_aggregator/GenericAnalyzer"
    assert isinstance(analyzer["timeout"], float), "read with as_double()"
    (prefix,) = analyzer["find_and_remove_prefix"]
    names = [status.name for status in statuses()]
    assert all(name.startswith(prefix) for name in names)
    assert [name.removeprefix(prefix) for name in names] == ["perception", *SENSORS]
