# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The study of labelled images on a tiny data set: runs, files, table, and nothing done twice."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from small_images import TEST
from small_study import BUDGET, PROTOCOL, study_arguments, write_data
from smvae_core.data.images.labelled_images import SOURCES, load_labelled_images
from smvae_core.data.samples import Samples
from training.studies import study as engine
from training.studies.labelled_images import data_sets, study
from training.studies.labelled_images.__main__ import main
from training.studies.labelled_images.protocol import METHODS, Protocol, Run
from training.studies.ledger import runs_of

pytestmark = pytest.mark.training

METHODS_HERE = ("smvae-masked", "cvae")


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch) -> list[str]:
    """Arguments of a study that is finished, but for methods."""
    folder = tmp_path_factory.mktemp("study")
    write_data(folder / "data", patch)
    arguments = study_arguments(folder)
    assert main([*arguments, "--methods", *METHODS_HERE]) == 0
    return arguments


@pytest.fixture
def results(arguments: list[str]) -> Path:
    return Path(arguments[arguments.index("--results") + 1])


def test_every_run_leaves_one_file(results: Path) -> None:
    paths = {results / "runs" / f"{Run(m, 0, PROTOCOL).key}.json" for m in METHODS_HERE}
    assert set((results / "runs").iterdir()) == paths
    for record in runs_of(results / "runs", PROTOCOL):
        assert record["training"]["commit"]
        assert set(record["measured"]) == set(study.STAGES) < set(record)
        assert math.isfinite(record["training"]["validation_elbo"])


def test_table_has_the_keys_of_the_design(results: Path) -> None:
    table = json.loads((results / "mnist.json").read_text())
    assert table["seeds"] == [0]
    assert table["importance_samples"] == 10
    assert {"command", "commit", "protocol", "test_images"} < set(table)
    assert list(table["methods"]) == list(METHODS_HERE)
    smvae, cvae = table["methods"].values()
    for proposal in ("proposal_xy", "proposal_x"):
        measures = smvae[proposal]
        assert set(measures) == {"log_p_xy", "log_p_x", "log_p_x_given_y"}
        for measure in measures.values():
            assert math.isfinite(measure["mean"])
            assert measure["std"] is None
            assert measure["standard_error"] > measure["monte_carlo_error"] > 0
        assert measures["log_p_xy"]["mean"] <= measures["log_p_x"]["mean"]
        implied = measures["log_p_xy"]["mean"] - measures["log_p_x_given_y"]["mean"]
        assert implied == pytest.approx(smvae["log_p_y"]["mean"], abs=0.002)
    assert set(cvae["proposal_xy"]) == {"log_p_x_given_y"}


def test_table_has_coherence_and_probes(results: Path) -> None:
    table = json.loads((results / "mnist.json").read_text())
    assert 0 <= table["classifier"]["classifier_accuracy"] <= 1
    smvae, cvae = table["methods"].values()
    assert set(smvae["coherence"]) == {"image_given_label", "label_given_image", "joint"}
    assert set(smvae["probe"]) == {"image", "label", "image+label"}
    assert set(cvae["coherence"]) == {"image_given_label"}
    assert set(cvae["probe"]) == {"label", "image+label"}  # it always needs the label
    for entry in (*smvae["coherence"].values(), *smvae["probe"].values()):
        assert 0 <= entry["mean"] <= 1
        assert entry["std"] is None
    page = (results / "mnist.md").read_text()
    assert "| method | image given label | label given image | both from the prior |" in page


def test_page_shows_published_rows_beside_ours(results: Path) -> None:
    page = (results / "mnist.md").read_text()
    assert "| smvae-masked |" in page
    assert "| MVAE | \N{MINUS SIGN}86.03 |" in page
    assert "impossible" in page


def test_data_are_opened_once_for_all_stages_of_a_run(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def load(name: str, folder: Path, pixels: str, *more: object) -> Samples:
        opened.append(pixels)
        return load_labelled_images(name, folder, pixels, *more)

    monkeypatch.setattr(data_sets, "load_labelled_images", load)
    options = ["--results", str(tmp_path), "--work", str(tmp_path), "--methods", "mvae"]
    assert main([*arguments, *options]) == 0
    assert opened == ["dynamic", "grey"]  # what is trained on, and what judges generated images


def test_second_call_trains_nothing(
    arguments: list[str], results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.stat().st_mtime_ns for path in (results / "runs").iterdir()}
    with monkeypatch.context() as patch:
        patch.delattr(engine, "_trained")
        assert main([*arguments, "--methods", *METHODS_HERE]) == 0
    assert {path: path.stat().st_mtime_ns for path in (results / "runs").iterdir()} == before


def test_only_table_needs_no_data(arguments: list[str], results: Path) -> None:
    for file in ("mnist.json", "mnist.md"):
        (results / file).unlink()
    assert main(["--only-table", "--results", str(results), *BUDGET]) == 0
    table = json.loads((results / "mnist.json").read_text())
    assert set(table["methods"]) == set(METHODS_HERE)
    assert "--data-dir DIR --epochs 2" in table["command"]


def test_a_broken_file_among_the_runs_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "0123.json").write_text('{"configuration": {}')
    assert main(["--only-table", "--results", str(tmp_path)]) == 2
    assert "0123.json" in capsys.readouterr().err


def test_missing_data_is_a_clear_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SOURCES, "mnist", type(SOURCES["mnist"])((), SOURCES["mnist"].files))
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"not the original")
    arguments = ["--data-dir", str(tmp_path), "--results", str(tmp_path / "results")]
    assert main([*arguments, "--work", str(tmp_path / "work"), "--methods", "mvae"]) == 2
    assert "train-images-idx3-ubyte.gz" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_configuration_decides_the_key() -> None:
    run = Run("mvae", 0, PROTOCOL)
    assert run.key == Run("mvae", 0, PROTOCOL).key
    others = [Run(method, 0, PROTOCOL) for method in METHODS]
    others += [Run("mvae", 1, PROTOCOL), Run("mvae", 0, Protocol(epochs=3))]
    assert len({other.key for other in others}) == len(others)


def test_more_test_images_than_there_are_is_an_error(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--results", str(tmp_path), "--methods", "cvae", "--test-images", str(TEST + 1)]
    assert main([*arguments, *options]) == 2
    assert f"{TEST} test images" in capsys.readouterr().err


def test_a_stage_is_added_to_a_finished_run(
    arguments: list[str], results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = results / "runs" / f"{Run('cvae', 0, PROTOCOL).key}.json"
    before = json.loads(path.read_text())
    monkeypatch.delattr(study, "train")
    monkeypatch.setitem(study.STAGES, "size", lambda model, *_: {"latent": model.latent_size})
    assert main([*arguments, "--methods", "cvae", "--stages", "size"]) == 0
    after = json.loads(path.read_text())
    assert after.pop("size") == {"latent": PROTOCOL.latent_size}
    assert after["measured"].pop("size")["weights"] == before["training"]["weights"]
    assert after == before
    path.write_text(json.dumps(before))


def test_lost_weights_are_trained_again_only_for_what_is_missing(
    arguments: list[str], results: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    arguments = [*arguments, "--work", str(tmp_path), "--methods", "cvae"]
    path = results / "runs" / f"{Run('cvae', 0, PROTOCOL).key}.json"
    before = path.read_text()
    assert main(arguments) == 0
    assert path.read_text() == before
    assert not list(tmp_path.rglob("model.yaml"))
    monkeypatch.setitem(study.STAGES, "size", lambda model, *_: {"latent": model.latent_size})
    assert main([*arguments, "--stages", "size"]) == 0
    assert list(tmp_path.rglob("model.yaml"))
    path.write_text(before)


def test_other_networks_are_another_table(arguments: list[str], results: Path) -> None:
    before = (results / "mnist.json").read_text()
    convolution = ["--image-network", "convolution", "--image-widths", "4", "8"]
    assert main([*arguments, "--methods", "smvae-subset", *convolution]) == 0
    table = json.loads((results / "mnist_convolution.json").read_text())
    assert list(table["methods"]) == ["smvae-subset"]
    assert "--image-network convolution --image-widths 4 8" in table["command"]
    assert (results / "mnist.json").read_text() == before


def test_grey_values_are_a_column_labelled_legacy(arguments: list[str], results: Path) -> None:
    assert "legacy" not in (results / "mnist.md").read_text()
    assert main([*arguments, "--methods", "smvae-masked", "--pixels", "grey"]) == 0
    assert main([*arguments, "--methods", *METHODS_HERE]) == 0
    grey = json.loads((results / "mnist_grey.json").read_text())["methods"]["smvae-masked"]
    methods = json.loads((results / "mnist.json").read_text())["methods"]
    assert methods["smvae-masked"]["legacy_grey"]["log_p_xy"] == grey["proposal_xy"]["log_p_xy"]
    assert methods["smvae-masked"]["proposal_xy"] != grey["proposal_xy"]
    assert "legacy_grey" not in methods["cvae"]
    page = (results / "mnist.md").read_text()
    assert "| legacy: log p(x, y) [xy] of grey values |" in page
    assert "(mnist_grey.md)" in page


def test_unknown_network_is_named(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--methods", "mvae", "--image-network", "unheard_of"]) == 2
    assert "unheard_of" in capsys.readouterr().err


def test_runs_of_other_studies_may_lie_in_the_same_folder(results: Path) -> None:
    before = runs_of(results / "runs", PROTOCOL)
    other = {"configuration": {"study": "insertion", "method": "dedicated", "protocol": {}}}
    path = results / "runs" / "0123456789abcdef.json"
    path.write_text(json.dumps(other))
    assert runs_of(results / "runs", PROTOCOL) == before
    path.unlink()
