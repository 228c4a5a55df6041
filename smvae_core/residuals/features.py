# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Measures of one check: how a reading differs from what the other sensors say of it.

The decoders' likelihoods treat sensors as independent given z. Where a model is imperfect they are
not: what it misses of one sensor it misses of another, too (an arm's velocity and the action behind
it). So a check also keeps how the others differ from their reconstruction, and calibration learns
what of a residual these explain.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from smvae_core.modalities import Modality

_SMALLEST = 1e-6  # below it a logarithm is cut off


@dataclass(frozen=True)
class Features:
    """Of one modality at B moments, each predicted from the other sensors of the moment.

    Attributes:
        residual: (B, C) mean over all pixels or readings of (x - x̂) / scale, for each channel.
        expected: (B, C) mean over all pixels or readings of x̂, for each channel, in raw units.
        others: (B, U) the same as ``residual`` of the other sensors that are no images,
            reconstructed from the same z; in the model's order.
        surprise: (B,) log of the mean of |x - x̂| / scale over everything measured.
        disagreement: (B,) log KL(q(z|X_S) ‖ q(z|X_S∖i)), in log nats: how much the modality
            changes what the model believes.
    """

    residual: np.ndarray
    expected: np.ndarray
    others: np.ndarray
    surprise: np.ndarray
    disagreement: np.ndarray


def is_small(modality: Modality) -> bool:
    """True if its residuals are cheap enough to be computed at every check of another sensor."""
    return modality.kind not in ("image", "depth")


def measure(
    name: str,
    modalities: Mapping[str, Modality],
    scales: Mapping[str, np.ndarray],
    arrays: Mapping[str, np.ndarray],
    predicted: Mapping[str, np.ndarray],
    disagreement: np.ndarray,
) -> Features:
    """The features of one modality.

    Args:
        name: of the modality that is checked.
        modalities: the model's, in its order.
        scales: modality → (C,) scale of its likelihood in raw units (:func:`likelihood_scale`).
        arrays: modality → (B, *raw_shape) prepared arrays.
        predicted: modality → (B, *raw_shape) what decoders expect given the other sensors: of
            ``name`` and of every other small one among ``arrays``.
        disagreement: (B,) the divergence of :func:`divergence`, in nats.
    """
    residual, surprise = _residual(modalities[name], scales[name], arrays[name], predicted[name])
    others = [
        _residual(modalities[other], scales[other], arrays[other], predicted[other])[0]
        for other in small_others(name, arrays, modalities)
    ]
    return Features(
        residual,
        predicted[name].reshape(len(residual), -1, residual.shape[1]).mean(1, dtype=np.float64),
        np.concatenate(others, axis=1) if others else np.zeros((len(residual), 0)),
        np.log(np.maximum(surprise, _SMALLEST)),
        np.log(np.maximum(disagreement, _SMALLEST)),
    )


def small_others(
    name: str, present: Collection[str], modalities: Mapping[str, Modality]
) -> list[str]:
    """The small modalities among ``present`` besides ``name``, in the model's order."""
    return [
        other
        for other, modality in modalities.items()
        if other != name and other in present and is_small(modality)
    ]


def likelihood_scale(modality: Modality, scale: np.ndarray) -> np.ndarray:
    """The likelihood's scale in raw units, (C,).

    Args:
        scale: (C,) in normalised units: a Gaussian's standard deviation, a Laplace's diversity.
    """
    if not modality.is_continuous:
        return np.ones(len(scale))
    unit = 255.0 if modality.kind == "image" else 1.0
    return unit * np.broadcast_to(np.asarray(modality.std, float), len(scale)) * scale


def likelihood_scales(
    modalities: Mapping[str, Modality], log_scales: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """:func:`likelihood_scale` of each modality; ``log_scales`` are the logarithms of what that
    takes."""
    return {
        name: likelihood_scale(modality, np.exp(log_scales[name]).astype(np.float64))
        for name, modality in modalities.items()
    }


def divergence(
    mean: np.ndarray,
    log_variance: np.ndarray,
    other_mean: np.ndarray,
    other_log_variance: np.ndarray,
) -> np.ndarray:
    """KL between diagonal Gaussians (..., D), in nats, (...)."""
    ratio = log_variance - other_log_variance
    distance = (mean - other_mean) ** 2 * np.exp(-other_log_variance)
    return 0.5 * (np.exp(ratio) + distance - 1 - ratio).sum(-1)


def _residual(
    modality: Modality, scale: np.ndarray, arrays: np.ndarray, predicted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(B, C) and (B,): signed mean for each channel, and mean of the absolute value of all."""
    difference = arrays.astype(np.float32) - predicted.astype(np.float32)
    if modality.has_holes:
        difference = difference[..., None]
    difference /= scale.astype(np.float32)
    difference = difference.reshape(len(arrays), -1, len(scale))
    measured = ~np.isnan(difference)
    counts = np.maximum(measured.sum(1), 1)
    difference[~measured] = 0
    surprise = np.abs(difference).sum((1, 2)) / counts.sum(1)
    return difference.sum(1) / counts, surprise
