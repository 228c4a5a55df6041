# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Graphs in ONNX Runtime compute what the model computes in PyTorch."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from all_models import MODELS, any_model, random_readings
from smvae_core.distributions import Mixture
from smvae_core.graphs.build import build_graphs
from smvae_core.graphs.graph import Graph
from smvae_core.models.multimodal_vae import MultimodalVAE, without_holes
from smvae_core.tensors import to_raw, to_tensor

onnxruntime = pytest.importorskip("onnxruntime")

CLOSE = 1e-4  # of the largest value; test/helpers/single_precision.py says why


def arrays_of(model: MultimodalVAE, half: bool = False) -> dict[str, np.ndarray]:
    tensors = model.state_dict().items()
    return {name: (x.half() if half else x).numpy() for name, x in tensors}


def graphs_of(model: MultimodalVAE, weights: dict[str, np.ndarray]) -> dict[str, Graph]:
    return build_graphs(model.kind, model.modalities, model.architecture, weights)


class Sessions:
    """All graphs of a model, in ONNX Runtime."""

    def __init__(self, graphs: dict[str, Graph], weights: dict[str, np.ndarray]) -> None:
        self._sessions = {}
        for name, graph in graphs.items():
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            values = [
                onnxruntime.OrtValue.ortvalue_from_numpy(weights[key]) for key in graph.weight_names
            ]
            options.add_external_initializers(list(graph.weight_names), values)
            self._sessions[name] = onnxruntime.InferenceSession(
                graph.to_bytes({}), options, providers=["CPUExecutionProvider"]
            )

    def __call__(self, name: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        session = self._sessions[name]
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, inputs), strict=True))


def assert_close(found: np.ndarray, expected: Any) -> None:
    expected = np.asarray(expected)
    assert found.shape == expected.shape
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, expected, rtol=0, atol=CLOSE * np.abs(expected).max())


@pytest.mark.parametrize("name", MODELS)
@torch.inference_mode()
def test_every_model_is_the_same_in_onnx_runtime(name: str) -> None:
    model = any_model(name)
    weights = arrays_of(model)
    run = Sessions(graphs_of(model, weights), weights)
    readings = random_readings(model)
    observed = {n: to_tensor(model.modalities[n], x[None]) for n, x in readings.items()}
    embeddings = model.embed({n: without_holes(x) for n, x in observed.items()})
    for n in model.names:
        assert_close(run(f"embed_{n}", reading=readings[n])["embedding"], embeddings[n])
    stacked = np.stack([embeddings[n].numpy() for n in model.names], axis=1)
    for size in range(1, len(model.names) + 1):
        for subset in itertools.combinations(model.names, size):
            present = np.array([[n in subset for n in model.names]])
            rows = np.where(present[..., None], stacked, np.inf)  # which nobody may look at
            found = run("fuse", embeddings=rows, present=present)
            posterior = model.encode_embeddings(
                {n: torch.from_numpy(stacked[:, i]) for i, n in enumerate(model.names)},
                torch.from_numpy(present),
            )
            assert_close(found["mean"], posterior.mean)
            assert_close(found["log_variance"], posterior.log_variance)
    expected = model.predict(posterior)
    inputs = {"z": found["mean"]}
    if isinstance(posterior, Mixture):
        assert_close(found["weights"], posterior.log_weights[0].exp())
        inputs = {"z": found["means"], "weights": found["weights"]}
    for n, modality in model.modalities.items():
        outputs = run(f"decode_{n}", **inputs)
        raw = to_raw(modality, expected[n])[0].numpy()
        assert outputs["prediction"].dtype == raw.dtype
        if modality.kind == "image":  # a count may be rounded either way
            np.testing.assert_allclose(outputs["prediction"].astype(int), raw, rtol=0, atol=1)
        else:
            assert_close(outputs["prediction"], raw)
        scale = float(expected[n].abs().sum())
        assert outputs["sum"] == pytest.approx(float(expected[n].sum()), abs=CLOSE * scale)
