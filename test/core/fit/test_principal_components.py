# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Principal components of the training split, and networks that begin with them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from single_precision import FLOAT32
from small_caches import make_cache
from small_training import train, write_config
from smvae_core.data.batches import Batch
from smvae_core.fit.principal_components import (
    components_needed,
    principal_components,
    shares_of,
)
from smvae_core.modalities import Modality, Network
from smvae_core.models.posterior_head import start_posteriors
from smvae_core.models.smvae import SMVAE

IMAGE = Modality("picture", "depth", (1, 6, 5), decoder=Network("principal", (4,)))


class Pictures:
    """Depth images in memory, some of them absent."""

    def __init__(self, images: np.ndarray, present: np.ndarray) -> None:
        self._images, self._present = torch.from_numpy(images), torch.from_numpy(present)[:, None]

    def __len__(self) -> int:
        return len(self._images)

    def read(self, rows: np.ndarray, names: object, epoch: int = 0) -> Batch:
        return Batch({"picture": self._images[rows]}, self._present[rows], torch.from_numpy(rows))


def test_components_are_those_of_a_singular_value_decomposition() -> None:
    generator = np.random.default_rng(0)
    images = generator.normal(size=(80, 6, 5)).astype(np.float32)
    images *= 0.6 ** np.arange(30).reshape(6, 5)
    present = np.ones(80, dtype=bool)
    present[::7] = False
    images[~present] = 1e3  # is not looked at
    rows = np.arange(5, 80)
    used = images[rows][present[rows]].reshape(-1, 30)
    mean = used.mean(0)
    _, values, axes = np.linalg.svd(used - mean)
    directions, scales = principal_components(
        Pictures(images, present), rows, IMAGE, torch.from_numpy(mean).view(1, 6, 5), 4
    )
    assert directions.shape == (4, 1, 6, 5)
    np.testing.assert_allclose(scales, values[:4] / np.sqrt(len(used)), rtol=1e-4)
    cosines = np.abs((directions.flatten(1).numpy() * axes[:4]).sum(1))
    np.testing.assert_allclose(cosines, 1.0, atol=1e-4)


def test_without_enough_samples_it_is_refused() -> None:
    images = np.ones((4, 6, 5), dtype=np.float32)
    pictures = Pictures(images, np.ones(4, dtype=bool))
    with pytest.raises(ValueError, match=r"'picture': 4 principal components need more samples"):
        principal_components(pictures, np.arange(4), IMAGE, torch.zeros(1, 6, 5), 4)


def test_only_networks_that_begin_with_components_need_them() -> None:
    assert components_needed(IMAGE) == 4
    both = dataclasses.replace(IMAGE, embedding=Network("principal", (7, 3)))
    assert components_needed(both) == 7
    assert components_needed(dataclasses.replace(IMAGE, decoder=Network("mlp", (4,)))) == 0


def test_a_model_begins_as_a_principal_component_analysis() -> None:
    """What it makes of one modality is the projection on its first D components."""
    network = Network("principal", (6, 9))
    modalities = [
        Modality("picture", "image", (3, 4, 4), embedding=network, decoder=network),
        Modality("joints", "vector", (5,), embedding=Network("residual_mlp", (8,))),
    ]
    torch.manual_seed(0)
    model = SMVAE(modalities, latent_size=4, embedding_size=8, heads=2)
    start_posteriors(model, -4.0)
    directions = torch.linalg.qr(torch.randn(48, 6)).Q.T.unflatten(1, (3, 4, 4))
    scales = torch.tensor([9.0, 8.0, 7.0, 6.0, 0.2, 0.1])
    model.set_principal_components("picture", directions, scales)
    pictures = torch.einsum("bk,k,kchw->bchw", torch.randn(50, 6), scales, directions)
    with torch.inference_mode():
        predicted = model.predict(model.encode({"picture": pictures}), ["picture"])["picture"]
    first = torch.einsum("bchw,kchw->bk", pictures, directions[:4])
    projected = torch.einsum("bk,kchw->bchw", first, directions[:4])
    torch.testing.assert_close(predicted, projected, rtol=0, atol=1e-3)


def test_modalities_with_components_begin_apart() -> None:
    """What one camera shows says nothing of another's pictures yet."""
    network = Network("principal", (4, 9))
    names = ("left", "right")
    modalities = [
        Modality(name, "image", (3, 4, 4), embedding=network, decoder=network) for name in names
    ]
    torch.manual_seed(0)
    model = SMVAE(modalities, latent_size=4, embedding_size=8, heads=2)
    start_posteriors(model, -4.0)
    directions = torch.linalg.qr(torch.randn(48, 4)).Q.T.unflatten(1, (3, 4, 4))
    scales = torch.ones(4)
    for name, share in zip(names, (slice(0, 2), slice(2, None)), strict=True):
        model.set_principal_components(name, directions, scales, share)
    pictures = torch.einsum("bk,kchw->bchw", torch.randn(50, 4), directions)
    with torch.inference_mode():
        predicted = model.predict(model.encode({"left": pictures}))
    assert predicted["left"].square().mean() > 0.4 * pictures.square().mean()
    torch.testing.assert_close(predicted["right"], torch.zeros_like(pictures), rtol=0, atol=1e-4)


def test_shares_of_z() -> None:
    """Few components leave their part to those that have many."""
    counts = {"rgb": 512, "joints": 26, "depth": 300, "gripper": 1}
    assert shares_of(128, counts) == {
        "rgb": slice(0, 51),
        "joints": slice(51, 77),
        "depth": slice(77, 127),
        "gripper": slice(127, 128),
    }
    cameras = {"left": 96, "middle": 96, "right": 96}
    assert list(shares_of(64, cameras).values()) == [slice(0, 21), slice(21, 42), slice(42, 64)]
    assert shares_of(64, {"joints": 5}) == {"joints": slice(0, 5)}
    assert shares_of(64, {}) == {}


def test_each_of_several_begins_as_it_is() -> None:
    """Also a vector that has as many components as values."""
    image, vector = Network("principal", (6, 9)), Network("principal", (3, 9))
    modalities = [
        Modality("picture", "image", (3, 4, 4), embedding=image, decoder=image),
        Modality("joints", "vector", (3,), embedding=vector, decoder=vector),
    ]
    torch.manual_seed(0)
    model = SMVAE(modalities, latent_size=7, embedding_size=8, heads=2)
    directions = torch.linalg.qr(torch.randn(48, 6)).Q.T.unflatten(1, (3, 4, 4))
    axes = torch.linalg.qr(torch.randn(3, 3)).Q
    shares = shares_of(7, {"picture": 6, "joints": 3})
    model.set_principal_components("picture", directions, torch.ones(6), shares["picture"])
    model.set_principal_components("joints", axes, torch.tensor([2.0, 1.0, 0.1]), shares["joints"])
    joints = torch.randn(20, 3)
    with torch.inference_mode():
        predicted = model.predict(model.encode({"joints": joints}))
    torch.testing.assert_close(predicted["joints"], joints, rtol=0, atol=1e-4)
    assert predicted["picture"].abs().max() < 1e-4


@pytest.mark.training
def test_axes_are_those_of_the_data_when_trained_and_loaded(tmp_path: Path) -> None:
    cache = make_cache(tmp_path / "logs", parts=1, steps=8)
    config = write_config(cache, tmp_path / "c.yaml")
    content = yaml.safe_load(config.read_text())
    network = {"name": "principal", "widths": [3, 8]}
    content["model"]["modalities"]["rgb"] |= {"embedding": network, "decoder": network}
    residual = {"name": "residual_mlp", "widths": [8]}
    content["model"]["modalities"]["proprio"] |= {"embedding": residual, "decoder": residual}
    content["model"] |= {"image_shift": 1, "vector_noise": 0.1}
    config.write_text(yaml.safe_dump(content))
    model = train(config, tmp_path / "out").model
    analysis, synthesis = model.embeddings["rgb"][1], model.decoders["rgb"][1]
    torch.testing.assert_close(analysis.weight @ synthesis.weight, torch.eye(3), **FLOAT32)
    mean = model.training_mean("rgb").flatten()
    torch.testing.assert_close(analysis(mean), torch.zeros(3), rtol=0, atol=1e-4)
