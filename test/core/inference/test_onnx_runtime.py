# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The node's default runtime: every model as in PyTorch, from nothing but what was checked."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from all_models import MODELS, any_model, random_readings
from places import ROOT
from single_precision import FLOAT32, assert_same_readings
from small_models import random_prepared, save_small_checkpoint, small_modalities, small_model
from smvae_core.checkpoint import save_checkpoint
from smvae_core.graphs import onnx_file
from smvae_core.inference.devices import DeviceError
from smvae_core.inference.inference import Encoding, Inference
from smvae_core.inference.runtime import find_runtime
from smvae_core.tensors import to_raw, to_tensor

NAMES = ("rgb", "depth", "force", "action", "proprio")


def assert_same(found: Encoding, expected: Encoding) -> None:
    np.testing.assert_allclose(found.mean, expected.mean, **FLOAT32)
    np.testing.assert_allclose(found.log_variance, expected.log_variance, **FLOAT32)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_that_of_pytorch(tmp_path: Path, name: str) -> None:
    model = any_model(name)
    save_checkpoint(tmp_path / "model", model)
    readings = random_readings(model)
    inferences = [Inference.load(tmp_path / "model", runtime=r) for r in ("onnx", "eager")]
    for size in range(1, len(readings) + 1):
        for subset in itertools.combinations(readings, size):
            sample = {name: readings[name] for name in subset}
            found, expected = (inference.encode(sample) for inference in inferences)
            assert_same(found, expected)
            for left_out in subset if size > 1 else ():
                assert_same(
                    inferences[0].leave_out(found, left_out),
                    inferences[1].leave_out(expected, left_out),
                )
            a, b = (
                i.decode(e, readings) for i, e in zip(inferences, (found, expected), strict=True)
            )
            for n, modality in model.modalities.items():
                assert_same_readings(a[n], b[n], modality)


@torch.inference_mode()
@pytest.mark.parametrize("runtime", ["onnx", "eager"])
@pytest.mark.parametrize("name", ["mmvae of a robot", "mopoe of a robot"])
def test_of_a_mixture_predictions_are_averaged_over_its_components(
    tmp_path: Path, name: str, runtime: str
) -> None:
    model = any_model(name)
    save_checkpoint(tmp_path / "model", model)
    inference = Inference.load(tmp_path / "model", runtime=runtime)
    readings = random_readings(model)
    for subset in (("force",), ("rgb", "proprio"), NAMES):
        sample = {n: readings[n] for n in subset}
        observed = {n: to_tensor(model.modalities[n], x[None]) for n, x in sample.items()}
        expected = model.predict(model.encode(observed))
        found = inference(sample, predict=NAMES).arrays
        for n, modality in model.modalities.items():
            assert_same_readings(found[n], to_raw(modality, expected[n])[0].numpy(), modality)


def test_half_weights_are_computed_with_as_32_bits(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "half", small_model(), half=True)
    sample = random_prepared(small_modalities(), np.random.default_rng(0))
    found, expected = (Inference.load(tmp_path / "half", runtime=r) for r in ("onnx", "eager"))
    assert_same(found.encode(sample), expected.encode(sample))


def test_files_of_graphs_in_the_folder_are_never_opened(tmp_path: Path) -> None:
    path = save_small_checkpoint(tmp_path / "model")
    for name in ("embed_rgb", "fuse", "decode_rgb"):
        os.mkfifo(path / f"{name}.onnx")  # to open one blocks until somebody writes
    inference = Inference.load(path, runtime="onnx")
    inference.warm_up()


def test_readings_of_another_layout_and_type_are_taken(tmp_path: Path) -> None:
    inference = Inference.load(save_small_checkpoint(tmp_path / "model"), runtime="onnx")
    sample = random_prepared(small_modalities(), np.random.default_rng(0))
    other = {
        "rgb": np.asfortranarray(sample["rgb"]),
        "depth": sample["depth"].astype(np.float32),
        "force": np.flip(np.flip(sample["force"], 0).copy(), 0),
        "action": sample["action"].astype(np.float64),
        "proprio": np.frombuffer(sample["proprio"].tobytes(), np.float32),
    }
    assert_same(inference.encode(other), inference.encode(sample))


# -- threads ---------------------------------------------------------------------------------------


def count_threads() -> int:
    return len(os.listdir("/proc/self/task"))


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads as Linux shows them")
def test_one_thread_is_the_callers(tmp_path: Path) -> None:
    path = save_small_checkpoint(tmp_path / "model")
    before = count_threads()
    Inference.load(path, runtime="onnx").warm_up()
    assert count_threads() == before


def test_threads_that_wait_take_no_time(tmp_path: Path) -> None:
    inference = Inference.load(save_small_checkpoint(tmp_path / "model"), threads=3)
    inference.warm_up()
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.2


# -- what may be missing ---------------------------------------------------------------------------


def test_an_onnx_runtime_that_is_too_old_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_small_checkpoint(tmp_path / "model")
    monkeypatch.setattr(onnx_file, "OPERATORS", 1000)
    with pytest.raises(DeviceError, match=r"ONNX Runtime [\d.]+ cannot run.*install a newer one"):
        Inference.load(path, runtime="onnx")


@pytest.mark.parametrize("runtime", ["onnx", "tensorrt"])
def test_a_provider_that_is_missing_is_named_with_those_that_are_there(runtime: str) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    if len(onnxruntime.get_available_providers()) > 2:
        pytest.skip("an ONNX Runtime for GPUs")
    with pytest.raises(
        DeviceError, match=f"runtime {runtime} on device cuda:1 needs.*has .*CPUExecutionProvider"
    ):
        find_runtime(runtime, "cuda:1", "float32")


@pytest.mark.parametrize(
    ("missing", "runtime", "reason"),
    [
        ("onnxruntime", "onnx", "needs ONNX Runtime, which is not installed"),
        ("torch", "eager", "needs PyTorch, which is not installed.*or use onnx"),
    ],
)
def test_a_library_that_is_missing_is_named_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch, missing: str, runtime: str, reason: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(DeviceError, match=reason):
        Inference.load("nowhere", runtime=runtime)
    other = {"onnx": "eager", "eager": "onnx"}[runtime]
    assert find_runtime("auto", "cpu", "float32") == other


def test_where_nothing_is_installed_the_smaller_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("onnxruntime", "torch"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DeviceError, match=r"pip install 'smvae_ros\[node\]'"):
        find_runtime("auto", "cpu", "float32")


def test_nothing_is_told_to_others_and_nothing_left_at_home(tmp_path: Path) -> None:
    """ONNX Runtime tells its makers what it runs, and keeps a number of the machine in ~/.cache,
    unless it is told not to before it is imported. In CI and in tests it does not, so that its
    process has no word of either."""
    code = (
        "from smvae_core import Inference; from smvae_ros.bundled import model_path; "
        "Inference.load(model_path(), runtime='onnx').warm_up()"
    )
    environment = {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, check=True)
    assert list(tmp_path.iterdir()) == []
