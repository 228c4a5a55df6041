# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The fault study: what it says of its scenes."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from places import ROOT
from smvae_ros.bundled import model_path

pytest.importorskip("scipy", reason="scipy is not installed")
from training.studies.sensor_faults.runs import FAULTS
from training.studies.sensor_faults.summary import rate_bound, summarise, to_markdown


def test_the_bound_of_a_rate_is_exact() -> None:
    assert rate_bound(0, 1.0) == pytest.approx(-math.log(0.05))  # the rule of three
    assert rate_bound(3, 2.0) == pytest.approx(7.7537 / 2, rel=1e-4)  # χ²(0.95, 8) / 2


def test_runs_that_were_never_noticed_count_in_every_figure() -> None:
    def scene(delay: int | None) -> dict[str, object]:
        outcome = {
            "warn_delay": delay,
            "error_delay": None,
            "statistic": "bias" if delay is not None else None,
            "others_named": [],
        }
        faults = {**dict.fromkeys(FAULTS), "force_bias": outcome}
        return {"frames": 3600, "warn": {"rgb": 1}, "error": {}, "faults": faults}

    summary = summarise([scene(delay) for delay in (4, 20, 30, None)])
    found = summary["faults"]["force_bias"]
    assert (found["runs"], found["noticed_in_1_s"], found["noticed_in_3_s"]) == (4, 0.5, 0.75)
    assert (found["delay_frames_median"], found["delay_frames_p90"]) == (20, None)
    assert summary["faults"]["rgb_frozen"] == {"runs": 0}
    assert summary["healthy"]["hours"] == pytest.approx(0.2)
    assert summary["healthy"]["warn_alarms_per_hour"] == pytest.approx(20)
    assert summary["healthy"]["warn_alarms_by_sensor"] == {"rgb": 4}
    page = to_markdown(summary)
    assert "| 4 | 50% | 75% | 20 (-) | bias |" in page
    assert "WARN in 14400 healthy frames (0.20 h): 4, 20.0 an hour" in page


@pytest.mark.training
def test_scenes_are_computed_by_processes_of_their_own(tmp_path: Path) -> None:
    if find_spec("mujoco") is None:  # imported too early it would not render
        pytest.skip("MuJoCo is not installed")
    words = ["--scenes", "1", "--fault-scenes", "0", "--steps", "3", "--workers", "1"]
    places = ["--work", str(tmp_path / "work"), "--output", str(tmp_path / "faults.json")]
    command = [sys.executable, "-m", "training.studies.sensor_faults", str(model_path())]
    done = subprocess.run(
        [*command, *words, *places], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if "Install EGL" in done.stderr:
        pytest.skip("MuJoCo cannot render here")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "faults.json").read_text())["healthy"]["frames"] == 3
    assert len(list((tmp_path / "work").rglob("1000.json"))) == 1
