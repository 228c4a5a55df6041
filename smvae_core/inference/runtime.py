# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A runtime: one way to run the networks of a model for one sample.

- ``onnx``: ONNX Runtime, on a CPU or by its CUDA provider; float32
- ``tensorrt``: ONNX Runtime's TensorRT provider; float32
- ``eager``: PyTorch's modules as they are; everywhere
- ``cuda_graphs``: PyTorch's kernels, launched by one call for each network; CUDA

``auto`` is ``onnx`` on a CPU, and on a GPU without PyTorch; else, and for other precisions than
float32, ``eager``.

``benchmarks.inference`` compares them. A library is imported when a runtime that needs it is made.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from smvae_core.inference.choices import AUTO, ONNX_RUNTIMES, PRECISIONS, RUNTIMES
from smvae_core.inference.devices import DeviceError, count_torch_gpus
from smvae_core.stored_model import StoredModel


class Runtime(Protocol):
    """To be used by one thread at a time. What it returns stays valid."""

    def embed(self, name: str, array: np.ndarray) -> Any:
        """E_i(x_i) of a prepared array of the modality, for :meth:`fuse`."""

    def fuse(self, embeddings: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, Any]:
        """q(z|X_s) of some embeddings (Eq. 7): its mean and log-variance, float32 (D,) each, and
        what :meth:`decode` begins with."""

    def decode(self, z: Any, names: Collection[str]) -> tuple[list[np.ndarray], np.ndarray]:
        """What modalities are expected to be (``MultimodalVAE.predict``), in raw units, an array of
        ``raw_shape`` each; and (M,) what all its values were together before they were rounded,
        which is not finite where one was not."""


def find_runtime(name: str, device: str, precision: str) -> str:
    """The name of the runtime; ``auto`` is replaced by what it stands for.

    Raises:
        DeviceError: for an unknown one, and for one that cannot run here; says why.
    """
    if precision not in PRECISIONS:
        raise DeviceError(f"unknown precision {precision!r}; choose one of {', '.join(PRECISIONS)}")
    if precision == "float16" and device == "cpu":
        raise DeviceError("precision float16 needs a CUDA device; on a CPU use float32 or bfloat16")
    if name == AUTO:
        name = _fastest(device, precision)
    if name not in RUNTIMES:
        raise DeviceError(f"unknown runtime {name!r}; choose one of {AUTO}, {', '.join(RUNTIMES)}")
    if name in ("tensorrt", "cuda_graphs") and device == "cpu":
        raise DeviceError(f"runtime {name} needs a CUDA device, not {device}; use {AUTO}")
    if name in ONNX_RUNTIMES:
        _check_onnx(name, device, precision)
    else:
        _check_torch(name, device)
    return name


def _fastest(device: str, precision: str) -> str:
    on_torch = precision != "float32" or (device != "cpu" and count_torch_gpus())
    only_torch = find_spec("onnxruntime") is None and find_spec("torch") is not None
    return "eager" if on_torch or only_torch else "onnx"


def _check_onnx(name: str, device: str, precision: str) -> None:
    if precision != "float32":
        raise DeviceError(
            f"runtime {name} computes in float32, not in {precision}; use {AUTO} or eager"
        )
    if find_spec("onnxruntime") is None:
        raise DeviceError(
            f"runtime {name} needs ONNX Runtime, which is not installed: pip install "
            "'smvae_ros[node]'"
        )
    from smvae_core.inference.onnx_runtime import find_providers

    find_providers(name, device)


def _check_torch(name: str, device: str) -> None:
    if find_spec("torch") is None:
        raise DeviceError(
            f"runtime {name} needs PyTorch, which is not installed: pip install "
            "'smvae_ros[torch]', or use onnx"
        )
    if device != "cpu" and not count_torch_gpus():
        raise DeviceError(f"runtime {name} on device {device} needs a CUDA build of torch")


def make_runtime(
    name: str, model: StoredModel, device: str, precision: str, threads: int | None
) -> Runtime:
    """The runtime that :func:`find_runtime` named, of a model; arguments as those of
    :class:`smvae_core.inference.inference.Inference`."""
    if name in ONNX_RUNTIMES:
        from smvae_core.inference.onnx_runtime import OnnxRuntime, find_providers

        return OnnxRuntime(model, find_providers(name, device), threads or 1)
    from smvae_core.inference import torch_runtimes

    types = {
        "eager": torch_runtimes.EagerRuntime,
        "cuda_graphs": torch_runtimes.CudaGraphsRuntime,
    }
    return types[name](model, device, precision, threads)
