# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""`python -m training.train` in two processes (DDP over gloo): the steps of one, and resuming."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from patience import PATIENCE
from places import HELPERS, ROOT
from small_caches import make_cache
from small_training import column, write_config
from smvae_core.checkpoint import load_checkpoint
from training.train import main

pytestmark = pytest.mark.training

TWO = ["--trainer.strategy=ddp", "--trainer.devices=2"]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 steps of 6 samples in an epoch. The 7 validation samples make one batch, so that one of two
    processes has four of them and the other three. Sensors fail in some."""
    cache = make_cache(tmp_path_factory.mktemp("logs"), parts=1, steps=7)
    options = {"validation_fraction": 0.2, "test_fraction": 0.2, "colour_jitter": 0.5}
    return write_config(cache, cache.parent / "small.yaml", batch_size=6, **options)


def start(config: Path, output: Path, *options: str) -> subprocess.Popen[str]:
    """Begins a run of two processes, in a group of their own as a terminal makes it."""
    paths = [str(HELPERS), str(ROOT)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "training.train", "--config", str(config)]
    return subprocess.Popen(
        [*command, "--output", str(output), *TWO, *options],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], line: str = "") -> str:
    """Everything that it still says; all processes are gone afterwards."""
    try:
        return process.communicate(line, timeout=2 * PATIENCE)[0]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def two_processes(config: Path) -> Path:
    """The output folder of three epochs in two processes."""
    output = config.parent / "two"
    process = start(config, output)
    said = finish(process)
    assert process.returncode == 0, said
    return output


def state(output: Path) -> dict[str, Any]:
    return torch.load(output / "checkpoints" / "last.ckpt", weights_only=True)


def test_two_processes_take_the_steps_of_one(config: Path, two_processes: Path) -> None:
    output = config.parent / "one"
    assert main(["--config", str(config), "--output", str(output)]) == 0
    one, two = state(output), state(two_processes)
    assert one["global_step"] == two["global_step"] == 9
    for name, value in one["state_dict"].items():
        if name.endswith("attention.in_proj_bias"):
            # A third of it, the keys' bias, changes no output: its gradient is rounding errors,
            # which Adam makes large.
            continue
        torch.testing.assert_close(two["state_dict"][name], value, rtol=1e-4, atol=1e-5)
    # Adam's steps hardly depend on the size of a gradient; its averages of gradients do.
    optimisers = [run["optimizer_states"][0]["state"] for run in (one, two)]
    assert optimisers[0].keys() == optimisers[1].keys()
    for number, entry in optimisers[0].items():
        for name in ("exp_avg", "exp_avg_sq"):
            expected, found = entry[name], optimisers[1][number][name]
            tolerance = 1e-3 * float(expected.abs().max()) + 1e-12
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=tolerance)
    # Averages over samples, though the processes have unequal numbers of them.
    for name in ("training/objective", "training/kl", "validation/elbo", "validation/log_p_force"):
        expected, found = column(output, name), column(two_processes, name)
        assert len(expected) >= 4
        assert found == pytest.approx(expected, rel=1e-4), name


def test_an_interrupted_run_of_two_processes_resumes_exactly(
    config: Path, two_processes: Path, tmp_path: Path
) -> None:
    wait = ["--trainer.callbacks", "training_callbacks.WaitAt"]
    wait += ["--trainer.callbacks.epoch=1", "--trainer.callbacks.batch=1"]
    process = start(config, tmp_path, *wait)
    for line in process.stdout:
        if "waiting" in line:
            os.killpg(process.pid, signal.SIGINT)
            break
    said = finish(process, "go on\n")
    assert process.returncode == 1, said
    assert said.count("Saved ") == 1, said
    assert "Traceback" not in said
    assert state(tmp_path)["global_step"] == 5
    process = start(config, tmp_path, "--resume")
    said = finish(process)
    assert process.returncode == 0, said
    found, expected = (load_checkpoint(path / "model") for path in (tmp_path, two_processes))
    assert found.weights_hash == expected.weights_hash
    assert column(tmp_path, "validation/elbo") == column(two_processes, "validation/elbo")
