# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Ways to run the networks of a model for one sample; ``benchmarks.inference`` compares them.

- ``eager``: the modules as they are; everywhere
- ``matrix``: matrix products in memory that is allocated once
  (:mod:`smvae_core.inference.im2col`); float32 on a CPU
- ``compiled``: torch.compile, which needs a C++ compiler on this machine (and Triton for CUDA), and
  up to minutes before the first posterior
- ``cuda_graphs``: kernels launched by one call for each network; CUDA

There is one function for each embedding network and decoder, and one for what joins embeddings;
where that needs a fixed shape, modalities that are absent are masked. So there are 2M + 1 of them
for M modalities, not one for each subset.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from smvae_core.inference.choices import AUTO, RUNTIMES
from smvae_core.inference.im2col import lower, lower_attention
from smvae_core.models.multimodal_vae import MultimodalVAE
from smvae_core.models.set_encoder import AttentionSetEncoder, PriorAttentionSetEncoder

Function = Callable[..., Any]


class Runtime:
    """``eager``, and what the others have in common.

    What a function returns may stay valid only until its next call, and only one thread may use a
    runtime.

    Args:
        model: on its device. Later changes of its weights may have no effect.

    Attributes:
        embed: modality → function of a network input (1, *shape), which returns E_i(x_i) (1, d).
        decode: modality → function of z (1, D), which returns what the decoder puts out.
    """

    def __init__(self, model: MultimodalVAE) -> None:
        self._model = model
        self._device = next(model.parameters()).device
        self.embed: dict[str, Function] = {}
        self.decode: dict[str, Function] = {}
        for name, modality in model.modalities.items():
            self.embed[name] = self._function(model.embeddings[name], modality.shape)
            self.decode[name] = self._function(model.decoders[name], (model.latent_size,))

    def fuse(self, embeddings: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (1, D) of q(z|X_s) from some embeddings (Eq. 7)."""
        posterior = self._model.encode_embeddings(embeddings)
        return posterior.mean, posterior.log_variance

    def _function(self, network: nn.Module, shape: tuple[int, ...]) -> Function:
        return network


class _MaskedRuntime(Runtime):
    """Joins embeddings with a function of fixed shapes; whatever is absent is masked."""

    def __init__(self, model: MultimodalVAE) -> None:
        super().__init__(model)
        count, size = len(model.names), model.embedding_size
        self._embeddings = torch.zeros(1, count, size, device=self._device)
        self._rows = dict(zip(model.names, self._embeddings[0], strict=True))
        self._mask = np.zeros((1, count), dtype=bool)
        self._present = torch.from_numpy(self._mask)  # the same memory
        self._joined = self._joining()

    def fuse(self, embeddings: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        self._mask[0] = [name in embeddings for name in self._rows]
        for name, embedding in embeddings.items():
            self._rows[name].copy_(embedding[0])
        return self._joined(self._embeddings, self._present.to(self._device))

    def _joining(self) -> Function:
        return self._join

    def _join(self, embeddings: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        named = dict(zip(self._model.names, embeddings.unbind(1), strict=True))
        posterior = self._model.encode_embeddings(named, present)
        return posterior.mean, posterior.log_variance


class MatrixRuntime(_MaskedRuntime):
    """``matrix``: a baseline's way of joining embeddings is run as it is, masked."""

    def _function(self, network: nn.Module, shape: tuple[int, ...]) -> Function:
        return lower(network, shape)

    def _joining(self) -> Function:
        encoder: Any = getattr(self._model, "set_encoder", None)
        lowered = type(encoder) in (AttentionSetEncoder, PriorAttentionSetEncoder)
        return lower_attention(encoder) if lowered else self._join


class CompiledRuntime(_MaskedRuntime):
    """``compiled``. Functions are compiled when they are called first."""

    def __init__(self, model: MultimodalVAE) -> None:
        # To torch all networks are versions of one function, of which it compiles eight at most and
        # runs the others uncompiled.
        settings = torch._dynamo.config
        limit = max(settings.cache_size_limit, 8 + 2 * len(model.names))
        settings.cache_size_limit = limit  # the name of recompile_limit before torch 2.7, and since
        super().__init__(model)

    def _function(self, network: nn.Module, shape: tuple[int, ...]) -> Function:
        return self._compile(network)

    def _joining(self) -> Function:
        return self._compile(self._join)

    def _compile(self, function: Function) -> Function:
        options: Any = {"freezing": True} if self._device.type == "cpu" else None
        return torch.compile(function, dynamic=False, options=options)


class CudaGraphsRuntime(_MaskedRuntime):
    """``cuda_graphs``, captured under the autocast that is in force when it is made."""

    def _function(self, network: nn.Module, shape: tuple[int, ...]) -> Function:
        return _capture(network, torch.zeros(1, *shape, device=self._device))

    def _joining(self) -> Function:
        present = torch.ones(1, len(self._rows), dtype=torch.bool, device=self._device)
        return _capture(self._join, self._embeddings.clone(), present)


@torch.inference_mode()
def _capture(function: Function, *inputs: Tensor) -> Function:
    """The function as a CUDA graph for inputs like these (PyTorch's notes on CUDA semantics)."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            function(*inputs)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = function(*inputs)

    def replay(*values: Tensor) -> Any:
        for kept, value in zip(inputs, values, strict=True):
            kept.copy_(value)
        graph.replay()
        return outputs

    return replay


_RUNTIMES = dict(
    zip(RUNTIMES, (Runtime, MatrixRuntime, CompiledRuntime, CudaGraphsRuntime), strict=True)
)


def find_runtime(name: str, device: torch.device, precision: str) -> type[Runtime]:
    """The runtime of that name.

    Raises:
        ValueError: for an unknown one, and for one that cannot run here; says why.
    """
    matrix_fits = device.type == "cpu" and precision == "float32"
    if name == AUTO:
        name = "matrix" if matrix_fits else "eager"
    if name not in RUNTIMES:
        raise ValueError(f"unknown runtime {name!r}; choose one of {AUTO}, {', '.join(RUNTIMES)}")
    if name == "matrix" and not matrix_fits:
        raise ValueError(
            f"runtime matrix needs device cpu and precision float32, not {device} and {precision}; "
            f"use {AUTO}"
        )
    if name == "cuda_graphs" and device.type != "cuda":
        raise ValueError(f"runtime cuda_graphs needs a CUDA device, not {device}; use {AUTO}")
    if name == "compiled" and not _has_compiler():
        raise ValueError(
            "runtime compiled needs a C++ compiler, and there is none here: install g++, name one "
            f"in the environment variable CXX, or use {AUTO}"
        )
    return _RUNTIMES[name]


def _has_compiler() -> bool:
    return any(map(shutil.which, filter(None, (os.environ.get("CXX"), "g++", "clang++"))))
