# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""`python -m training.export`: files that other tools open, and how far they are from PyTorch."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from all_models import any_model
from small_models import save_small_checkpoint
from smvae_core.checkpoint import save_checkpoint
from smvae_core.graphs.files import check_graphs
from training import export, parity
from training.export import main

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (pip install onnxruntime)")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return save_small_checkpoint(tmp_path / "model")


def test_every_subset_is_compared(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(path)]) == 0
    said = capsys.readouterr().out
    assert re.search(rf"Wrote 11 ONNX graphs \(\d+ kB\) to {path}; they differ from", said)
    assert "(31 subsets)" in said
    lines = re.findall(r"^(\w+) +(\d\.\de[-+]\d\d)$", said, re.MULTILINE)
    assert {f"{name}.onnx" for name, _ in lines} == {file.name for file in path.glob("*.onnx")}
    assert all(float(share) <= parity.LIMIT for _, share in lines)
    assert main([str(path), "--check"]) == 0
    checked = capsys.readouterr().out
    assert re.search(rf"11 ONNX graphs \(\d+ kB\) are those of {path}; they differ", checked)


@pytest.mark.parametrize(
    ("name", "half"),
    [("attention", True), ("other kinds", False), ("mopoe of a robot", True), ("cvae", False)],
)
def test_models_of_all_sorts_are_exported(name: str, half: bool, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "model", any_model(name), half=half)
    assert main([str(tmp_path / "model")]) == 0
    check_graphs(tmp_path / "model")


def test_graphs_that_differ_are_not_kept(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export, "LIMIT", 0.0)
    assert main([str(path)]) == 2
    assert "of an output's scale, more than 0e+00" in capsys.readouterr().err
    assert not list(path.glob("*.onnx"))
    assert main([str(path), "--check"]) == 2
    assert f"python -m training.export {path}" in capsys.readouterr().err


def test_weights_in_another_folder_are_told_of(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As caches of downloads have them: ONNX Runtime follows no link out of the folder."""
    weights = path / "model.safetensors"
    weights.rename(tmp_path / "blob")
    weights.symlink_to(tmp_path / "blob")
    assert main([str(path)]) == 2
    assert "ONNX Runtime cannot run it" in capsys.readouterr().err
    assert not list(path.glob("*.onnx"))


def test_a_link_in_the_folder_leads_nowhere(path: Path, tmp_path: Path) -> None:
    """A model that somebody made could point to any file."""
    (tmp_path / "mine").write_text("kept")
    (path / "fuse.onnx").symlink_to(tmp_path / "mine")
    assert main([str(path)]) == 0
    assert (tmp_path / "mine").read_text() == "kept"
    check_graphs(path)


def test_a_difference_is_found(path: Path, tmp_path: Path) -> None:
    """Of a decoder's bias, which only its own graph can show."""
    model = any_model("attention")
    save_checkpoint(tmp_path / "other", model)
    export.export_graphs(tmp_path / "other")
    model.decoders["force"][0].bias.data[0] += 1e-2
    found = parity.compare(model, tmp_path / "other", np.random.default_rng(0))
    assert found.worst == "decode_force"
    assert found.differences["decode_force"] > 10 * parity.LIMIT
    others = {n: x for n, x in found.differences.items() if n != "decode_force"}
    assert max(others.values()) <= parity.LIMIT


def test_without_onnx_runtime_they_are_written_all_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    assert main([str(path)]) == 0
    assert "to compare them with PyTorch: pip install onnxruntime" in capsys.readouterr().out
    check_graphs(path)


def test_what_is_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "model.yaml: no such file" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
