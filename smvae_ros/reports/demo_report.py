# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The demo's report: what the node predicted beside what the camera saw."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smvae_core.checkpoint import build_model
from smvae_core.files import write_text
from smvae_core.inference.inference import Inference
from smvae_core.metrics.subset_choice import Subset
from smvae_core.metrics.subset_errors import SubsetErrors
from smvae_core.preprocessing import prepare
from smvae_ros.bags import BagReader
from smvae_ros.messages import adapter, stamp_ns
from smvae_ros.offline.bag_posteriors import encode_bag
from smvae_ros.parameters.configuration import make_topic_inputs, read_values
from smvae_ros.reports.demo_recording import DemoRecording, nearest
from smvae_ros.reports.figures import Row, legend_above, pictures_figure, plot_live, stack
from smvae_ros.reports.page import picture, render
from smvae_ros.sensors.topic_inputs import TopicInput

CAMERA = {"rgb": "RGB", "depth": "depth"}
BLIND: Subset = ("force", "action", "proprio")
TOUCH: Subset = ("force", "action")
SAME_MOMENT_NS = 26_000_000  # half a period of the 20 Hz camera, and a little
COLUMNS = {False: 2, True: 3}  # moments shown while the camera is live, and while it is not
LIVE, CUT_OFF = "all sensors live", "RGB and depth cut off"
DPI = 150  # of the picture beside the report
IMAGES = adapter("sensor_msgs/msg/Image")


@dataclass(frozen=True)
class Truth:
    """The camera's images, from the bag.

    Attributes:
        stamps: (N,) int64, nanoseconds.
        images: (N, *raw_shape), prepared.
    """

    stamps: np.ndarray
    images: np.ndarray


@dataclass(frozen=True)
class Comparison:
    """Predicted depth beside the truth, snapshot by snapshot, in the order of time.

    Attributes:
        seconds: (N,) of the bag.
        stamps: (N,) of the snapshots, nanoseconds.
        blind: (N,) bool, whether neither RGB nor depth was live.
        squares: (N,) mean squared error in m².
        mean_squares: (N,) that of the training mean.
        subsets: live modalities of each snapshot.
    """

    seconds: np.ndarray
    stamps: np.ndarray
    blind: np.ndarray
    squares: np.ndarray
    mean_squares: np.ndarray
    subsets: tuple[str, ...]

    def skill(self, rows: np.ndarray) -> float:
        """1 − RMSE / RMSE of the training mean over some snapshots; NaN where there are none."""
        if not rows.any():
            return math.nan
        return 1 - math.sqrt(self.squares[rows].mean() / self.mean_squares[rows].mean())


def write_report(options: argparse.Namespace, recording: DemoRecording) -> dict[str, Any]:
    """Writes report.html and report.json into ``options.output``; returns the latter's content.

    Raises:
        BagError, CheckpointError, ValueError: where bag, model or parameters cannot be read.
    """
    inference = Inference.load(options.checkpoint)
    values = read_values(options.params, inference.modalities.values())
    sources = make_topic_inputs(inference.modalities, values)
    with BagReader(options.bag) as reader:
        start_ns = reader.start_ns
        truth = {name: read_truth(reader, sources[name]) for name in CAMERA}
    comparison = compare(recording, inference, truth["depth"], start_ns)
    skills = offline_skills(options, inference, values)
    latencies = recording.latencies_ms()
    report = {
        "messages_in": recording.messages_in,
        "predictions_out": len(recording.received),
        "end_to_end_ms_p50": _percentile(latencies, 50),
        "end_to_end_ms_p99": _percentile(latencies, 99),
        "subsets_seen": list(recording.subset_counts()),
        "depth_skill_vs_mean_blind": _rounded(comparison.skill(comparison.blind)),
        "depth_skill_vs_mean_live": _rounded(comparison.skill(~comparison.blind)),
        **{f"depth_skill_vs_mean_{name}": _rounded(skill) for name, skill in skills.items()},
        "bag": options.bag.name,
        "model_hash": inference.model_hash,
    }
    write_text(options.output / "report.json", json.dumps(report, indent=1) + "\n")
    pictures = _pictures(comparison, recording, inference, truth)
    pictures.savefig(options.output / "pictures.png", dpi=DPI)
    timeline = _timeline(tuple(inference.modalities), comparison, recording, options.cut)
    render(
        options.output / "report.html",
        "demo.html",
        report=report,
        skills=skills,
        cut=options.cut,
        pictures=picture(pictures),
        timeline=picture(timeline),
    )
    return report


def read_truth(reader: BagReader, source: TopicInput) -> Truth:
    """All usable readings of a modality in the bag, prepared.

    Raises:
        ValueError: where there is none.
    """
    stamps, images = [], []
    for _, bag_ns, message in reader.read([source.topic]):
        with contextlib.suppress(ValueError):  # the node leaves it out, too, and says why
            images.append(prepare(source.modality, source.decode(message)))
            stamps.append(stamp_ns(message) or bag_ns)
    if not images:
        raise ValueError(f"{reader.path} has no usable {source.modality.name} on {source.topic}")
    return Truth(np.array(stamps), np.stack(images))


def compare(
    recording: DemoRecording, inference: Inference, truth: Truth, start_ns: int
) -> Comparison:
    """Holds the node's depth predictions against the bag."""
    modality = inference.modalities["depth"]
    mean = inference.training_means["depth"]
    rows = []
    for stamp, message in recording.predictions["depth"].items():
        index = nearest(truth.stamps, stamp, SAME_MOMENT_NS)
        if index is None or stamp not in recording.subsets:
            continue
        predicted = IMAGES.to_array(message, modality)
        seen = truth.images[index].astype(np.float32)
        subset = recording.subsets[stamp]
        blind = not set(CAMERA) & set(subset.split("+"))
        errors = np.nanmean((predicted - seen) ** 2), np.nanmean((mean - seen) ** 2)
        rows.append(((stamp - start_ns) / 1e9, stamp, blind, *errors, subset))
    if not rows:
        raise ValueError(
            "the node predicted nothing that the bag has a depth image for; see node.log beside "
            "the report, and check that the bag's stamps are its recording times"
        )
    seconds, stamps, blind, squares, mean_squares, subsets = zip(*rows, strict=True)
    columns = (np.array(column) for column in (seconds, stamps, blind, squares, mean_squares))
    return Comparison(*columns, subsets)


def offline_skills(
    options: argparse.Namespace, inference: Inference, values: Mapping[str, Any]
) -> dict[str, float]:
    """Skill of depth predictions over the whole bag, from some subsets and from the yardstick."""
    names = tuple(inference.modalities)
    wanted = {"all": names, "force_action_proprio": BLIND, "force_action": TOUCH}
    errors = SubsetErrors(build_model(inference.stored), wanted.values())
    encode_bag(options.bag, inference, values, errors)
    summary = errors.summary()
    skills = {key: summary["+".join(s)]["depth_skill_vs_mean"] for key, s in wanted.items()}
    yardstick = Inference.load(options.yardstick)
    errors = SubsetErrors(build_model(yardstick.stored), [TOUCH])
    values = read_values(options.params, yardstick.modalities.values())
    encode_bag(options.bag, yardstick, values, errors)
    skills["force_action_dedicated"] = errors.summary()["+".join(TOUCH)]["depth_skill_vs_mean"]
    return skills


def _pictures(
    comparison: Comparison,
    recording: DemoRecording,
    inference: Inference,
    truth: Mapping[str, Truth],
) -> Any:
    """Real and predicted RGB and depth at a few moments, with and without the camera."""
    live, blind = (_moments(comparison, phase, count) for phase, count in COLUMNS.items())
    moments = [*live, *blind]
    titles = [""] * len(moments)
    for first, group, title in ((0, live, LIVE), (len(live), blind, CUT_OFF)):
        if len(group):
            titles[first + (len(group) - 1) // 2] = title
    rows = []
    for name, label in CAMERA.items():
        modality = inference.modalities[name]
        seen, predicted = [], []
        for stamp in comparison.stamps[moments].tolist():
            index = nearest(truth[name].stamps, stamp, SAME_MOMENT_NS)
            seen.append(None if index is None else truth[name].images[index])
            message = recording.predictions[name].get(stamp)
            predicted.append(None if message is None else IMAGES.to_array(message, modality))
        rows += [Row(f"{label}, camera", modality, seen)]
        rows += [Row(f"{label}, predicted", modality, predicted)]
    seconds = [f"{second:.1f} s" for second in comparison.seconds[moments]]
    return pictures_figure(rows, titles, seconds, gap=len(live))


def _moments(comparison: Comparison, blind: bool, count: int) -> np.ndarray:
    """Indices of a few snapshots of a phase: from near the training mean to far, in time order."""
    rows = np.flatnonzero(comparison.blind == blind)
    if not len(rows):
        return rows
    by_distance = rows[np.argsort(comparison.mean_squares[rows])]
    return np.unique(by_distance[np.linspace(0, len(rows) - 1, count).round().astype(int)])


def _timeline(
    names: Sequence[str],
    comparison: Comparison,
    recording: DemoRecording,
    cut: tuple[float, float],
) -> Any:
    """Error, live modalities and latency over the time in the bag."""
    figure, (error, live, latency) = stack((3, 1.4, 2))
    error.plot(
        comparison.seconds, 1000 * np.sqrt(comparison.mean_squares), "#999", label="training mean"
    )
    error.plot(comparison.seconds, 1000 * np.sqrt(comparison.squares), "#1668b0", label="predicted")
    error.set_ylabel("depth RMSE [mm]")
    error.set_ylim(bottom=0)
    plot_live(live, comparison.seconds, comparison.subsets, names)
    pairs = [
        (second, (recording.received[stamp] - recording.published[stamp]) / 1e6)
        for second, stamp in zip(comparison.seconds, comparison.stamps.tolist(), strict=True)
        if stamp in recording.published and stamp in recording.received
    ]
    if pairs:
        latency.plot(*zip(*pairs, strict=True), ".", markersize=3, color="#b05516")
    latency.set(ylabel="end to end [ms]", yscale="log")
    for axis in (error, live, latency):
        axis.axvspan(*cut, color="#000", alpha=0.07, lw=0, label=CUT_OFF)
    legend_above(error)
    return figure


def _percentile(values: np.ndarray, percent: float) -> float:
    return _rounded(float(np.percentile(values, percent))) if len(values) else math.nan


def _rounded(value: float) -> float:
    return round(float(value), 4)
