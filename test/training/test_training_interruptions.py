# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A run of `python -m training.train`, interrupted anywhere, resumes exactly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from patience import PATIENCE
from places import HELPERS, ROOT
from small_caches import make_cache
from small_training import column, metrics, refused, train, write_config
from smvae_core.checkpoint import load_checkpoint
from training.train import main

pytestmark = pytest.mark.training

SPLIT = {"validation_fraction": 0.2, "test_fraction": 0.2}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of runs on 30 training steps, that is three epochs of six batches."""
    folder = tmp_path_factory.mktemp("logs")
    return write_config(make_cache(folder), folder / "small.yaml", **SPLIT)


@pytest.fixture(scope="module")
def whole_run(config: Path) -> Path:
    """The output folder of three epochs without interruption."""
    output = config.parent / "whole run"
    assert main(["--config", str(config), "--output", str(output)]) == 0
    return output


@pytest.fixture(autouse=True)
def _interrupts() -> Iterator[None]:
    """After an interrupted run, Lightning leaves them switched off."""
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)


def assert_same_run(output: Path, whole_run: Path, interrupted: list[int]) -> None:
    """Parameters, optimiser and log of a resumed run are bit by bit those of an unbroken one."""
    exported, expected = (
        load_checkpoint(path / "model").model.state_dict() for path in (output, whole_run)
    )
    assert all(torch.equal(exported[name], value) for name, value in expected.items())
    state, whole = (
        torch.load(path / "checkpoints" / "last.ckpt", weights_only=True)
        for path in (output, whole_run)
    )
    assert state["global_step"] == whole["global_step"] == 18
    for name, value in whole["state_dict"].items():
        assert torch.equal(state["state_dict"][name], value), name
    optimisers = [run["optimizer_states"][0]["state"] for run in (state, whole)]
    for number, entry in optimisers[1].items():
        for name, value in entry.items():
            assert torch.equal(optimisers[0][number][name], value)
    # The step at whose end it was stopped is not in the log; what is there is the same.
    rows, expected = (
        {row["step"]: row for row in metrics(path) if row["training/kl"]}
        for path in (output, whole_run)
    )
    assert set(expected) - set(rows) == {str(step) for step in interrupted}
    for step, row in rows.items():
        for name in ("epoch", "training/objective", "training/kl", "training/beta"):
            assert row[name] == expected[step][name]
    assert column(output, "validation/elbo") == column(whole_run, "validation/elbo")


def interrupt_at(config: Path, output: Path, epoch: int, batch: int) -> subprocess.Popen[str]:
    """A real run that waits at the end of a step, gets Ctrl-C there and has ended by itself."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(HELPERS),
        "PYTHONUNBUFFERED": "1",
    }
    arguments = ["--config", str(config), "--output", str(output)]
    arguments += ["--trainer.callbacks", "training_callbacks.WaitAt"]
    arguments += [f"--trainer.callbacks.epoch={epoch}", f"--trainer.callbacks.batch={batch}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "training.train", *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for line in process.stdout:
            if "waiting" in line:
                process.send_signal(signal.SIGINT)
                break
        # The signal is there before this line is, so the step's end is where it takes effect.
        process.message = "".join(process.communicate("go on\n", timeout=PATIENCE))
    finally:
        process.kill()
    return process


def test_a_run_interrupted_in_the_middle_of_an_epoch_resumes_exactly(
    config: Path, whole_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = interrupt_at(config, tmp_path, epoch=1, batch=2)
    assert process.returncode == 1, process.message
    assert "--resume" in process.message
    assert "Traceback" not in process.message
    state = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert (state["epoch"], state["global_step"]) == (1, 9)
    assert not (tmp_path / "model").exists()
    # A slip of the pen does not cost the run.
    arguments = ["--config", str(config), "--output", str(tmp_path)]
    before = (tmp_path / "checkpoints" / "last.ckpt").read_bytes()
    message = refused(capsys, *arguments)
    assert f"{tmp_path} holds a run already; continue it with --resume" in message
    assert (tmp_path / "checkpoints" / "last.ckpt").read_bytes() == before
    train(config, tmp_path, "--resume")
    assert_same_run(tmp_path, whole_run, [8])


class Interrupting:
    """In the place of standard input: Ctrl-C comes while a step waits for a line."""

    def readline(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)


def interrupt_here(
    config: Path, output: Path, patch: pytest.MonkeyPatch, epoch: int, batch: int, *more: str
) -> int:
    """As `interrupt_at`, but quicker, in this process; returns the exit code."""
    arguments = ["--config", str(config), "--output", str(output), *more]
    arguments += ["--trainer.callbacks", "training_callbacks.WaitAt"]
    arguments += [f"--trainer.callbacks.epoch={epoch}", f"--trainer.callbacks.batch={batch}"]
    with patch.context() as context:
        context.setattr(sys, "stdin", Interrupting())
        try:
            return main(arguments)
        except SystemExit as exit_:
            return exit_.code


def test_a_run_interrupted_before_any_validation_resumes_exactly(
    config: Path, whole_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert interrupt_here(config, tmp_path, monkeypatch, 0, 0) == 1
    train(config, tmp_path, "--resume")
    assert_same_run(tmp_path, whole_run, [0])


def test_a_run_interrupted_again_and_again_resumes_exactly(
    config: Path, whole_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for resume, place in (([], (0, 3)), (["--resume"], (0, 4)), (["--resume"], (2, 1))):
        assert interrupt_here(config, tmp_path, monkeypatch, *place, *resume) == 1
    train(config, tmp_path, "--resume")
    assert_same_run(tmp_path, whole_run, [3, 4, 13])


def test_a_run_interrupted_in_the_last_step_of_an_epoch_resumes_exactly(
    config: Path, whole_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The epoch's validation, which chooses the best state, must not get lost."""
    assert interrupt_here(config, tmp_path, monkeypatch, 1, 5) == 1
    train(config, tmp_path, "--resume")
    lost = {str(step) for step in range(18)} - {
        row["step"] for row in metrics(tmp_path) if row["training/kl"]
    }
    assert_same_run(tmp_path, whole_run, [int(step) for step in lost])
    assert len(lost) <= 1


def test_a_run_interrupted_in_its_very_last_step_has_the_same_model(
    config: Path, whole_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if interrupt_here(config, tmp_path, monkeypatch, 2, 5):
        train(config, tmp_path, "--resume")
    exported, expected = (load_checkpoint(path / "model") for path in (tmp_path, whole_run))
    assert exported.weights_hash == expected.weights_hash
    assert column(tmp_path, "validation/elbo") == column(whole_run, "validation/elbo")


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_a_run_interrupted_between_accumulated_batches_resumes_exactly(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    options = ["--trainer.accumulate_grad_batches=2", "--trainer.max_epochs=1"]
    options.append(f"--model.optimizer={optimizer}")
    whole = train(config, tmp_path / "whole", *options)
    assert interrupt_here(config, tmp_path / "parts", monkeypatch, 0, 2, *options) == 1
    parts = train(config, tmp_path / "parts", *options, "--resume")
    assert parts.weights_hash == whole.weights_hash
