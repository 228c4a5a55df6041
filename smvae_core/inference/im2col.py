# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Networks for one sample at a time on a CPU, as matrix products in memory that is allocated once.

torch's own convolutions are made for batches: for a single small image, bringing the weights into
the library's layout and choosing a kernel take longer than computing. Here weights are laid out
once; a convolution is one copy of its windows and one product, and no step allocates anything.

:func:`lower` takes the layers that :mod:`smvae_core.models.networks` builds and runs any other as
it is; :func:`lower_attention` does the same for the set encoder. Both compute what the module
computes, to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from smvae_core.models.set_encoder import AttentionSetEncoder

Step = Callable[[Tensor], Tensor]


@torch.inference_mode()
def lower(network: nn.Module, shape: tuple[int, ...]) -> Step:
    """A function that computes what a network does, for one sample.

    Args:
        network: float32, on the CPU. Later changes of its weights have no effect.
        shape: of the sample, without batch.

    Returns:
        (1, *shape) → (1, *output shape). The result stays valid until the next call, and only one
        thread may call it.
    """
    steps: list[Step] = []
    value = torch.zeros(1, *shape)
    for layer in _layers(network):
        step = _lower_layer(layer, value, owned=bool(steps))
        value = step(value)
        steps.append(step)

    def run(value: Tensor) -> Tensor:
        for step in steps:
            value = step(value)
        return value

    return run


def _layers(network: nn.Module) -> Iterator[nn.Module]:
    """The layers of nested sequences, in order."""
    if isinstance(network, nn.Sequential):
        for part in network:
            yield from _layers(part)
    else:
        yield network


def _lower_layer(layer: nn.Module, example: Tensor, owned: bool) -> Step:
    """The step of one layer, which gets tensors like ``example``; ``owned``: it may write there."""
    if isinstance(layer, nn.Linear):
        return _linear(layer)
    if isinstance(layer, nn.SiLU) and owned:
        return lambda value: functional.silu(value, inplace=True)
    if isinstance(layer, nn.Flatten):
        return _flatten(example)
    if _is_plain(layer, nn.Conv1d, nn.Conv2d):
        return _convolution(layer, example)
    if _is_plain(layer, nn.ConvTranspose1d, nn.ConvTranspose2d) and _doubles(layer):
        return _doubling(layer, example)
    return layer


def _is_plain(layer: Any, *types: Any) -> bool:
    return bool(
        isinstance(layer, types)
        and layer.groups == 1
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
        and set(layer.dilation) == {1}
        and layer.bias is not None
    )


def _doubles(layer: Any) -> bool:
    sizes = (layer.kernel_size, layer.stride, layer.padding, layer.output_padding)
    return all(set(size) == {wanted} for size, wanted in zip(sizes, (4, 2, 1, 0), strict=True))


def _linear(layer: nn.Linear) -> Step:
    weight, bias = layer.weight.T.contiguous(), layer.bias.clone()
    result = torch.empty(1, layer.out_features)
    return lambda value: torch.addmm(bias, value, weight, out=result)


def _flatten(example: Tensor) -> Step:
    result = torch.empty(1, example.numel())
    shaped = result.view(example.shape)

    def step(value: Tensor) -> Tensor:
        shaped.copy_(value)
        return result

    return step


class _Windows:
    """All windows of a padded input (1, channels, *space), as the rows of a matrix.

    Space has two dimensions here; a series has a height of 1.

    Attributes:
        matrix: (windows, kernel height * kernel width * channels).
        count: windows along height and width.
    """

    def __init__(
        self, example: Tensor, kernel: list[int], stride: list[int], padding: list[int]
    ) -> None:
        channels, space = example.shape[1], list(example.shape[2:])
        if len(space) == 1:
            space, kernel, stride, padding = [1, *space], [1, *kernel], [1, *stride], [0, *padding]
        (height, width), (top, left) = space, padding
        padded = torch.zeros(height + 2 * top, width + 2 * left, channels)
        inner = padded[top : top + height, left : left + width].permute(2, 0, 1)[None]
        self._inner = inner if example.ndim == 4 else inner[:, :, 0]
        self.count = [
            (size + 2 * pad - extent) // step + 1
            for size, pad, extent, step in zip(space, padding, kernel, stride, strict=True)
        ]
        row, column = padded.stride()[:2]
        self._views = padded.as_strided(
            (*self.count, kernel[0], kernel[1] * channels),
            (stride[0] * row, stride[1] * column, row, 1),
        )
        self._copies = torch.empty(self._views.shape)
        self.matrix = self._copies.view(math.prod(self.count), -1)

    def take(self, value: Tensor) -> None:
        """Fills the matrix."""
        self._inner.copy_(value)
        self._copies.copy_(self._views)


def _channels_first(values: Tensor, dimensions: int) -> Tensor:
    """(height, width, channels) → (1, channels, *space), the same memory."""
    values = values.permute(2, 0, 1)[None]
    return values if dimensions == 2 else values[:, :, 0]


def _convolution(layer: Any, example: Tensor) -> Step:
    dimensions = example.ndim - 2
    windows = _Windows(example, *map(list, (layer.kernel_size, layer.stride, layer.padding)))
    # (out, in, *kernel) → (*kernel, in, out), as the windows' elements lie in memory
    weight = layer.weight.movedim(1, -1).flatten(1).T.contiguous()
    bias = layer.bias.clone()
    product = torch.empty(len(windows.matrix), layer.out_channels)
    result = _channels_first(product.view(*windows.count, -1), dimensions)

    def step(value: Tensor) -> Tensor:
        windows.take(value)
        torch.addmm(bias, windows.matrix, weight, out=product)
        return result

    return step


def _doubling(layer: Any, example: Tensor) -> Step:
    """A transposed convolution with kernel 4, stride 2 and padding 1.

    Along one axis, output 2i + a (a = 0, 1) is the sum of two inputs: i - 1 and i for a = 0, i and
    i + 1 for a = 1, with kernel elements 3 - a and 1 - a; these are window i + a of the padded
    input. So one product gives the output of all windows for every a.
    """
    dimensions, (inputs, outputs) = example.ndim - 2, layer.weight.shape[:2]
    windows = _Windows(example, [2] * dimensions, [1] * dimensions, [1] * dimensions)
    phases = [2, 2] if dimensions == 2 else [1, 2]
    # Backwards, kernel element 2n + a is the window's element n in phase a: (in, out, n, a, n, a).
    weight = layer.weight.flip(*range(2, 2 + dimensions))
    weight = weight.reshape(inputs, outputs, *(phase for phase in phases for _ in range(2)))
    weight = weight.permute(2, 4, 0, 3, 5, 1).reshape(windows.matrix.shape[1], -1).contiguous()
    bias = layer.bias.repeat(math.prod(phases))
    product = torch.empty(len(windows.matrix), weight.shape[1])
    parts = product.view(*windows.count, *phases, outputs)
    height, width = (
        count - (phase == 2) for count, phase in zip(windows.count, phases, strict=True)
    )
    whole = torch.empty(height, phases[0], width, phases[1], outputs)
    pieces = [
        (whole[:, a, :, b], parts[a : a + height, b : b + width, a, b])
        for a in range(phases[0])
        for b in range(phases[1])
    ]
    result = _channels_first(whole.view(height * phases[0], width * phases[1], outputs), dimensions)

    def step(value: Tensor) -> Tensor:
        windows.take(value)
        torch.addmm(bias, windows.matrix, weight, out=product)
        for piece, part in pieces:
            piece.copy_(part)
        return result

    return step


@torch.inference_mode()
def lower_attention(
    encoder: AttentionSetEncoder,
) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """A function that computes what the set encoder does, for one sample.

    The only query is a parameter, so whatever the embeddings are multiplied with on the way to the
    scores of a head is one vector, and on the way from its weights to H one matrix.

    Args:
        encoder: float32, on the CPU. Later changes of its weights have no effect.

    Returns:
        Embeddings (1, M, d) and which of them are present (1, M) bool → mean and log-variance,
        (1, D) each. The weights of those that are not present are exactly zero.
    """
    attention, query = encoder.attention, encoder.query[0]
    heads, size = attention.num_heads, attention.embed_dim
    w_value, b_value = attention.in_proj_weight.chunk(3)[2], attention.in_proj_bias.chunk(3)[2]
    keys = encoder.score_vectors()
    outwards = attention.out_proj.weight.view(size, heads, -1)
    values = torch.einsum("ohk,hkd->hdo", outwards, w_value.view(heads, -1, size))
    values = values.reshape(heads * size, size)
    offset = functional.linear(b_value, attention.out_proj.weight, attention.out_proj.bias) + query
    first: Any = encoder.feed_forward[0]
    feed_forward, head = _linear(first), _linear(encoder.head)
    absent = torch.tensor(-math.inf)

    def run(embeddings: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        present = present.T
        embeddings = torch.where(present, embeddings[0], 0.0)
        weights = torch.where(present, embeddings @ keys, absent).softmax(0)
        hidden = torch.addmm(offset, (weights.T @ embeddings).view(1, -1), values)
        hidden = functional.silu(feed_forward(hidden), inplace=True) + hidden
        return encoder.posterior(head(hidden))

    return run
