"""The runtime shared by the node and the offline tools: prepared sample in, prediction out.

One sample at a time, on CPU or CUDA. The posterior is always computed; an observation is predicted
only where it is asked for.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from smvae_core.checkpoint import Checkpoint, load_checkpoint
from smvae_core.modalities import Modality
from smvae_core.preprocessing import to_raw, to_tensor

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


class DeviceError(ValueError):
    """The device or precision asked for is not available; the message names what is."""


@dataclass(frozen=True)
class Encoding:
    """The posterior q(z|X_s) of one sample, from which observations can be predicted.

    Attributes:
        mean: (D,) float32.
        log_variance: (D,) float32.
        seconds: that encoding took.
        embeddings: modality of the sample → E_i(x_i), (1, d) on the device; with them the
            posteriors of other subsets of the sample are cheap (:meth:`Inference.leave_out`).
        z: the mean, (1, D) on the device.
    """

    mean: np.ndarray
    log_variance: np.ndarray
    seconds: float
    embeddings: Mapping[str, Tensor]
    z: Tensor


@dataclass(frozen=True)
class Prediction:
    """What the model says of one sample.

    Attributes:
        mean: (D,) float32, of q(z|X_s).
        log_variance: (D,) float32.
        observations: modality → what :meth:`Inference.decode` returns. Only what was asked for.
        timings: stage (``encode``, ``decode``) → seconds.
    """

    mean: np.ndarray
    log_variance: np.ndarray
    observations: dict[str, np.ndarray]
    timings: dict[str, float]


class Inference:
    """A model, ready to encode samples on one device.

    Args:
        checkpoint: what :func:`smvae_core.checkpoint.load_checkpoint` returned.
        device: ``cpu``, ``cuda``, ``cuda:N``, or ``auto``: CUDA where there is one.
        precision: ``float32``, or ``bfloat16``/``float16`` through autocast.

    Raises:
        DeviceError: where device or precision is not available on this machine.
    """

    def __init__(
        self, checkpoint: Checkpoint, device: str = "cpu", precision: str = "float32"
    ) -> None:
        self.device = find_device(device)
        self._autocast_type = _find_precision(precision, self.device)
        # As cameras deliver images, so that nothing is reordered on the way in and out.
        self.model = checkpoint.model.to(self.device, memory_format=torch.channels_last)
        self.modalities: dict[str, Modality] = self.model.modalities
        self.latent_size: int = self.model.latent_size
        self.model_hash: str = checkpoint.weights_hash
        self.calibration = checkpoint.calibration
        self._pinned: dict[str, Tensor] = {}
        if self.device.type == "cuda":
            self._pinned = {
                name: torch.empty(
                    modality.raw_shape, dtype=getattr(torch, modality.raw_dtype), pin_memory=True
                )
                for name, modality in self.modalities.items()
            }

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], device: str = "cpu", precision: str = "float32"
    ) -> Inference:
        """Loads a checkpoint directory.

        Raises:
            CheckpointError: where the checkpoint cannot be used.
            DeviceError: where the device or precision is not available.
        """
        find_device(device)  # a wrong device is said before a large file is read
        return cls(load_checkpoint(path), device, precision)

    def subsets(self) -> Iterator[tuple[str, ...]]:
        """Every non-empty subset of the modalities, small ones first, in the model's order."""
        for size in range(1, len(self.modalities) + 1):
            yield from itertools.combinations(self.modalities, size)

    def warm_up(self) -> None:
        """Runs every subset once, with all predictions, so that the first live frame is not the
        slow one."""
        blank = {
            name: np.zeros(modality.raw_shape, dtype=modality.raw_dtype)
            for name, modality in self.modalities.items()
        }
        for subset in self.subsets():
            self({name: blank[name] for name in subset}, predict=self.modalities)

    @torch.inference_mode()
    def encode(self, sample: Mapping[str, np.ndarray]) -> Encoding:
        """The posterior of one sample.

        Args:
            sample: modality → prepared array (:func:`smvae_core.preprocessing.prepare`); only
                those that are live, at least one.

        Raises:
            ValueError: for an empty sample, an unknown name or a wrong shape.
        """
        start = time.perf_counter()
        with self._autocast():
            observations = {name: self._tensor(name, array) for name, array in sample.items()}
            return self._posterior(self.model.embed(observations), start)

    @torch.inference_mode()
    def leave_out(self, encoding: Encoding, name: str) -> Encoding:
        """The posterior of the sample's other modalities. No embedding network is run.

        Args:
            encoding: of a sample with at least two modalities.
            name: the one to leave out.

        Raises:
            ValueError: where the sample lacks it or has nothing else.
        """
        start = time.perf_counter()
        others = {other: e for other, e in encoding.embeddings.items() if other != name}
        if not others or len(others) == len(encoding.embeddings):
            raise ValueError(
                f"cannot leave {name} out of a sample of {', '.join(encoding.embeddings)}"
            )
        with self._autocast():
            return self._posterior(others, start)

    @torch.inference_mode()
    def decode(self, encoding: Encoding, names: Collection[str]) -> dict[str, np.ndarray]:
        """What the decoders expect at z = mean.

        Args:
            encoding: of any sample.
            names: modalities to predict; they need not be in the sample. No other decoder is run.

        Returns:
            Modality → raw units at the model's size: image uint8 (h, w, 3), depth float32 (h, w)
            in metres, series float32 (samples, channels), vector float32 (n,).

        Raises:
            ValueError: for an unknown name.
        """
        with self._autocast():
            return {
                name: np.ascontiguousarray(
                    to_raw(self.modalities[name], likelihood.mean)[0].cpu().numpy()
                )
                for name, likelihood in self.model.decode(encoding.z, names).items()
            }

    def __call__(
        self, sample: Mapping[str, np.ndarray], predict: Collection[str] = ()
    ) -> Prediction:
        """:meth:`encode`, then :meth:`decode` of the modalities asked for; both say what the
        arguments are and which errors they raise."""
        encoding = self.encode(sample)
        start = time.perf_counter()
        observations = self.decode(encoding, predict)
        timings = {"encode": encoding.seconds, "decode": time.perf_counter() - start}
        return Prediction(encoding.mean, encoding.log_variance, observations, timings)

    def _posterior(self, embeddings: dict[str, Tensor], start: float) -> Encoding:
        posterior = self.model.encode_embeddings(embeddings)
        # One transfer from the device, which also waits for it.
        parameters = torch.cat((posterior.mean, posterior.log_variance)).float().cpu().numpy()
        seconds = time.perf_counter() - start
        return Encoding(parameters[0], parameters[1], seconds, embeddings, posterior.mean)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            self.device.type, dtype=self._autocast_type, enabled=self._autocast_type is not None
        )

    def _tensor(self, name: str, array: np.ndarray) -> Tensor:
        """Prepared array → (1, *shape) on the device; through pinned memory where it is a GPU."""
        modality = self.modalities.get(name)
        if modality is None:
            raise ValueError(f"unknown modality {name}; the model has {', '.join(self.modalities)}")
        if array.shape != modality.raw_shape:
            raise ValueError(
                f"{name}: expected a prepared array of shape {modality.raw_shape}, "
                f"got {array.shape}"
            )
        # torch warns of arrays that are read-only, as those in a message's memory are.
        tensor = torch.from_numpy(array if array.flags.writeable else array.copy())
        if name in self._pinned:
            tensor = self._pinned[name].copy_(tensor).to(self.device, non_blocking=True)
        return to_tensor(modality, tensor[None])


def find_device(name: str) -> torch.device:
    """The device of that name.

    Raises:
        DeviceError: for a name that is none, or a GPU that is not there; says what is available.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    available = ", ".join(["auto", "cpu", *(f"cuda:{i}" for i in range(count))])
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise DeviceError(f"unknown device {name!r}; available here: {available}")
    if device.type == "cuda" and (device.index or 0) >= count:
        raise DeviceError(
            f"device {name!r} is not available (torch {torch.__version__} sees {count} CUDA "
            f"devices); available here: {available}. For a GPU, install a CUDA build of torch "
            "and its driver, or use device cpu or auto"
        )
    return device


def _find_precision(name: str, device: torch.device) -> torch.dtype | None:
    if name not in PRECISIONS:
        raise DeviceError(f"unknown precision {name!r}; choose one of {', '.join(PRECISIONS)}")
    if name == "float16" and device.type == "cpu":
        raise DeviceError("precision float16 needs a CUDA device; on a CPU use float32 or bfloat16")
    return PRECISIONS[name]
