# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The model at work in the node and offline: prepared sample in, prediction out.

One sample at a time, on CPU or CUDA. The posterior is always computed; an observation is predicted
only where it is asked for. How the networks are run is chosen by name
(:mod:`smvae_core.inference.runtime`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from smvae_core.inference.choices import AUTO
from smvae_core.inference.devices import find_device
from smvae_core.inference.runtime import find_runtime, make_runtime
from smvae_core.modalities import Modality
from smvae_core.preprocessing import to_reading
from smvae_core.residuals.features import likelihood_scales
from smvae_core.stored_model import StoredModel, read_model


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
        embeddings: modality of the sample → E_i(x_i), as the runtime keeps it; with them the
            posteriors of other subsets of the sample are cheap (:meth:`Inference.leave_out`).
        z: what decoders begin with, as the runtime keeps it.
    """

    mean: np.ndarray
    log_variance: np.ndarray
    embeddings: Mapping[str, Any]
    z: Any


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
        model: what :func:`smvae_core.stored_model.read_model` returned.
        device: ``cpu``, ``cuda``, ``cuda:N``, or ``auto``: CUDA where there is one.
        precision: ``float32``, or ``bfloat16``/``float16`` through autocast.
        runtime: of :data:`smvae_core.inference.choices.RUNTIMES`, or ``auto``, see
            :mod:`smvae_core.inference.runtime`.
        threads: of a CPU. By default one with ONNX Runtime; PyTorch has them for its whole
            process, and by default keeps those that it has.

    Attributes:
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        stored: the model as it was read.
        scales: modality → (C,) scale of its likelihood in raw units.
        training_means: modality → mean of the training split, as :meth:`decode` returns arrays.

    Raises:
        CheckpointError: where the model lacks weights.
        DeviceError: where one of them is not available on this machine.
    """

    def __init__(
        self,
        model: StoredModel,
        device: str = "cpu",
        precision: str = "float32",
        runtime: str = AUTO,
        threads: int | None = None,
    ) -> None:
        self.device = find_device(device)
        name = find_runtime(runtime, self.device, precision)
        self._runtime = make_runtime(name, model, self.device, precision, threads)
        self.stored = model
        self.modalities: dict[str, Modality] = model.modalities
        self.latent_size: int = model.architecture["latent_size"]
        self.model_hash = model.weights_hash
        self.calibration = model.calibration
        self.frame_ids = model.frame_ids
        self.scales = likelihood_scales(self.modalities, model.log_scales)
        self.training_means = {
            name: to_reading(modality, model.training_mean(name))
            for name, modality in self.modalities.items()
        }

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        device: str = "cpu",
        precision: str = "float32",
        runtime: str = AUTO,
        threads: int | None = None,
    ) -> Inference:
        """Loads a checkpoint directory.

        Raises:
            CheckpointError: where the checkpoint cannot be used.
            DeviceError: where the device, precision or runtime is not available.
        """
        # What is wrong is said before a large file is read.
        find_runtime(runtime, find_device(device), precision)
        return cls(read_model(path), device, precision, runtime, threads)

    def warm_up(self) -> None:
        """Runs every network once, with all modalities and with the first left out, so that the
        first live snapshot is not the slow one."""
        blank = {
            name: np.zeros(modality.raw_shape, dtype=modality.raw_dtype)
            for name, modality in self.modalities.items()
        }
        for _ in range(2):  # the second time, torch has learned the shapes
            encoding = self.encode(blank)
            self.decode(encoding, self.modalities)
            if len(blank) > 1:
                self.leave_out(encoding, next(iter(blank)))

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
        for name, array in sample.items():
            expected = self.modalities[name].raw_shape
            if array.shape != expected:
                raise ValueError(
                    f"{name}: expected a prepared array of shape {expected}, got {array.shape}"
                )
        return self._finite_posterior(
            {name: self._runtime.embed(name, array) for name, array in sample.items()}
        )

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
        return self._finite_posterior(others)

    def decode(self, encoding: Encoding, names: Collection[str]) -> dict[str, np.ndarray]:
        """Observations that the decoders expect at z = mean; of a mixture, the average over what
        they expect at the means of its components.

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
        arrays, sums = self._runtime.decode(encoding.z, names)
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

    def _finite_posterior(self, embeddings: dict[str, Any]) -> Encoding:
        """As :meth:`_posterior`; names who is to blame for one that is not finite."""
        encoding = self._posterior(embeddings)
        if _is_finite(encoding):
            return encoding
        broken = [name for name in embeddings if not self._is_finite_alone(name, embeddings)]
        text = "the latent is not finite"
        if broken:
            text += f": the readings of {', '.join(broken)} are too large for the model"
        raise NotFiniteError(text, broken)

    def _is_finite_alone(self, name: str, embeddings: dict[str, Any]) -> bool:
        try:
            return _is_finite(self._posterior({name: embeddings[name]}))
        except ValueError:  # a conditional model needs its condition, too
            return True

    def _posterior(self, embeddings: dict[str, Any]) -> Encoding:
        if not embeddings:
            raise ValueError("a sample needs at least one observation")
        mean, log_variance, z = self._runtime.fuse(embeddings)
        return Encoding(mean, log_variance, embeddings, z)

    def _check(self, names: Collection[str]) -> None:
        unknown = [name for name in names if name not in self.modalities]
        if unknown:
            raise ValueError(
                f"unknown modality {', '.join(unknown)}; the model has {', '.join(self.modalities)}"
            )


def _is_finite(encoding: Encoding) -> bool:
    return bool(np.isfinite(encoding.mean).all() and np.isfinite(encoding.log_variance).all())
