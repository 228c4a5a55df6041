# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Training and encoding on a GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from small_caches import make_cache
from small_training import column, train, write_config
from smvae_core.checkpoint import load_checkpoint
from smvae_core.data.batches import send
from smvae_core.data.logs.dataset import open_cache
from training.encode import encode_cache

pytestmark = [pytest.mark.cuda, pytest.mark.training]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_cache(tmp_path_factory.mktemp("logs"))


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_training_learns_and_exports(
    cache: Path, tmp_path: Path, optimizer: str, precision: str
) -> None:
    config = write_config(cache, tmp_path / "small.yaml", test_fraction=0.2)
    options = ["--trainer.accelerator", "gpu", "--trainer.precision", precision]
    checkpoint = train(config, tmp_path / "run", *options, "--model.optimizer", optimizer)
    elbo = column(tmp_path / "run", "validation/elbo")
    assert elbo[-1] > elbo[0]
    assert all(torch.isfinite(p).all() for p in checkpoint.model.state_dict().values())


def test_the_first_step_is_that_of_a_cpu(cache: Path, tmp_path: Path) -> None:
    config = write_config(cache, tmp_path / "small.yaml", test_fraction=0.2)
    first = {}
    for accelerator in ("cpu", "gpu"):
        output = tmp_path / accelerator
        train(config, output, "--trainer.accelerator", accelerator, "--trainer.max_epochs", "1")
        first[accelerator] = column(output, "training/objective")[0]
    assert first["gpu"] == pytest.approx(first["cpu"], rel=1e-2)


def test_logs_are_encoded_as_on_a_cpu(cache: Path, tmp_path: Path) -> None:
    config = write_config(cache, tmp_path / "small.yaml", test_fraction=0.2)
    train(config, tmp_path / "run", "--trainer.max_epochs", "1")
    model = load_checkpoint(tmp_path / "run" / "model").model
    expected = encode_cache(model, cache)
    found = encode_cache(model.to("cuda"), cache)
    np.testing.assert_array_equal(found["present"], expected["present"])
    np.testing.assert_allclose(found["mean"], expected["mean"], rtol=1e-2, atol=1e-2)


def test_a_batch_arrives_whole_though_the_host_does_not_wait(cache: Path) -> None:
    opened = open_cache(cache)
    expected = opened.read(np.arange(len(opened)))
    for _ in range(50):
        batch = opened.read(np.arange(len(opened)))
        moved = batch.to("cuda")
        for values in (*batch.prepared.values(), batch.present):
            values.zero_()
        for name, values in moved.prepared.items():
            assert torch.equal(values.cpu().nan_to_num(), expected.prepared[name].nan_to_num())
        assert torch.equal(moved.present.cpu(), expected.present)
    assert send(torch.ones(3), torch.device("cuda")).is_cuda
