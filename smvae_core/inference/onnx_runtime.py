# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The runtime that is ONNX Runtime's.

Its graphs are made here of the model's description and get its weights as arrays, so that no file
is opened but those that were checked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import onnxruntime

from smvae_core.graphs.build import build_graphs
from smvae_core.graphs.graph import Graph
from smvae_core.inference.devices import DeviceError
from smvae_core.stored_model import CheckpointError, StoredModel

Providers = list[tuple[str, dict[str, Any]]]  # by name with their options, the best first
# By default convolutions leave 10 of 23 bits of the mantissa, and each way to compute one is tried.
_CUDA_OPTIONS = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
_ERRORS_ONLY = 3  # of ONNX Runtime's log


class OnnxRuntime:
    """``onnx`` and ``tensorrt``; a :class:`smvae_core.inference.runtime.Runtime`.

    Args:
        model: as it was read.
        providers: what the first cannot run, the next does.
        threads: of a CPU, for each network.

    Raises:
        CheckpointError: where its weights are not what the description says.
        DeviceError: where ONNX Runtime or its provider cannot run it; also later, from each method.
    """

    def __init__(self, model: StoredModel, providers: Providers, threads: int) -> None:
        try:
            graphs = build_graphs(model.kind, model.modalities, model.architecture, model.weights)
        except ValueError as error:
            raise CheckpointError(f"{model.path}: {error}") from error
        self._rows = {name: row for row, name in enumerate(model.modalities)}
        self._dtypes = {name: modality.raw_dtype for name, modality in model.modalities.items()}
        self._size: int = model.architecture["embedding_size"]
        weights = {
            name: onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))
            for name, array in model.weights.items()
        }
        self._sessions = {
            name: _session(graph, weights, providers, threads) for name, graph in graphs.items()
        }

    def embed(self, name: str, array: np.ndarray) -> np.ndarray:
        reading = np.asarray(array, self._dtypes[name])
        (embedding,) = self._run(f"embed_{name}", {"reading": reading})
        return embedding

    def fuse(
        self, embeddings: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        stacked = np.zeros((1, len(self._rows), self._size), np.float32)
        present = np.zeros((1, len(self._rows)), bool)
        for name, embedding in embeddings.items():
            row = self._rows[name]
            stacked[0, row], present[0, row] = embedding[0], True
        inputs = {"embeddings": stacked, "present": present}
        mean, log_variance, *components = self._run("fuse", inputs)
        if not components:
            return mean[0], log_variance[0], {"z": mean}
        means, weights = components
        there = weights > 0
        return mean[0], log_variance[0], {"z": means[there], "weights": weights[there]}

    def decode(
        self, z: dict[str, np.ndarray], names: Collection[str]
    ) -> tuple[list[np.ndarray], np.ndarray]:
        results = (self._run(f"decode_{name}", z) for name in names)
        predictions, sums = zip(*results, strict=True)
        return list(predictions), np.array(sums)

    def _run(self, graph: str, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        try:
            return self._sessions[graph].run(None, inputs)
        except Exception as error:  # it has a dozen kinds, without a base of their own
            raise DeviceError(f"ONNX Runtime cannot run {graph}: {_first_line(error)}") from error


def _session(graph: Graph, weights: Mapping[str, Any], providers: Providers, threads: int) -> Any:
    """An onnxruntime.InferenceSession."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = _ERRORS_ONLY
    names = list(graph.weight_names)
    options.add_external_initializers(names, [weights[name] for name in names])
    try:
        session = onnxruntime.InferenceSession(graph.to_bytes({}), options, providers=providers)
    except Exception as error:  # it has a dozen kinds, without a base of their own
        raise DeviceError(
            f"ONNX Runtime {onnxruntime.__version__} cannot run the networks: "
            f"{_first_line(error)}; install a newer one, or use another runtime"
        ) from error
    first, _ = providers[0]
    if first not in session.get_providers():  # it only warns, and takes the CPU
        raise DeviceError(
            f"ONNX Runtime's {first} cannot be loaded here; install the libraries that it "
            "needs (CUDA and cuDNN, or TensorRT), or use another device or runtime"
        )
    return session


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def find_providers(runtime: str, device: str) -> Providers:
    """The providers for a runtime on a device.

    Raises:
        DeviceError: where the first of them is not there; names those that are.
    """
    providers: Providers = [("CPUExecutionProvider", {})]
    if device != "cpu":
        number = {"device_id": device.partition(":")[2] or "0"}
        providers = [("CUDAExecutionProvider", {**number, **_CUDA_OPTIONS})]
        if runtime == "tensorrt":
            providers.insert(0, ("TensorrtExecutionProvider", number))
        if hasattr(onnxruntime, "preload_dlls"):  # since 1.21
            onnxruntime.preload_dlls()  # those that pip installs lie where no linker looks
    name, _ = providers[0]
    available = onnxruntime.get_available_providers()
    if name not in available:
        raise DeviceError(
            f"runtime {runtime} on device {device} needs ONNX Runtime's {name}; this installation "
            f"has {', '.join(available)}. Install onnxruntime-gpu in place of onnxruntime, or use "
            "device cpu or another runtime"
        )
    return providers
