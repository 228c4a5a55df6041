# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The model at work in the node and offline: prepared sample in, prediction out.

One sample at a time, on CPU or CUDA. The posterior is always computed; an observation is predicted
only where it is asked for. How the networks are run is chosen by name
(:mod:`smvae_core.inference.runtimes`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from smvae_core.checkpoint import Checkpoint, load_checkpoint
from smvae_core.inference.choices import AUTO, PRECISIONS
from smvae_core.inference.runtimes import Runtime, find_runtime
from smvae_core.modalities import Modality
from smvae_core.models.multimodal_vae import without_holes
from smvae_core.preprocessing import to_raw, to_tensor


class DeviceError(ValueError):
    """The device, precision or runtime asked for is not available; the message names what is."""


class NotFiniteError(ValueError):
    """The posterior or a prediction is infinite or no number; such values go nowhere.

    Attributes:
        names: of an encoding, the modalities whose reading alone makes it so, none where it takes
            several; of predictions, those that are not finite.
    """

    def __init__(self, message: str, names: Collection[str]) -> None:
        super().__init__(message)
        self.names = tuple(names)


@dataclass(frozen=True)
class Encoding:
    """The posterior q(z|X_s) of one sample, from which observations can be predicted.

    Attributes:
        mean: (D,) float32.
        log_variance: (D,) float32.
        embeddings: modality of the sample → E_i(x_i), (1, d) on the device; with them the
            posteriors of other subsets of the sample are cheap (:meth:`Inference.leave_out`).
        z: the mean, (1, D) on the device.
    """

    mean: np.ndarray
    log_variance: np.ndarray
    embeddings: Mapping[str, Tensor]
    z: Tensor


@dataclass(frozen=True)
class Prediction:
    """The posterior of one sample, and predictions from it.

    Attributes:
        mean: (D,) float32, of q(z|X_s).
        log_variance: (D,) float32.
        arrays: modality → what :meth:`Inference.decode` returns. Only what was asked for.
        timings: stage (``encode``, ``decode``) → seconds.
    """

    mean: np.ndarray
    log_variance: np.ndarray
    arrays: dict[str, np.ndarray]
    timings: dict[str, float]


class Inference:
    """A model, ready to encode samples on one device. To be used by one thread at a time.

    Args:
        checkpoint: what :func:`smvae_core.checkpoint.load_checkpoint` returned.
        device: ``cpu``, ``cuda``, ``cuda:N``, or ``auto``: CUDA where there is one.
        precision: ``float32``, or ``bfloat16``/``float16`` through autocast.
        runtime: of :data:`smvae_core.inference.choices.RUNTIMES`, or ``auto``: the fastest that
            works on every machine.

    Raises:
        DeviceError: where one of them is not available on this machine.
    """

    @torch.inference_mode()
    def __init__(
        self,
        checkpoint: Checkpoint,
        device: str = "cpu",
        precision: str = "float32",
        runtime: str = AUTO,
    ) -> None:
        self.device = find_device(device)
        self._autocast_type = _find_precision(precision, self.device)
        runtime_type = _find_runtime(runtime, self.device, precision)
        # As cameras deliver images, so that nothing is reordered on the way in and out.
        self.model = checkpoint.model.to(self.device)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's
        self.modalities: dict[str, Modality] = self.model.modalities
        self.latent_size: int = self.model.latent_size
        self.model_hash: str = checkpoint.weights_hash
        self.calibration = checkpoint.calibration
        self.frame_ids = checkpoint.frame_ids
        with self._autocast():
            self._runtime = runtime_type(self.model)
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
        cls,
        path: str | os.PathLike[str],
        device: str = "cpu",
        precision: str = "float32",
        runtime: str = AUTO,
    ) -> Inference:
        """Loads a checkpoint directory.

        Raises:
            CheckpointError: where the checkpoint cannot be used.
            DeviceError: where the device, precision or runtime is not available.
        """
        # What is wrong is said before a large file is read.
        _find_runtime(runtime, find_device(device), precision)
        return cls(load_checkpoint(path), device, precision, runtime)

    def warm_up(self) -> None:
        """Runs every network once, with all modalities and with the first left out, so that the
        first live snapshot is not the slow one.

        Raises:
            DeviceError: where the networks cannot be compiled on this machine.
        """
        blank = {
            name: np.zeros(modality.raw_shape, dtype=modality.raw_dtype)
            for name, modality in self.modalities.items()
        }
        try:
            for _ in range(2):  # the second time, torch has learned the shapes
                encoding = self.encode(blank)
                self.decode(encoding, self.modalities)
                if len(blank) > 1:
                    self.leave_out(encoding, next(iter(blank)))
        except torch._dynamo.exc.TorchDynamoException as error:
            first_line = str(error).strip().splitlines()[0]
            raise DeviceError(
                f"the model cannot be compiled here ({first_line}); use another runtime"
            ) from error

    @torch.inference_mode()
    def encode(self, sample: Mapping[str, np.ndarray]) -> Encoding:
        """The posterior of one sample.

        Args:
            sample: modality → prepared array (:func:`smvae_core.preprocessing.prepare`); only
                those that are live, at least one.

        Raises:
            ValueError: for an empty sample, an unknown name or a wrong shape.
            NotFiniteError: where the posterior is not finite, as absurd readings make it.
        """
        self._check(sample)
        with self._autocast():
            embeddings = {
                name: self._runtime.embed[name](self._network_input(name, array)).clone()
                for name, array in sample.items()
            }
            return self._finite_posterior(embeddings)

    def encode_finite(
        self, sample: Mapping[str, np.ndarray]
    ) -> tuple[Encoding | None, tuple[str, ...]]:
        """The posterior of what the model makes something finite of.

        A reading that is finite can still be so large that its embedding is not.

        Args:
            sample: as :meth:`encode` takes it; may be empty.

        Returns:
            The posterior, None where nothing is left; and the names of what was left out.

        Raises:
            NotFiniteError: where the posterior is not finite and no single reading is to blame.
        """
        arrays = dict(sample)
        broken: tuple[str, ...] = ()
        while arrays:
            try:
                return self.encode(arrays), broken
            except NotFiniteError as error:
                if not error.names:
                    raise
                broken += tuple(error.names)
                arrays = {name: array for name, array in arrays.items() if name not in broken}
        return None, broken

    @torch.inference_mode()
    def leave_out(self, encoding: Encoding, name: str) -> Encoding:
        """The posterior of the sample's other modalities. No embedding network is run.

        Args:
            encoding: of a sample with at least two modalities.
            name: the one to leave out.

        Raises:
            ValueError: where the sample lacks it or has nothing else.
            NotFiniteError: as :meth:`encode`.
        """
        others = {other: e for other, e in encoding.embeddings.items() if other != name}
        if not others or len(others) == len(encoding.embeddings):
            raise ValueError(
                f"cannot leave {name} out of a sample of {', '.join(encoding.embeddings)}"
            )
        with self._autocast():
            return self._finite_posterior(others)

    @torch.inference_mode()
    def decode(self, encoding: Encoding, names: Collection[str]) -> dict[str, np.ndarray]:
        """Observations that the decoders expect at z = mean.

        Args:
            encoding: of any sample.
            names: modalities to predict; they need not be in the sample. No other decoder is run.

        Returns:
            Modality → raw units at the model's size: image uint8 (h, w, 3), depth float32 (h, w)
            in metres, series float32 (samples, channels), vector float32 (n,).

        Raises:
            ValueError: for an unknown name.
            NotFiniteError: where a prediction is not finite.
        """
        self._check(names)
        if not names:
            return {}
        with self._autocast():
            *arrays, sums = to_host(self._expected(encoding, names))
        if not np.isfinite(sums).all():
            broken = [name for name, s in zip(names, sums, strict=True) if not np.isfinite(s)]
            raise NotFiniteError(f"the prediction of {', '.join(broken)} is not finite", broken)
        return dict(zip(names, arrays, strict=True))

    def __call__(
        self, sample: Mapping[str, np.ndarray], predict: Collection[str] = ()
    ) -> Prediction:
        """:meth:`encode`, then :meth:`decode` of the modalities asked for; both say what the
        arguments are and which errors they raise."""
        start = time.perf_counter()
        encoding = self.encode(sample)
        encoded = time.perf_counter()
        arrays = self.decode(encoding, predict)
        timings = {"encode": encoded - start, "decode": time.perf_counter() - encoded}
        return Prediction(encoding.mean, encoding.log_variance, arrays, timings)

    def _finite_posterior(self, embeddings: dict[str, Tensor]) -> Encoding:
        """As :meth:`_posterior`; names who is to blame for one that is not finite."""
        encoding = self._posterior(embeddings)
        if _is_finite(encoding):
            return encoding
        broken = [name for name in embeddings if not self._is_finite_alone(name, embeddings)]
        text = "the latent is not finite"
        if broken:
            text += f": the readings of {', '.join(broken)} are too large for the model"
        raise NotFiniteError(text, broken)

    def _is_finite_alone(self, name: str, embeddings: dict[str, Tensor]) -> bool:
        try:
            return _is_finite(self._posterior({name: embeddings[name]}))
        except ValueError:  # a conditional model needs its condition, too
            return True

    def _posterior(self, embeddings: dict[str, Tensor]) -> Encoding:
        if not embeddings:
            raise ValueError("a sample needs at least one observation")
        parameters = torch.cat(self._runtime.fuse(embeddings)).float()  # (2, D)
        (host,) = to_host([parameters])  # waits for the device, too
        return Encoding(host[0], host[1], embeddings, parameters[:1])

    def _expected(self, encoding: Encoding, names: Collection[str]) -> list[Tensor]:
        """E[x_i|z] at z = mean in raw units, on the device; last, (M,), the sums of them before
        they were brought to raw units, where colours are whole numbers and always finite."""
        means = {
            name: self.model.likelihood(name, self._runtime.decode[name](encoding.z)).mean
            for name in names
        }
        sums = torch.stack([mean.sum(dtype=torch.float32) for mean in means.values()])
        return [*(to_raw(self.modalities[name], means[name])[0] for name in names), sums]

    def _check(self, names: Collection[str]) -> None:
        unknown = [name for name in names if name not in self.modalities]
        if unknown:
            raise ValueError(
                f"unknown modality {', '.join(unknown)}; the model has {', '.join(self.modalities)}"
            )

    def _autocast(self) -> AbstractContextManager[object]:
        if self._autocast_type is None:  # entering a disabled one takes 10 µs
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self._autocast_type)

    def _network_input(self, name: str, array: np.ndarray) -> Tensor:
        """Prepared array → (1, *shape) on the device; through pinned memory where it is a GPU."""
        modality = self.modalities[name]
        if array.shape != modality.raw_shape:
            raise ValueError(
                f"{name}: expected a prepared array of shape {modality.raw_shape}, "
                f"got {array.shape}"
            )
        # torch warns of arrays that are read-only, as those in a message's memory are.
        tensor = torch.from_numpy(array if array.flags.writeable else array.copy())
        if name in self._pinned:
            tensor = self._pinned[name].copy_(tensor).to(self.device, non_blocking=True)
        values = to_tensor(modality, tensor[None])
        # Elsewhere nothing is missing, and what overflows here shall be noticed.
        return without_holes(values) if modality.has_holes else values


def _is_finite(encoding: Encoding) -> bool:
    return bool(np.isfinite(encoding.mean).all() and np.isfinite(encoding.log_variance).all())


def to_host(tensors: Sequence[Tensor]) -> list[np.ndarray]:
    """Arrays of these tensors, which are all on one device: with a single transfer from a GPU, and
    without a copy where that is possible on a CPU."""
    if not tensors or tensors[0].device.type == "cpu":
        return [np.ascontiguousarray(tensor.numpy()) for tensor in tensors]
    packed = torch.cat([tensor.contiguous().view(-1).view(torch.uint8) for tensor in tensors])
    data = packed.cpu().numpy()
    arrays, start = [], 0
    for tensor in tensors:
        part = data[start : start + tensor.nbytes]
        # A copy, since the parts need not lie where their type may.
        dtype = str(tensor.dtype).removeprefix("torch.")
        arrays.append(part.copy().view(dtype).reshape(tensor.shape))
        start += tensor.nbytes
    return arrays


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
    return None if name == "float32" else getattr(torch, name)


def _find_runtime(name: str, device: torch.device, precision: str) -> type[Runtime]:
    try:
        return find_runtime(name, device, precision)
    except ValueError as error:
        raise DeviceError(str(error)) from error
