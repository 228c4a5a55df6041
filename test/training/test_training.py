# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""`python -m training.train` on a small cache: trains, exports, resumes exactly, says mistakes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from places import ROOT
from small_caches import make_cache
from small_training import column, metrics, refused, train, write_config
from smvae_core.checkpoint import load_checkpoint
from smvae_core.data.logs.dataset import open_cache, split_by_trajectory
from smvae_core.graphs.files import check_graphs
from smvae_core.inference.inference import Inference
from smvae_core.robot import read_robot
from training.train import main

pytestmark = pytest.mark.training

SPLIT = {"validation_fraction": 0.2, "test_fraction": 0.2}
NAMES = ("rgb", "depth", "force", "action", "proprio")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """50 steps in 5 trajectories, of which 30 are for training; sensors fail in some.

    At one step a second, runs of three steps are long enough to calibrate sensor health with.
    """
    cache = make_cache(tmp_path_factory.mktemp("logs"), rate=1.0)
    with (cache / "cache.yaml").open("a") as manifest:  # as conversions of bags write it
        manifest.write("frame_ids: {force: tool_flange, gripper: tool0}\n")
    return cache


@pytest.fixture(scope="module")
def config(cache: Path) -> Path:
    return write_config(cache, cache.parent / "small.yaml", **SPLIT)


@pytest.fixture(scope="module")
def whole_run(config: Path) -> Path:
    """The output folder of three epochs without interruption."""
    output = config.parent / "whole run"
    assert main(["--config", str(config), "--output", str(output)]) == 0
    return output


# A run and what it leaves behind.


def test_exports_a_model_that_loads(whole_run: Path) -> None:
    inference = Inference.load(whole_run / "model")
    assert tuple(inference.modalities) == NAMES
    inference.warm_up()
    checkpoint = load_checkpoint(whole_run / "model")
    assert checkpoint.calibration is not None
    # The rate of the data, not that of the original logs.
    assert checkpoint.calibration.period == 1.0
    assert checkpoint.training["data"]["rate"] == 1.0
    assert checkpoint.frame_ids == {"force": "tool_flange"}
    training = checkpoint.training
    assert training["epochs"] == 3
    assert training["steps"] == 18
    assert training["data"]["samples"] == {"training": 30, "validation": 10, "test": 10}
    assert training["command"].startswith("python -m training.train --config ")
    assert math.isfinite(training["metrics"]["validation/elbo"])
    assert len(check_graphs(whole_run / "model")) == 11


def test_every_epoch_trains_and_validates_on_everything(whole_run: Path) -> None:
    steps = [int(row["step"]) for row in metrics(whole_run) if row["training/objective"]]
    assert steps == list(range(18))
    epochs = [int(row["epoch"]) for row in metrics(whole_run) if row["training/objective"]]
    assert epochs == [0] * 6 + [1] * 6 + [2] * 6
    elbo = column(whole_run, "validation/elbo")
    assert len(elbo) == 4  # the last is that of the exported state
    assert len(set(elbo[:3])) == 3
    assert elbo[3] == pytest.approx(max(elbo[:3]), rel=1e-5)
    assert elbo[2] > elbo[0]  # it learns
    beta = column(whole_run, "training/beta")
    np.testing.assert_allclose(beta, [min(1, step / 10) for step in range(18)], rtol=1e-6)


def test_run_can_be_watched_in_tensorboard(whole_run: Path) -> None:
    assert list((whole_run / "tensorboard").glob("events.out.tfevents.*"))


def test_configuration_is_kept_beside_the_run(whole_run: Path) -> None:
    saved = yaml.safe_load((whole_run / "config.yaml").read_text())
    assert saved["model"]["latent_size"] == 6
    assert saved["model"]["modalities"]["force"]["likelihood"] == "laplace"


@pytest.mark.parametrize("name", NAMES)
def test_statistics_are_those_of_the_training_split(
    whole_run: Path, cache: Path, name: str
) -> None:
    model = load_checkpoint(whole_run / "model").model
    opened = open_cache(cache)
    rows = split_by_trajectory(opened, **SPLIT)["training"]
    rows = rows[opened.present[rows, opened.names.index(name)]]
    values = opened.arrays[name][rows].astype(np.float64)
    modality = model.modalities[name]
    axes = {"image": (0, 1, 2), "depth": (0, 1, 2), "series": (0, 1)}.get(modality.kind, (0,))
    unit = 255.0 if name == "rgb" else 1.0
    mean, std = np.nanmean(values, axes) / unit, np.nanstd(values, axes) / unit
    np.testing.assert_allclose(modality.mean, np.atleast_1d(mean), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(modality.std, np.atleast_1d(std), rtol=1e-6)
    count = np.isfinite(values).sum(0)
    pixels = (np.nansum(values, 0) / np.where(count, count, np.nan) / unit - mean) / std
    order = {"image": (2, 0, 1), "series": (1, 0)}.get(modality.kind)
    pixels = (
        pixels[None] if name == "depth" else pixels if order is None else pixels.transpose(order)
    )
    found = model.training_mean(name).numpy()
    measured = np.isfinite(pixels)  # what was never measured holds the mean of the others
    np.testing.assert_allclose(found[measured], pixels[measured], atol=1e-4)
    np.testing.assert_allclose(found[~measured], 0, atol=1e-4)


def test_the_same_command_gives_the_same_model(
    config: Path, whole_run: Path, tmp_path: Path
) -> None:
    torch.randn(7)  # whatever the process has drawn before
    checkpoint = train(config, tmp_path)
    assert checkpoint.weights_hash == load_checkpoint(whole_run / "model").weights_hash


def test_a_finished_run_is_exported_again(config: Path, tmp_path: Path) -> None:
    first = train(config, tmp_path, "--trainer.max_epochs=1")
    second = train(config, tmp_path, "--trainer.max_epochs=1", "--resume")
    assert second.weights_hash == first.weights_hash


def test_nothing_to_resume(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refused(capsys, "--config", str(config), "--output", str(tmp_path), "--resume")
    assert f"nothing to resume: there is no {tmp_path / 'checkpoints' / 'last.ckpt'}" in message


# Options.


def test_every_field_can_be_overridden(config: Path, tmp_path: Path) -> None:
    export = tmp_path / "elsewhere" / "model"
    arguments = {
        "model.modalities.rgb.weight": "2",
        "model.modalities.rgb.embedding.widths": "[6, 4]",
        "model.modalities.force.likelihood": "gaussian",
        "model.modalities.force.scale": "0.5",
        "model.latent_size": "5",
        "model.beta": "0.5",
        "model.l2_weight": "0.1",
        "data.batch_size": "10",
        "trainer.max_epochs": "1",
        "export": str(export),
        "half": "true",
        "calibrate": "false",
    }
    options = [part for name, value in arguments.items() for part in (f"--{name}", value)]
    assert main(["--config", str(config), "--output", str(tmp_path / "run"), *options]) == 0
    checkpoint = load_checkpoint(export)
    rgb, force = (checkpoint.model.modalities[name] for name in ("rgb", "force"))
    assert rgb.weight == 2.0
    assert rgb.embedding.widths == (6, 4)
    assert rgb.decoder.widths == (4, 8)
    assert rgb.kind == "image"
    assert (force.likelihood, force.scale) == ("gaussian", 0.5)
    assert checkpoint.model.latent_size == 5
    assert checkpoint.training["model"]["beta"] == 0.5
    assert checkpoint.training["steps"] == 3
    assert yaml.safe_load((export / "model.yaml").read_text())["modalities"][0]["weight"] == 2.0
    for weights in checkpoint.model.state_dict().values():
        assert torch.equal(weights, weights.half().float())
    assert checkpoint.calibration is None
    assert not (tmp_path / "run" / "model").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--model.objective", "subset"],
        ["--model.objective", "regression", "--model.given", "[force, action]"],
        ["--trainer.precision", "bf16-mixed"],
        ["--trainer.gradient_clip_val", "100", "--trainer.accumulate_grad_batches", "2"],
    ],
    ids=lambda options: options[1],
)
def test_other_ways_of_training(config: Path, tmp_path: Path, options: list[str]) -> None:
    checkpoint = train(config, tmp_path, "--trainer.max_epochs", "2", *options)
    elbo = column(tmp_path, "validation/elbo")
    assert elbo[1] > elbo[0]
    Inference(checkpoint).warm_up()
    if "regression" in options:
        assert set(column(tmp_path, "validation/log_p_force")) == {0.0}
        assert set(column(tmp_path, "validation/log_p_depth")) != {0.0}
        assert checkpoint.training["model"]["given"] == ["force", "action"]


@pytest.mark.parametrize(
    "options",
    [
        ["jmvae"],
        ["telbo"],
        ["mvae"],
        ["mmvae"],
        ["mmvae", "--model.objective", "dreg"],
        ["mopoe"],
        ["cvae", "--model.given", "[force, action]"],
        ["smvae", "--model.set_encoder", "mean_pooling"],
    ],
    ids=lambda options: "-".join(options[::2]),
)
def test_every_model_can_be_trained(config: Path, tmp_path: Path, options: list[str]) -> None:
    arguments = ["--trainer.max_epochs=2", "--model.l2_weight=0.01", "--model.name", *options]
    checkpoint = train(config, tmp_path, *arguments)
    assert checkpoint.model.kind == options[0]
    assert checkpoint.training["model"]["name"] == options[0]
    elbo = column(tmp_path, "validation/elbo")
    assert elbo[1] > elbo[0]
    Inference(checkpoint).warm_up()


def test_stops_early_without_improvement(config: Path, tmp_path: Path) -> None:
    train(config, tmp_path, "--model.learning_rate=0", "--trainer.max_epochs=9", "--patience=2")
    assert len(column(tmp_path, "training/objective")) == 3 * 6


def test_bernoulli_images(config: Path, tmp_path: Path) -> None:
    """They stay within 0..1, and what a prediction has to beat is still their mean."""
    options = ["--model.modalities.rgb.likelihood=bernoulli", "--trainer.max_epochs=1"]
    model = train(config, tmp_path, *options).model
    assert model.modalities["rgb"].mean == (0.0,)
    assert model.modalities["rgb"].std == (1.0,)
    assert float(model.training_mean("rgb").mean()) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("file", sorted((ROOT / "config" / "training").glob("*.yaml")))
def test_bundled_configurations_are_valid(
    file: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    robot = ["--robot", "vision_touch"] if file.stem == "robot" else []  # which has no modalities
    with pytest.raises(SystemExit) as exit_:
        main(["--config", str(file), "--data.cache", str(cache), *robot, "--print_config"])
    assert exit_.value.code == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["data"]["cache"] == str(cache)
    robots = (ROOT / "config" / "robots").glob(f"{file.stem}.yaml")  # of which the recipe is
    sensors = [name for path in robots for name in read_robot(path).sensors]
    assert set(printed["model"]["modalities"]) <= {*NAMES, *sensors}


def test_help_explains(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    for part in ("--resume", "continue the run", "--data.cache", "--model.objective", "masked"):
        assert part in text


# What is refused.


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--data.cache", "nowhere"], ["nowhere", "training.convert"]),
        (["--model.modalities.rgb.shape=[3,32,32]"], ["modality 'rgb'", "convert again"]),
        (["--model.modalities.rgb.kind=sound"], ["kind", "sound"]),
        (["--model.modalities.rgb.colour=red"], ["colour"]),
        (["--model.modalities.rgb.embedding.name=big"], ["'rgb'", "unknown network 'big'"]),
        (["--model.objective=regression"], ["`given`", "rgb"]),
        (["--model.objective=regression", "--model.given=[smell]"], ["`given`"]),
        (["--model.targets=[rgb]"], ["`targets` are for objective regression"]),
        (["--model.objective=best"], ["model smvae has no objective 'best'", "masked, subset"]),
        (["--model.name=vae"], ["unknown model 'vae'", "mopoe"]),
        (["--model.name=mvae", "--model.objective=masked"], ["model mvae", "'masked'"]),
        (["--model.name=cvae"], ["model cvae needs `given`"]),
        (["--model.heads=3"], ["embedding_size 16 must be a multiple of heads 3"]),
        (["--data.batch_size=31"], ["batch_size 31 is larger than the 30 training samples"]),
        (["--data.test_fraction=0.9"], ["together less than 1"]),
        (["--trainer.epochs=3"], ["trainer.epochs"]),
        (["--trainer.devices=9999"], ["--trainer.devices 9999", "as many processes"]),
        (["--trainer.max_steps=1"], ["none was validated", "raise --trainer.max_steps"]),
        (["--trainer.limit_val_batches=0"], ["none was validated", "limits of 0"]),
        (["--trainer.fast_dev_run=true"], ["none was validated", "--trainer.fast_dev_run"]),
        (["--config", "nowhere.yaml"], ["nowhere.yaml"]),
    ],
)
def test_mistakes_are_said(
    config: Path,
    tmp_path: Path,
    options: list[str],
    parts: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    message = refused(capsys, "--config", str(config), "--output", str(tmp_path), *options)
    for part in parts:
        assert part in message
    assert not (tmp_path / "model").exists()


def test_an_unfinished_or_empty_run_folder_does_not_block(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a mistake the corrected command runs, without --resume."""
    refused(capsys, "--config", str(config), "--output", str(tmp_path), "--model.heads=3")
    train(config, tmp_path, "--trainer.max_epochs=1")
