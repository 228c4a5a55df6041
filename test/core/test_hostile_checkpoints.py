# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A checkpoint made to do harm: nothing in it is run, and no memory is taken for what it claims."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import resource
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from all_models import any_model
from small_models import save_small_checkpoint
from smvae_core.checkpoint import load_checkpoint, save_checkpoint
from smvae_core.inference.inference import Inference
from smvae_core.stored_model import CheckpointError

WEIGHTS, DESCRIPTION = "model.safetensors", "model.yaml"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return save_small_checkpoint(tmp_path / "model")


def refusal(path: Path) -> str:
    """What PyTorch's user is told; the node, which runs it in ONNX Runtime, refuses it, too."""
    for load in (Inference.load, load_checkpoint):
        with pytest.raises(CheckpointError) as error:
            load(path)
        assert str(path) in str(error.value)
        assert len(str(error.value)) < 2000
    return str(error.value)


def rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    description = yaml.safe_load((path / DESCRIPTION).read_text())
    change(description)
    unshared = json.loads(json.dumps(description))  # or it would be written with references
    (path / DESCRIPTION).write_text(yaml.safe_dump(unshared))


def replace_weights(path: Path, content: bytes) -> None:
    """With the hash that the description then has to name: its maker can compute it too."""
    (path / WEIGHTS).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    rewrite(path, lambda description: description.update(weights_sha256=digest))


class Bomb:
    def __init__(self, evidence: Path) -> None:
        self.evidence = evidence

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.evidence),)


def test_pickles_are_never_opened(path: Path, tmp_path: Path) -> None:
    evidence = tmp_path / "evidence"
    pickled = pickle.dumps({"set_encoder.query": Bomb(evidence)})
    torch.save({"set_encoder.query": Bomb(evidence)}, path / "zipped.pt")
    for content in (pickled, (path / "zipped.pt").read_bytes()):
        replace_weights(path, content)
        assert "not a safetensors file" in refusal(path)
    # Nor are other files that lie there, whatever other software would look for.
    (path / WEIGHTS).unlink()
    for name in ("model.pt", "pytorch_model.bin", "model.pkl", "model.ckpt", "model.npy"):
        (path / name).write_bytes(pickled)
    assert "no such file" in refusal(path)
    assert not evidence.exists()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: &a [x, x]\nb: &b [*a, *a]\nformat: [*b, *b]", "refers back"),
        ("format: &f [*f]", "refers back"),
        ("[" * 5000, "YAML"),
        ("format: " + "9" * 5000, "YAML"),
        ("format: 2001-99-99", "YAML"),
        ("format: 1\nmodalities: {<<: !!python/tuple [1]}", "YAML"),
        ("!!python/module:os", "YAML"),
        ("x" * (2**20 + 1), "1048577 bytes, more than 1048576"),
    ],
)
def test_yaml_that_would_take_all_memory_or_run_something(
    path: Path, text: str, reason: str
) -> None:
    (path / DESCRIPTION).write_text(text)
    assert reason in refusal(path)


@pytest.mark.parametrize(
    ("name", "width"), [("attention", 2**25), ("mmvae", 2**23), ("mopoe of a robot", 2**21)]
)
def test_layers_that_are_large_only_together(name: str, width: int, tmp_path: Path) -> None:
    """Each on its own is allowed; decoders of a mixture run for every component at once."""
    save_checkpoint(tmp_path / "model", any_model(name))

    def widen(description: dict[str, Any]) -> None:
        for modality in description["modalities"]:
            for network in ("embedding", "decoder"):
                modality[network] = {"name": "mlp", "widths": [width]}

    rewrite(tmp_path / "model", widen)
    assert f"for each sample, more than {2**26}" in refusal(tmp_path / "model")


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (struct.pack("<Q", 2**63), "a header of"),
        (struct.pack("<Q", 10**6), "a header of"),
        (struct.pack("<Q", 0), "a header of 0 bytes"),
        (b"\1\2", "a header of"),
        (struct.pack("<Q", 2) + b"[]", "not a safetensors file"),
        (struct.pack("<Q", 9) + b'{"a": {}}', "not a safetensors file"),
        (struct.pack("<Q", 9000) + b"[" * 9000, "not a safetensors file"),
        (struct.pack("<Q", 18) + b'{"a": {"shape": 1}', "not a safetensors file"),
        (struct.pack("<Q", 22) + b'{"a": {"shape":["x"]}}', "not a safetensors file"),
    ],
)
def test_headers_of_weights_that_lie(path: Path, header: bytes, reason: str) -> None:
    replace_weights(path, header)
    assert reason in refusal(path)


def test_weights_shorter_than_their_header_claims(path: Path) -> None:
    """Right names and shapes, but no numbers behind them."""
    content = (path / WEIGHTS).read_bytes()
    length = int.from_bytes(content[:8], "little")
    replace_weights(path, content[: 8 + length] + bytes(16))
    assert "not a safetensors file" in refusal(path)


def _large_image(description: dict[str, Any]) -> None:
    description["modalities"][0]["shape"] = [3, 2**15, 2**15]


def _wide_layers(description: dict[str, Any]) -> None:
    for modality in description["modalities"]:
        modality["embedding"]["widths"] = modality["decoder"]["widths"] = [200_000, 200_000]


def _many_layers(description: dict[str, Any]) -> None:
    description["modalities"][2]["embedding"]["widths"] = [8] * 1000


def _many_modalities(description: dict[str, Any]) -> None:
    first = description["modalities"][3]
    description["modalities"] = [{**first, "name": f"m{i}"} for i in range(100)]


def _large_latent(description: dict[str, Any]) -> None:
    description["architecture"]["latent_size"] = 10**9


def _beyond_all_numbers(description: dict[str, Any]) -> None:
    description["modalities"][3]["shape"] = [10**30]


def _small_weights_for_large_images(description: dict[str, Any]) -> None:
    """Each convolution would have a few thousand weights, and put out gigabytes."""
    description["modalities"] = description["modalities"][:1]
    image = description["modalities"][0]
    image["shape"] = [3, 2**13, 2**13]
    for network in ("embedding", "decoder"):
        image[network] = {"name": "convolution", "widths": [64] + [1] * 12}


@pytest.mark.parametrize(
    "exaggerate",
    [
        _large_image,
        _wide_layers,
        _many_layers,
        _many_modalities,
        _large_latent,
        _beyond_all_numbers,
        _small_weights_for_large_images,
    ],
)
def test_sizes_that_are_claimed_take_no_memory(
    path: Path, exaggerate: Callable[[dict[str, Any]], None]
) -> None:
    rewrite(path, exaggerate)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refusal(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


@pytest.mark.parametrize("name", [WEIGHTS, DESCRIPTION])
def test_files_that_never_end(path: Path, name: str) -> None:
    file = path / name
    file.unlink()
    os.mkfifo(file)  # to open one blocks until somebody writes
    assert "no regular file" in refusal(path)
    file.unlink()
    file.symlink_to("/dev/zero")
    assert "no regular file" in refusal(path)
    file.unlink()
    with file.open("wb") as sparse:
        sparse.truncate(2**40)
    assert "1099511627776 bytes, more than" in refusal(path)
