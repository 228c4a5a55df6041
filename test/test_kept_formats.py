# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What earlier versions wrote is read, and found again under the same keys, for ever.

Expected values here are never adapted to the code: a change of one of them loses somebody's data.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from places import RESULTS
from single_precision import FLOAT32
from smvae_core.checkpoint import load_checkpoint
from smvae_core.data.logs.dataset import open_cache
from smvae_ros.bags.reader import BagReader
from smvae_ros.bundled import bag_path, model_path, yardstick_path

CACHE = Path(__file__).parent / "kept" / "cache"
MEAN = [1.24477, 0.55895, -0.32401, 0.28204, 0.07492, 0.43649]  # of the bundled model, below
RUNS = {path.stem: json.loads(path.read_text()) for path in (RESULTS / "runs").glob("*.json")}


def of_study(own: bool) -> list[Any]:
    """Runs of the robot study, which have data of their own, or of labelled images."""
    return [key for key, run in RUNS.items() if ("data" in run["configuration"]) is own]


@pytest.mark.parametrize("key", of_study(False))
def test_a_run_on_labelled_images_has_its_key(key: str) -> None:
    protocol = pytest.importorskip("training.studies.labelled_images.protocol")
    kept = RUNS[key]["configuration"]
    fields = {k: tuple(v) if isinstance(v, list) else v for k, v in kept["protocol"].items()}
    run = protocol.Run(kept["method"], kept["seed"], protocol.Protocol(**fields))
    assert run.configuration == kept
    assert run.key == key


@pytest.mark.parametrize("key", of_study(True))
def test_a_run_of_the_robot_study_has_its_key(key: str) -> None:
    protocol = pytest.importorskip("training.studies.insertion.protocol")
    kept = RUNS[key]["configuration"]
    run = protocol.Run(
        kept["method"],
        kept["seed"],
        protocol.Protocol(**kept["protocol"]),
        kept["data"],
        tuple(kept.get("given", ())),
        kept.get("target", ""),
    )
    assert run.configuration == kept
    assert run.key == key


def test_scenes_of_the_fault_study_are_found() -> None:
    if find_spec("mujoco") is None:  # imported too early it would not render
        pytest.skip("MuJoCo is not installed")
    from training.studies.sensor_faults.runs import settings

    digest = hashlib.sha256(json.dumps(settings()).encode()).hexdigest()
    assert digest.startswith("e76e5efceed44c81")


@pytest.mark.parametrize("dataset", ["mnist", "fashion_mnist"])
def test_a_table_of_labelled_images_comes_from_its_runs(dataset: str) -> None:
    pytest.importorskip("training.studies.labelled_images.likelihood_table")
    from training.studies.labelled_images.likelihood_table import tabulate, to_markdown
    from training.studies.labelled_images.protocol import Protocol
    from training.studies.ledger import runs_of

    protocol = Protocol.usual(dataset)
    legacy = runs_of(RESULTS / "runs", protocol.legacy) if protocol.legacy else ()
    kept = json.loads((RESULTS / f"{dataset}.json").read_text())
    records = runs_of(RESULTS / "runs", protocol)
    table = tabulate(protocol, records, kept["command"], kept["commit"], legacy)
    assert json.loads(json.dumps(table)) == kept
    assert to_markdown(protocol, table) == (RESULTS / f"{dataset}.md").read_text()


def test_the_tables_of_the_robot_study_come_from_its_runs() -> None:
    pytest.importorskip("training.studies.insertion.table")
    from training.studies.insertion.protocol import Protocol
    from training.studies.insertion.table import tabulate, to_markdown
    from training.studies.ledger import runs_of

    kept = json.loads((RESULTS / "insertion.json").read_text())
    protocol = Protocol(**kept["protocol"])
    table = tabulate(protocol, runs_of(RESULTS / "runs", protocol), kept["command"], kept["commit"])
    assert json.loads(json.dumps(table)) == kept
    assert to_markdown(table) == (RESULTS / "insertion.md").read_text()


def test_a_cache_of_before_its_rate_was_kept_says_what_it_counts_as(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(CACHE, tmp_path / "cache")
    manifest = tmp_path / "cache" / "cache.yaml"
    manifest.write_text(manifest.read_text().replace("rate: 20.0\n", ""))
    assert open_cache(CACHE).rate == 20.0
    assert "Hz" not in caplog.text
    assert open_cache(tmp_path / "cache").rate == 20.0
    assert "counts as 20 Hz" in caplog.text
    assert "--restart, or give training.calibrate --rate" in caplog.text


def test_a_cache_is_read() -> None:
    cache = open_cache(CACHE)
    assert cache.names == ("rgb", "depth", "force", "action", "proprio")
    assert cache.describe() == {"steps": 6, "trajectories": 2, "digest": "dab3e86986d4e35a"}
    assert cache.rate == 20.0
    assert cache.trajectories == (("20190408_183047", 0), ("20190408_183047", 1))
    assert (
        cache.present.tolist()
        == [
            [True, True, False, True, True],
            [True, False, True, True, True],
            [True, True, True, True, True],
        ]
        * 2
    )


def test_bundled_models_are_read() -> None:
    checkpoint = load_checkpoint(model_path())
    assert checkpoint.weights_hash == "bbada931e110"
    assert checkpoint.calibration is not None
    assert load_checkpoint(yardstick_path()).weights_hash == "d5dd421acc2c"
    model = checkpoint.model
    observed = {
        name: torch.linspace(-1, 1, int(np.prod(modality.shape))).reshape(1, *modality.shape)
        for name, modality in model.modalities.items()
    }
    with torch.inference_mode():
        mean = model.encode(observed).mean[0]
    expected = torch.tensor(MEAN)
    torch.testing.assert_close(mean[: len(expected)], expected, **FLOAT32)


def test_the_bundled_bag_is_read() -> None:
    counts: dict[str, int] = {}
    digest = hashlib.sha256()
    with BagReader(bag_path()) as bag:
        for topic, kind, stamp, message in bag.messages():
            counts[topic] = counts.get(topic, 0) + 1
            digest.update(f"{topic} {kind} {stamp} ".encode() + message)
    images = dict.fromkeys(
        [
            "/action",
            "/camera/color/camera_info",
            "/camera/color/image_raw",
            "/camera/depth/image_raw",
            "/joint_states",
        ],
        600,
    )
    assert counts == {**images, "/wrench": 30000}
    assert digest.hexdigest()[:16] == "af327d8f14e9086c"
