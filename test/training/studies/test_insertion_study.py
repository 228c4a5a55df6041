# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The robot study on small logs: runs, what is measured of them, tables and figures."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from places import ROOT
from single_precision import FLOAT32
from small_caches import make_cache
from small_models import save_small_checkpoint, small_modalities
from small_training import write_config
from smvae_core.checkpoint import load_checkpoint
from smvae_core.data.logs.dataset import open_cache
from smvae_core.fit.module import SetFitting
from smvae_core.metrics.subset_choice import all_subsets
from smvae_ros.bundled import model_path, yardstick_path
from training import train
from training.studies.insertion import __main__ as insertion
from training.studies.insertion import figures as insertion_figures
from training.studies.insertion import protocol as insertion_protocol
from training.studies.insertion.measures import Caches
from training.studies.insertion.protocol import (
    ALL,
    METHODS,
    Protocol,
    Run,
)
from training.studies.insertion.study import Insertion
from training.studies.insertion.table import tabulate, to_markdown, violations
from training.studies.study import complete

pytestmark = pytest.mark.training

SMALL = {
    "epochs": 1,
    "warm_up_steps": 2,
    "batch_size": 5,
    "likelihood_steps": 3,
    "importance_samples": 4,
    "picture_steps": 4,
    "classifier_steps": 3,
}


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Caches:
    """Training and test logs of different trajectories."""
    folder = tmp_path_factory.mktemp("logs")
    training = make_cache(folder / "training", gaps=False)
    test = make_cache(folder / "test", trajectories=2, gaps=False, first=90)
    return Caches(open_cache(training), open_cache(test))


@pytest.fixture(scope="module", autouse=True)
def _small_networks(caches: Caches) -> None:
    """The study's networks are those of a configuration file; here, of a small one."""
    path = write_config(
        caches.training.path,
        caches.training.path.parent / "small.yaml",
        validation_fraction=0.2,
        test_fraction=0.0,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(insertion_protocol, "CONFIGURATION", path)
        yield


def arguments(caches: Caches, folder: Path, *more: str) -> list[str]:
    words = [str(caches.training.path), str(caches.test.path)]
    for name, value in SMALL.items():
        words += ["--" + name.replace("_", "-"), str(value)]
    return [*words, "--results", str(folder / "results"), "--work", str(folder / "work"), *more]


@pytest.fixture(scope="module")
def study(caches: Caches, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study of two methods and one dedicated network."""
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    pytest.importorskip("skimage", reason="scikit-image is not installed")
    folder = tmp_path_factory.mktemp("study")
    data = caches.describe()
    run = Run("dedicated", 0, Protocol(**SMALL), data, ALL, "depth")
    own = Insertion(run.protocol, caches)
    assert complete(own, run, folder / "results" / "runs", folder / "work")
    assert insertion.main(arguments(caches, folder, "--methods", "smvae", "mopoe")) == 0
    return folder


def test_every_subset_is_measured(study: Path) -> None:
    table = json.loads((study / "results" / "insertion.json").read_text())
    assert set(table["methods"]) == {"smvae", "mopoe"}
    labels = {"+".join(subset) for subset in all_subsets(ALL)}
    assert set(table["subsets"]) == labels | {"training_mean", "prior"}
    for label in labels:
        entry = table["subsets"][label]
        for measure in (
            "rgb_psnr_db",
            "rgb_ssim",
            "rgb_skill_vs_mean",
            "depth_rmse_m",
            "depth_skill_vs_mean",
            "force_rmse_n",
            "force_rmse_nm",
            "generated_contact_agreement_ratio",
            "contact_probe_balanced_accuracy",
            "next_contact_probe_balanced_accuracy",
            "position_probe_mse_m2",
        ):
            assert np.isfinite(entry[measure]), (label, measure)
        given = set(label.split("+"))
        found = {name for name in ALL if f"{name}_log_likelihood" in entry}
        assert found == set(ALL) - given
    assert "depth_skill_dedicated" in table["subsets"]["+".join(ALL)]
    assert set(table["persistence"]) == {"next_contact_balanced_accuracy", "next_position_mse_m2"}
    assert table["data"]["test"]["trajectories"] == 2
    assert table["seeds"] == [0]
    page = (study / "results" / "insertion.md").read_text()
    assert "| rgb, depth, force, action, proprio |" in page
    assert "nested pairs" in page


def test_what_stands_is_not_made_again(
    study: Path,
    caches: Caches,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = {path: path.read_bytes() for path in (study / "results" / "runs").iterdir()}
    assert len(before) == 3
    monkeypatch.setattr(train, "train", lambda *_: pytest.fail("trained again"))
    assert insertion.main(arguments(caches, study, "--methods", "smvae", "mopoe")) == 0
    assert capsys.readouterr().err.count("stands already") == 2
    assert {path: path.read_bytes() for path in before} == before


def test_a_stage_that_is_missing_is_filled_in_without_training(
    study: Path, caches: Caches, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = study / "results" / "runs"
    record = next(p for p in runs.iterdir() if '"mopoe"' in p.read_text())
    content = json.loads(record.read_text())
    expected = content.pop("probes")
    record.write_text(json.dumps(content))
    monkeypatch.setattr(train, "train", lambda *_: pytest.fail("trained again"))
    assert insertion.main(arguments(caches, study, "--methods", "mopoe")) == 0
    assert json.loads(record.read_text())["probes"] == expected


def test_an_interrupted_training_is_said_and_kept(
    caches: Caches,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(module: SetFitting, batch: object, number: int) -> None:
        if number == 1:
            signal.raise_signal(signal.SIGINT)

    words = arguments(caches, tmp_path, "--methods", "smvae", "--stages", "errors")
    handler = signal.getsignal(signal.SIGINT)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(SetFitting, "on_train_batch_start", interrupt)
            assert insertion.main(words) == 130
    finally:
        signal.signal(signal.SIGINT, handler)
    assert "the same command continues" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()
    (folder,) = (tmp_path / "work").iterdir()
    last = train.last_state(folder)
    whole = last.read_bytes()
    last.write_bytes(whole[:1000])
    assert insertion.main(words) == 1
    assert "training failed: " in (error := capsys.readouterr().err)
    assert "truncated" in error
    last.write_bytes(whole)
    assert insertion.main(words) == 0
    record = json.loads(next((tmp_path / "results" / "runs").iterdir()).read_text())
    assert record["training"]["steps"] > 2


def test_a_configuration_that_cannot_be_used_is_said(
    caches: Caches, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = arguments(caches, tmp_path, "--methods", "smvae", "--batch-size", "0")
    assert insertion.main(words) == 1
    message = capsys.readouterr().err
    assert "smvae, seed 0: training failed: " in message
    assert "Traceback" not in message


def test_what_was_trained_on_is_not_measured_on(
    caches: Caches, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = arguments(caches, tmp_path)
    words[1] = words[0]
    assert insertion.main(words) == 2
    assert "5 trajectories are in both caches" in capsys.readouterr().err


def test_runs_of_other_data_do_not_stand_in_for_these(caches: Caches) -> None:
    swapped = Caches(caches.test, caches.training)
    studies = [Insertion(Protocol(**SMALL), data) for data in (caches, swapped, caches)]
    first, second, again = (
        [run.key for m in ("smvae", "dedicated") for seed in (0, 1) for run in own.runs_of(m, seed)]
        for own in studies
    )
    assert len(first) == 2 * (1 + 8)
    assert len({*first, *second}) == 4 * (1 + 8)
    assert again == first


def test_a_dedicated_network_has_only_what_it_uses(study: Path, caches: Caches) -> None:
    data = caches.describe()
    run = Run("dedicated", 0, Protocol(**SMALL), data, ("force", "action"), "rgb")
    model = run.training("cache")["model"]
    assert set(model["modalities"]) == {"force", "action", "rgb"}
    assert (model["given"], model["targets"]) == (["force", "action"], ["rgb"])
    # One that is given all, its target too.
    whole = Run("dedicated", 0, Protocol(**SMALL), data, ALL, "depth")
    checkpoint = load_checkpoint(study / "work" / whole.key / "model")
    assert checkpoint.training["model"]["targets"] == ["depth"]


def test_networks_and_scales_are_those_of_the_configuration_in_all_runs() -> None:
    whole = yaml.safe_load(insertion_protocol.CONFIGURATION.read_text(encoding="utf-8"))
    configured = whole["model"]["modalities"]
    assert all("weight" in modality for modality in configured.values())
    for method in METHODS:
        assert Run(method, 0, Protocol(), {}).training("cache")["model"]["modalities"] == configured
    dedicated = Run("dedicated", 0, Protocol(), {}, ("action",), "rgb").training("cache")
    for modality in configured.values():
        del modality["weight"]
    used = {name: configured[name] for name in ("rgb", "action")}
    assert dedicated["model"]["modalities"] == used


def test_recorded_runs_are_those_of_the_present_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table leaves out what is of another protocol, so a change of it must not go unnoticed."""
    monkeypatch.setattr(
        insertion_protocol, "CONFIGURATION", ROOT / "config" / "training" / "insertion.yaml"
    )
    for path in (ROOT / "docs" / "results" / "runs").glob("*.json"):
        recorded = json.loads(path.read_text(encoding="utf-8"))["configuration"]
        if recorded.get("study") != "insertion":
            continue
        own = {"given": tuple(recorded.get("given", ())), "target": recorded.get("target", "")}
        run = Run(recorded["method"], recorded["seed"], Protocol(), recorded["data"], **own)
        assert (run.key, run.configuration) == (path.stem, recorded)


@pytest.mark.parametrize(
    ("model", "file"), [(model_path(), "insertion"), (yardstick_path(), "dedicated_depth")]
)
def test_bundled_models_are_of_their_configurations(model: Path, file: str) -> None:
    """The study trained them; `training.train` with these files would train the same."""
    path = ROOT / "config" / "training" / f"{file}.yaml"
    configured = yaml.safe_load(path.read_text(encoding="utf-8"))
    checkpoint = load_checkpoint(model)
    recorded = checkpoint.training
    modalities = configured["model"].pop("modalities")
    for part in ("model", "data"):
        assert configured[part].items() <= recorded[part].items()
    made = {name: entry.to_dict() for name, entry in checkpoint.model.modalities.items()}
    assert set(made) == set(modalities)
    for name, wanted in modalities.items():
        assert json.loads(json.dumps(wanted)).items() <= json.loads(json.dumps(made[name])).items()


def test_violations_are_the_nested_pairs_in_which_the_larger_set_is_worse() -> None:
    skills = {
        "rgb": {"rgb_skill_vs_mean": 0.7, "depth_skill_vs_mean": 0.5},
        "depth": {"rgb_skill_vs_mean": 0.2, "depth_skill_vs_mean": 0.8},
        "rgb+depth": {"rgb_skill_vs_mean": 0.75, "depth_skill_vs_mean": 0.78},
        "training_mean": {"rgb_skill_vs_mean": 0.0, "depth_skill_vs_mean": 0.0},
    }
    found = violations(skills)
    assert (found["pairs"], found["worse"]) == (4, 1)
    assert found["list"] == [
        {"predicted": "depth", "from": "depth", "worse_from": "rgb+depth", "skill_lost": 0.02}
    ]


def record(method: str, seed: int, skill: float, **own: object) -> dict:
    """A run of which nothing but RGB from RGB was measured."""
    return {
        "configuration": {
            "method": method,
            "seed": seed,
            "data": {
                "training": {"steps": 9, "trajectories": 3},
                "test": {"steps": 4, "trajectories": 2},
            },
            **own,
        },
        "training": {"parameters": 7, "epochs": 1, "commit": "a"},
        "measured": {"errors": {"commit": "b"}},
        "errors": {
            "rgb": {"rgb_skill_vs_mean": skill},
            "training_mean": {"rgb_skill_vs_mean": 0.0},
        },
    }


def test_tables_average_over_seeds_and_live_without_some_stages() -> None:
    records = [record("smvae", 0, 0.5), record("smvae", 1, 0.7)]
    table = tabulate(Protocol(), records, "command", "c")
    assert table["subsets"]["rgb"]["rgb_skill_vs_mean"] == pytest.approx(0.6)
    assert table["seeds"] == [0, 1]
    assert table["run_commits"] == ["a", "b"]
    assert table["persistence"] is None
    assert "| rgb | 0.600 |" in to_markdown(table)


def test_both_smvaes_stand_beside_the_dedicated_network_and_the_long_one_is_shown() -> None:
    records = [
        record("smvae", 0, 0.5),
        record("smvae_long", 0, 0.575),
        record("dedicated", 0, 0.6, given=["rgb"], target="rgb"),
    ]
    table = tabulate(Protocol(), records, "command", "c")
    assert table["shown"] == "smvae_long"
    assert table["subsets"]["rgb"] == {"rgb_skill_vs_mean": 0.575, "rgb_skill_dedicated": 0.6}
    page = to_markdown(table)
    assert "| predicted | from | dedicated | smvae | behind by | smvae_long | behind by |" in page
    assert "| rgb | rgb | 0.600 | 0.500 | +0.100 **more** | 0.575 | +0.025 |" in page
    # Without it the other one is, as before.
    assert tabulate(Protocol(), [records[0], records[2]], "command", "c")["shown"] == "smvae"


def test_the_long_smvae_differs_in_nothing_but_its_epochs() -> None:
    runs = [Run(method, 0, Protocol(), {}).training("cache") for method in ("smvae", "smvae_long")]
    epochs = [run["trainer"].pop("max_epochs") for run in runs]
    assert epochs == [40, 100]
    assert runs[0] == runs[1]


@pytest.fixture(scope="module")
def touching(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of one trajectory of 40 steps with contact in the last ten."""
    from log_files import STAMP, log_arrays
    from smvae_core.data.logs.vision_touch.layout import log_file_name, write_log
    from smvae_core.data.logs.vision_touch.recording import convert_logs

    folder = tmp_path_factory.mktemp("touching")
    logs = folder / "logs"
    logs.mkdir()
    arrays = log_arrays(40)
    arrays["contact"][:] = 0
    arrays["contact"][30:, 3] = 1
    write_log(logs / log_file_name(STAMP, 0, 0), arrays)
    convert_logs(logs, folder / "cache", small_modalities(), progress=False)
    return folder / "cache"


def test_figures(touching: Path, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    checkpoint = save_small_checkpoint(tmp_path / "model")
    words = [str(checkpoint), str(touching), "--length", "20", "--output", str(tmp_path / "out")]
    assert insertion_figures.main(words) == 0
    files = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in files] == [
        "insertion_sampled.png",
        "insertion_sequence.gif",
        "insertion_sequence.png",
    ]
    assert image.open(files[1]).n_frames == 20
    content = {path.name: path.read_bytes() for path in files}
    assert insertion_figures.main(words) == 0
    assert {path.name: path.read_bytes() for path in files} == content


def test_depth_in_figures_has_a_scale_in_metres() -> None:
    random = np.random.default_rng(0)
    truth = {
        "rgb": random.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8),
        "depth": random.uniform(0.4, 0.9, (2, 8, 8)).astype(np.float32),
    }
    modalities = {modality.name: modality for modality in small_modalities()}
    figure = insertion_figures.draw(modalities, {"truth": truth}, ["step 0", "step 1"])
    (scale,) = [axis for axis in figure.axes if axis.get_ylabel() == "depth [m]"]
    low, high = scale.get_ylim()
    assert 0.4 <= low < high <= 0.9
    assert figure.get_figwidth() <= 7.5  # or letters are too small where a page shows it
    frames = list(insertion_figures.frames(modalities, {"truth": truth}, ["step 0", "step 1"]))
    first, second = frames
    assert first.shape == second.shape
    assert (first != second).any()


def test_the_steps_of_figures_are_chosen_by_rule(touching: Path) -> None:
    cache = open_cache(touching)
    rows = insertion_figures.steps_of(cache, 0, insertion_figures.FULL)
    early, late = insertion_figures.early_and_late(cache, rows)
    assert early.tolist() == [0, 10, 19]
    assert late.tolist() == [30, 34, 39]
    assert insertion_figures.first_touch(cache, rows, 20).tolist() == list(range(15, 35))


def test_figures_say_what_is_missing(
    touching: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = save_small_checkpoint(tmp_path / "model")
    for more, message in (
        (["--trajectory", "7"], "no step without contact"),
        (["--length", "60"], "no 60 steps around a first touch"),
    ):
        assert insertion_figures.main([str(checkpoint), str(touching), *more]) == 2
        assert message in capsys.readouterr().err


def test_a_sample_differs_from_the_mean_by_its_noise(touching: Path, tmp_path: Path) -> None:
    model = load_checkpoint(save_small_checkpoint(tmp_path / "model")).model
    cache, rows = open_cache(touching), np.arange(3)
    mean = insertion_figures.predicted(model, cache, rows, ("force", "action"))
    still = insertion_figures.predicted(
        model, cache, rows, ("force", "action"), torch.zeros(3, model.latent_size)
    )
    moved = insertion_figures.predicted(
        model, cache, rows, ("force", "action"), 9 * torch.ones(3, model.latent_size)
    )
    # An untrained model says metres from -200 to 200.
    size = np.abs(mean["depth"]).max()
    np.testing.assert_allclose(still["depth"] / size, mean["depth"] / size, **FLOAT32)
    assert np.abs(moved["depth"] - mean["depth"]).max() > 0.1 * size
