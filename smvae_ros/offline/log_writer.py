# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A recorded bag as Vision&Touch logs, with the sensors' topics and scales of the live node.

Each step takes the newest usable reading of each sensor, see
:mod:`smvae_ros.offline.step_sampler`. What is missing in a step is NaN, which the conversion for
training counts as absent.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from smvae_core.data.logs.hdf5.files import READ_ERRORS, Hdf5Error, open_hdf5
from smvae_core.data.logs.vision_touch.layout import (
    CONTROL_RATE,
    DATASETS,
    FORCE_RATE,
    IMAGE_SIZE,
    STEPS_PER_FILE,
    LogError,
    log_file_name,
    parse_log_name,
    write_log,
)
from smvae_core.files import check_output
from smvae_core.modalities import Modality
from smvae_ros.bags import BagError, BagReader
from smvae_ros.offline.absences import Absences, strays
from smvae_ros.offline.bag_steps import BagSteps, groups
from smvae_ros.offline.bag_topics import missing_sources
from smvae_ros.offline.step_sampler import LogStep
from smvae_ros.parameters.configuration import make_topic_inputs
from smvae_ros.sensors.topic_inputs import TopicInput

log = logging.getLogger(__name__)

LEADER = "rgb"  # every step of a log has a picture
_SIZE = (IMAGE_SIZE, IMAGE_SIZE)
MODALITIES = {
    modality.name: modality
    for modality in (
        Modality("rgb", "image", (3, *_SIZE)),
        Modality("depth", "depth", (1, *_SIZE)),
        Modality("force", "series", (6, 50), rate=FORCE_RATE),
        Modality("action", "vector", (4,)),
        Modality("proprio", "vector", (8,)),
    )
}
KEYS = {
    "rgb": "image",
    "depth": "depth_data",
    "force": "ee_forces_continuous",
    "action": "action",
    "proprio": "proprio",
}


@dataclass
class BagConversion:
    """The outcome for a bag.

    Attributes:
        files: written, in order.
        steps: written, of all trajectories.
        trajectories: number of them.
        absent: modality → steps without it.
        invalid: modality → unusable messages.
        reasons: modality → why the latest of them was unusable.
        absences: why modalities were not in steps.
        strays: modality → messages of another frame, and in words of which.
    """

    files: list[Path] = field(default_factory=list)
    steps: int = 0
    trajectories: int = 0
    absent: Counter[str] = field(default_factory=Counter)
    invalid: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, str] = field(default_factory=dict)
    absences: Absences = field(default_factory=Absences)
    strays: dict[str, tuple[int, str]] = field(default_factory=dict)


def convert_bag(
    path: Path,
    folder: Path,
    values: Mapping[str, Any],
    rate: float = CONTROL_RATE,
    trajectory: int = 0,
    stamp: str | None = None,
    report: BagConversion | None = None,
) -> BagConversion:
    """Writes the part files of a bag. They appear one by one, each only when it is whole.

    Args:
        path: of the bag.
        folder: for the logs; created if it is missing.
        values: of the node's parameters for :data:`MODALITIES`, see
            :func:`smvae_ros.parameters.configuration.read_values`.
        rate: steps per second.
        trajectory: number of the first trajectory.
        stamp: the first part of the files' names; by default the time at which the bag begins.
        report: is kept up to date, for one who wants to know after an exception; a new one by
            default.

    Raises:
        BagError: where the bag cannot be read, has no usable image, or a topic of another type.
        LogError: for a stamp that cannot be in a name, and where the folder already holds logs
            under these names that were made from something else.
        OSError: where a file cannot be written; those before it are whole.
    """
    report = BagConversion() if report is None else report
    check_output(folder, folder=True)
    with BagReader(path) as reader:
        sources = make_topic_inputs(MODALITIES, values, definitions=reader.definition)
        missing = missing_sources(reader, sources)
        if LEADER in missing:
            raise BagError(
                f"{path} has no topic {sources[LEADER].topic}, and a log needs colour images; it "
                f"has {', '.join(reader.topics)}. Set rgb.topic in a parameters file (--params)"
            )
        for name, source in missing.items():
            log.warning("%s has no topic %s, so the logs have no %s", path, source.topic, name)
        used = {name: source for name, source in sources.items() if name not in missing}
        if stamp is None:
            start = datetime.fromtimestamp(reader.start_ns // 10**9, timezone.utc)
            stamp = start.strftime("%Y%m%d_%H%M%S")
        attributes = {
            "converted_by": "smvae_ros.bag_to_log",  # as ever: folders are compared by it
            "bag": path.resolve().name,
            "bag_start_ns": reader.start_ns,
            "rate": rate,
            "parameters": _parameters(values, used),
        }
        folder.mkdir(parents=True, exist_ok=True)
        _check_folder(folder, stamp, trajectory, attributes)
        found = BagSteps(reader, used, LEADER, rate, values, bar=True)
        for first, steps in groups(found, STEPS_PER_FILE):
            number = trajectory + steps[0].trajectory
            target = folder / log_file_name(stamp, number, first // STEPS_PER_FILE)
            arrays = _arrays(steps, used, report)
            write_log(target, arrays, {**attributes, "start_ns": steps[0].stamp_ns})
            report.files.append(target)
            report.steps += len(steps)
            report.trajectories = steps[0].trajectory + 1
    sampler = found.sampler
    report.strays = strays(sampler.counters)
    for name, counters in sampler.counters.items():
        if counters.invalid:
            report.invalid[name], report.reasons[name] = counters.invalid, counters.last_error
    if not report.steps:
        reason = report.reasons.get(LEADER, "there are none")
        raise BagError(f"{path}: no usable image on {sources[LEADER].topic}: {reason}")
    if sampler.problem:
        log.warning("images make no more steps: %s", sampler.problem)
    for name, source in used.items():
        if report.absences.count(name) == report.steps:
            reason = report.absences.main(name).text
            log.warning("no step has %s (%s): %s", name, source.topic, reason)
    return report


def _parameters(values: Mapping[str, Any], names: Mapping[str, TopicInput]) -> str:
    """The parameters that decide about the content of the logs, as JSON."""
    wanted = ("topic", "scale", "joints", "max_age", "max_gap")
    keys = [f"{name}.{setting}" for name in names for setting in wanted]
    # Only where they change something, so that folders of before there were any go on.
    corrected = [name for name, source in names.items() if source.correction is not None]
    keys += [f"{name}.{setting}" for name in corrected for setting in ("zero", "rotation")]
    keys += [f"{name}.fields" for name in names if any(values.get(f"{name}.fields", ()))]
    return json.dumps({key: values[key] for key in keys if key in values})


def _check_folder(folder: Path, stamp: str, trajectory: int, attributes: Mapping[str, Any]) -> None:
    """Raises LogError where logs would mix with or replace those of something else."""
    log_file_name(stamp, trajectory, 0)
    for path in sorted(folder.glob(f"{stamp}_triangle_0_journal_*_1000.h5")):
        try:
            name = parse_log_name(path)
            if name.stamp != stamp or name.trajectory < trajectory:
                continue
            with open_hdf5(path) as file:
                found = {key: file.attrs.get(key) for key in attributes}
        except Hdf5Error as error:
            if error.damaged:
                continue  # it is made anew
            raise LogError(f"{path} is there already: {error.found}; {error.advice}") from error
        except READ_ERRORS:
            continue  # damaged; LogError, a ValueError: none of ours
        different = [key for key, value in attributes.items() if found[key] != value]
        if different:
            raise LogError(
                f"{path} is there already and was made otherwise ({different[0]} "
                f"{found[different[0]]}, now {attributes[different[0]]}); choose another folder, "
                "--stamp or --trajectory"
            )


def _arrays(
    steps: Sequence[LogStep], names: Mapping[str, TopicInput], report: BagConversion
) -> dict[str, np.ndarray]:
    """The datasets of a log file; NaN where a modality is missing."""
    arrays = {}
    for step in steps:
        report.absences.add(step.absent)
    for name, key in KEYS.items():
        expected = DATASETS[key]
        if name not in names and not expected.required:
            continue
        values = np.empty((len(steps), *expected.shapes[0]), expected.dtype)
        for row, step in enumerate(steps):
            if name in step.arrays:
                values[row] = step.arrays[name].reshape(expected.shapes[0])
            else:
                values[row] = np.nan
                report.absent[name] += 1
        arrays[key] = values
    return arrays
