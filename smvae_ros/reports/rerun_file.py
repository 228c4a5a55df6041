# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""An evaluation as a file for Rerun: what the sensors gave beside what the model predicted."""

from __future__ import annotations

import colorsys
from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import rerun as rr
import rerun.blueprint as rrb

# An older rerun-sdk fails here already.
from rerun import StateChange, StateConfiguration, set_log_tick_enabled, set_log_time_enabled

from smvae_core.files import whole_file
from smvae_core.health.hysteresis import Level
from smvae_core.inference.inference import Inference
from smvae_core.modalities import Modality
from smvae_ros.offline.health_records import HealthRecords
from smvae_ros.offline.prediction_records import SHOWN
from smvae_ros.scan_picture import points_of, reach
from smvae_ros.sensors.observations import Observations

SOURCES = ("truth", "predicted")
# State of a sensor → its colour (RGBA).
STATES = {"live": 0x2E9E4FFF, "absent": 0x9E9E9EFF, "warn": 0xF2A93BFF, "error": 0xE0403AFF}
CURVES = {"health": "health [score]", "age_ms": "age [ms]", "latency_ms": "latency [ms]"}
DEPTH_SPREAD = 2.0  # standard deviations of the training data on either side of their mean
SCAN_POINTS = 100  # side by side from the middle to the edge
MILLI = 1000


class RerunFile:
    """Bags as one Rerun recording, each under its own name, in memory until it is written.

    Of each snapshot: ``<modality>/truth`` and ``/predicted`` from all that was live (images as
    they are, depth in metres, scans from above, of a series the newest reading),
    ``sensors/<modality>`` (live, absent, or what its health says), ``subset``,
    ``age_ms/<modality>``, ``latency_ms/<stage>`` and ``health/<modality>`` (the score); in
    ``events`` why a sensor became absent. Timelines are ``stamp``, that of the newest reading, and
    ``seconds`` since the bag's first snapshot, by the time of recording.

    Args:
        inference: the model.
        bags: their paths, by which :meth:`add` is called.
    """

    def __init__(self, inference: Inference, bags: Sequence[Path]) -> None:
        self._inference = inference
        self._roots = dict(zip(map(str, bags), _names(bags), strict=True))
        # Batches end when they are full, however long the model takes for a snapshot.
        batches = rr.ChunkBatcherConfig(flush_tick=timedelta(days=1))
        self._recording = rr.RecordingStream("smvae_ros", batcher_config=batches)
        set_log_time_enabled(False, recording=self._recording)
        set_log_tick_enabled(False, recording=self._recording)
        self._starts: dict[str, int] = {}
        self._states: dict[tuple[str, ...], str] = {}
        modalities = inference.modalities.values()
        views = [_view(root, modalities) for root in self._roots.values()]
        self._recording.send_blueprint(rrb.Blueprint(rrb.Tabs(*views), collapse_panels=True))
        colours = np.array(list(STATES.values()), np.uint32)
        states = StateConfiguration(values=list(STATES), colors=colours)
        for root in self._roots.values():
            for modality in modalities:
                self._recording.log([root, "sensors", modality.name], states, static=True)
                if modality.kind not in SHOWN:
                    for source in SOURCES:
                        lines = _lines(source, modality.raw_shape[-1])
                        self._recording.log([root, modality.name, source], lines, static=True)

    def add(self, bag: str, health: HealthRecords | None, observations: Observations) -> None:
        """Predicts every modality of a snapshot, and keeps all of it.

        Args:
            bag: its path.
            health: of the bag's sensors, up to this snapshot; None without calibration.
            observations: of the snapshot.

        Raises:
            NotFiniteError: where the model predicts what is not finite; nothing is kept then.
        """
        arrays, snapshot = observations.arrays, observations.snapshot
        modalities = self._inference.modalities
        prediction = self._inference(arrays, predict=tuple(modalities))
        root, recording = self._roots[bag], self._recording
        recording.reset_time()
        if snapshot.stamp_ns is not None:
            recording.set_time("stamp", timestamp=np.datetime64(snapshot.stamp_ns, "ns"))
        start = self._starts.setdefault(bag, snapshot.taken_ns)
        recording.set_time("seconds", duration=np.timedelta64(snapshot.taken_ns - start, "ns"))
        for name, modality in modalities.items():
            for source, found in zip(SOURCES, (arrays, prediction.arrays), strict=True):
                if name in found:
                    recording.log([root, name, source], _archetype(modality, found[name]))
            state = _state(name, observations, health)
            if self._changed(state, root, "sensors", name) and state == "absent":
                text = f"{name}: {snapshot.absent[name].text}"
                recording.log([root, "events"], rr.TextLog(text, level="WARN"))
            if name in snapshot.readings:
                age = MILLI * snapshot.readings[name].age
                recording.log([root, "age_ms", name], rr.Scalars(age))
            if health is not None and np.isfinite(health.scores[name][-1]):
                recording.log([root, "health", name], rr.Scalars(health.scores[name][-1]))
        self._changed("+".join(arrays), root, "subset")
        for stage, seconds in {**observations.timings, **prediction.timings}.items():
            recording.log([root, "latency_ms", stage], rr.Scalars(MILLI * seconds))

    def write(self, path: Path) -> None:
        """Writes the file, whole or not at all; to be called once.

        Raises:
            OutputError: where it cannot be written.
        """
        with whole_file(path) as partial:  # rerun-sdk's own writing does not tell of a full disk
            partial.write_bytes(rr.binary_stream(self._recording).read() or b"")

    def _changed(self, state: str, *entity: str) -> bool:
        """Logs a state where it differs from the one before."""
        if self._states.get(entity) == state:
            return False
        self._states[entity] = state
        self._recording.log(list(entity), StateChange(state=state))
        return True


def _names(bags: Sequence[Path]) -> Iterator[str]:
    """The last part of each bag's path, or all of it where several end alike."""
    last = [bag.resolve().name for bag in bags]
    return (
        name if last.count(name) == 1 else str(bag) for bag, name in zip(bags, last, strict=True)
    )


def _archetype(modality: Modality, array: np.ndarray) -> Any:
    if modality.kind == "image":
        return rr.Image(array)
    if modality.kind == "scan":
        return rr.Points2D(points_of(modality, array), radii=reach(modality) / SCAN_POINTS)
    if modality.kind == "depth":
        middle, spread = modality.mean[0], DEPTH_SPREAD * modality.std[0]
        seen = (max(modality.limits[0], middle - spread), middle + spread)
        return rr.DepthImage(array.astype(modality.raw_dtype), meter=1.0, depth_range=seen)
    return rr.Scalars(array[-1] if modality.kind == "series" else array)


def _state(name: str, observations: Observations, health: HealthRecords | None) -> str:
    if name not in observations.arrays:
        return "absent"
    level = Level.OK if health is None else health.levels[name][-1]
    return "live" if level == Level.OK else level.name.lower()


def _lines(source: str, channels: int) -> Any:
    """Curves of a colour for each channel, strong for the truth and pale for the prediction."""
    saturation = 0.9 if source == "truth" else 0.4
    colours = [colorsys.hsv_to_rgb(n / channels, saturation, 0.85) for n in range(channels)]
    names = [f"{source}, {n}" for n in range(channels)]
    return rr.SeriesLines(colors=colours, names=names)


def _view(root: str, modalities: Collection[Modality]) -> Any:
    """A bag's page: pictures beside the sensors' states, above the curves."""

    def at(*parts: str) -> str:
        return rr.new_entity_path([root, *parts])

    visual = [modality.name for modality in modalities if modality.kind in SHOWN]
    pictures = [
        rrb.Spatial2DView(origin=at(name, source), name=f"{name}, {source}")
        for source in SOURCES
        for name in visual
    ]
    channels = [
        rrb.TimeSeriesView(
            origin=at(m.name), name=m.name, plot_legend=rrb.PlotLegend(visible=False)
        )
        for m in modalities
        if m.name not in visual
    ]
    curves = [rrb.TimeSeriesView(origin=at(entity), name=name) for entity, name in CURVES.items()]
    contents = ["$origin/sensors/**", "$origin/subset"]
    sensors = rrb.StateTimelineView(origin=at(), contents=contents, name="sensors")
    events = rrb.TextLogView(origin=at("events"), name="events")
    left = [rrb.Grid(*pictures, grid_columns=len(visual))] if pictures else []
    right = rrb.Vertical(sensors, events, row_shares=[3, 1])
    below = rrb.Grid(*channels, *curves)
    return rrb.Vertical(rrb.Horizontal(*left, right), below, row_shares=[3, 2], name=root)
