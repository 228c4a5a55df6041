# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Which checkpoints can be named over the network: absolute paths, .. and links lead nowhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from smvae_ros.bundled import model_path
from smvae_ros.node.model_folder import ModelFolder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """models/first and models/second, and beside them a secret."""
    for name in ("models/first", "models/second", "secret"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        for file in ("model.yaml", "model.safetensors"):
            (folder / file).write_text("x")
    return tmp_path / "models"


def test_checkpoints_in_the_folder(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ModelFolder(str(models), "")
    assert folder.resolve("") == model_path()
    assert folder.resolve(str(models / "first")) == models / "first"
    assert folder.resolve(f"{models}/first/../second/") == models / "second"
    assert folder.resolve(str(models / "not yet there")) == models / "not yet there"
    (models / "current").symlink_to("second")
    assert folder.resolve(str(models / "current")) == models / "second"
    monkeypatch.chdir(models)
    assert folder.resolve("first") == models / "first"
    monkeypatch.setenv("HOME", str(models))
    assert folder.resolve("~/first") == models / "first"


def test_what_lies_outside(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ModelFolder(str(models), "")
    secret = models.parent / "secret"
    (models / "linked").symlink_to(secret)
    (models / "above").symlink_to("..")
    (models / "loop").symlink_to("loop")
    (models / "file").mkdir()
    (models / "file" / "model.yaml").symlink_to(secret / "model.yaml")
    (models.parent / "models_of_others").mkdir()
    monkeypatch.chdir(models)
    refused = []
    for checkpoint in (
        str(secret),
        str(models.parent / "nothing here"),
        f"{models}/../secret",
        "../secret",
        "linked",
        "above/secret",
        "file",
        str(models.parent / "models_of_others"),
        "/",
        "/dev/fd/0",
        "/proc/self/root/etc",
        "~",
        "~nobody_of_this_name/x",
        "first\0",
    ):
        with pytest.raises(ValueError, match="does not lie in the model folder") as error:
            folder.resolve(checkpoint)
        refused.append(str(error.value).replace(repr(checkpoint[:200]), "CHECKPOINT"))
    assert len(set(refused)) == 1, "whether something exists there is not told"


def test_a_link_is_looked_at_each_time(models: Path) -> None:
    folder = ModelFolder(str(models), "")
    link = models / "current"
    link.symlink_to("first")
    assert folder.resolve(str(link)) == models / "first"
    link.unlink()
    link.symlink_to(models.parent / "secret")
    with pytest.raises(ValueError, match="does not lie in"):
        folder.resolve(str(link))


def test_the_folder_of_the_checkpoint_at_the_start(models: Path) -> None:
    folder = ModelFolder("", str(models / "first"))
    assert folder.path == models
    assert folder.resolve(str(models / "second")) == models / "second"
    with pytest.raises(ValueError, match="does not lie in"):
        folder.resolve(str(models.parent / "secret"))
    assert ModelFolder("", "").path == model_path().parent.resolve()


def test_who_starts_the_node_is_trusted(models: Path) -> None:
    """Weights are often links into a cache, and the folder may be another one."""
    secret = models.parent / "secret"
    (models / "linked").symlink_to(secret)
    folder = ModelFolder(str(models / "second"), str(models / "linked"))
    assert folder.resolve(str(models / "linked")) == models / "linked"
    with pytest.raises(ValueError, match="does not lie in"):
        folder.resolve(str(secret))


@pytest.mark.skipif(not os.path.isdir("/usr"), reason="needs a directory right below /")
def test_a_checkpoint_right_below_the_root_opens_nothing_else() -> None:
    folder = ModelFolder("", "/usr")
    assert folder.path == Path("/usr")
    with pytest.raises(ValueError, match="does not lie in"):
        folder.resolve("/etc")
