# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The study on faces in CelebA's layout: image and attributes, and six views."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from small_images import write_celeba

pytest.importorskip("skimage", reason="scikit-image is not installed")
pytest.importorskip("matplotlib", reason="matplotlib is not installed")
from smvae_core.data.images.celeba import FACES
from training.studies.labelled_images import __main__ as benchmark
from training.studies.labelled_images import classifier, coherence, study, views
from training.studies.labelled_images.data_sets import DATA_SETS
from training.studies.labelled_images.protocol import Protocol, Run

pytestmark = pytest.mark.training

ATTRIBUTES = DATA_SETS["faces"].classes
BUDGET = "--epochs 1 --batch-size 3 --latent-size 4 --embedding-size 8 --image-widths 4 8"
BUDGET = [*BUDGET.split(), "--test-images", "2", "--importance-samples", "4"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With ``data``: ten images laid out as the portraits, one of them without a face."""
    for module, name in ((classifier, "_STEPS"), (classifier, "_LEAST"), (coherence, "_JOINT")):
        monkeypatch.setattr(module, name, 2)
    names = write_celeba(tmp_path / "data", layout=FACES, suffix=".png", faceless=[0])
    write_attributes(tmp_path / "data", names, ATTRIBUTES)
    return tmp_path


def write_attributes(data: Path, names: list[str], columns: tuple[str, ...]) -> None:
    lines = [f"{name} " + " 1 -1  1"[: 3 * len(columns)] for name in names]
    text = "\n".join([str(len(names)), " ".join(columns), *lines])
    (data / FACES.attributes).write_text(text + "\n")


def arguments(folder: Path, dataset: str) -> list[str]:
    own = ["--dataset", dataset, "--data-dir", str(folder / "data"), *BUDGET]
    return [*own, "--results", str(folder / "results"), "--work", str(folder / "work")]


def test_attributes_are_the_second_modality(folder: Path) -> None:
    methods = ["--methods", "smvae-masked", "cvae"]
    assert benchmark.main([*arguments(folder, "faces"), *methods]) == 0
    table = json.loads((folder / "results" / "faces.json").read_text())
    smvae, cvae = table["methods"].values()
    assert set(smvae["probe"]) == {"image", "attributes", "image+attributes"}
    assert set(cvae["coherence"]) == {"image_given_label"}
    assert smvae["proposal_x"]["log_p_xy"]["mean"] <= smvae["proposal_x"]["log_p_x"]["mean"]
    page = (folder / "results" / "faces.md").read_text()
    assert "# Portraits and attributes" in page
    assert "a check of the pipeline" in page
    assert "Published" not in page
    assert "--dataset faces --data-dir DIR --image-widths 4 8 --epochs 1" in table["command"]


def test_attribute_file_of_other_columns(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = sorted(path.name for path in (folder / "data" / FACES.images).iterdir())
    write_attributes(folder / "data", names, ATTRIBUTES[:2])
    assert benchmark.main([*arguments(folder, "faces"), "--methods", "mvae"]) == 2
    assert "there is no Young" in capsys.readouterr().err
    assert not (folder / "results").exists()


def test_other_images_in_the_same_working_folder(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "work" / "derived" / "faces_64" / "images").mkdir(parents=True)
    (folder / "work" / "derived" / "faces_64" / "images" / "rows.json").write_text("{}")
    assert benchmark.main([*arguments(folder, "faces"), "--methods", "mvae"]) == 2
    assert "a cache of other data" in capsys.readouterr().err


def test_truncated_image(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = next((folder / "data" / FACES.images).iterdir())
    path.write_bytes(path.read_bytes()[:500])
    assert benchmark.main([*arguments(folder, "faces"), "--methods", "mvae"]) == 2
    assert path.name in capsys.readouterr().err
    assert not (folder / "results").exists()


def test_views_are_trained_measured_and_drawn(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert views.main(arguments(folder, "faces_views")) == 0
    assert "1 of 10 images are left out" in caplog.text
    (path,) = (folder / "results" / "runs").iterdir()
    section = json.loads(path.read_text())["views"]
    assert section["test_images"] == 2
    assert "original_psnr_db" in section["subsets"]["left_half"]
    assert "grey+edges+landmarks+watermarked+left_half" in section["subsets"]
    picture = folder / "results" / "figures" / "faces_views.png"
    assert picture.read_bytes()[:4] == b"\x89PNG"
    picture.unlink()
    monkeypatch.delattr(study, "train")
    assert views.main(arguments(folder, "faces_views")) == 0
    assert picture.exists()


def test_usual_protocols() -> None:
    """Keys of finished runs, which must never change."""
    assert Protocol.usual("mnist") == Protocol()
    assert Run("mvae", 0, Protocol()).key == "fc39685965b2aab6"
    assert Run("smvae-masked", 0, Protocol.usual("fashion_mnist")).key == "b2b3b111f740e206"
    with pytest.raises(ValueError, match="must be colour"):
        Protocol.usual("celeba", pixels="grey")
    celeba = Protocol.usual("celeba").modalities()
    assert celeba["attributes"].shape == (18,)
    assert celeba["image"].embedding.name == "convolution"
    flat = Protocol.usual("celeba", image_network="mlp").modalities()
    assert flat["image"].decoder.widths == (512, 512)
