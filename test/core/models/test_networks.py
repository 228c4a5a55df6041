# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Embedding networks and decoders by name."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from single_precision import FLOAT32
from small_models import small_modalities
from smvae_core.modalities import Modality, Network
from smvae_core.models.networks import (
    EMBEDDINGS,
    build_decoder,
    build_embedding,
    set_principal_components,
)

RGB, DEPTH, FORCE, ACTION, PROPRIO = small_modalities()
WIDE = Modality("wide", "image", (3, 8, 24))


@pytest.mark.parametrize(
    ("modality", "name"),
    [
        (RGB, "convolution"),
        (RGB, "mlp"),
        (WIDE, "convolution"),
        (DEPTH, "convolution"),
        (FORCE, "temporal_convolution"),
        (FORCE, "mlp"),
        (ACTION, "mlp"),
        (ACTION, "residual_mlp"),
        (WIDE, "residual_mlp"),
        (RGB, "principal"),
        (DEPTH, "principal"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
@pytest.mark.parametrize("widths", [(5,), (5, 7), (5, 7, 9)])
def test_shapes(modality: Modality, name: str, widths: tuple[int, ...]) -> None:
    network = Network(name, widths)
    modality = dataclasses.replace(modality, embedding=network, decoder=network)
    embedding, decoder = build_embedding(modality, 11), build_decoder(modality, 6)
    x = torch.randn(3, *modality.shape)
    assert embedding(x).shape == (3, 11)
    assert decoder(torch.randn(3, 6)).shape == x.shape
    # Rows of a batch do not influence each other.
    torch.testing.assert_close(embedding(x)[1:2], embedding(x[1:2]), **FLOAT32)


@pytest.mark.parametrize("name", sorted(EMBEDDINGS))
def test_every_parameter_matters(name: str) -> None:
    modality = {"convolution": RGB, "temporal_convolution": FORCE}.get(name, ACTION)
    network = Network(name, (4, 8))
    modality = dataclasses.replace(modality, embedding=network, decoder=network)
    embedding, decoder = build_embedding(modality, 8), build_decoder(modality, 8)
    decoder(embedding(torch.randn(2, *modality.shape))).square().sum().backward()
    for module in (embedding, decoder):
        for parameter in module.parameters():
            if not parameter.requires_grad:  # principal axes come from the data
                continue
            assert parameter.grad is not None
            assert parameter.grad.abs().max() > 0


def test_decoder_runs_through_the_widths_backwards() -> None:
    modality = dataclasses.replace(ACTION, decoder=Network("mlp", (20, 10)))
    shapes = [tuple(p.shape) for p in build_decoder(modality, 6).parameters() if p.ndim == 2]
    assert shapes == [(10, 6), (20, 10), (4, 20)]


def test_axes_give_whitened_coefficients_and_take_them_back() -> None:
    """Of data that lie in the components' space, embedding and decoder are each other's inverse."""
    network = Network("principal", (5, 7))
    modality = dataclasses.replace(RGB, embedding=network, decoder=network)
    embedding, decoder = build_embedding(modality, 4), build_decoder(modality, 4)
    generator = torch.Generator().manual_seed(0)
    flat = torch.linalg.qr(torch.randn(RGB.shape[0] * 256, 6, generator=generator)).Q.T
    directions, scales = flat.unflatten(1, RGB.shape), torch.arange(6.0, 0.0, -1)
    mean = torch.randn(RGB.shape, generator=generator)
    for module in (embedding, decoder):
        set_principal_components(module, directions, scales, mean)
    coefficients = torch.randn(3, 5, generator=generator)
    x = mean + torch.einsum("bk,k,kchw->bchw", coefficients, scales[:5], directions[:5])
    analysis, synthesis = embedding[1], decoder[1]
    torch.testing.assert_close(analysis(x.flatten(1)), coefficients, **FLOAT32)
    torch.testing.assert_close(synthesis(coefficients), (x - mean).flatten(1), **FLOAT32)
    assert not any(p.requires_grad for axes in (analysis, synthesis) for p in axes.parameters())


@pytest.mark.parametrize("build", [build_embedding, build_decoder])
def test_what_does_not_fit_is_refused(build: object) -> None:
    def attempt(modality: Modality, network: Network) -> None:
        build(dataclasses.replace(modality, embedding=network, decoder=network), 8)

    with pytest.raises(ValueError, match=r"'rgb': unknown network 'transformer'; known are mlp, "):
        attempt(RGB, Network("transformer"))
    with pytest.raises(ValueError, match=r"'action': network 'convolution' needs .* 3 numbers"):
        attempt(ACTION, Network("convolution", (4,)))
    with pytest.raises(ValueError, match=r"'rgb'.*'temporal_convolution' needs .* 2 numbers"):
        attempt(RGB, Network("temporal_convolution", (4,)))
    with pytest.raises(ValueError, match=r"'rgb'.*\(16, 16\) is not divisible by 32"):
        attempt(RGB, Network("convolution", (4,) * 5))
    with pytest.raises(ValueError, match=r"'force'.*\(32,\) is not divisible by 64"):
        attempt(FORCE, Network("temporal_convolution", (4,) * 6))
    with pytest.raises(ValueError, match=r"'action': 5 principal components of 4 values"):
        attempt(ACTION, Network("principal", (5,)))
    with pytest.raises(ValueError, match=r"'rgb': network 'principal' is for likelihoods gaussian"):
        attempt(dataclasses.replace(RGB, likelihood="bernoulli"), Network("principal", (5,)))


@pytest.mark.parametrize("build", [build_embedding, build_decoder])
@pytest.mark.parametrize(
    ("modality", "name", "widths"),
    [
        (ACTION, "mlp", (0,)),
        (ACTION, "mlp", (-4,)),
        (RGB, "convolution", (8, 0)),
        (RGB, "convolution", ()),
        (FORCE, "temporal_convolution", (-8, 8)),
        (FORCE, "temporal_convolution", ()),
        (RGB, "principal", ()),
        (ACTION, "residual_mlp", (0,)),
    ],
)
def test_impossible_widths_are_refused(
    build: object, modality: Modality, name: str, widths: tuple[int, ...]
) -> None:
    def attempt() -> None:
        network = Network(name, widths)
        build(dataclasses.replace(modality, embedding=network, decoder=network), 8)

    with pytest.raises(ValueError, match="width"):
        attempt()
