# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A model's graphs as files: written whole, compared with the model, and never believed."""

from __future__ import annotations

import dataclasses
import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from small_models import save_small_checkpoint, small_model
from smvae_core.checkpoint import load_checkpoint, save_checkpoint
from smvae_core.files import OutputError
from smvae_core.graphs.files import check_graphs, write_graphs
from smvae_core.models.mopoe import MoPoE
from smvae_core.stored_model import WEIGHTS, CheckpointError

VICTIM = "decode_rgb.onnx"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A checkpoint directory with graphs."""
    path = save_small_checkpoint(tmp_path / "model")
    write_graphs(path)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as error:
        check_graphs(path)
    assert str(path) in str(error.value)
    assert f"python -m training.export {path}" in str(error.value)
    return str(error.value)


def test_there_is_one_for_each_network_and_one_for_all_subsets(path: Path) -> None:
    names = ("rgb", "depth", "force", "action", "proprio")
    expected = {f"{part}_{name}.onnx" for part in ("embed", "decode") for name in names}
    assert {file.name for file in path.glob("*.onnx")} == expected | {"fuse.onnx"}
    assert set(check_graphs(path)) == set(path.glob("*.onnx"))
    assert sum(file.stat().st_size for file in path.glob("*.onnx")) < 50_000


def test_the_model_is_not_changed(path: Path, tmp_path: Path) -> None:
    bare = save_small_checkpoint(tmp_path / "bare")
    for file in bare.iterdir():
        assert (path / file.name).read_bytes() == file.read_bytes()


def test_the_same_model_always_gives_the_same_files(path: Path) -> None:
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    write_graphs(path)
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before


@pytest.mark.parametrize("half", [False, True])
def test_other_tools_accept_them(half: bool, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed (pip install onnx)")
    path = tmp_path / "model"
    save_checkpoint(path, small_model(), half=half)
    weights = load_checkpoint(path).weights
    for file in write_graphs(path):
        onnx.checker.check_model(str(file), full_check=True)
        graph = onnx.load(file)  # with what lies in the other file
        assert {node.domain for node in graph.graph.node} == {""}
        for tensor in graph.graph.initializer:
            if tensor.name in weights:
                values = onnx.numpy_helper.to_array(tensor)
                assert values.dtype == weights[tensor.name].dtype
                assert (values == weights[tensor.name]).all(), tensor.name


def test_a_model_that_takes_the_place_of_another_brings_no_old_graphs(path: Path) -> None:
    save_checkpoint(path, small_model(seed=1))
    assert not list(path.glob("*.onnx"))
    assert "No such file" in refusal(path)


def _truncated(path: Path, other: Path) -> None:
    (path / VICTIM).write_bytes((path / VICTIM).read_bytes()[:-1])


def _prolonged(path: Path, other: Path) -> None:
    (path / VICTIM).write_bytes((path / VICTIM).read_bytes() + b"\0")


def _endless(path: Path, other: Path) -> None:
    (path / VICTIM).unlink()
    os.truncate(os.open(path / VICTIM, os.O_CREAT | os.O_WRONLY), 2**40)


def _pipe(path: Path, other: Path) -> None:
    (path / VICTIM).unlink()
    os.mkfifo(path / VICTIM)  # to open one blocks until somebody writes


def _gone(path: Path, other: Path) -> None:
    (path / VICTIM).unlink()


def _of_other_weights(path: Path, other: Path) -> None:
    for file in other.glob("*.onnx"):
        (path / file.name).write_bytes(file.read_bytes())


def _reaching_out(path: Path, other: Path) -> None:
    """Weights in a file of another folder."""
    content = (path / VICTIM).read_bytes()
    changed = content.replace(WEIGHTS.encode(), b"../".ljust(len(WEIGHTS), b"x"))
    assert changed != content
    (path / VICTIM).write_bytes(changed)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_truncated, "it was changed"),
        (_prolonged, "bytes, more than"),
        (_endless, "1099511627776 bytes, more than"),
        (_pipe, "no regular file"),
        (_gone, "No such file"),
        (_of_other_weights, "another model made it"),
        (_reaching_out, "it was changed"),
    ],
)
def test_files_that_are_not_the_models(
    spoil: Callable[[Path, Path], None], reason: str, path: Path, tmp_path: Path
) -> None:
    other = save_small_checkpoint(tmp_path / "other", seed=1)
    write_graphs(other)
    spoil(path, other)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert reason in refusal(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


def test_a_folder_that_cannot_be_written_to(path: Path, read_only_folder: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        write_graphs(read_only_folder / "model")
    (path / "embed_rgb.onnx").unlink()
    (path / "embed_rgb.onnx").mkdir()
    with pytest.raises(OutputError, match="it is a folder"):
        write_graphs(path)


def test_a_mixture_of_too_many_components(tmp_path: Path) -> None:
    _, _, _, action, _ = small_model().modalities.values()
    many = [dataclasses.replace(action, name=f"m{i}") for i in range(13)]
    save_checkpoint(tmp_path / "model", MoPoE(many, 4, 8))
    with pytest.raises(CheckpointError, match="mixture of 8191 components, more than 4095"):
        write_graphs(tmp_path / "model")
    assert not list((tmp_path / "model").glob("*.onnx"))
