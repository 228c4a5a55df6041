"""`python -m training.benchmark_figures`: pictures from the models of a study."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from small_study import BUDGET, study_arguments, write_data

pytest.importorskip("matplotlib", reason="matplotlib is not installed")
from training import benchmark
from training.benchmark_figures import main
from training.pictures import mosaic


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a study with two trained methods."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        write_data(folder / "data", patch)
        methods = ["--methods", "smvae-masked", "cvae", "--stages", "likelihoods"]
        assert benchmark.main([*study_arguments(folder), *methods]) == 0
        yield folder


def arguments(folder: Path, output: Path) -> list[str]:
    own = ["--data-dir", str(folder / "data"), "--work", str(folder / "work"), *BUDGET]
    return [*own, "--figures", str(output), "--results", str(folder / "results")]


def test_figures_of_the_models_that_are_there(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    methods = ["--methods", "smvae-masked", "mvae", "cvae"]
    assert main([*arguments(study, tmp_path), *methods]) == 0
    assert "mvae is left out" in capsys.readouterr().err
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"mnist_latent.png", "mnist_given_label.png", "mnist_curve.png"}
    for path in tmp_path.iterdir():
        assert path.read_bytes()[:4] == b"\x89PNG"
        assert path.stat().st_size < 300_000


def test_no_model_at_all(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments(study, tmp_path), "--methods", "jmvae"]) == 1
    assert "No model" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_only_a_conditional_model_has_no_latent_figure(study: Path, tmp_path: Path) -> None:
    assert main([*arguments(study, tmp_path), "--methods", "cvae"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["mnist_given_label.png"]


def test_mosaic_keeps_every_picture_in_its_place() -> None:
    images = np.arange(6, dtype=np.uint8).reshape(2, 3, 1, 1, 1) * np.ones((4, 5, 1), np.uint8)
    joined = mosaic(images)
    assert joined.shape == (2 * 4 + 2, 3 * 5 + 4, 3)
    assert joined[0, 0, 0] == 0
    assert (joined[6:, 14:] == 5).all()
    assert (joined[4:6] == 255).all()
