# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The runtime of the node: the same numbers as the model's, for any subset."""

from __future__ import annotations

import dataclasses
import itertools
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from single_precision import FLOAT32, assert_same_readings
from small_models import random_prepared, save_small_checkpoint, small_modalities, small_model
from smvae_core.checkpoint import load_checkpoint
from smvae_core.inference import devices
from smvae_core.inference.devices import DeviceError, find_device, find_torch_device
from smvae_core.inference.inference import Inference, NotFiniteError
from smvae_core.metrics.subset_errors import SubsetErrors
from smvae_core.preprocessing import prepare
from smvae_core.stored_model import CheckpointError
from smvae_core.tensors import to_raw, to_tensor

NAMES = ("rgb", "depth", "force", "action", "proprio")
RUNTIMES = ("onnx", "eager")
SUBSETS = [s for size in range(1, 6) for s in itertools.combinations(NAMES, size)]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_checkpoint(tmp_path_factory.mktemp("checkpoint") / "model")


@pytest.fixture(scope="module", params=RUNTIMES)
def inference(path: Path, request: pytest.FixtureRequest) -> Inference:
    return Inference.load(path, runtime=request.param)


@pytest.fixture(scope="module")
def sample() -> dict[str, np.ndarray]:
    return random_prepared(small_modalities(), np.random.default_rng(0))


def test_knows_the_model(inference: Inference, path: Path) -> None:
    assert tuple(inference.modalities) == NAMES
    assert inference.latent_size == 6
    assert inference.model_hash == load_checkpoint(path).weights_hash


@torch.no_grad()
@pytest.mark.parametrize("subset", SUBSETS, ids="+".join)
def test_is_the_model(
    inference: Inference, sample: dict[str, np.ndarray], subset: tuple[str, ...]
) -> None:
    model = small_model()
    observations = {name: to_tensor(model.modalities[name], sample[name][None]) for name in subset}
    posterior = model.encode(observations)
    prediction = inference({name: sample[name] for name in subset}, predict=NAMES)
    assert prediction.mean.shape == prediction.log_variance.shape == (6,)
    assert prediction.mean.dtype == prediction.log_variance.dtype == np.float32
    np.testing.assert_allclose(prediction.mean, posterior.mean[0], **FLOAT32)
    np.testing.assert_allclose(prediction.log_variance, posterior.log_variance[0], **FLOAT32)
    for name, likelihood in model.decode(posterior.mean).items():
        modality = model.modalities[name]
        expected = to_raw(modality, likelihood.mean)[0].numpy()
        assert_same_readings(prediction.arrays[name], expected, modality)


def test_predictions_are_raw_readings(inference: Inference, sample: dict[str, np.ndarray]) -> None:
    prediction = inference(sample, predict=NAMES)
    assert tuple(prediction.arrays) == NAMES
    for name, array in prediction.arrays.items():
        modality = inference.modalities[name]
        assert array.shape == modality.raw_shape
        assert array.dtype == (np.uint8 if name == "rgb" else np.float32)
        assert array.flags.c_contiguous
        assert np.isfinite(array).all()
        if name != "depth" or np.nanmin(array) > modality.minimum:
            prepare(modality, array)


def test_the_order_of_a_sample_does_not_matter(
    inference: Inference, sample: dict[str, np.ndarray]
) -> None:
    backwards = inference(dict(reversed(sample.items())))
    np.testing.assert_allclose(backwards.mean, inference(sample).mean, **FLOAT32)


def test_the_same_sample_gives_the_same_bytes(
    inference: Inference, sample: dict[str, np.ndarray]
) -> None:
    first, second = (inference(sample, predict=["depth"]) for _ in range(2))
    assert first.mean.tobytes() == second.mean.tobytes()
    assert first.arrays["depth"].tobytes() == second.arrays["depth"].tobytes()


def test_results_survive_the_next_call(inference: Inference, sample: dict[str, np.ndarray]) -> None:
    first = inference(sample, predict=["force"])
    kept = first.mean.copy(), first.arrays["force"].copy()
    inference({"action": sample["action"]}, predict=["force"])
    np.testing.assert_array_equal(first.mean, kept[0])
    np.testing.assert_array_equal(first.arrays["force"], kept[1])


def watch(inference: Inference, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The networks that are run from now on, as a list that grows."""
    run: list[str] = []
    runtime = inference._runtime
    embed, fuse, decode = runtime.embed, runtime.fuse, runtime.decode

    def watch_embed(name: str, array: np.ndarray) -> object:
        run.append(f"E {name}")
        return embed(name, array)

    def watch_fuse(embeddings: dict[str, object]) -> object:
        run.append("fuse")
        return fuse(embeddings)

    def watch_decode(z: object, names: tuple[str, ...]) -> object:
        run.extend(f"D {name}" for name in names)
        return decode(z, names)

    monkeypatch.setattr(runtime, "embed", watch_embed)
    monkeypatch.setattr(runtime, "fuse", watch_fuse)
    monkeypatch.setattr(runtime, "decode", watch_decode)
    return run


def test_only_what_is_needed_is_run(
    inference: Inference, sample: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = watch(inference, monkeypatch)
    inference({"force": sample["force"]})
    assert run == ["E force", "fuse"]
    run.clear()
    encoding = inference.encode({"force": sample["force"], "rgb": sample["rgb"]})
    inference.decode(encoding, ["depth"])
    assert run == ["E force", "E rgb", "fuse", "D depth"]
    run.clear()
    inference.leave_out(encoding, "rgb")
    assert run == ["fuse"]


def test_timings_are_seconds_of_the_stages(
    inference: Inference, sample: dict[str, np.ndarray]
) -> None:
    timings = inference(sample, predict=NAMES).timings
    assert set(timings) == {"encode", "decode"}
    assert all(0 < seconds < 10 for seconds in timings.values())


def test_warm_up_runs_every_network(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inference = Inference.load(path)
    run = watch(inference, monkeypatch)
    inference.warm_up()
    assert set(run) == {"fuse", *(f"{part} {name}" for part in "ED" for name in NAMES)}


def test_depth_without_any_reading_is_still_encoded(
    inference: Inference, sample: dict[str, np.ndarray]
) -> None:
    blind = np.full((16, 16), np.nan, np.float16)
    assert np.isfinite(inference({"depth": blind}).mean).all()
    assert np.isfinite(inference({**sample, "depth": blind}).mean).all()


def test_arrays_of_a_message_are_taken_as_they_are(
    inference: Inference, sample: dict[str, np.ndarray]
) -> None:
    """They are read-only, and torch warns of such ones."""
    expected = inference(sample)
    message = {
        name: np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape)
        for name, array in sample.items()
    }
    prepared = {name: prepare(inference.modalities[name], array) for name, array in message.items()}
    torch.set_warn_always(True)  # normally only the first time in a process
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = inference(prepared)
    finally:
        torch.set_warn_always(False)
    np.testing.assert_array_equal(found.mean, expected.mean)


def test_a_sample_is_not_changed(inference: Inference, sample: dict[str, np.ndarray]) -> None:
    before = {name: array.copy() for name, array in sample.items()}
    inference(sample, predict=NAMES)
    for name, array in sample.items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("predict", [(), ("rgb",)])
def test_bad_samples_are_refused(
    inference: Inference, sample: dict[str, np.ndarray], predict: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match="at least one observation"):
        inference({}, predict)
    with pytest.raises(ValueError, match="unknown modality smell; the model has rgb, depth"):
        inference({**sample, "smell": np.zeros(3, np.float32)}, predict)
    with pytest.raises(
        ValueError, match=r"force: expected a prepared array of shape \(32, 6\), got \(31, 6\)"
    ):
        inference({"force": sample["force"][1:]}, predict)
    # And it still works.
    assert np.isfinite(inference(sample, predict).mean).all()


def test_unknown_target_is_refused(inference: Inference, sample: dict[str, np.ndarray]) -> None:
    with pytest.raises(ValueError, match="unknown modality smell; the model has rgb, depth"):
        inference(sample, predict=["smell"])


# Devices and precisions.


def test_devices() -> None:
    assert find_device("cpu") == "cpu"
    assert find_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")


def test_a_gpu_that_only_one_library_can_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "count_torch_gpus", lambda: 0)
    monkeypatch.setattr(devices, "count_onnx_gpus", lambda: 1)
    assert find_device("auto") == "cuda"
    assert find_torch_device("auto") == "cpu"
    with pytest.raises(DeviceError, match="'cuda' is not available"):
        find_torch_device("cuda")


@pytest.mark.parametrize("name", ["gpu", "", "cpu:x", "meta", "xpu", "mps", "cuda:-1", "CUDA"])
def test_unknown_device(name: str) -> None:
    with pytest.raises(DeviceError, match=f"device '{name}'.*available here: auto, cpu"):
        find_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:7"])
def test_device_that_is_not_there(path: Path, name: str) -> None:
    with pytest.raises(DeviceError) as error:
        Inference.load(path, device=name)
    message = str(error.value)
    assert f"device {name!r} is not available" in message
    assert "0 CUDA devices can be used here" in message
    assert "available here: auto, cpu" in message
    assert "a CUDA build of torch" in message


def test_a_wrong_device_is_said_before_the_checkpoint_is_read(tmp_path: Path) -> None:
    with pytest.raises(DeviceError):
        Inference.load(tmp_path / "nowhere", device="gpu")
    with pytest.raises(CheckpointError, match="does not exist"):
        Inference.load(tmp_path / "nowhere", device="cpu")


def test_precisions(path: Path, sample: dict[str, np.ndarray]) -> None:
    with pytest.raises(DeviceError, match="precision float16 needs a CUDA device; on a CPU use"):
        Inference.load(path, precision="float16")
    with pytest.raises(DeviceError, match="'double'; choose one of float32, bfloat16, float16"):
        Inference.load(path, precision="double")
    full, half = Inference.load(path), Inference.load(path, precision="bfloat16")
    expected, found = full(sample, predict=NAMES), half(sample, predict=NAMES)
    assert found.mean.dtype == np.float32
    np.testing.assert_allclose(found.mean, expected.mean, atol=0.1)
    assert not np.array_equal(found.mean, expected.mean)
    for name, array in found.arrays.items():
        assert array.dtype == expected.arrays[name].dtype
        scale = max(inference_std(full, name))
        difference = np.abs(array.astype(float) - expected.arrays[name])
        assert difference.max() < 0.2 * scale


def inference_std(inference: Inference, name: str) -> tuple[float, ...]:
    """Standard deviations of a modality in raw units."""
    unit = 255.0 if name == "rgb" else 1.0
    return tuple(unit * std for std in inference.modalities[name].std)


@pytest.mark.cuda
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_gpu_gives_the_same(path: Path, sample: dict[str, np.ndarray], precision: str) -> None:
    expected = Inference.load(path)(sample, predict=NAMES)
    inference = Inference.load(path, "cuda", precision)
    inference.warm_up()
    prediction = inference(sample, predict=NAMES)
    tolerance = 1e-3 if precision == "float32" else 5e-2
    np.testing.assert_allclose(prediction.mean, expected.mean, rtol=tolerance, atol=tolerance)
    assert prediction.arrays["rgb"].dtype == np.uint8
    assert prediction.arrays["depth"].shape == expected.arrays["depth"].shape


@pytest.mark.cuda
def test_errors_of_a_model_on_a_gpu(path: Path, sample: dict[str, np.ndarray]) -> None:
    batch = {name: torch.from_numpy(array[None]) for name, array in sample.items()}
    summaries = []
    for device in ("cpu", "cuda"):
        errors = SubsetErrors(load_checkpoint(path).model.to(device))
        errors.add(batch, torch.ones(1, len(NAMES), dtype=torch.bool))
        summaries.append(errors.summary()["rgb+force"])
    assert summaries[1] == pytest.approx(summaries[0], rel=1e-3)


# -- readings that are finite, and absurd ----------------------------------------------------------

HUGE = np.finfo(np.float32).max


def _far(z: object) -> object:
    """What decoders begin with, as the runtime keeps it, with the largest numbers."""
    if isinstance(z, dict):
        return {name: np.full_like(values, HUGE) for name, values in z.items()}
    return [torch.full_like(values, float(HUGE)) for values in z]


def absurd(sample: dict[str, np.ndarray], *names: str) -> dict[str, np.ndarray]:
    return {name: np.full_like(x, HUGE) if name in names else x for name, x in sample.items()}


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("names", [("action",), ("action", "proprio")], ids="+".join)
def test_a_latent_that_is_not_finite_is_never_given_out(
    path: Path, sample: dict[str, np.ndarray], runtime: str, names: tuple[str, ...]
) -> None:
    inference = Inference.load(path, runtime=runtime)
    rest = {name: array for name, array in sample.items() if name not in names}
    before = inference(rest)
    with pytest.raises(NotFiniteError, match=", ".join(names)) as failure:
        inference.encode(absurd(sample, *names))
    assert failure.value.names == names
    after = inference(rest)
    assert after.mean.tobytes() == before.mean.tobytes(), "nothing of it stays"


def test_a_prediction_that_is_not_finite_is_named_and_not_given_out(
    inference: Inference, sample: dict[str, np.ndarray]
) -> None:
    encoding = inference.encode(sample)
    far = dataclasses.replace(encoding, z=_far(encoding.z))
    for names in [*((name,) for name in NAMES), ("proprio", "rgb")]:
        with pytest.raises(NotFiniteError, match=f"prediction of {', '.join(names)}") as failure:
            inference.decode(far, names)
        assert failure.value.names == names
