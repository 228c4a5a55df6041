# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Every way of running the networks gives what the model gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from single_precision import FLOAT32, assert_same_readings
from small_models import random_prepared, save_small_checkpoint, small_modalities
from smvae_core.inference.devices import DeviceError
from smvae_core.inference.inference import Inference
from smvae_core.inference.runtime import find_runtime
from smvae_core.inference.torch_runtimes import to_host

NAMES = ("rgb", "depth", "force", "action", "proprio")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_checkpoint(tmp_path_factory.mktemp("checkpoint") / "model")


@pytest.fixture(scope="module", params=["eager", "onnx"])
def inference(path: Path, request: pytest.FixtureRequest) -> Inference:
    return Inference.load(path, runtime=request.param)


@pytest.fixture(scope="module")
def sample() -> dict[str, np.ndarray]:
    return random_prepared(small_modalities(), np.random.default_rng(0))


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


@pytest.mark.parametrize(
    ("name", "precision", "reason"),
    [
        ("fast", "float32", "unknown runtime 'fast'; choose one of auto, onnx, tensorrt, eager"),
        ("cuda_graphs", "float32", "needs a CUDA device, not cpu; use auto"),
        ("tensorrt", "float32", "needs a CUDA device, not cpu; use auto"),
        ("onnx", "bfloat16", "onnx computes in float32, not in bfloat16; use auto or eager"),
    ],
)
def test_runtimes_that_cannot_be(path: Path, name: str, precision: str, reason: str) -> None:
    with pytest.raises(DeviceError, match=reason):
        Inference.load(path, precision=precision, runtime=name)


def test_the_default_is_the_fastest_that_works_everywhere() -> None:
    assert find_runtime("auto", "cpu", "float32") == "onnx"
    assert find_runtime("auto", "cpu", "bfloat16") == "eager"


def _on_cpu(tensor: Tensor) -> Tensor:
    return tensor


@pytest.mark.parametrize("place", [_on_cpu, pytest.param(Tensor.cuda, marks=pytest.mark.cuda)])
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


@pytest.mark.cuda
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_runtimes_of_a_gpu(path: Path, sample: dict[str, np.ndarray], precision: str) -> None:
    runtimes = ("eager", "cuda_graphs")
    expected, found = (Inference.load(path, "cuda", precision, name) for name in runtimes)
    found.warm_up()
    for names in (NAMES, ("force",), ("rgb", "action")):
        part = {name: sample[name] for name in names}
        a, b = (inference(part, predict=NAMES) for inference in (expected, found))
        np.testing.assert_allclose(b.mean, a.mean, rtol=5e-2, atol=5e-2)
        for name in NAMES:
            assert b.arrays[name].shape == a.arrays[name].shape


@pytest.mark.cuda
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="no second GPU here")
@pytest.mark.parametrize("runtime", ["eager", "cuda_graphs"])
def test_any_gpu_can_be_chosen(path: Path, sample: dict[str, np.ndarray], runtime: str) -> None:
    expected = Inference.load(path)
    found = Inference.load(path, "cuda:1", runtime=runtime)
    for names in (NAMES, ("force",)):
        part = {name: sample[name] for name in names}
        mean = found.encode(part).mean
        np.testing.assert_allclose(mean, expected.encode(part).mean, rtol=1e-3, atol=1e-3)
