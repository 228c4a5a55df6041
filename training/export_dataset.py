# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Converted recordings as a LeRobot data set (LeRobotDataset v3.0), with latents if wanted.

    python -m training.export_dataset CACHE DATASET
    python -m training.export_dataset CACHE DATASET --latents MODEL --video

Each run of consecutive steps becomes an episode, at the model's image size. Keys are

    observation.images.<name>       images (PNG in the rows) and depth (metres, TIFF in the rows)
    observation.state               the modality proprio
    action                          the modality action
    observation.<name>              other vectors and windows (samples, channels)
    observation.present.<name>      whether the sensor had a reading; where not, zeros stand there
    observation.environment_state   with --latents, the latent of what was present

DATASET/robot.yaml is a robot file with these keys: training.convert reads the data set back with
it. Needs the extra lerobot.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from tqdm import tqdm

from smvae_core.data.logs.cache_folder import CacheError
from smvae_core.data.logs.dataset import LogCache, open_cache
from smvae_core.files import check_output, whole_folder
from smvae_core.words import counted
from smvae_ros.cli.programs import parser_of
from training.programs import run_program

if TYPE_CHECKING:
    from smvae_core.data.logs.lerobot.writer import Column

LATENT = "environment_state"


def columns_of(cache: LogCache) -> list[Column]:
    """The sensors of a cache.

    Raises:
        CacheError: for pictures of another number of channels than 1 and 3.
    """
    from smvae_core.data.logs.lerobot.writer import Column

    keys = {"action": "action"}
    if "state" not in cache.names:
        keys["proprio"] = "observation.state"
    columns = []
    for place, name in enumerate(cache.names):
        values = cache.arrays[name]
        if values.dtype == np.uint8 and values.shape[-1] not in (1, 3):
            raise CacheError(
                f"{cache.path}: {name} has {values.shape[-1]} channels; LeRobot knows pictures of "
                "1 and 3"
            )
        is_picture = values.dtype in (np.uint8, np.float16)
        key = f"observation.images.{name}" if is_picture else keys.get(name, f"observation.{name}")
        columns.append(Column(name, key, values, cache.present[:, place]))
    return columns


def latents_of(cache: LogCache, model_path: Path, device: str) -> Column:
    """The latent means of a cache's steps; absent where a step holds nothing that the model knows.

    Raises:
        CacheError, CheckpointError: where one cannot be read, or the cache does not fit the model.
        ValueError: where no step gives a latent.
    """
    from smvae_core.checkpoint import load_checkpoint
    from smvae_core.data.logs.lerobot.writer import Column
    from smvae_core.inference.devices import find_torch_device
    from training.encode import encode_rows

    model = load_checkpoint(model_path).model.to(find_torch_device(device))
    cache.check(list(model.modalities.values()))
    rows, found, _ = encode_rows(model, cache)
    means = np.zeros((len(cache), found.shape[1]), np.float32)
    present = np.zeros(len(cache), bool)
    means[rows], present[rows] = found, True
    return Column(LATENT, f"observation.{LATENT}", means, present)


def episodes_of(cache: LogCache) -> Iterator[slice]:
    """Runs of consecutive steps of one trajectory."""
    trajectory, step = cache.arrays["trajectory"], cache.arrays["step"]
    begins = (np.diff(trajectory) != 0) | (np.diff(step) != 1)
    ends = [*(np.flatnonzero(begins) + 1).tolist(), len(cache)]
    for begin, end in zip([0, *ends], ends, strict=False):
        yield slice(begin, end)


def robot_file(cache: LogCache, columns: list[Column]) -> dict[str, Any]:
    """A robot file for the data set: what the cache's sensors are, and their keys.

    Pictures of values have been spread from black to white, so that none is given for these any
    more.
    """
    keys = {column.name: column.key for column in columns}
    modalities = {}
    for entry in cache.manifest["modalities"]:
        if entry["name"] not in keys:
            continue
        done = {"name", "shape"} | ({"minimum", "maximum"} if entry["kind"] == "image" else set())
        fields = {name: value for name, value in entry.items() if name not in done}
        flat = entry["kind"] in ("depth", "scan")  # whose arrays leave the only channel out
        *size, channels = (*entry["shape"], 1) if flat else entry["shape"]
        shape = [channels, *size]
        modalities[entry["name"]] = {**fields, "shape": shape, "key": keys[entry["name"]]}
    return {"name": "exported", "modalities": modalities}


def export(
    cache: LogCache, folder: Path, columns: list[Column], task: str, video: bool
) -> tuple[int, int]:
    """Writes the data set whole; returns its episodes and frames.

    Raises:
        OutputError: where it cannot be written.
    """
    from smvae_core.data.logs.lerobot.writer import DatasetWriter

    with whole_folder(folder) as partial, tqdm(total=len(cache), unit="step", disable=None) as bar:
        bar.set_description(folder.name)
        writer = DatasetWriter(partial, columns, cache.rate, task, video)
        episodes = list(episodes_of(cache))
        try:
            for rows in episodes:
                writer.add(rows, bar.update)
            writer.close()
        finally:
            writer.abandon()
        text = yaml.safe_dump(robot_file(cache, columns), sort_keys=False, default_flow_style=None)
        (partial / "robot.yaml").write_text(text, encoding="utf-8")
    return len(episodes), len(cache)


def main(arguments: list[str] | None = None) -> int:
    """Writes one data set; returns the exit code."""
    parser = parser_of("python -m training.export_dataset", __doc__)
    add = parser.add_argument
    add("cache", metavar="CACHE", type=Path, help="folder that training.convert made")
    add("dataset", metavar="DATASET", type=Path, help="new folder for the data set")
    add("--latents", metavar="MODEL", type=Path, help="checkpoint whose latents are added")
    add(
        "--video",
        action="store_true",
        help="AV1 videos, which keep pictures about; of 64 pixels on",
    )
    add("--task", default="unspecified", metavar="TEXT", help="what the robot does, in words")
    add("--device", default="auto", help="of the model: cpu, cuda, cuda:N or auto (%(default)s)")
    options = parser.parse_args(arguments)
    return run_program("training.export_dataset", lambda: _run(options), "nothing was written")


def _run(options: argparse.Namespace) -> int:
    check_output(options.dataset, folder=True)
    cache = open_cache(options.cache)
    try:
        columns = columns_of(cache)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"LeRobot data sets need pyarrow and PyAV ({error}): pip install 'smvae_ros[lerobot]'"
        ) from error
    if options.latents is not None:
        columns.append(latents_of(cache, options.latents, options.device))
    episodes, frames = export(cache, options.dataset, columns, options.task, options.video)
    print(
        f"Wrote {counted(episodes, 'episode')}, {counted(frames, 'step')}, to {options.dataset}; "
        f"read it back with --robot {options.dataset / 'robot.yaml'}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
