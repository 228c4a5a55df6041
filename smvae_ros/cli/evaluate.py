r"""Runs recorded bags through the sensor set and the model, without DDS and without waiting.

    ros2 run smvae_ros evaluate BAG [BAG ...] --output out/evaluation.json \
        --report out/evaluation.html

The frames are those that the live node makes of the same messages, and so are the latents; a second
run gives the same numbers. Reported is how well subsets of modalities predict every modality,
and for a calibrated model how healthy its sensors look. The truth is what the bag holds.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from smvae_core.checkpoint import CheckpointError
from smvae_core.files import check_output, write_text
from smvae_core.inference.inference import Inference, NotFiniteError
from smvae_core.metrics.subset_choice import HELP, choose_subsets, left_out
from smvae_core.metrics.subset_errors import SubsetErrors, print_summary
from smvae_ros.bags import BagError, BagReader
from smvae_ros.bundled import model_path
from smvae_ros.cli.programs import print_error
from smvae_ros.offline.absences import Absences, describe_strayed, describe_unusable, strays
from smvae_ros.offline.bag_topics import missing_sources
from smvae_ros.offline.lockstep import Event, lockstep
from smvae_ros.parameters.configuration import (
    add_parameters_options,
    health_settings,
    make_sources,
    read_values,
    sensor_settings,
)
from smvae_ros.reports.frame_records import VISUAL, FrameRecords
from smvae_ros.reports.health_records import HealthRecords
from smvae_ros.sensors.absence import Cause
from smvae_ros.sensors.evidence import Connection
from smvae_ros.sensors.observations import Observations, observe
from smvae_ros.sensors.sensor_set import SensorSet
from smvae_ros.sensors.topic_inputs import Source

log = logging.getLogger(__name__)

BATCH = 32  # frames whose errors are taken together


@dataclass(frozen=True)
class BagFrames:
    """What became of a bag, a row for each frame.

    Attributes:
        stamps: (N,) int64, nanoseconds.
        means: (N, D) float32, of the posterior.
        log_variances: (N, D) float32.
        subsets: the modalities of each frame, joined by +.
        invalid: modality → messages that were unusable.
        last_errors: modality → why the last of them was.
        absences: why modalities were not in frames.
        failed: frames that are left out, since what the model makes of them is not finite.
        strays: modality → messages of another frame, and in words of which.
    """

    stamps: np.ndarray
    means: np.ndarray
    log_variances: np.ndarray
    subsets: tuple[str, ...]
    invalid: dict[str, int]
    last_errors: dict[str, str]
    absences: Absences
    failed: int = 0
    strays: dict[str, tuple[int, str]] = field(default_factory=dict)


def bag_events(
    reader: BagReader, sources: Mapping[str, Source], sensors: SensorSet
) -> Iterator[Event]:
    """The bag's messages as arrivals at the times at which they were recorded."""
    names = {source.topic: name for name, source in sources.items() if source.topic}
    readers = {
        name: source.reader(partial(reader.deserialise, source.adapter.type_name))
        for name, source in sources.items()
    }
    for topic, _, received_ns, data in reader.messages(names.keys() & reader.topics.keys()):
        name = names[topic]
        message = readers[name](data)
        try:
            value = sources[name].incoming(message)
        except ValueError as error:
            sensors.refuse(name, error, received_ns)
        else:
            yield received_ns, name, value, message.stamp_ns, message.frame_id


def evaluate_bag(
    path: Path,
    inference: Inference,
    values: Mapping[str, Any],
    errors: SubsetErrors | None = None,
    *on_frame: Callable[[Observations], object],
) -> BagFrames:
    """Runs one bag through sensor set and model.

    Args:
        path: of the bag.
        inference: the model.
        values: of the node's parameters, see
        :func:`smvae_ros.parameters.configuration.read_values`.
        errors: adds the bag's errors to it.
        on_frame: are given each frame.

    Raises:
        BagError: where the bag cannot be read, or holds none of the configured topics.
    """
    modalities = inference.modalities
    sources = make_sources(modalities, values)
    with BagReader(path) as reader:
        missing = missing_sources(reader, sources)
        for name, source in missing.items():
            log.warning("%s has no topic %s, so there is no %s", path, source.topic, name)
        problems = {
            name: reader.left_out.get(source.topic, "the bag has no such topic")
            for name, source in missing.items()
        }
        connections = {
            name: Connection(source.topic, problem=problems.get(name, ""))
            for name, source in sources.items()
        }
        sensors = SensorSet(modalities, sensor_settings(modalities, values), connections)
        frames, waiting, absences, failed = [], [], Absences(), 0
        samples = lockstep(bag_events(reader, sources, sensors), sensors)
        for sample in tqdm(samples, desc=path.name, unit="frame", disable=None):
            try:
                observations = observe(sample, sources)
                encoding, broken = inference.encode_finite(observations.arrays)
                observations = observations.without_infinite(broken)
                if encoding is not None:
                    for record in on_frame:
                        record(observations)
            except NotFiniteError as error:
                if not failed:
                    log.warning("%s: frames are left out: %s", path, error)
                failed += 1
                continue
            sensors.settle(observations.sample, observations.unusable)
            absences.add(observations.sample.absent)
            if encoding is None:
                continue
            subset = "+".join(observations.arrays)
            stamp = observations.sample.stamp_ns or 0
            frames.append((stamp, encoding.mean, encoding.log_variance, subset))
            if errors is not None:
                waiting.append(observations)
                if len(waiting) == BATCH:
                    _add(errors, waiting)
                    waiting.clear()
        if waiting:
            _add(errors, waiting)
    if not frames:
        raise BagError(f"{path}: no frame came of it; check the topics in the parameters file")
    stamps, means, log_variances, subsets = zip(*frames, strict=True)
    counters = sensors.counters()
    return BagFrames(
        np.array(stamps),
        np.stack(means),
        np.stack(log_variances),
        subsets,
        {name: counter.invalid for name, counter in counters.items()},
        {name: counter.last_error for name, counter in counters.items() if counter.invalid},
        absences,
        failed,
        strays(counters),
    )


def recorded_modalities(
    paths: Sequence[Path], inference: Inference, values: Mapping[str, Any]
) -> tuple[str, ...]:
    """The modalities of which at least one bag has the topic, in the model's order.

    Raises:
        BagError: where a bag cannot be read, or holds none of the configured topics.
    """
    sources = make_sources(inference.modalities, values)
    found: set[str] = set()
    for path in paths:
        with BagReader(path) as reader:
            found |= sources.keys() - missing_sources(reader, sources).keys()
    return tuple(name for name in inference.modalities if name in found)


def _add(errors: SubsetErrors, frames: Sequence[Observations]) -> None:
    """Adds frames to the errors as one batch."""
    modalities = errors.model.modalities
    prepared, present = {}, torch.zeros(len(frames), len(modalities), dtype=torch.bool)
    for column, (name, modality) in enumerate(modalities.items()):
        batch = np.zeros((len(frames), *modality.raw_shape), modality.raw_dtype)
        for row, frame in enumerate(frames):
            if name in frame.arrays:
                batch[row] = frame.arrays[name]
                present[row, column] = True
        prepared[name] = torch.from_numpy(batch)
    errors.add(prepared, present)


def main(argv: Sequence[str] | None = None) -> int:
    """The command `evaluate`; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bags", nargs="+", type=Path, metavar="BAG", help="rosbag2 bags")
    parser.add_argument(
        "--checkpoint", type=Path, default=model_path(), help="model (default: the bundled one)"
    )
    add_parameters_options(parser)
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:N or auto (default)")
    parser.add_argument("--output", type=Path, metavar="JSON", help="file to write")
    parser.add_argument(
        "--report", type=Path, metavar="HTML", help="page with plots and pictures to write"
    )
    parser.add_argument("--subsets", nargs="+", metavar="SUBSET", help=HELP)
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    try:
        if options.report:  # optional; said before the work
            from smvae_ros.reports.evaluate_report import write_page
        for path in filter(None, (options.output, options.report)):
            check_output(path)
        inference = Inference.load(options.checkpoint, options.device)
        values = read_values(options.params, inference.modalities.values(), options.namespace)
        names = recorded_modalities(options.bags, inference, values)
        subsets = choose_subsets(options.subsets, names)
        if note := left_out(options.subsets, names):
            log.warning(note)
            blind = tuple(n for n in names if inference.modalities[n].kind not in VISUAL)
            subsets += [blind] * bool(blind and blind not in subsets)
        errors = SubsetErrors(inference.model, subsets)
        thresholds = health_settings(values).thresholds
        frames, records, health = {}, {}, {}
        for path in options.bags:
            bag = str(path)
            if options.report:
                records[bag] = FrameRecords(inference)
            if inference.calibration is not None:
                health[bag] = HealthRecords(inference, thresholds)
            on_frame = [kept[bag].add for kept in (records, health) if bag in kept]
            frames[bag] = evaluate_bag(path, inference, values, errors, *on_frame)
        summary = errors.summary()
        print_summary(summary)
        notes = {bag: list(_absences(found)) for bag, found in frames.items()}
        for bag, sentences in notes.items():
            for sentence in sentences:
                print(f"{bag}: {sentence}")
        if options.output:
            report = {
                "checkpoint": str(options.checkpoint),
                "model_hash": inference.model_hash,
                "frames": errors.samples,
                "bags": {bag: _describe(frames[bag], health.get(bag)) for bag in frames},
                "subsets": summary,
            }
            write_text(options.output, json.dumps(report, indent=1) + "\n")
        if options.report:
            write_page(options.report, inference, records, summary, health, notes)
    except ImportError as error:
        reason = f"--report needs matplotlib ({error}); pip install matplotlib"
        return print_error("evaluate", ImportError(reason))
    except (BagError, CheckpointError, ValueError, OSError) as error:
        return print_error("evaluate", error)
    except KeyboardInterrupt:
        return 130
    return 0


def _describe(frames: BagFrames, health: HealthRecords | None) -> dict[str, Any]:
    watched = {} if health is None else {"sensor_health": health.summary()}
    return watched | {
        "frames": len(frames.stamps),
        "live_subsets": dict(Counter(frames.subsets)),
        "invalid": frames.invalid,
        "failed": frames.failed,
        "last_errors": frames.last_errors,
        "strayed": {n: {"messages": count, "reason": w} for n, (count, w) in frames.strays.items()},
        "absent": frames.absences.summary(),
    }


def _absences(frames: BagFrames) -> Iterator[str]:
    """What was unusable, and why the sensors are missing that no frame used."""
    for name, error in frames.last_errors.items():
        yield describe_unusable(name, frames.invalid[name], error)
    for name, (count, why) in frames.strays.items():
        yield describe_strayed(name, count, why)
    used = {name for subset in frames.subsets for name in subset.split("+")}
    for name in frames.absences.counts:
        absence = frames.absences.main(name)
        if name not in used and absence.cause != Cause.NO_TOPIC:
            yield f"no frame has {name}: {absence.text}"


if __name__ == "__main__":
    sys.exit(main())
