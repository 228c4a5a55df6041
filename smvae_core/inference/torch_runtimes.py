# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The runtimes that are PyTorch's: the modules as they are, and as CUDA graphs.

There is one function for each embedding network and decoder, and one for what joins embeddings;
where that needs a fixed shape, modalities that are absent are masked. So there are 2M + 1 of them
for M modalities, not one for each subset.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from smvae_core.checkpoint import build_model
from smvae_core.distributions import Mixture, Posterior
from smvae_core.models.multimodal_vae import MultimodalVAE, without_holes
from smvae_core.stored_model import StoredModel
from smvae_core.tensors import to_raw, to_tensor

Function = Callable[..., Any]
Points = list[Tensor]  # z (1, D); of a mixture its components' means (K, D) and weights (K,)


class EagerRuntime:
    """``eager``, and what the other has in common with it; a
    :class:`smvae_core.inference.runtime.Runtime`.

    Args:
        model: as it was read.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``float32``, or ``bfloat16``/``float16`` through autocast.
        threads: of the whole process on a CPU; None leaves them as they are.
    """

    @torch.inference_mode()
    def __init__(
        self, model: StoredModel, device: str, precision: str, threads: int | None
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self._device = torch.device(device)
        self._precision = None if precision == "float32" else getattr(torch, precision)
        self._model = build_model(model).to(self._device)
        # As cameras deliver images, so that nothing is reordered on the way in and out.
        self._model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's
        self._modalities = self._model.modalities
        points = (_count_components(self._model), self._model.latent_size)
        with self._autocast():
            self._embed = {
                name: self._function(self._model.embeddings[name], (1, *modality.shape))
                for name, modality in self._modalities.items()
            }
            self._decode = {
                name: self._function(self._model.decoders[name], points)
                for name in self._modalities
            }
        self._pinned: dict[str, Tensor] = {}
        if self._device.type == "cuda":
            # By default PyTorch's convolutions leave 10 of 23 bits of the mantissa (TF32).
            torch.backends.cudnn.allow_tf32 = False
            self._pinned = {
                name: torch.empty(
                    modality.raw_shape, dtype=getattr(torch, modality.raw_dtype), pin_memory=True
                )
                for name, modality in self._modalities.items()
            }

    @torch.inference_mode()
    def embed(self, name: str, array: np.ndarray) -> Tensor:
        with self._autocast():
            return self._embed[name](self._network_input(name, array)).clone()

    @torch.inference_mode()
    def fuse(self, embeddings: Mapping[str, Tensor]) -> tuple[np.ndarray, np.ndarray, Points]:
        with self._autocast():
            mean, log_variance, *components = self._join(embeddings)
            parameters = torch.cat((mean, log_variance)).float()  # (2, D)
        (host,) = to_host([parameters])  # waits for the device, too
        return host[0], host[1], [x.clone() for x in components] or [parameters[:1]]

    @torch.inference_mode()
    def decode(self, z: Points, names: Collection[str]) -> tuple[list[np.ndarray], np.ndarray]:
        with self._autocast():
            means = {name: self._expected(name, *z) for name in names}
            sums = torch.stack([mean.sum(dtype=torch.float32) for mean in means.values()])
            raw = [to_raw(self._modalities[name], mean)[0] for name, mean in means.items()]
            *arrays, host = to_host([*raw, sums])
        return arrays, host

    def _expected(self, name: str, z: Tensor, weights: Tensor | None = None) -> Tensor:
        """E[x_i|z] (1, *shape); see :meth:`MultimodalVAE.predict`."""
        x = self._model.likelihood(name, self._decode[name](z)).mean
        return x if weights is None else torch.einsum("k,k...->...", weights, x)[None]

    def _join(self, embeddings: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Mean and log-variance (1, D); of a mixture also the components' means (K, D) and weights
        (K,)."""
        return _parameters(self._model.encode_embeddings(embeddings))

    def _function(self, network: nn.Module, shape: tuple[int, ...]) -> Function:
        """A network for inputs of this shape. What it returns need not outlive its next call."""
        return network

    def _autocast(self) -> AbstractContextManager[object]:
        if self._precision is None:  # entering a disabled one takes 10 µs
            return nullcontext()
        # Without its cache: a CUDA graph must not hold weights that are gone when the cache is.
        return torch.autocast(self._device.type, dtype=self._precision, cache_enabled=False)

    def _network_input(self, name: str, array: np.ndarray) -> Tensor:
        """Prepared array → (1, *shape) on the device; through pinned memory where it is a GPU."""
        modality = self._modalities[name]
        # torch warns of arrays that are read-only, as those in a message's memory are.
        tensor = torch.from_numpy(array if array.flags.writeable else array.copy())
        if name in self._pinned:
            tensor = self._pinned[name].copy_(tensor).to(self._device, non_blocking=True)
        values = to_tensor(modality, tensor[None])
        # Elsewhere nothing is missing, and what overflows here shall be noticed.
        return without_holes(values) if modality.has_holes else values


class CudaGraphsRuntime(EagerRuntime):
    """``cuda_graphs``, captured under the autocast that is in force when it is made. Embeddings
    are joined in fixed shapes; whatever is absent is masked."""

    @torch.inference_mode()
    def __init__(
        self, model: StoredModel, device: str, precision: str, threads: int | None
    ) -> None:
        super().__init__(model, device, precision, threads)
        count, size = len(self._model.names), self._model.embedding_size
        self._embeddings = torch.zeros(1, count, size, device=self._device)
        self._rows = dict(zip(self._model.names, self._embeddings[0], strict=True))
        present = torch.ones(1, count, dtype=torch.bool, device=self._device)
        with self._autocast():
            self._joined = _capture(self._join_masked, self._embeddings.clone(), present)

    def _join(self, embeddings: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        present = torch.tensor([[name in embeddings for name in self._rows]])
        for name, embedding in embeddings.items():
            self._rows[name].copy_(embedding[0])
        return self._joined(self._embeddings, present.to(self._device))

    def _join_masked(self, embeddings: Tensor, present: Tensor) -> tuple[Tensor, ...]:
        named = dict(zip(self._model.names, embeddings.unbind(1), strict=True))
        return _parameters(self._model.encode_embeddings(named, present))

    def _function(self, network: nn.Module, shape: tuple[int, ...]) -> Function:
        example = torch.zeros(shape, device=self._device)
        if example.ndim == 4:
            example = example.contiguous(memory_format=torch.channels_last)  # as to_tensor's
        return _capture(network, example)


def _parameters(posterior: Posterior) -> tuple[Tensor, ...]:
    """Of one sample, as :meth:`EagerRuntime._join` returns them."""
    if not isinstance(posterior, Mixture):
        return posterior.mean, posterior.log_variance
    components, weights = posterior.components.mean[0], posterior.log_weights[0].exp()
    return posterior.mean, posterior.log_variance, components, weights


def _count_components(model: MultimodalVAE) -> int:
    """K of the posterior of all modalities."""
    blank = next(model.parameters()).new_zeros(1, model.embedding_size)
    posterior = model.encode_embeddings(dict.fromkeys(model.names, blank))
    return posterior.log_weights.shape[1] if isinstance(posterior, Mixture) else 1


def _capture(function: Function, *inputs: Tensor) -> Function:
    """The function as a CUDA graph for inputs like these (PyTorch's notes on CUDA semantics)."""
    graph = torch.cuda.CUDAGraph()
    # A capture hears its own stream only, and the usual one is of the GPU that needed it first.
    with torch.cuda.device(inputs[0].device):
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                function(*inputs)
        torch.cuda.current_stream().wait_stream(stream)
        # Other threads may allocate meanwhile, such as that of the model this one will replace.
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            outputs = function(*inputs)

    def replay(*values: Tensor) -> Any:
        for kept, value in zip(inputs, values, strict=True):
            kept.copy_(value)
        graph.replay()
        return outputs

    return replay


def to_host(tensors: Sequence[Tensor]) -> list[np.ndarray]:
    """Arrays of these tensors, which are all on one device: with a single transfer from a GPU, and
    without a copy where that is possible on a CPU."""
    if not tensors or tensors[0].device.type == "cpu":
        return [np.ascontiguousarray(tensor.numpy()) for tensor in tensors]
    packed = torch.cat([tensor.contiguous().view(-1).view(torch.uint8) for tensor in tensors])
    data = packed.cpu().numpy()
    arrays, start = [], 0
    for tensor in tensors:
        part = data[start : start + tensor.nbytes]
        # A copy, since the parts need not lie where their type may.
        dtype = str(tensor.dtype).removeprefix("torch.")
        arrays.append(part.copy().view(dtype).reshape(tensor.shape))
        start += tensor.nbytes
    return arrays
