# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Every file of results says which command and which commit made it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.results import publish
from places import RESULTS
from training.provenance import commit, provenance


def test_a_benchmark_cannot_be_published_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["scaling.py", "--turns", "2", "a folder"])
    publish("scaling", {"steps": 1.5}, {"threads": "1"})
    result = json.loads((tmp_path / "out" / "benchmarks" / "scaling.json").read_text())
    assert result["command"] == "python -m benchmarks.scaling --turns 2 'a folder'"
    assert result["commit"] == commit()
    assert result["figures"] == {"steps": 1.5}


def test_arguments_are_the_programs_own() -> None:
    assert provenance("training.evaluate", ["m"])["command"] == "python -m training.evaluate m"


def commits(value: object) -> Iterator[object]:
    """All entries named commit, at any depth."""
    if isinstance(value, dict):
        for key, entry in value.items():
            if key == "commit":
                yield entry
            else:
                yield from commits(entry)


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_published_results_name_commit_and_command(path: Path) -> None:
    result = json.loads(path.read_text())
    for entry in result.get("robots", {"": result}).values():
        assert "python -m " in entry["command"]
        if entry["commit"] is None:  # measured before it was recorded
            assert entry["commit_unknown"]
        else:
            assert "dirty" not in entry["commit"]


@pytest.mark.parametrize("path", sorted((RESULTS / "runs").glob("*.json")), ids=lambda p: p.stem)
def test_published_runs_name_the_commit_of_each_section(path: Path) -> None:
    run = json.loads(path.read_text())
    found = [*commits(run["training"]), *commits(run.get("measured", {}))]
    assert found
    assert all(found)
