# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What a path holds is recognised, and what is needed for it is said."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from smvae_core.data.logs.recording import RecordingError
from smvae_core.robot import read_robot
from smvae_ros.bundled import robot_path
from training.convert import main
from training.recordings import open_recording


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    (tmp_path / "set/meta").mkdir(parents=True)
    (tmp_path / "set/meta/info.json").write_text('{"codebase_version": "v1.6"}')
    return tmp_path / "set"


@pytest.mark.parametrize("missing", ["pyarrow", "av"])
def test_data_sets_name_the_extra_that_they_need(missing: str, dataset: Path, monkeypatch):
    for name in [name for name in sys.modules if ".lerobot." in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(RecordingError, match=r"pip install 'smvae_ros\[lerobot\]'"):
        open_recording([dataset], read_robot(robot_path("g1")))


def test_a_data_set_that_cannot_be_read_is_one_line(dataset: Path, tmp_path: Path, capsys):
    pytest.importorskip("pyarrow", reason="the extra lerobot is not installed (pyarrow)")
    pytest.importorskip("av", reason="the extra lerobot is not installed (PyAV)")
    assert main([str(dataset), str(tmp_path / "cache"), "--robot", "g1"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {dataset}/meta/info.json: codebase_version is 'v1.6'")
    assert error.count("\n") == 1
