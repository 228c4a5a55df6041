# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Errors and skills of every subset against a direct computation in NumPy."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from small_models import random_prepared, small_modalities, small_model
from smvae_core.metrics.subset_choice import all_subsets
from smvae_core.metrics.subset_errors import SubsetErrors, print_summary
from smvae_core.models.smvae import SMVAE
from smvae_core.tensors import to_raw, to_tensor

NAMES = ("rgb", "depth", "force", "action", "proprio")
MODALITIES = {modality.name: modality for modality in small_modalities()}


def prepared_batch(count: int = 9, seed: int = 0) -> dict[str, Tensor]:
    """Prepared arrays with different holes in every depth image, one of them without a reading."""
    random = np.random.default_rng(seed)
    rows = [random_prepared(list(MODALITIES.values()), random) for _ in range(count)]
    for row in rows:
        row["depth"][random.random((16, 16)) < 0.3] = np.nan
    rows[1]["depth"][:] = np.nan
    return {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in NAMES}


def some_present(count: int = 9, seed: int = 0) -> Tensor:
    present = np.random.default_rng(seed).random((count, 5)) < 0.7
    present[0] = True
    return torch.from_numpy(present)


def test_all_subsets() -> None:
    assert all_subsets(["a", "b"]) == [("a",), ("b",), ("a", "b")]
    assert len(all_subsets(NAMES)) == 31


def silent_decoders(model: SMVAE) -> SMVAE:
    """Decoders that put out zero, so that the training mean is what is predicted."""
    for decoder in model.decoders.values():
        for parameter in decoder.parameters():
            nn.init.zeros_(parameter)
    return model


@pytest.mark.parametrize("present", [None, some_present()], ids=["all", "some"])
def test_skill_of_the_training_mean_is_zero(present: Tensor | None) -> None:
    """For every subset; also where its rows are not those of the others."""
    errors = SubsetErrors(silent_decoders(small_model()))
    errors.add(prepared_batch(), present)
    summary = errors.summary()
    assert set(summary) == {*("+".join(subset) for subset in all_subsets(NAMES)), "training_mean"}
    for label, entry in summary.items():
        skills = {name: value for name, value in entry.items() if name.endswith("skill_vs_mean")}
        assert skills, label
        assert all(abs(skill) < 1e-9 for skill in skills.values()), (label, skills)


class Recall(nn.Module):
    """A decoder that knows the answer: z holds the number of the sample."""

    def __init__(self, answers: Tensor) -> None:
        super().__init__()
        self.answers = answers

    def forward(self, z: Tensor) -> Tensor:
        return self.answers[z[:, 0].long()]


class Number(nn.Module):
    """Takes the number of a sample out of its embedding."""

    def forward(self, embeddings: Tensor, present: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return embeddings[:, 0, :6], embeddings[:, 0, :6]


class Numbering(nn.Module):
    """An embedding that is the sample's place in the batch."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.arange(len(x)).float()[:, None].expand(-1, 16)


def test_skill_of_a_perfect_predictor_is_one() -> None:
    model = small_model()
    prepared = prepared_batch()
    model.set_encoder = Number()
    for name, modality in MODALITIES.items():
        answers = to_tensor(modality, prepared[name]) - model.training_mean(name)
        model.decoders[name] = Recall(answers)
        model.embeddings[name] = Numbering()
    for present in (None, some_present()):
        errors = SubsetErrors(model)
        errors.add(prepared, present)
        summary = errors.summary()
        del summary["training_mean"]
        for label, entry in summary.items():
            for measure, value in entry.items():
                if measure.endswith("skill_vs_mean"):
                    assert value == pytest.approx(1.0, abs=1e-5), (label, measure)
                elif measure.endswith("psnr_db"):
                    assert value > 100
                else:
                    assert value < 1e-4, (label, measure)


@torch.no_grad()
def direct(model: SMVAE, prepared: dict[str, Tensor], present: Tensor) -> dict[str, dict]:
    """The same table sample by sample, in raw units, with NumPy."""
    table: dict[str, dict[str, float]] = {}
    subsets = [subset for size in range(1, 6) for subset in itertools.combinations(NAMES, size)]
    for subset in subsets:
        differences = {name: [] for name in NAMES}  # of the prediction, in raw units
        floors = {name: [] for name in NAMES}  # of the training mean
        for row in range(len(present)):
            seen = dict(zip(NAMES, present[row].tolist(), strict=True))
            if not all(seen[name] for name in subset):
                continue
            given = {n: to_tensor(MODALITIES[n], prepared[n][row : row + 1]) for n in subset}
            likelihoods = model.decode(model.encode(given).mean)
            for name in NAMES:
                if not seen[name]:
                    continue
                modality = MODALITIES[name]
                unit = 255.0 if name == "rgb" else 1.0
                raw = prepared[name][row].double().numpy() / unit
                mean, std = np.array(modality.mean), np.array(modality.std)
                for values, location in (
                    (differences, likelihoods[name].mean[0]),
                    (floors, model.training_mean(name)),
                ):
                    location = location.double().numpy()
                    if modality.kind == "image":
                        location = location.transpose(1, 2, 0)
                    elif modality.kind == "depth":
                        location = location[0]
                    elif modality.kind == "series":
                        location = location.T
                    values[name].append(location * std + mean - raw)
        entry: dict[str, float] = {}
        for name in NAMES:
            if not differences[name]:
                continue
            std = np.array(MODALITIES[name].std)
            difference, floor = np.stack(differences[name]), np.stack(floors[name])
            if np.isnan(difference).all():
                continue
            entry[f"{name}_skill_vs_mean"] = 1 - math.sqrt(
                np.nanmean((difference / std) ** 2) / np.nanmean((floor / std) ** 2)
            )
            rmse = math.sqrt(np.nanmean(difference**2))
            if name == "rgb":
                entry["rgb_psnr_db"] = -20 * math.log10(rmse)
            elif name == "depth":
                entry["depth_rmse_m"] = rmse
            elif name == "force":
                entry["force_rmse_n"] = math.sqrt(np.mean(difference[..., :3] ** 2))
                entry["force_rmse_nm"] = math.sqrt(np.mean(difference[..., 3:] ** 2))
            else:
                entry[f"{name}_rmse"] = rmse
        table["+".join(subset)] = entry
    return table


@pytest.mark.parametrize("gaps", [False, True])
def test_is_the_direct_computation(gaps: bool) -> None:
    model = small_model(seed=2)
    prepared = prepared_batch(6)
    present = some_present(6, seed=1) if gaps else torch.ones(6, 5, dtype=torch.bool)
    errors = SubsetErrors(model)
    # In uneven batches, and with NaN where nothing is present.
    for first, last in ((0, 2), (2, 3), (3, 6)):
        part = {name: x[first:last].clone() for name, x in prepared.items()}
        for column, name in enumerate(NAMES):
            if name != "rgb":
                part[name][~present[first:last, column]] = torch.nan
        errors.add(part, present[first:last])
    assert errors.samples == 6
    found = errors.summary()
    for label, expected in direct(model, prepared, present).items():
        assert found[label].keys() == expected.keys(), label
        for measure, value in expected.items():
            assert found[label][measure] == pytest.approx(value, rel=1e-4, abs=1e-5), (
                label,
                measure,
            )


def test_floor_is_the_error_of_the_training_mean() -> None:
    model = small_model()
    prepared = prepared_batch()
    errors = SubsetErrors(model)
    errors.add(prepared)
    floor = errors.summary()["training_mean"]
    mean = to_raw(MODALITIES["depth"], model.training_mean("depth")[None])[0].numpy()
    difference = prepared["depth"].float().numpy() - mean
    assert floor["depth_rmse_m"] == pytest.approx(math.sqrt(np.nanmean(difference**2)), rel=1e-4)
    assert floor["depth_skill_vs_mean"] == 0.0


def test_batches_do_not_matter() -> None:
    model = small_model()
    prepared, present = prepared_batch(), some_present()
    whole, parts = SubsetErrors(model), SubsetErrors(model)
    whole.add(prepared, present)
    for row in torch.randperm(9, generator=torch.Generator().manual_seed(0)).split(4):
        parts.add({name: x[row] for name, x in prepared.items()}, present[row])
    found = parts.summary()
    for label, entry in whole.summary().items():
        assert found[label] == pytest.approx(entry, rel=1e-4, abs=1e-6)


def test_only_the_subsets_asked_for() -> None:
    errors = SubsetErrors(small_model(), [("force", "action")])
    errors.add(prepared_batch())
    summary = errors.summary()
    assert list(summary) == ["force+action", "training_mean"]
    assert set(summary["force+action"]) >= {"rgb_psnr_db", "depth_rmse_m", "force_rmse_n"}


def test_a_modality_that_is_never_there_is_left_out() -> None:
    prepared = prepared_batch()
    del prepared["rgb"]
    errors = SubsetErrors(small_model())
    errors.add(prepared)
    summary = errors.summary()
    assert not any(name.startswith("rgb") for entry in summary.values() for name in entry)
    assert summary["rgb"] == {}
    assert "depth_rmse_m" in summary["depth+force"]


def test_nothing_added() -> None:
    summary = SubsetErrors(small_model()).summary()
    assert all(entry == {} for entry in summary.values())


def test_bernoulli_images_are_measured_as_probabilities() -> None:
    """The floor of a grey image that is grey everywhere on average is that grey, not black."""
    image = dataclasses.replace(MODALITIES["rgb"], likelihood="bernoulli", mean=(0.0,), std=(1.0,))
    model = SMVAE([image], 4, 8, 2).eval()
    model.set_training_mean("rgb", torch.full(image.shape, 0.5))
    pictures = torch.randint(
        0, 256, (4, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    errors = SubsetErrors(model)
    errors.add({"rgb": pictures})
    rmse = (pictures.double() / 255 - 0.5).square().mean().sqrt()
    assert errors.summary()["training_mean"]["rgb_psnr_db"] == pytest.approx(
        -20 * math.log10(rmse), rel=1e-4
    )


def test_table_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    errors = SubsetErrors(small_model(), [("force",), ("rgb", "depth")])
    errors.add(prepared_batch())
    print_summary(errors.summary())
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["force", "rgb+depth", "training_mean"]
    assert "depth_rmse_m" in lines[0]
    assert "nan" not in "".join(lines)
