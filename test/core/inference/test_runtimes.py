# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Every way of running the networks gives what the model gives."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from single_precision import FLOAT32, assert_same_readings
from small_models import random_prepared, save_small_checkpoint, small_modalities
from smvae_core.checkpoint import save_checkpoint
from smvae_core.inference.im2col import lower, lower_attention
from smvae_core.inference.inference import DeviceError, Inference, to_host
from smvae_core.inference.runtimes import CompiledRuntime, MatrixRuntime, Runtime, find_runtime
from smvae_core.modalities import Modality
from smvae_core.models.set_encoder import AttentionSetEncoder, PriorAttentionSetEncoder
from smvae_core.models.smvae import SMVAE

NAMES = ("rgb", "depth", "force", "action", "proprio")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_checkpoint(tmp_path_factory.mktemp("checkpoint") / "model")


@pytest.fixture(scope="module", params=["eager", "matrix"])
def inference(path: Path, request: pytest.FixtureRequest) -> Inference:
    return Inference.load(path, runtime=request.param)


@pytest.fixture(scope="module")
def sample() -> dict[str, np.ndarray]:
    return random_prepared(small_modalities(), np.random.default_rng(0))


# -- single networks -------------------------------------------------------------------------------

NETWORKS = {
    "doubling convolutions": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 5, 4, 2, 1), nn.SiLU(), nn.Conv2d(5, 7, 4, 2, 1), nn.Flatten()
        ),
        (3, 12, 8),
    ),
    "any kernel, stride and padding": (
        lambda: nn.Sequential(nn.Conv2d(2, 3, (3, 5), (1, 2), (0, 2)), nn.Conv2d(3, 4, 1)),
        (2, 9, 11),
    ),
    "over time": (lambda: nn.Sequential(nn.Conv1d(6, 4, 4, 2, 1), nn.SiLU(), nn.Flatten()), (6, 8)),
    "transposed": (
        lambda: nn.Sequential(
            nn.Linear(6, 24),
            nn.Unflatten(1, (4, 2, 3)),
            nn.SiLU(),
            nn.ConvTranspose2d(4, 5, 4, 2, 1),
            nn.SiLU(),
            nn.ConvTranspose2d(5, 3, 4, 2, 1),
        ),
        (6,),
    ),
    "transposed over time": (
        lambda: nn.Sequential(nn.ConvTranspose1d(3, 5, 4, 2, 1), nn.SiLU()),
        (3, 7),
    ),
    "only linear": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.SiLU(), nn.Linear(5, 2)),
        (2, 3),
    ),
    "begins with an activation": (lambda: nn.Sequential(nn.SiLU(), nn.Linear(4, 3)), (4,)),
    "layers that are run as they are": (
        lambda: nn.Sequential(
            nn.Conv2d(4, 4, 3, groups=2),
            nn.Tanh(),
            nn.Conv2d(4, 3, 3, padding="same", dilation=2),
            nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect"),
            nn.Conv2d(3, 2, 2, bias=False),
            nn.ConvTranspose2d(2, 2, 3),
        ),
        (4, 9, 9),
    ),
}


@torch.inference_mode()
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_lowered_network_is_the_network(name: str, memory_format: torch.memory_format) -> None:
    build, shape = NETWORKS[name]
    torch.manual_seed(0)
    network = build()
    lowered = lower(network, shape)
    for _ in range(2):
        x = torch.randn(1, *shape)
        if x.ndim == 4:
            x = x.to(memory_format=memory_format)
        kept = x.clone()
        torch.testing.assert_close(lowered(x), network(x), **FLOAT32)
        assert torch.equal(x, kept)


@torch.inference_mode()
@pytest.mark.parametrize("kind", [AttentionSetEncoder, PriorAttentionSetEncoder])
def test_the_lowered_set_encoder_is_the_masked_set_encoder(kind: type[AttentionSetEncoder]) -> None:
    torch.manual_seed(0)
    encoder = kind(12, 5, heads=3)
    nn.init.normal_(encoder.attention.in_proj_bias)
    nn.init.normal_(encoder.attention.out_proj.bias)
    lowered = lower_attention(encoder)
    for mask in itertools.product([False, True], repeat=4):
        if not any(mask):
            continue
        present = torch.tensor([mask])
        embeddings = torch.randn(1, 4, 12)
        alone = encoder(embeddings[:, list(mask)])
        for garbage in (0.0, float("nan"), float("inf")):
            given = torch.where(present[..., None], embeddings, garbage)
            for found, expected in zip(lowered(given, present), alone, strict=True):
                torch.testing.assert_close(found, expected, **FLOAT32)


# -- whole models ----------------------------------------------------------------------------------


def test_leaving_one_out_is_encoding_the_others(
    inference: Inference, sample: dict[str, np.ndarray]
) -> None:
    encoding = inference.encode(sample)
    kept = encoding.mean.copy(), encoding.log_variance.copy()
    before = inference.decode(encoding, NAMES)
    for name in NAMES:
        others = {other: array for other, array in sample.items() if other != name}
        found = inference.leave_out(encoding, name)
        prediction = inference.decode(found, [name])[name]
        expected = inference.encode(others)
        np.testing.assert_allclose(found.mean, expected.mean, **FLOAT32)
        np.testing.assert_allclose(found.log_variance, expected.log_variance, **FLOAT32)
        assert_same_readings(
            prediction, inference.decode(expected, [name])[name], inference.modalities[name]
        )
    # What was encoded before is still what it was.
    np.testing.assert_array_equal(encoding.mean, kept[0])
    np.testing.assert_array_equal(encoding.log_variance, kept[1])
    after = inference.decode(encoding, NAMES)
    for name in NAMES:
        np.testing.assert_array_equal(after[name], before[name])


def test_a_modality_that_was_there_before_leaves_no_trace(
    inference: Inference, sample: dict[str, np.ndarray]
) -> None:
    alone = {"force": sample["force"]}
    first = inference.encode(alone)
    inference.encode(sample)
    again = inference.encode(alone)
    np.testing.assert_array_equal(again.mean, first.mean)
    with pytest.raises(ValueError, match="cannot leave force out of a sample of force"):
        inference.leave_out(again, "force")
    with pytest.raises(ValueError, match="cannot leave rgb out of a sample of force"):
        inference.leave_out(again, "rgb")


def small_vectors(path: Path) -> Path:
    modalities = [Modality(name, "vector", (3,)) for name in ("left", "right")]
    save_checkpoint(path, SMVAE(modalities, latent_size=4, embedding_size=8))
    return path


def test_a_compiled_model_is_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the C++ compiler, which takes minutes; benchmarks.inference does it with."""

    def traced(self: CompiledRuntime, function: Callable[..., object]) -> Callable[..., object]:
        return torch.compile(function, dynamic=False, backend="eager")

    monkeypatch.setattr(CompiledRuntime, "_compile", traced)
    monkeypatch.setattr("smvae_core.inference.runtimes._has_compiler", lambda: True)
    path = small_vectors(tmp_path / "model")
    expected, found = (Inference.load(path, runtime=name) for name in ("eager", "compiled"))
    found.warm_up()
    sample = {"left": np.ones(3, np.float32), "right": np.zeros(3, np.float32)}
    stance = getattr(torch.compiler, "set_stance", lambda _: nullcontext())  # since torch 2.6
    with stance("fail_on_recompile"):
        for subset in (("left",), ("right",), ("left", "right")):
            part = {name: sample[name] for name in subset}
            a, b = (inference(part, predict=["right"]) for inference in (expected, found))
            np.testing.assert_allclose(b.mean, a.mean, **FLOAT32)
            np.testing.assert_allclose(b.arrays["right"], a.arrays["right"], **FLOAT32)


def test_compiling_without_a_compiler_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(DeviceError, match=r"needs a C\+\+ compiler.*install g\+\+.*use auto"):
        Inference.load(tmp_path / "nowhere", runtime="compiled")


@pytest.mark.parametrize(
    ("name", "precision", "reason"),
    [
        ("fast", "float32", "unknown runtime 'fast'; choose one of auto, eager, matrix, compiled"),
        ("cuda_graphs", "float32", "needs a CUDA device, not cpu; use auto"),
        ("matrix", "bfloat16", "needs device cpu and precision float32, not cpu and bfloat16"),
    ],
)
def test_runtimes_that_cannot_be(path: Path, name: str, precision: str, reason: str) -> None:
    with pytest.raises(DeviceError, match=reason):
        Inference.load(path, precision=precision, runtime=name)


def test_the_default_is_the_fastest_that_works_everywhere() -> None:
    assert find_runtime("auto", CPU, "float32") is MatrixRuntime
    assert find_runtime("auto", CPU, "bfloat16") is Runtime
    assert find_runtime("auto", torch.device("cuda"), "float32") is Runtime


def _on_cpu(tensor: Tensor) -> Tensor:
    return tensor


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")


@pytest.mark.parametrize("place", [_on_cpu, pytest.param(Tensor.cuda, marks=needs_gpu)])
def test_tensors_of_all_types_are_brought_to_the_host(place: Callable[[Tensor], Tensor]) -> None:
    tensors = [
        torch.arange(5, dtype=torch.uint8),
        torch.randn(2, 3),
        torch.randn(4, 3).T,
        torch.tensor(1.5),
    ]
    for array, tensor in zip(to_host([place(t) for t in tensors]), tensors, strict=True):
        np.testing.assert_array_equal(array, tensor.numpy())
        assert array.flags.c_contiguous
    assert to_host([]) == []


@needs_gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("runtime", ["cuda_graphs", "compiled"])
def test_runtimes_of_a_gpu(
    path: Path, sample: dict[str, np.ndarray], runtime: str, precision: str
) -> None:
    expected, found = (Inference.load(path, "cuda", precision, name) for name in ("eager", runtime))
    found.warm_up()
    for names in (NAMES, ("force",), ("rgb", "action")):
        part = {name: sample[name] for name in names}
        a, b = (inference(part, predict=NAMES) for inference in (expected, found))
        np.testing.assert_allclose(b.mean, a.mean, rtol=5e-2, atol=5e-2)
        for name in NAMES:
            assert b.arrays[name].shape == a.arrays[name].shape
