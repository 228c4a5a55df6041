"""The likelihood study: every method on the same networks, data and budget, each run a small file.

A run is one method with one seed. What it measured goes to RUNS/<hash of its configuration>.json
when it is complete; a run whose file exists is not repeated, so a study can be interrupted at any
time and can grow.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from torch import Tensor

from smvae_core.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from smvae_core.fitting import ImageData, SetFitting, StopAtBatchEnd
from smvae_core.likelihood import Estimate, ImportanceSampler
from smvae_core.modalities import ModalityOptions, Network
from smvae_core.multimodal_vae import MultimodalVAE
from smvae_core.preprocessing import to_tensor
from smvae_ros.report import write_text

# Row of the table → model and objective of `smvae_core.methods`.
METHODS: dict[str, tuple[str, str]] = {
    "smvae-masked": ("smvae", "masked"),
    "smvae-subset": ("smvae", "subset"),
    "jmvae": ("jmvae", "kl"),
    "mvae": ("mvae", "subsampled"),
    "mmvae": ("mmvae", "elbo"),
    "mmvae-dreg": ("mmvae", "dreg"),
    "mopoe": ("mopoe", "elbo"),
    "cvae": ("cvae", "elbo"),
    "telbo": ("telbo", "triple"),
}
# What q(z|·) of the estimates sees.
PROPOSALS = {"proposal_xy": ("image", "label"), "proposal_x": ("image",)}
MEASURES = ("log_p_xy", "log_p_x", "log_p_x_given_y")
_LABEL_SEED = 1_000_000  # so that the draws of log p(y) are not those of log p(x, y)


@dataclass(frozen=True)
class Protocol:
    """What the rows of one table have in common: data, networks, budget and estimator.

    Attributes:
        dataset: ``mnist`` or ``fashion_mnist``.
        pixels: ``dynamic`` or ``grey``, see :class:`smvae_core.fitting.ImageData`.
        epochs: of training; the learning rate falls to zero along a cosine over them.
        batch_size: samples in a step.
        learning_rate: highest rate of Adam.
        warm_up_steps: in which β rises from 0 to 1.
        latent_size: D.
        embedding_size: d.
        image_network, image_widths: embedding network and decoder of images; by default
            784-512-512-d and D-512-512-784.
        label_widths: hidden layers of both networks of the label.
        validation: training images held out.
        test_images: the first ones of the test set, on which likelihoods are measured.
        importance_samples: K.
    """

    dataset: str = "mnist"
    pixels: Literal["dynamic", "grey"] = "dynamic"
    epochs: int = 20
    batch_size: int = 256
    learning_rate: float = 1e-3
    warm_up_steps: int = 200
    latent_size: int = 20
    embedding_size: int = 128
    image_network: str = "mlp"
    image_widths: tuple[int, ...] = (512, 512)
    label_widths: tuple[int, ...] = (256,)
    validation: int = 5000
    test_images: int = 2000
    importance_samples: int = 1000

    def modalities(self) -> dict[str, ModalityOptions]:
        """Image and label with the networks that all methods share."""
        image = Network(self.image_network, self.image_widths)
        label = Network("mlp", self.label_widths)
        return {
            "image": ModalityOptions(
                "image", (1, 28, 28), likelihood="bernoulli", embedding=image, decoder=image
            ),
            "label": ModalityOptions(
                "categorical", (10,), likelihood="categorical", embedding=label, decoder=label
            ),
        }


@dataclass(frozen=True)
class Run:
    """One line of the study: a method, a seed and the protocol."""

    method: str
    seed: int
    protocol: Protocol

    @property
    def configuration(self) -> dict[str, Any]:
        """All that decides the result, as plain values."""
        model, objective = METHODS[self.method]
        own = {"method": self.method, "model": model, "objective": objective, "seed": self.seed}
        return json.loads(json.dumps({**own, "protocol": asdict(self.protocol)}))

    @property
    def key(self) -> str:
        """Hash of the configuration: 16 hexadecimal digits."""
        text = json.dumps(self.configuration, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class RunFailed(RuntimeError):
    """A run did not come to a result; the message says why."""


def complete(run: Run, data: Path, runs: Path, work: Path) -> bool:
    """Trains and measures, and writes the run's file; continues what was interrupted.

    Args:
        run: what to do.
        data: folder of the four IDX files.
        runs: folder of the finished runs' files.
        work: folder of unfinished runs and of trained models.

    Returns:
        Whether there was anything to do.

    Raises:
        RunFailed: where training diverged.
        DataSetError, ValueError: where data or configuration cannot be used.
    """
    path = runs / f"{run.key}.json"
    if path.exists():
        return False
    made_by = commit()
    folder = work / run.key
    try:
        checkpoint = load_checkpoint(folder / "model")
    except CheckpointError:
        _train(run, data, folder)
        checkpoint = load_checkpoint(folder / "model")
    begin = time.monotonic()
    results = measure(checkpoint.model, run, data)
    record = {
        "configuration": run.configuration,
        **results,
        "training": checkpoint.training,
        "likelihood_seconds": round(time.monotonic() - begin, 1),
        "commit": made_by,
        "torch": torch.__version__,
    }
    text = json.dumps(record, indent=1, allow_nan=False) + "\n"
    write_text(path, text)
    (folder / "last.ckpt").unlink(missing_ok=True)
    return True


def _train(run: Run, data: Path, folder: Path) -> None:
    """Trains for the whole budget and saves FOLDER/model; the last state is in FOLDER/last.ckpt
    until then."""
    protocol = run.protocol
    model, objective = METHODS[run.method]
    module = SetFitting(
        protocol.modalities(),
        latent_size=protocol.latent_size,
        embedding_size=protocol.embedding_size,
        name=model,
        objective=objective,
        given=["label"] if model == "cvae" else None,
        learning_rate=protocol.learning_rate,
        warm_up_steps=protocol.warm_up_steps,
        seed=run.seed,
    )
    last = folder / "last.ckpt"
    trainer = L.Trainer(
        max_epochs=protocol.epochs,
        check_val_every_n_epoch=max(1, protocol.epochs // 5),
        accelerator="auto",
        devices=1,
        logger=False,
        use_distributed_sampler=False,
        enable_model_summary=False,
        enable_progress_bar=sys.stderr.isatty(),
        num_sanity_val_steps=0,
        default_root_dir=folder,
        callbacks=[
            *([TQDMProgressBar()] if sys.stderr.isatty() else []),
            StopAtBatchEnd(last, "the same command continues"),
            ModelCheckpoint(
                folder,
                "state",
                save_top_k=0,
                save_last=True,
                save_on_train_epoch_end=True,
                enable_version_counter=False,
            ),
        ],
    )
    begin = time.monotonic()
    resumed = last.exists()
    trainer.fit(module, _image_data(run, data), ckpt_path=last if resumed else None)
    elbo = float(trainer.callback_metrics.get("validation/elbo", math.nan))
    weights = torch.cat([parameter.detach().flatten() for parameter in module.parameters()])
    if not (math.isfinite(elbo) and bool(torch.isfinite(weights).all())):
        last.unlink(missing_ok=True)  # there is nothing to continue from
        raise RunFailed(f"{run.method}, seed {run.seed}: training diverged, no result was written")
    record = {
        "validation_elbo": elbo,
        "parameters": len(weights),
        # Of a run that was interrupted only the last part was timed.
        "seconds": None if resumed else round(time.monotonic() - begin, 1),
        "threads": torch.get_num_threads(),
    }
    save_checkpoint(folder / "model", module.model, record)


def _image_data(run: Run, data: Path) -> ImageData:
    protocol = run.protocol
    return ImageData(
        str(data),
        protocol.dataset,
        protocol.pixels,
        protocol.batch_size,
        protocol.validation,
        draw_seed=run.seed,
        order_seed=run.seed,
    )


def measure(model: MultimodalVAE, run: Run, data: Path) -> dict[str, Any]:
    """log p(x, y), log p(x) and log p(x|y) with both proposals on the first test images.

    log p(x, y) and log p(x) share their z_k. In log p(x|y) = log p(x, y) − log p(y) the proposal of
    log p(y) is the prior for every model, as in the paper: a mixture's own q(z|y) covers the
    posterior badly, which makes log p(y) too low and the difference too high.

    Of a CVAE there is log p(x|y) only, and its q(z|x, y) always sees the label.

    Returns:
        ``proposal_xy`` and ``proposal_x`` → measure → ``mean`` in nats, ``standard_error`` of it
        over images, ``monte_carlo_error`` of it from K draws; ``log_p_y`` likewise. What the model
        does not have is missing.
    """
    protocol = run.protocol
    source = _image_data(run, data)
    source.open(list(model.modalities.values()))
    rows = source.split["test"][: protocol.test_images]
    if len(rows) < protocol.test_images:
        raise ValueError(
            f"{data} has {len(rows)} test images, not the {protocol.test_images} asked for"
        )
    batch = source.cache.read(rows, model.names)
    observations: dict[str, Tensor] = {
        name: to_tensor(model.modalities[name], array) for name, array in batch.prepared.items()
    }
    samples = protocol.importance_samples
    sampler = ImportanceSampler(model, samples, run.seed)
    if model.given:
        estimate = sampler.log_likelihood(observations, ["image"], PROPOSALS["proposal_xy"])
        return {"proposal_xy": {"log_p_x_given_y": _summary(estimate)}}
    # The seed moves every draw, so the errors of log p(y) are independent of those of log p(x, y).
    of_label = ImportanceSampler(model, samples, run.seed + _LABEL_SEED)
    label = of_label.log_likelihood(observations, ["label"], ())
    results: dict[str, Any] = {}
    for proposal, names in PROPOSALS.items():
        both, image = sampler.log_likelihoods(observations, [("image", "label"), ("image",)], names)
        error = (both.standard_error.square() + label.standard_error.square()).sqrt()
        conditional = Estimate(both.value - label.value, error)
        estimates = zip(MEASURES, (both, image, conditional), strict=True)
        results[proposal] = {name: _summary(estimate) for name, estimate in estimates}
    return {**results, "log_p_y": _summary(label)}


def _summary(estimate: Estimate) -> dict[str, float]:
    if not bool(torch.isfinite(estimate.value).all()):
        raise RunFailed("a likelihood is not finite, no result was written")
    count = len(estimate.value)
    monte_carlo = float(estimate.standard_error.square().sum().sqrt()) / count
    return {
        "mean": round(estimate.mean, 4),
        "standard_error": round(estimate.mean_error, 4),
        "monte_carlo_error": round(monte_carlo, 4),
    }


def finished(runs: Path, protocol: Protocol) -> list[dict[str, Any]]:
    """Records of all finished runs of this protocol, whatever method and seed.

    Raises:
        ValueError: for a file that is not a run's.
    """
    wanted = json.loads(json.dumps(asdict(protocol)))
    records = []
    for path in sorted(runs.glob("*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            found: Mapping[str, Any] = record["configuration"]["protocol"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}: not the file of a finished run ({error}); remove it"
            ) from error
        if found == wanted and record["configuration"]["method"] in METHODS:
            records.append(record)
    return records


@functools.cache
def commit() -> str:
    """The checkout's commit, with `-dirty` where files differ from it, as it was at the first call:
    a process keeps the code it began with."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude", "*", "--abbrev=12"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"
