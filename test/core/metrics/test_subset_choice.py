# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Which subsets are measured: all where they are few, some where they are many, or those named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from small_caches import make_cache
from small_models import save_small_checkpoint, small_model
from smvae_core.checkpoint import save_checkpoint
from smvae_core.metrics.subset_choice import choose_subsets, left_out
from smvae_core.metrics.subset_errors import all_subsets
from training.evaluate import main

FIVE = ("rgb", "depth", "force", "action", "proprio")
TWELVE = tuple(f"m{number}" for number in range(12))


def test_few_modalities_are_measured_in_all_subsets() -> None:
    assert choose_subsets(None, FIVE) == all_subsets(FIVE)
    assert len(choose_subsets(None, TWELVE[:6])) == 63
    assert left_out(None, TWELVE[:6]) is None


def test_of_many_some_subsets_are_measured_and_it_is_said() -> None:
    chosen = choose_subsets(None, TWELVE)
    assert sorted(map(len, chosen)) == [1] * 12 + [11] * 12 + [12]
    note = left_out(None, TWELVE)
    assert note is not None
    assert "4,095 subsets; 25 are measured" in note
    assert "--subsets all" in note
    assert left_out(["single"], TWELVE) is None
    assert len(choose_subsets(["all"], TWELVE)) == 4095


def test_subsets_can_be_named_once_each_in_the_models_order() -> None:
    assert choose_subsets(["depth+rgb", "single", "rgb"], FIVE) == [
        ("rgb", "depth"),
        *((name,) for name in FIVE),
    ]
    assert choose_subsets(["leave-one-out", "full"], ("a", "b", "c")) == [
        ("b", "c"),
        ("a", "c"),
        ("a", "b"),
        ("a", "b", "c"),
    ]
    assert choose_subsets(["leave-one-out", "full"], ("a",)) == [("a",)]


def test_unknown_names_are_said() -> None:
    with pytest.raises(ValueError, match="no 'smell'; there are rgb, depth, force, action"):
        choose_subsets(["rgb+smell"], FIVE)


def test_evaluation_measures_what_is_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_small_checkpoint(tmp_path / "model")
    cache = make_cache(tmp_path)
    output = tmp_path / "out.json"
    arguments = [str(model), str(cache), "--every", "5", "--output", str(output), "--subsets"]
    assert main([*arguments, "rgb+depth", "full"]) == 0
    report = json.loads(output.read_text())
    assert set(report["subsets"]) == {"rgb+depth", "+".join(FIVE), "training_mean"}
    assert report["command"].startswith("python -m training.evaluate ")
    assert report["commit"]
    error = capsys.readouterr().err
    assert "has learned nothing" in error  # its weights are random
    assert "steps a second" not in error
    assert main([*arguments, "rgb+smell"]) == 2
    assert "there is no 'smell'" in capsys.readouterr().err


def test_evaluation_tells_of_data_of_another_rate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training = {"data": {"rate": 20.0}}
    model = tmp_path / "model"
    save_checkpoint(model, small_model(), training)
    cache = make_cache(tmp_path, rate=10.0)
    arguments = [str(model), str(cache), "--subsets", "rgb", "--every"]
    assert main([*arguments, "5"]) == 0
    assert "CACHE has 10 steps a second, the data of the model's training 20: " in (
        capsys.readouterr().err
    )
    with pytest.raises(SystemExit):
        main([*arguments, "0"])
    assert "argument --every: 0 is not a whole number from 1" in capsys.readouterr().err
