# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Graphs are made of all that can be trained, and of nothing that does not fit.

That they compute what PyTorch does is in test/core/inference/test_onnx_runtime.py and
test/training/test_export.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest

from all_models import MODELS, any_model
from smvae_core.graphs.build import build_graphs
from smvae_core.modalities import Kind, LikelihoodName, Network
from smvae_core.models import network_checks
from smvae_core.models.multimodal_vae import MultimodalVAE
from smvae_core.models.network_checks import NETWORKS
from smvae_core.models.networks import DECODERS, EMBEDDINGS
from smvae_core.models.registry import METHODS
from smvae_core.models.set_encoder import SET_ENCODERS
from smvae_core.models.smvae import SMVAE


def arrays_of(model: MultimodalVAE) -> dict[str, np.ndarray]:
    return {name: x.numpy() for name, x in model.state_dict().items()}


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
