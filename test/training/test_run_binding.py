# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A run of `python -m training.train` continues only as it began, and its faults are one line."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
import yaml

from small_caches import make_cache
from small_training import refused, train, write_config
from training.run_binding import check_run

pytestmark = pytest.mark.training

SPLIT = {"validation_fraction": 0.2, "test_fraction": 0.2}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    path = write_config(make_cache(folder), folder / "small.yaml", **SPLIT)
    content = yaml.safe_load(path.read_text())
    content["trainer"]["max_epochs"] = 1
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def began(config: Path) -> Path:
    """The output folder of a run, not to be changed."""
    train(config, config.parent / "began")
    return config.parent / "began"


@pytest.fixture
def run(began: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(began, tmp_path / "run"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def resume(config: Path, run: Path, *options: str) -> list[str]:
    return ["--config", str(config), "--output", str(run), "--resume", *options]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--model.latent_size=8", "--patience=3"], "patience: 20 → 3. "),
        (["--model.latent_size=8"], "model.latent_size: 6 → 8. "),
        (["--model.modalities.rgb.weight=2"], "model.modalities.rgb.weight: 1.0 → 2.0. "),
        (["--model.objective=subset"], "model.objective: not given → subset. "),
        (["--data.batch_size=10"], "data.batch_size: 5 → 10. "),
        (["--trainer.max_epochs=5"], "trainer.max_epochs: 1 → 5. "),
    ],
)
def test_another_configuration_is_refused_before_anything_is_written(
    config: Path, run: Path, options: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(run)
    message = refused(capsys, *resume(config, run, *options))
    assert f"{run} was begun with another configuration: " in message
    assert named in message
    assert "another --output to begin a new run" in message
    assert contents(run) == before


def test_many_differences_are_counted() -> None:
    with pytest.raises(ValueError, match=r"m\.4: 0 → 1 and 3 more\. --resume"):
        check_run(Path("x"), *({"m": dict.fromkeys(map(str, range(8)), n)} for n in (0, 1)), {})


def test_other_data_are_refused_before_anything_is_written(
    config: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_cache(tmp_path, steps=4)
    before = contents(run)
    message = refused(capsys, *resume(config, run, "--data.cache", str(other)))
    assert f"{run} was begun on other data: steps: 50 → " in message
    assert "digest: " in message
    assert "Give the --data.cache that it began with" in message
    assert contents(run) == before


def test_the_same_readings_at_another_rate_are_other_data(
    config: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_cache(tmp_path, rate=10.0)
    message = refused(capsys, *resume(config, run, "--data.cache", str(other)))
    assert "other data: rate: 20.0 → 10.0. " in message


@pytest.mark.parametrize("content", ["", "[1, 2", "digest"])
def test_damaged_words_about_the_data_are_one_line(
    config: Path, run: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "data.yaml").write_text(content)
    message = refused(capsys, *resume(config, run))
    assert f"{run / 'data.yaml'} is damaged" in message


def test_place_of_data_and_run_and_what_is_logged_may_change(
    config: Path, began: Path, run: Path, tmp_path: Path
) -> None:
    cache = yaml.safe_load(config.read_text())["data"]["cache"]
    moved = shutil.copytree(cache, tmp_path / "moved")
    options = ["--data.cache", str(moved), "--trainer.log_every_n_steps=3", "--half=true"]
    train(config, run, "--resume", *options)
    for name in ("config.yaml", "data.yaml"):
        assert (run / name).read_bytes() == (began / name).read_bytes()


def test_the_configuration_of_a_run_continues_it(run: Path) -> None:
    train(run / "config.yaml", run, "--resume")


def test_a_run_from_before_data_were_written_down_continues(config: Path, run: Path) -> None:
    (run / "data.yaml").unlink()
    train(config, run, "--resume")


# States that cannot be read.


@pytest.mark.parametrize("damage", ["truncated", "damaged"])
def test_a_damaged_state_is_named_and_the_best_one_continues(
    config: Path, run: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    last = run / "checkpoints" / "last.ckpt"
    content = bytearray(last.read_bytes())
    if damage == "truncated":
        del content[len(content) // 2 :]
    else:
        content[len(content) // 2] ^= 255
    last.write_bytes(content)
    before = contents(run)
    message = refused(capsys, *resume(config, run))
    assert f"{last} cannot be continued from: it is {damage}" in message
    assert "best.ckpt beside it is whole" in message
    assert contents(run) == before
    subprocess.run(shlex.split(message.split("`")[1]), check=True)
    train(config, run, "--resume")


def test_without_a_whole_state_the_advice_is_another(
    config: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for state in (run / "checkpoints").iterdir():
        state.write_bytes(b"PK")
    message = refused(capsys, *resume(config, run))
    assert "truncated" in message
    assert "copy it again, or give another --output" in message


# Places and devices.


def test_a_place_that_cannot_be_written_is_said_before_the_work(
    config: Path, read_only_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--config", str(config), "--output", str(read_only_folder / "run")]
    assert "cannot be written" in refused(capsys, *arguments)


def test_an_export_that_cannot_be_written_is_said_before_the_work(
    config: Path, tmp_path: Path, full_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    arguments = ["--config", str(config), "--output", str(run)]
    message = refused(capsys, *arguments, "--export", str(full_disk / "model"))
    assert "the disk is full; make room" in message
    assert not run.exists()


def test_a_disk_that_fills_up_is_said(
    config: Path, full_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is checked before, one page, fits; the state does not."""
    (full_disk / "everything").write_bytes(bytes(20_000))
    arguments = ["--config", str(config), "--output", str(full_disk / "run")]
    message = refused(capsys, *arguments)
    assert "the disk is full; make room" in message
    assert not list(full_disk.rglob("*.partial"))


def test_an_accelerator_whose_package_is_missing_is_said(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--config", str(config), "--output", str(tmp_path / "run")]
    message = refused(capsys, *arguments, "--trainer.accelerator", "tpu")
    assert "torch_xla" in message


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_a_missing_gpu_is_said(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    arguments = ["--config", str(config), "--output", str(run), "--trainer.accelerator", "gpu"]
    message = refused(capsys, *arguments)
    assert "training.train: device 'cuda' is not available" in message
    assert "available here: auto, cpu" in message
    assert not run.exists()


def test_a_model_that_learned_nothing_says_so(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Decoders that are not trained put out something else than the mean."""
    train(config, tmp_path / "run", "--model.learning_rate=0")
    captured = capsys.readouterr()
    assert "Skill from all, validation: rgb -" in captured.out
    assert "has learned nothing: no modality is predicted better" in captured.err
