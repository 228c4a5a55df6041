# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Graphs in ONNX Runtime compute what the model computes in PyTorch."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
import torch

from all_models import MODELS, any_model, random_readings
from smvae_core.distributions import Mixture
from smvae_core.graphs.build import build_graphs
from smvae_core.graphs.graph import Graph
from smvae_core.modalities import Kind, LikelihoodName, Network
from smvae_core.models import network_checks
from smvae_core.models.multimodal_vae import MultimodalVAE, without_holes
from smvae_core.models.network_checks import NETWORKS
from smvae_core.models.networks import DECODERS, EMBEDDINGS
from smvae_core.models.registry import METHODS
from smvae_core.models.set_encoder import SET_ENCODERS
from smvae_core.models.smvae import SMVAE
from smvae_core.tensors import to_raw, to_tensor

onnxruntime = pytest.importorskip("onnxruntime")

CLOSE = 1e-4  # of the largest value; test/helpers/single_precision.py says why


def arrays_of(model: MultimodalVAE) -> dict[str, np.ndarray]:
    return {name: x.numpy() for name, x in model.state_dict().items()}


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


def test_nothing_that_can_be_trained_is_left_out() -> None:
    """What is added shall be added to graphs, too; the next test says how, and all_models.py has to
    have one with it."""
    models = [any_model(name) for name in MODELS]
    modalities = [modality for model in models for modality in model.modalities.values()]
    assert {model.kind for model in models} == set(METHODS)
    assert {m.embedding.name for m in modalities} == set(NETWORKS) == set(EMBEDDINGS)
    assert {m.decoder.name for m in modalities} == set(NETWORKS) == set(DECODERS)
    assert {m.kind for m in modalities} == set(get_args(Kind))
    assert {m.likelihood for m in modalities} == set(get_args(LikelihoodName))
    encoders = {model.set_encoder_name for model in models if isinstance(model, SMVAE)}
    assert encoders == set(SET_ENCODERS)


def test_what_has_no_graph_says_where_to_write_it(monkeypatch: pytest.MonkeyPatch) -> None:
    model = any_model("attention")
    weights, modalities = arrays_of(model), dict(model.modalities)
    monkeypatch.setattr(network_checks, "NETWORKS", (*NETWORKS, "transformer"))
    modalities["action"] = dataclasses.replace(
        modalities["action"], embedding=Network("transformer")
    )
    with pytest.raises(ValueError, match=r"'transformer' is not .* smvae_core\.graphs\.networks"):
        build_graphs("smvae", modalities, model.architecture, weights)
    architecture = {**model.architecture, "set_encoder": "deep_sets"}
    with pytest.raises(ValueError, match=r"'deep_sets' is not .* smvae_core\.graphs\.set_encoders"):
        build_graphs("smvae", model.modalities, architecture, weights)
    with pytest.raises(ValueError, match=r"'vqvae' is not .* smvae_core\.graphs\.fusion"):
        build_graphs("vqvae", model.modalities, model.architecture, weights)


Change = Callable[[dict[str, Any], dict[str, np.ndarray]], object]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda a, w: a.pop("heads"), "heads must be a positive whole number, not None"),
        (lambda a, w: a.update(heads="4"), "heads must be a positive whole number, not '4'"),
        (lambda a, w: a.update(heads=3), "must be a multiple of heads 3"),
        (lambda a, w: a.update(latent_size=True), "latent_size must be"),
        (lambda a, w: a.update(embedding_size=10**12), r"expected \(1000000000000, 128\)"),
        (lambda a, w: a.update(latent_size=7), "tensor set_encoder.head.weight has shape"),
        (lambda a, w: a.update(set_encoder=["attention"]), "is not known as a graph"),
        (lambda a, w: w.pop("decoders.force.0.bias"), "tensor decoders.force.0.bias is missing"),
        (lambda a, w: w.pop("log_scales.action"), "tensor log_scales.action is missing"),
        (lambda a, w: w.update(more=np.zeros(1)), "tensor more is unknown"),
    ],
)
def test_descriptions_and_weights_that_do_not_fit(change: Change, reason: str) -> None:
    model = any_model("attention")
    architecture, weights = dict(model.architecture), arrays_of(model)
    change(architecture, weights)
    with pytest.raises(ValueError, match=reason):
        build_graphs("smvae", model.modalities, architecture, weights)


@pytest.mark.parametrize(
    "given", [None, "label", [], ["label", "motion", "pixels"], ["sound"], [["label"]], [1]]
)
def test_a_condition_that_is_none(given: object) -> None:
    model = any_model("cvae")
    architecture = {**model.architecture, "given": given}
    with pytest.raises(ValueError, match="given must name some, but not all"):
        build_graphs("cvae", model.modalities, architecture, arrays_of(model))
