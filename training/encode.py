# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Latents of recorded data: the posterior of every step of converted logs, or every frame of a bag.

    python -m training.encode MODEL CACHE --output latents.npz
    python -m training.encode MODEL BAG --output latents.npz --params my_perception.yaml

Frames of a bag are those that the live node makes of the same messages. The file holds, a row for
each step or frame:

    stamp         (N,) int64, nanoseconds; 0 for logs, which have none
    trajectory    (N,) int32, index into `trajectories`
    step          (N,) int32, of the trajectory
    present       (N, M) bool, of which `modalities` the latent was made
    mean          (N, D) float32
    log_variance  (N, D) float32

and besides `modalities` (M,), `trajectories` (T,) and `model_hash`, which ~/status has as `model`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from smvae_core.checkpoint import load_checkpoint
from smvae_core.data.batches import Batches
from smvae_core.data.logs.cache_folder import MANIFEST_NAME, PLAN_NAME
from smvae_core.data.logs.dataset import LogCache, open_cache
from smvae_core.files import check_output, whole_file
from smvae_core.inference.devices import find_torch_device
from smvae_core.inference.inference import Inference
from smvae_core.models.multimodal_vae import MultimodalVAE
from smvae_core.stored_model import StoredModel
from smvae_core.tensors import to_tensor
from smvae_core.words import counted
from smvae_ros.bags import BagError
from smvae_ros.bags.files import find_bag
from smvae_ros.cli.programs import parser_of
from smvae_ros.offline import bag_posteriors
from smvae_ros.parameters.configuration import add_parameters_options, read_values
from smvae_ros.parameters.robot_values import add_robot_option
from training.programs import run_program

Latents = dict[str, np.ndarray]
_BATCH = 64


def encode_cache(model: MultimodalVAE, path: Path) -> Latents:
    """The posterior of every step in which something is present.

    Args:
        model: in evaluation mode; on its device.
        path: of converted logs.

    Raises:
        CacheError: where they cannot be read, or do not fit the model.
        ValueError: where no step gives a finite latent.
    """
    cache = open_cache(path, list(model.modalities.values()))
    index, mean, log_variance = encode_rows(model, cache)
    columns = [cache.names.index(name) for name in model.names]
    return {
        "stamp": np.zeros(len(index), np.int64),
        "trajectory": cache.arrays["trajectory"][index],
        "step": cache.arrays["step"][index],
        "present": cache.present[index[:, None], columns],
        "mean": mean,
        "log_variance": log_variance,
        "trajectories": np.array([f"{stamp}_{number}" for stamp, number in cache.trajectories]),
    }


def encode_rows(model: MultimodalVAE, cache: LogCache) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows (R,) of a cache, ascending, their posteriors' means (R, D) and log-variances (R, D);
    all rows in which something is present and the latent is finite.

    Raises:
        ValueError: where there is none.
    """
    path = cache.path
    columns = [cache.names.index(name) for name in model.names]
    rows = np.flatnonzero(cache.present[:, columns].any(1))
    found = []
    batches = Batches(cache, model.names, rows, _BATCH)
    for batch in tqdm(batches, desc=path.name, unit="batch", disable=None):
        for places, mean, log_variance in _posteriors(model, batch.prepared, batch.present):
            found.append((batch.index.numpy()[places], mean, log_variance))
    if not found:
        raise ValueError(f"{path}: no step holds one of {', '.join(model.names)}")
    index, mean, log_variance = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(index)
    finite = order[np.isfinite(mean[order]).all(1) & np.isfinite(log_variance[order]).all(1)]
    if len(finite) < len(order):
        count = len(order) - len(finite)
        print(f"{counted(count, 'step')} left out: no finite latent", file=sys.stderr)
    if not len(finite):
        raise ValueError(f"{path}: no step gives a finite latent")
    return index[finite], mean[finite], log_variance[finite]


@torch.inference_mode()
def _posteriors(
    model: MultimodalVAE, prepared: dict[str, torch.Tensor], present: torch.Tensor
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of a batch, the samples with the same modalities together: their places, (B', D) means and
    log-variances."""
    device = next(model.parameters()).device
    observed = {n: to_tensor(model.modalities[n], x.to(device)) for n, x in prepared.items()}
    embeddings = model.embed(observed)
    for pattern in present.unique(dim=0):
        places = (present == pattern).all(1).nonzero()[:, 0]
        names = [name for name, there in zip(model.names, pattern, strict=True) if there]
        q = model.encode_embeddings({name: embeddings[name][places] for name in names})
        yield places.numpy(), q.mean.cpu().numpy(), q.log_variance.cpu().numpy()


def encode_bag(inference: Inference, path: Path, options: argparse.Namespace) -> Latents:
    """The posterior of every snapshot, see :func:`smvae_ros.offline.bag_posteriors.encode_bag`."""
    modalities = inference.modalities.values()
    values = read_values(options.params, modalities, options.namespace, options.robot)
    posteriors = bag_posteriors.encode_bag(path, inference, values)
    for note in posteriors.notes():
        print(f"{path}: {note}", file=sys.stderr)
    subsets = [subset.split("+") for subset in posteriors.subsets]
    names = inference.modalities
    count = len(posteriors.stamps)
    return {
        "stamp": posteriors.stamps.astype(np.int64),
        "trajectory": np.zeros(count, np.int32),
        "step": np.arange(count, dtype=np.int32),
        "present": np.array([[name in subset for name in names] for subset in subsets]),
        "mean": posteriors.means,
        "log_variance": posteriors.log_variances,
        "trajectories": np.array([path.name]),
    }


def main(arguments: list[str] | None = None) -> int:
    """Encodes and writes one file; returns the exit code."""
    parser = parser_of("python -m training.encode", __doc__)
    add = parser.add_argument
    add("model", metavar="MODEL", type=Path, help="checkpoint directory")
    add("data", metavar="CACHE|BAG", type=Path, help="folder of training.convert, or rosbag2 bag")
    add("--output", type=Path, required=True, metavar="FILE.npz", help="file to write")
    add("--device", default="auto", help="cpu, cuda, cuda:N or auto (%(default)s)")
    add_robot_option(parser, "its topics and values in place of config/perception.yaml")
    add_parameters_options(parser)
    options = parser.parse_args(arguments)
    return run_program("training.encode", lambda: _run(options), "nothing was written", (BagError,))


def _run(options: argparse.Namespace) -> int:
    data, output = options.data, options.output
    if output.suffix != ".npz":
        raise ValueError(f"--output {output}: the name must end in .npz")
    check_output(output)
    is_cache = any((data / name).exists() for name in (MANIFEST_NAME, PLAN_NAME))
    if not is_cache:
        try:
            find_bag(data)
        except BagError as error:
            raise ValueError(f"{error}. Or give a folder that training.convert made") from error
    stored: StoredModel
    if is_cache:
        device = find_torch_device(options.device)
        stored = checkpoint = load_checkpoint(options.model)
        latents = encode_cache(checkpoint.model.to(device), data)
    else:
        inference = Inference.load(options.model, options.device)
        stored = inference.stored
        latents = encode_bag(inference, data, options)
    latents["modalities"] = np.array(list(stored.modalities))
    latents["model_hash"] = np.array(stored.weights_hash)
    with whole_file(output) as partial, open(partial, "wb") as file:
        np.savez(file, **latents)  # type: ignore[arg-type]  # numpy's stubs take them for options
    count, size = latents["mean"].shape
    print(
        f"Wrote {counted(count, 'latent')} of {size} numbers to {output} "
        f"(model {stored.weights_hash})"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
