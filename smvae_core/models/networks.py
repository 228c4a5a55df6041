# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Embedding networks E_i and decoders D_i, chosen by name (Fig. 1 of the paper).

An embedding network maps (B, *shape) to (B, embedding size); a decoder maps (B, latent size) to
(B, *shape), the location parameter of the modality's likelihood. All use SiLU ("swish",
Ramachandran et al. 2017, the activation that the paper cites), and start from :func:`initialise`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from smvae_core.modalities import Modality, Network
from smvae_core.models.network_checks import check_network, coarsest


def initialise(layer: nn.Module) -> None:
    """Kaiming initialisation with zero biases (He et al. 2015, Eq. 10), for ``model.apply``.

    PyTorch's own default lets the signal shrink by about √6 a layer. Embedding network, set encoder
    and decoder are ten layers one behind the other, and hardly begin to learn from it.
    """
    if isinstance(layer, nn.Linear):
        inputs = float(layer.in_features)
    elif isinstance(layer, _ConvNd):
        inputs = layer.in_channels * math.prod(layer.kernel_size)
        if layer.transposed:  # the stride keeps that share of them away from a pixel
            inputs /= math.prod(layer.stride)
    else:
        return
    nn.init.normal_(layer.weight, std=math.sqrt(2 / inputs))
    assert layer.bias is not None  # the networks here all have one
    nn.init.zeros_(layer.bias)


ALL = slice(None)


def _mlp(sizes: Sequence[int]) -> nn.Sequential:
    """Linear layers with an activation between them, and none after the last."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


class ResidualMLP(nn.Module):
    """L x + f(x): a linear layer beside fully connected ones.

    What is linear in the data, most of what joints say of each other, then carries over to data
    that were not seen, as least squares do; f learns the rest.

    Args:
        sizes: of the input, the hidden layers of f, and the output.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.linear = nn.Linear(sizes[0], sizes[-1])
        self.deep = _mlp(sizes)

    def forward(self, x: Tensor) -> Tensor:
        """(B, first size) → (B, last size)."""
        return self.linear(x) + self.deep(x)


class PrincipalAxes(nn.Linear):
    """A linear layer between observations and the coefficients of their principal components, which
    comes from the training split (:func:`set_principal_components`) and is not trained."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.requires_grad_(False)


def mlp_embedding(modality: Modality, size: int) -> nn.Module:
    """(B, *shape) → (B, size) through fully connected layers."""
    widths = modality.embedding.widths
    return nn.Sequential(nn.Flatten(), _mlp((math.prod(modality.shape), *widths, size)))


def mlp_decoder(modality: Modality, latent_size: int) -> nn.Module:
    """(B, latent size) → (B, *shape) through fully connected layers."""
    widths = modality.decoder.widths[::-1]
    return nn.Sequential(
        _mlp((latent_size, *widths, math.prod(modality.shape))),
        nn.Unflatten(1, modality.shape),
    )


def residual_mlp_embedding(modality: Modality, size: int) -> nn.Module:
    """(B, *shape) → (B, size) through a linear layer and fully connected ones beside it."""
    widths = modality.embedding.widths
    return nn.Sequential(nn.Flatten(), ResidualMLP((math.prod(modality.shape), *widths, size)))


def residual_mlp_decoder(modality: Modality, latent_size: int) -> nn.Module:
    """(B, latent size) → (B, *shape) through a linear layer and fully connected ones beside it."""
    widths = modality.decoder.widths[::-1]
    return nn.Sequential(
        ResidualMLP((latent_size, *widths, math.prod(modality.shape))),
        nn.Unflatten(1, modality.shape),
    )


def principal_embedding(modality: Modality, size: int) -> nn.Module:
    """(B, *shape) → coefficients of as many principal components as the first width says, each of
    variance 1 → (B, size) as :func:`residual_mlp_embedding` with the other widths."""
    count, *widths = modality.embedding.widths
    return nn.Sequential(
        nn.Flatten(),
        PrincipalAxes(math.prod(modality.shape), count),
        ResidualMLP((count, *widths, size)),
    )


def principal_decoder(modality: Modality, latent_size: int) -> nn.Module:
    """(B, latent size) → coefficients → (B, *shape); :func:`principal_embedding` backwards."""
    *widths, count = modality.decoder.widths[::-1]
    return nn.Sequential(
        ResidualMLP((latent_size, *widths, count)),
        PrincipalAxes(count, math.prod(modality.shape)),
        nn.Unflatten(1, modality.shape),
    )


def components_of(network: Network) -> int:
    """Number of principal components that a network has to be given; 0 for others."""
    return network.widths[0] if network.name == "principal" and network.widths else 0


@torch.no_grad()
def set_principal_components(
    network: nn.Module, directions: Tensor, scales: Tensor, mean: Tensor, share: slice = ALL
) -> None:
    """Gives an embedding network or a decoder the components that it has to be given, and lets it
    begin as a principal component analysis: what it puts out are the coefficients, or what it gets,
    and f of :class:`ResidualMLP` adds nothing yet.

    Args:
        network: E_i or D_i of a modality; nothing happens where it has no use for them.
        directions: (K, *shape), orthonormal, those of the largest variance first; at least as many
            as the network needs.
        scales: (K,) standard deviations along them.
        mean: (*shape), the training mean, which is added to what decoders put out.
        share: places of the first coefficients in the embedding and in z.
    """
    layers = list(network.children())
    incoming = isinstance(layers[-1], ResidualMLP)  # coefficients; out of a decoder they come
    for axes in (layer for layer in layers if isinstance(layer, PrincipalAxes)):
        count = min(axes.in_features, axes.out_features)
        along, deviations = directions[:count].flatten(1), scales[:count, None]
        if incoming:
            axes.weight.copy_(along / deviations)
            axes.bias.copy_(-(along / deviations) @ mean.flatten())
        else:
            axes.weight.copy_((along * deviations).T)
            axes.bias.zero_()
        for residual in (layer for layer in layers if isinstance(layer, ResidualMLP)):
            weight = residual.linear.weight
            weight.zero_()
            nn.init.eye_(weight[share] if incoming else weight[:, share])
            for parameter in residual.deep[-1].parameters():
                parameter.zero_()


def convolution_embedding(modality: Modality, size: int) -> nn.Module:
    """(B, channels, *space) → (B, size); each convolution halves every dimension of space."""
    widths = modality.embedding.widths
    convolution = nn.Conv2d if len(modality.shape) == 3 else nn.Conv1d
    layers: list[nn.Module] = []
    for inputs, outputs in zip((modality.shape[0], *widths[:-1]), widths, strict=True):
        layers += [convolution(inputs, outputs, kernel_size=4, stride=2, padding=1), nn.SiLU()]
    values = widths[-1] * math.prod(coarsest(modality, len(widths)))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(values, size))


def convolution_decoder(modality: Modality, latent_size: int) -> nn.Module:
    """(B, latent size) → (B, channels, *space); each transposed convolution doubles every dimension
    of space."""
    widths = modality.decoder.widths[::-1]
    convolution = nn.ConvTranspose2d if len(modality.shape) == 3 else nn.ConvTranspose1d
    shape = (widths[0], *coarsest(modality, len(widths)))
    layers: list[nn.Module] = [nn.Linear(latent_size, math.prod(shape)), nn.Unflatten(1, shape)]
    for inputs, outputs in zip(widths, (*widths[1:], modality.shape[0]), strict=True):
        layers += [nn.SiLU(), convolution(inputs, outputs, kernel_size=4, stride=2, padding=1)]
    return nn.Sequential(*layers)


Builder = Callable[[Modality, int], nn.Module]

EMBEDDINGS: dict[str, Builder] = {
    "mlp": mlp_embedding,
    "residual_mlp": residual_mlp_embedding,
    "principal": principal_embedding,
    "convolution": convolution_embedding,
    "temporal_convolution": convolution_embedding,
}
DECODERS: dict[str, Builder] = {
    "mlp": mlp_decoder,
    "residual_mlp": residual_mlp_decoder,
    "principal": principal_decoder,
    "convolution": convolution_decoder,
    "temporal_convolution": convolution_decoder,
}


def build_embedding(modality: Modality, size: int) -> nn.Module:
    """The embedding network E_i that the modality names.

    Raises:
        ValueError: for an unknown name, or a network that does not fit the modality's shape.
    """
    return _build(EMBEDDINGS, modality.embedding, modality, size)


def build_decoder(modality: Modality, latent_size: int) -> nn.Module:
    """The decoder D_i that the modality names; errors as :func:`build_embedding`."""
    return _build(DECODERS, modality.decoder, modality, latent_size)


def _build(
    builders: dict[str, Builder], network: Network, modality: Modality, size: int
) -> nn.Module:
    check_network(network, modality)
    return builders[network.name](modality, size)
