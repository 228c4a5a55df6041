# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A checkpoint comes back as it was written, or not at all and with a clear message."""

from __future__ import annotations

import copy
import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from small_models import random_observations, save_small_checkpoint, small_model
from smvae_core.checkpoint import load_checkpoint, save_checkpoint
from smvae_core.inference.inference import Inference
from smvae_core.modalities import Modality
from smvae_core.stored_model import CheckpointError

WEIGHTS, DESCRIPTION = "model.safetensors", "model.yaml"
TRAINING = {
    "command": "python -m training.train --config ä.yaml",
    "metrics": {"validation/elbo": -12.5},
    "steps": 7,
    "given": None,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return save_small_checkpoint(tmp_path / "models" / "model")


def rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    description = yaml.safe_load((path / DESCRIPTION).read_text())
    change(description)
    (path / DESCRIPTION).write_text(yaml.safe_dump(description, sort_keys=False))


def rewrite_weights(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Other weights whose hash is right, as from a tool that wrote both files."""
    tensors = safetensors.torch.load_file(path / WEIGHTS)
    change(tensors)
    replace_weights(path, safetensors.torch.save(tensors))


def replace_weights(path: Path, content: bytes) -> None:
    (path / WEIGHTS).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    rewrite(path, lambda description: description.update(weights_sha256=digest))


def assert_refused(path: Path, *parts: str) -> None:
    """One message that holds all of `parts`; the node refuses it, too."""
    with pytest.raises(CheckpointError, match=re.escape(str(path))):
        Inference.load(path, runtime="onnx")
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(path)
    for part in parts:
        assert part in str(error.value)


@torch.no_grad()
def test_round_trip(tmp_path: Path) -> None:
    model = small_model(seed=4).train()
    save_checkpoint(tmp_path / "model", model, TRAINING)
    checkpoint = load_checkpoint(tmp_path / "model")
    assert checkpoint.training == TRAINING
    assert not checkpoint.model.training
    assert model.training
    assert checkpoint.model.modalities == model.modalities
    assert checkpoint.model.names == model.names
    state, expected = checkpoint.model.state_dict(), model.state_dict()
    assert state.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(state[name], value), name
    observations = random_observations(model, 2, torch.Generator().manual_seed(0))
    posterior, again = model.encode(observations), checkpoint.model.encode(observations)
    assert torch.equal(posterior.mean, again.mean)
    assert torch.equal(posterior.log_variance, again.log_variance)
    for name, likelihood in model.decode(posterior.mean).items():
        assert torch.equal(checkpoint.model.decode(again.mean)[name].mean, likelihood.mean)
    files = {file.name for file in (tmp_path / "model").iterdir()}
    assert files == {WEIGHTS, DESCRIPTION}
    assert os.listdir(tmp_path) == ["model"]


@torch.no_grad()
def test_half_precision_halves_the_file_and_computes_as_before(tmp_path: Path) -> None:
    model = small_model(seed=4)
    save_checkpoint(tmp_path / "whole", model)
    save_checkpoint(tmp_path / "half", model, half=True)
    sizes = [(tmp_path / name / WEIGHTS).stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.6 * sizes[0]
    loaded = load_checkpoint(tmp_path / "half").model
    for name, value in loaded.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, model.state_dict()[name].half().float()), name
    observations = random_observations(model, 2, torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        loaded.encode(observations).mean, model.encode(observations).mean, rtol=0, atol=0.02
    )


@torch.no_grad()
def test_weights_that_do_not_fit_into_half_precision_are_refused(tmp_path: Path) -> None:
    model = small_model(seed=4)
    save_checkpoint(tmp_path / "model", model)
    before = load_checkpoint(tmp_path / "model").weights_hash
    next(model.parameters()).fill_(1e5)
    with pytest.raises(CheckpointError, match="NaN or infinite"):
        save_checkpoint(tmp_path / "model", model, half=True)
    assert load_checkpoint(tmp_path / "model").weights_hash == before


def test_weights_hash_tells_models_apart(tmp_path: Path) -> None:
    hashes = [
        load_checkpoint(save_small_checkpoint(tmp_path / str(n), seed)).weights_hash
        for n, seed in enumerate((0, 0, 1))
    ]
    assert hashes[0] == hashes[1] != hashes[2]
    digest = hashlib.sha256((tmp_path / "0" / WEIGHTS).read_bytes()).hexdigest()
    assert hashes[0] == digest[:12]


def test_channels_last_weights_are_saved_too(tmp_path: Path) -> None:
    model = small_model().to(memory_format=torch.channels_last)
    save_checkpoint(tmp_path / "model", model)
    state = load_checkpoint(tmp_path / "model").model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())


def test_an_older_checkpoint_is_replaced_as_a_whole(path: Path) -> None:
    (path / "left over.txt").write_text("from another version")
    save_checkpoint(path, small_model(seed=9), TRAINING)
    checkpoint = load_checkpoint(path)
    assert checkpoint.training == TRAINING
    assert torch.equal(checkpoint.model.set_encoder.query, small_model(seed=9).set_encoder.query)
    assert {file.name for file in path.iterdir()} == {WEIGHTS, DESCRIPTION}
    assert os.listdir(path.parent) == ["model"]


def test_a_failed_save_leaves_the_older_checkpoint_whole(path: Path) -> None:
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    with pytest.raises(yaml.YAMLError):
        save_checkpoint(path, small_model(seed=9), {"metric": torch.zeros(1)})
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before
    assert os.listdir(path.parent) == ["model"]


def test_a_link_to_a_checkpoint_can_be_loaded_and_saved_to(path: Path) -> None:
    link = path.parent / "current"
    link.symlink_to("model")
    assert load_checkpoint(link).training == {"command": "test"}
    save_checkpoint(link, small_model(seed=9), TRAINING)
    assert load_checkpoint(link).training == TRAINING
    assert sorted(os.listdir(path.parent)) == ["current", "model"]


def test_a_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("keep me")
    with pytest.raises(CheckpointError, match="is a file"):
        save_checkpoint(tmp_path / "notes.txt", small_model())
    assert (tmp_path / "notes.txt").read_text() == "keep me"
    assert os.listdir(tmp_path) == ["notes.txt"]


def test_missing(tmp_path: Path) -> None:
    assert_refused(tmp_path / "nowhere", "nowhere does not exist", WEIGHTS, DESCRIPTION)
    (tmp_path / "empty").mkdir()
    assert_refused(tmp_path / "empty", DESCRIPTION, "no such file", "training.train")


@pytest.mark.parametrize("file", [WEIGHTS, DESCRIPTION])
def test_one_file_missing(path: Path, file: str) -> None:
    (path / file).unlink()
    assert_refused(path, str(path / file), "no such file")


def test_a_file_instead_of_a_directory(path: Path) -> None:
    assert_refused(path / WEIGHTS, WEIGHTS, "is not a directory")


def test_a_directory_instead_of_a_file(path: Path) -> None:
    (path / WEIGHTS).unlink()
    (path / WEIGHTS).mkdir()
    assert_refused(path, str(path / WEIGHTS), "cannot be read")


@pytest.mark.parametrize("length", [0, 1, 7, 100, -1])
def test_truncated_weights(path: Path, length: int) -> None:
    content = (path / WEIGHTS).read_bytes()
    (path / WEIGHTS).write_bytes(content[:length])
    assert_refused(path, str(path / WEIGHTS), "truncated", "copy")


def test_changed_weights(path: Path) -> None:
    content = bytearray((path / WEIGHTS).read_bytes())
    content[-5] ^= 1
    (path / WEIGHTS).write_bytes(content)
    assert_refused(path, str(path / WEIGHTS), "another model")


def test_weights_of_another_model(path: Path, tmp_path: Path) -> None:
    other = save_small_checkpoint(tmp_path / "other", seed=1)
    shutil.copy(other / WEIGHTS, path / WEIGHTS)
    assert_refused(path, "belongs to another model")


@pytest.mark.parametrize("content", [b"", b"not tensors", b"\x80\x04K*.", b"\xff" * 64])
def test_weights_that_are_no_safetensors(path: Path, content: bytes) -> None:
    replace_weights(path, content)
    assert_refused(path, str(path / WEIGHTS), "not a safetensors file")


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_other_format_version(path: Path, version: object) -> None:
    rewrite(path, lambda description: description.update(format=version))
    assert_refused(path, f"format {version!r}", "reads format 1", "export")


@pytest.mark.parametrize(
    "text",
    ["", "42", "- a\n- b", "camera: /dev/video0\n", "model: [unclosed", "\t: :", "\x00\x01"],
)
def test_foreign_yaml(path: Path, text: str) -> None:
    (path / DESCRIPTION).write_text(text)
    assert_refused(path, str(path / DESCRIPTION))


def test_yaml_that_is_no_text(path: Path) -> None:
    (path / DESCRIPTION).write_bytes(b"\xff\xfe\xfa\x00\x81")
    assert_refused(path, str(path / DESCRIPTION), "YAML")


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch {}']",
        "format: !!python/object/apply:os.system ['touch {}']",
        "!!python/object/new:subprocess.Popen [['touch', '{}']]",
        "format: 1\nmodalities: !!python/name:os.system",
    ],
)
def test_yaml_runs_nothing(path: Path, tmp_path: Path, text: str) -> None:
    (path / DESCRIPTION).write_text(text.replace("{}", str(tmp_path / "evidence")))
    assert_refused(path, str(path / DESCRIPTION), "not readable as YAML")
    assert not (tmp_path / "evidence").exists()


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda d: d["modalities"][0].update(colour="red"), ["'rgb'", "unknown field colour"]),
        (lambda d: d["modalities"][2].update(kind="sound"), ["'force'", "kind must be"]),
        (lambda d: d["modalities"][2].pop("shape"), ["'force'", "shape"]),
        (lambda d: d["modalities"][1].update(embedding={"name": "x"}), ["'depth'", "network 'x'"]),
        (lambda d: d["modalities"][1].update(embedding={"deep": 1}), ["'depth'", "deep"]),
        (
            lambda d: d["modalities"].append(copy.deepcopy(d["modalities"][0])),
            ["rgb occurs more than once"],
        ),
        (lambda d: d.update(modalities=[]), ["at least one modality"]),
        (lambda d: d.pop("modalities"), ["'modalities' is missing"]),
        (lambda d: d.pop("architecture"), ["'architecture' is missing"]),
        (lambda d: d["architecture"].pop("heads"), ["'heads' is missing"]),
        (lambda d: d["architecture"].update(set_encoder="mean"), ["set encoder 'mean'"]),
        (lambda d: d["architecture"].update(heads=3), ["must be a multiple of heads 3"]),
        (lambda d: d["architecture"].update(heads=0), ["heads"]),
        (lambda d: d["architecture"].update(latent_size=-3), ["latent_size"]),
        (lambda d: d["architecture"].update(latent_size="six"), ["model.yaml"]),
        (lambda d: d.pop("weights_sha256"), ["SHA-256"]),
    ],
)
def test_wrong_descriptions(
    path: Path, change: Callable[[dict[str, Any]], object], parts: list[str]
) -> None:
    rewrite(path, change)
    assert_refused(path, str(path), *parts)


def test_tensors_that_do_not_fit(path: Path) -> None:
    rewrite_weights(path, lambda tensors: tensors.pop("set_encoder.query"))
    assert_refused(path, str(path / WEIGHTS), "tensor set_encoder.query is missing")


def test_unknown_tensor(path: Path) -> None:
    rewrite_weights(path, lambda tensors: tensors.update(extra=torch.zeros(1)))
    assert_refused(path, "tensor extra is unknown")


def test_wrong_shape(path: Path) -> None:
    rewrite_weights(path, lambda t: t.update({"set_encoder.query": torch.zeros(1, 1, 8)}))
    assert_refused(path, "set_encoder.query has shape (1, 1, 8), expected (1, 1, 16)")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(path: Path, value: float) -> None:
    """As a training that diverged leaves them."""

    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors["decoders.rgb.0.weight"].view(-1)[3] = value

    rewrite_weights(path, change)
    assert_refused(path, "decoders.rgb.0.weight holds NaN or infinite values")


def test_architecture_that_the_weights_do_not_have(path: Path) -> None:
    rewrite(path, lambda description: description["architecture"].update(latent_size=7))
    assert_refused(path, str(path / WEIGHTS), "expected", " more")


JUNK = st.sampled_from(
    [None, True, -1, 0, 3, 10**30, 1.5, float("nan"), "", "six", [], [0], [-2, 3], ["a"], {}]
)


@settings(
    max_examples=80,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data(), value=JUNK)
def test_any_damaged_description_is_a_checkpoint_error(
    path: Path, data: st.DataObject, value: object
) -> None:
    """Whatever stands in whichever field, the node must be able to say what is wrong."""
    original = (path / DESCRIPTION).read_text()
    description = yaml.safe_load(original)
    del description["training"]
    spoilt = copy.deepcopy(description)
    part: Any = spoilt
    while True:
        keys = list(part) if isinstance(part, dict) else list(range(len(part)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(part[key], dict | list) or not part[key] or data.draw(st.booleans()):
            break
        part = part[key]
    part[key] = value
    (path / DESCRIPTION).write_text(yaml.safe_dump(spoilt, sort_keys=False))
    try:
        messages = [_message_of(load, path) for load in (load_checkpoint, Inference.load)]
    finally:
        (path / DESCRIPTION).write_text(original)
    # Some values cannot be told from meaningful ones.
    assert all(message is None or str(path) in message for message in messages)
    assert (messages[0] is None) == (messages[1] is None), "both refuse it, or neither"


def _message_of(load: Callable[[Path], object], path: Path) -> str | None:
    try:
        load(path)
    except CheckpointError as error:
        return str(error)
    return None


def test_the_aspect_is_part_of_the_checkpoint_and_missing_in_old_ones(tmp_path: Path) -> None:
    rgb = small_model().modalities["rgb"]
    save_checkpoint(tmp_path / "model", small_model(aspect="crop"))
    held = load_checkpoint(tmp_path / "model").model.modalities
    assert [held[name].aspect for name in ("rgb", "depth", "force")] == ["crop", "crop", "stretch"]
    before = {key: value for key, value in rgb.to_dict().items() if key != "aspect"}
    assert Modality.from_dict(before).aspect == "stretch"
