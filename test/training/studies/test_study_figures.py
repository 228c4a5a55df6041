# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""`python -m training.studies.labelled_images.figures`: pictures from the models of a study."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from small_study import BUDGET, study_arguments, write_data

pytest.importorskip("matplotlib", reason="matplotlib is not installed")
from training.studies.labelled_images import __main__ as benchmark
from training.studies.labelled_images.curve_figure import curve_figure
from training.studies.labelled_images.data_sets import DATA_SETS
from training.studies.labelled_images.figures import generated_panels, latent_panels, main
from training.studies.labelled_images.protocol import METHODS, Protocol
from training.studies.pictures import mosaic

pytestmark = pytest.mark.training


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


def record(method: str, end: float, seed: int = 0) -> dict[str, object]:
    """A run whose ELBO rises to some value, with log p(x, y) two nats above it."""
    curve = [[epoch, end - 40 / epoch] for epoch in range(1, 21)]
    return {
        "configuration": {"method": method, "model": METHODS[method].model, "seed": seed},
        "training": {"curve": curve},
        "likelihoods": {"proposal_xy": {"log_p_xy": {"mean": end + 2}}},
    }


def test_every_curve_of_the_legend_is_seen() -> None:
    ends = {"smvae": -96.0, "mvae": -98.0, "mmvae": -139.0, "mmvae-dreg": -154.0, "cvae": -95.0}
    figure = curve_figure(
        Protocol("mnist", pixels="dynamic"), [record(method, end) for method, end in ends.items()]
    )
    assert figure is not None
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[:-1] == ["smvae", "mvae", "mmvae, below", "mmvae-dreg, below"]
    assert "published" in labels[-1]
    seen = []
    for axis in figure.axes:
        low, high = axis.get_ylim()
        for line in axis.get_lines():
            x, y = line.get_data()
            if len(x) == 20 and low <= y[-1] <= high:  # curves, not constants
                seen.append(line.get_color())
    colours = [line.get_color() for line in figure.legends[0].get_lines()[:-1]]
    assert sorted(seen) == sorted(colours)


def test_a_figure_of_similar_bounds_has_one_panel() -> None:
    records = [record("smvae", -96.0), record("smvae", -96.2, seed=1), record("mvae", -98.0)]
    figure = curve_figure(Protocol("mnist", pixels="dynamic"), records)
    assert figure is not None
    assert len(figure.axes) == 1
    assert curve_figure(Protocol("mnist", pixels="dynamic"), [record("cvae", -95.0)]) is None


@pytest.mark.parametrize("methods", [1, 2, 5, 10])
def test_figures_of_many_methods_are_no_wider_than_a_page(methods: int) -> None:
    data_set = DATA_SETS["fashion_mnist"]
    names = data_set.classes
    latent, panels = latent_panels([f"method {k}" for k in range(methods)], names, data_set, 1000)
    generated, axes = generated_panels(methods, names, data_set)
    assert (len(panels), len(axes)) == (methods, methods)
    for figure in (latent, generated):
        # Letters of 9 points then have 9 pixels or more where the page has 560 for a figure.
        assert figure.get_figwidth() <= 7.5
    shown = [axis for axis in latent.axes if axis.get_visible()]
    assert len(shown) == 2 * methods
