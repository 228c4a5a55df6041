# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The study of real robots: trivial predictors, and the whole program on a small cache."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("matplotlib", reason="matplotlib is not installed (pip install matplotlib)")

from small_caches import make_cache
from small_training import train, write_config
from training.studies.real_robots.__main__ import main
from training.studies.real_robots.table import to_markdown
from training.studies.real_robots.trivial import Readings, nearest_steps, ridge


def readings(values: torch.Tensor, directions: torch.Tensor | None = None) -> Readings:
    """The first 200 rows for training, 50 each for the choice of the penalty and the test."""
    parts = zip(("training", "validation", "test"), values.split([200, 50, 50]), strict=True)
    return Readings(dict(parts), directions)


def test_ridge_finds_what_is_linear_and_projects_what_has_components() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(300, 4, generator=generator)
    axes = torch.linalg.qr(torch.randn(9, 2, generator=generator)).Q.T
    pictures = readings(x[:, :2] @ axes, axes)
    joints = readings(x)
    predicted = ridge([joints], {"pictures": pictures, "joints": joints})
    assert pictures.skill(predicted["pictures"], "test") > 0.99
    back = ridge([pictures], {"joints": joints})["joints"]
    half = 1 - 0.5**0.5  # two of four joints are known
    assert joints.skill(back, "test") == pytest.approx(half, abs=0.1)


def test_each_modality_weighs_alike_among_neighbours() -> None:
    generator = torch.Generator().manual_seed(0)
    large = readings(1000 * torch.randn(300, 1, generator=generator))
    small = readings(torch.randn(300, 1, generator=generator))
    nearest = nearest_steps([large, small])
    assert nearest.shape == (50, 10)
    distances = (small.values["training"][nearest] - small.values["test"][:, None]).abs().mean()
    assert distances < 0.5, "of random ones it would be above 1"


@pytest.mark.training
def test_the_program_measures_every_cell(tmp_path: Path) -> None:
    cache = make_cache(tmp_path / "logs", parts=1, steps=12, gaps=False)
    config = write_config(cache, tmp_path / "c.yaml", validation_fraction=0.2, test_fraction=0.2)
    train(config, tmp_path / "run", "--calibrate=false")
    subsets = ["rgb", "action+proprio"]
    arguments = ["toy", str(cache), str(tmp_path / "run" / "model"), "--subsets", *subsets]
    arguments += ["--results", str(tmp_path / "results"), "--work", str(tmp_path / "work")]
    assert main([*arguments, "--epochs", "1"]) == 0
    table = json.loads((tmp_path / "results" / "real_robots.json").read_text())
    entry = table["robots"]["toy"]
    assert entry["command"].startswith("python -m training.studies.real_robots toy")
    assert entry["data"]["test"] == {"episodes": 1, "steps": 12}
    for label in subsets:
        for name in ("rgb", "depth", "force", "action", "proprio"):
            cell = entry["subsets"][label]
            for kind in ("vs_mean", "dedicated", "trivial"):
                assert np.isfinite(cell[f"{name}_skill_{kind}"])
    assert entry["subsets"]["action+proprio"]["action_trivial"] == "pca"
    assert entry["subsets"]["action+proprio"]["action_skill_trivial"] == pytest.approx(1.0)
    page = (tmp_path / "results" / "real_robots.md").read_text()
    assert "## toy" in page
    assert "too little for a claim" in page
    assert "no dedicated networks" not in page
    assert (tmp_path / "results" / "figures" / "real_robots_toy.png").exists()
    # A second robot is added beside the first.
    assert main([*("other", *arguments[1:]), "--epochs", "0"]) == 0
    table = json.loads((tmp_path / "results" / "real_robots.json").read_text())
    assert list(table["robots"]) == ["toy", "other"]
    assert "rgb_skill_dedicated" not in table["robots"]["other"]["subsets"]["rgb"]
    assert "no dedicated networks" in to_markdown(table["robots"])


def test_another_file_in_the_place_of_the_table_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "real_robots.json").write_text("[]")
    assert main(["toy", "CACHE", "MODEL", "--results", str(tmp_path)]) == 2
    assert "is no table of real robots" in capsys.readouterr().err
