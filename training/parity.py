# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""How far the files of a model's graphs, in ONNX Runtime, are from the model in PyTorch.

ONNX Runtime opens the files by their paths and is told nothing else, as any other tool would do it.
PyTorch computes in double precision, so that what differs is the rounding of one of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from smvae_core.distributions import Mixture
from smvae_core.modalities import Modality
from smvae_core.models.multimodal_vae import MultimodalVAE, without_holes
from smvae_core.stored_model import CheckpointError
from smvae_core.tensors import to_tensor

LIMIT = 1e-5  # of an output's scale
MAXIMUM_SUBSETS = 2**12  # of more than twelve modalities so many are drawn
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Parity:
    """Largest differences, on one random reading of each modality.

    Attributes:
        differences: graph → share of its output's scale, which is its largest value, or where that
            is less, 1 of latent variables (the prior's standard deviation) and the training split's
            standard deviation of predictions. Of images it is what rounding to whole counts does
            not explain.
        subsets: how many subsets of the modalities were compared.
    """

    differences: dict[str, float]
    subsets: int

    @property
    def worst(self) -> str:
        """The graph that differs most."""
        return max(self.differences, key=self.differences.__getitem__)


@torch.inference_mode()
def compare(model: MultimodalVAE, folder: Path, random: np.random.Generator) -> Parity:
    """Compares the graphs in a checkpoint directory with its model.

    Args:
        model: in evaluation mode, on the CPU; it is float64 afterwards.
        folder: with the files.
        random: draws readings, and subsets where there are too many.

    Raises:
        CheckpointError: where ONNX Runtime cannot run a file.
        ImportError: without ONNX Runtime.
    """
    model.double()
    differences: dict[str, float] = {}
    rows = []
    for name, modality in model.modalities.items():
        reading = random_reading(modality, random)
        observed = without_holes(to_tensor(modality, reading[None])).double()
        expected = model.embed({name: observed})[name].numpy()
        (found,) = _run(folder, f"embed_{name}", [{"reading": reading}])
        differences[f"embed_{name}"] = _share(found["embedding"] - expected, expected, 0.0)
        rows.append(found["embedding"])
    embeddings = np.stack(rows, axis=1)
    subsets = _subsets(len(rows), random)
    differences["fuse"], last = _compare_fusion(model, folder, embeddings, subsets)
    inputs = {"z": last["mean"]}
    if "means" in last:
        inputs = {"z": last["means"], "weights": last["weights"]}
    for name, modality in model.modalities.items():
        expected = _prediction(model, name, inputs)
        (found,) = _run(folder, f"decode_{name}", [inputs])
        difference = found["prediction"] - expected
        if modality.kind == "image":
            difference = np.maximum(np.abs(difference) - 0.5, 0.0)
        scale = max(modality.std) * (255 if modality.kind == "image" else 1)
        differences[f"decode_{name}"] = _share(difference, expected, scale)
    return Parity(differences, len(subsets))


def _run(folder: Path, graph: str, inputs: Iterable[Arrays]) -> Iterator[Arrays]:
    """Outputs by name for each of several inputs."""
    from onnxruntime import InferenceSession

    file = folder / f"{graph}.onnx"
    try:
        session = InferenceSession(str(file), providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        for values in inputs:
            yield dict(zip(names, session.run(names, values), strict=True))
    except Exception as error:  # ONNX Runtime has a dozen kinds, without a base of their own
        reason = str(error).strip().partition("\n")[0]
        raise CheckpointError(f"{file}: ONNX Runtime cannot run it: {reason}") from error


def _share(difference: np.ndarray, expected: np.ndarray, scale: float) -> float:
    share = np.abs(difference).max() / max(np.abs(expected).max(), scale, 1e-30)
    return float(np.nan_to_num(share, nan=np.inf))


def _subsets(count: int, random: np.random.Generator) -> np.ndarray:
    """(R, M) bool: all that are not empty, or some; last, the whole set."""
    if 2**count <= MAXIMUM_SUBSETS:
        every = itertools.product([False, True], repeat=count)
        return np.array([*every][1:])
    drawn = random.random((MAXIMUM_SUBSETS, count)) < random.random((MAXIMUM_SUBSETS, 1))
    alone = np.eye(count, dtype=bool)
    return np.concatenate([alone, drawn[drawn.any(1)], np.ones((1, count), bool)])


def _compare_fusion(
    model: MultimodalVAE, folder: Path, embeddings: np.ndarray, subsets: np.ndarray
) -> tuple[float, Arrays]:
    """The largest difference, and what ONNX Runtime gives for the last subset."""
    named = {
        name: torch.from_numpy(row).double()
        for name, row in zip(model.names, embeddings.swapaxes(0, 1), strict=True)
    }
    inputs = (
        # Whatever stands in other rows shall play no part.
        {"embeddings": np.where(subset[:, None], embeddings, np.inf), "present": subset[None]}
        for subset in subsets
    )
    worst, found = 0.0, Arrays()
    results = _run(folder, "fuse", inputs)
    for subset, found in zip(tqdm(subsets, "Subsets", leave=False), results, strict=True):
        posterior = model.encode_embeddings(named, torch.from_numpy(subset[None]))
        expected = {"mean": posterior.mean, "log_variance": posterior.log_variance}
        if isinstance(posterior, Mixture):
            weights = posterior.log_weights[0].exp()
            expected |= {"means": posterior.components.mean[0], "weights": weights}
        for name, value in expected.items():
            share = _share(found[name] - value.numpy(), value.numpy(), 1.0)
            worst = max(worst, share)
    return worst, found


def _prediction(model: MultimodalVAE, name: str, inputs: Arrays) -> np.ndarray:
    """What is predicted at z, in raw units and float64; colours are no whole numbers yet."""
    modality = model.modalities[name]
    rows = model.decode(torch.from_numpy(inputs["z"]).double(), [name])[name].mean.numpy()
    expected = np.tensordot(inputs.get("weights", np.ones(1)), rows, 1)
    shape = (-1, *(1 for _ in modality.shape[1:]))
    raw = expected * np.reshape(modality.std, shape) + np.reshape(modality.mean, shape)
    raw = np.moveaxis(raw, 0, -1).reshape(modality.raw_shape)
    return np.clip(raw * 255, 0, 255) if modality.kind == "image" else raw


def random_reading(modality: Modality, random: np.random.Generator) -> np.ndarray:
    """A prepared array with the modality's mean and standard deviation, with holes where there can
    be some."""
    shape = modality.raw_shape
    if modality.kind == "image":
        return random.integers(0, 256, shape, dtype=np.uint8)
    if modality.kind == "categorical":
        return np.eye(shape[0], dtype=np.float32)[random.integers(shape[0])]
    values = np.array(modality.mean) + np.array(modality.std) * random.standard_normal(shape)
    if modality.has_holes:
        values[random.random(shape) < 0.1] = np.nan
    return values.astype(modality.raw_dtype)
